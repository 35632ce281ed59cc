import {
  type ControllerRevision,
  matchesSelector,
  type Pod,
  type StatefulSet,
  type StatefulSetStatus,
} from "#api/index.ts";
import { resolveCount } from "../deployment/replicasets.ts";
import { templateOfRevision } from "../history/plan.ts";
import { availableInMs, controllerOf, isPodReady, isPodTerminal } from "../objects.ts";
import { identityMatches, ordinalOf, podOf, revisionLabel, startOrdinal } from "./pods.ts";

/** What is known when a StatefulSet is looked at. */
export interface StatefulSetInput {
  readonly set: StatefulSet;
  /** Pods of the namespace that it owns, or that nobody does. */
  readonly pods: readonly Pod[];
  /** Revision of the present template. */
  readonly update: ControllerRevision;
  /** Revision that pods below the partition keep. */
  readonly current: ControllerRevision;
  readonly collisions: number;
  readonly now: Date;
}

/** What to do for one StatefulSet. */
export interface StatefulSetPlan {
  readonly adopt: readonly Pod[];
  readonly release: readonly Pod[];
  /** Pods to create, with their claims before them; in order. */
  readonly create: readonly Pod[];
  /** Pods that wait: their claims may be missing. */
  readonly claimsFor: readonly Pod[];
  /** Pods to delete, in order. */
  readonly remove: readonly Pod[];
  /** Pods whose identifying labels somebody changed. */
  readonly relabel: readonly Pod[];
  readonly status: StatefulSetStatus;
  readonly lookAgainMs?: number;
}

type Work = Pick<StatefulSetPlan, "create" | "claimsFor" | "remove" | "relabel">;
const nothing: Work = { create: [], claimsFor: [], remove: [], relabel: [] };

/** Compares a StatefulSet with its pods. In ordered management at most one pod is created or deleted at a time. */
export function planStatefulSet(input: StatefulSetInput): StatefulSetPlan {
  const { set, pods, now } = input;
  const deleting = set.metadata.deletionTimestamp !== undefined;
  const matches = (pod: Pod) => matchesSelector(set.spec.selector, pod.metadata.labels) && ordinalOf(set, pod) !== -1;
  const owned = pods.filter((pod) => controllerOf(pod)?.uid === set.metadata.uid);
  const free = pods.filter(
    (pod) => !controllerOf(pod) && pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod) && matches(pod),
  );
  const adopt = deleting ? [] : free;
  const release = deleting ? [] : owned.filter((pod) => !matches(pod) && pod.metadata.deletionTimestamp === undefined);
  const mine = [...owned.filter((pod) => matches(pod)), ...adopt];
  const waits = mine.map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, now));
  const soonest = Math.min(...(waits.filter((ms) => ms !== undefined && ms > 0) as number[]));
  return {
    adopt,
    release,
    ...(deleting ? nothing : new Step(input, mine).work()),
    status: statusOf(input, mine),
    ...(Number.isFinite(soonest) ? { lookAgainMs: soonest } : {}),
  };
}

/** Whether a pod runs and has been ready for minReadySeconds. */
export function isAvailable(set: StatefulSet, pod: Pod, now: Date): boolean {
  return isRunningAndReady(pod) && availableInMs(pod, set.spec.minReadySeconds ?? 0, now) === 0;
}

function isRunningAndReady(pod: Pod): boolean {
  return pod.status?.phase === "Running" && isPodReady(pod);
}

const isTerminating = (pod: Pod) => pod.metadata.deletionTimestamp !== undefined;

/** The next step: what is missing first, then what is too much, then what is outdated. */
class Step {
  readonly #input: StatefulSetInput;
  readonly #ordered: boolean;
  /** By ordinal, from the first on; undefined: missing. */
  readonly #replicas: readonly (Pod | undefined)[];
  /** Pods beyond the range, the highest ordinal first. */
  readonly #condemned: readonly Pod[];

  constructor(input: StatefulSetInput, mine: readonly Pod[]) {
    const { set } = input;
    this.#input = input;
    this.#ordered = set.spec.podManagementPolicy !== "Parallel";
    const start = startOrdinal(set);
    const byOrdinal = new Map(mine.map((pod) => [ordinalOf(set, pod), pod]));
    const count = set.spec.replicas ?? 1;
    this.#replicas = Array.from({ length: count }, (_, i) => byOrdinal.get(start + i));
    this.#condemned = [...byOrdinal]
      .filter(([ordinal]) => ordinal < start || ordinal >= start + count)
      .sort(([a], [b]) => b - a)
      .map(([, pod]) => pod);
  }

  work(): Work {
    return this.#ordered ? this.#inOrder() : this.#atOnce();
  }

  #inOrder(): Work {
    const relabel: Pod[] = [];
    for (const [i, pod] of this.#replicas.entries()) {
      const step = this.#living(pod, i);
      if (step.create.length + step.remove.length > 0) return { ...step, relabel };
      if (!pod || isTerminating(pod) || !this.#available(pod)) return { ...step, relabel };
      relabel.push(...step.relabel);
    }
    const [first] = this.#condemned;
    if (first) {
      const blocked = isTerminating(first) || (!this.#available(first) && first !== this.#firstUnavailable());
      return { ...nothing, relabel, remove: blocked ? [] : [first] };
    }
    return { ...nothing, relabel, remove: this.#outdated() };
  }

  #atOnce(): Work {
    const steps = this.#replicas.map((pod, i) => this.#living(pod, i));
    const work = {
      create: steps.flatMap(({ create }) => create),
      claimsFor: steps.flatMap(({ claimsFor }) => claimsFor),
      remove: steps.flatMap(({ remove }) => remove),
      relabel: steps.flatMap(({ relabel }) => relabel),
    };
    const condemned = this.#condemned.filter((pod) => !isTerminating(pod));
    // What is missing or has ended comes back before anything is taken away for an update.
    const blocked = work.create.length + work.remove.length + condemned.length > 0;
    return { ...work, remove: [...work.remove, ...condemned, ...(blocked ? [] : this.#outdated())] };
  }

  /** What one replica needs: to be created, to be deleted as it has ended, claims, its labels. */
  #living(pod: Pod | undefined, index: number): Work {
    if (!pod) return { ...nothing, create: [this.#newPod(startOrdinal(this.#input.set) + index)] };
    if (isPodTerminal(pod)) return { ...nothing, remove: isTerminating(pod) ? [] : [pod] };
    return {
      ...nothing,
      claimsFor: (pod.status?.phase ?? "Pending") === "Pending" && !isTerminating(pod) ? [pod] : [],
      relabel: identityMatches(this.#input.set, pod) || isTerminating(pod) ? [] : [pod],
    };
  }

  /** Below the partition a pod that is made anew keeps the current revision. */
  #newPod(ordinal: number): Pod {
    const { set, update, current } = this.#input;
    const { type = "RollingUpdate", rollingUpdate } = set.spec.updateStrategy ?? {};
    const kept = rollingUpdate?.partition ?? (rollingUpdate ? 0 : (set.status?.currentReplicas ?? 0));
    const revision = type === "RollingUpdate" && ordinal < startOrdinal(set) + kept ? current : update;
    return podOf(set, templateOfRevision(revision) ?? set.spec.template, revision.metadata.name, ordinal);
  }

  /** Pods of older revisions that may go now, the highest ordinals first. */
  #outdated(): Pod[] {
    const { set, update } = this.#input;
    const { type = "RollingUpdate", rollingUpdate = {} } = set.spec.updateStrategy ?? {};
    if (type === "OnDelete") return [];
    const { partition = 0, maxUnavailable } = rollingUpdate;
    const allowed = Math.max(1, resolveCount(maxUnavailable, "1", this.#replicas.length, false));
    const unavailable = this.#replicas.filter((pod) => !pod || !this.#available(pod)).length;
    const old = this.#replicas
      .slice(partition)
      .filter((pod) => pod !== undefined)
      .filter((pod) => pod.metadata.labels?.[revisionLabel] !== update.metadata.name && !isTerminating(pod))
      .reverse();
    // What does not serve is no loss: otherwise a template that never starts could not be replaced.
    const broken = old.filter((pod) => !this.#available(pod));
    const serving = old.filter((pod) => this.#available(pod));
    return [...broken, ...serving.slice(0, Math.max(0, allowed - unavailable))];
  }

  #available(pod: Pod): boolean {
    return !isTerminating(pod) && isAvailable(this.#input.set, pod, this.#input.now);
  }

  #firstUnavailable(): Pod | undefined {
    const living = this.#replicas.filter((pod) => pod !== undefined);
    return [...living, ...[...this.#condemned].reverse()].find((pod) => !this.#available(pod));
  }
}

function statusOf(input: StatefulSetInput, mine: readonly Pod[]): StatefulSetStatus {
  const { set, update, current, collisions, now } = input;
  // A pod is created when it has a phase.
  const created = mine.filter((pod) => pod.status?.phase !== undefined);
  const at = (revision: ControllerRevision) =>
    created.filter((pod) => !isTerminating(pod) && pod.metadata.labels?.[revisionLabel] === revision.metadata.name);
  const counts = {
    readyReplicas: created.filter(isRunningAndReady).length,
    availableReplicas: created.filter((pod) => isAvailable(set, pod, now)).length,
    currentReplicas: at(current).length,
    updatedReplicas: at(update).length,
  };
  // The update is complete: what was new is what is current.
  const complete =
    set.spec.updateStrategy?.type !== "OnDelete" &&
    counts.updatedReplicas === created.length &&
    counts.readyReplicas === created.length;
  const { readyReplicas, availableReplicas, updatedReplicas } = counts;
  const currentReplicas = complete ? updatedReplicas : counts.currentReplicas;
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: created.length,
    ...(readyReplicas > 0 ? { readyReplicas } : {}),
    ...(currentReplicas > 0 ? { currentReplicas } : {}),
    ...(updatedReplicas > 0 ? { updatedReplicas } : {}),
    currentRevision: complete ? update.metadata.name : current.metadata.name,
    updateRevision: update.metadata.name,
    collisionCount: collisions,
    availableReplicas,
  };
}

/** The revision that the status calls current, else the newest. */
export function currentRevision(
  set: StatefulSet,
  revisions: readonly ControllerRevision[],
  update: ControllerRevision,
): ControllerRevision {
  return revisions.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
}
