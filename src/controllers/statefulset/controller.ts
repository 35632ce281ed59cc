import {
  type ControllerRevision,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  matchesSelector,
  type Pod,
  resources,
  type StatefulSet,
  type StatefulSetStatus,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { HistoryControl } from "../history/control.ts";
import { controllerOf } from "../objects.ts";
import { PodControl, settleAll } from "../podcontrol.ts";
import { podIndexValues } from "../replicaset/controller.ts";
import { currentRevision, planStatefulSet, type StatefulSetPlan } from "./plan.ts";
import { StatefulPodControl } from "./podcontrol.ts";
import { ordinalOf, revisionLabel, startOrdinal } from "./pods.ts";

/** Keeps the numbered pods of every StatefulSet, with their claims. */
export function statefulSetController(context: ControllerContext): void {
  const sets = context.informer(resources.statefulSets);
  const pods = context.informer(resources.pods);
  const revisions = context.informer(resources.controllerRevisions);
  const claims = context.informer(resources.persistentVolumeClaims);
  const keeper = new Keeper(context);

  const queue = context.control({
    name: "statefulset",
    needs: [sets, pods, revisions, claims],
    handle: async (key) => {
      const set = sets.get(key);
      if (!set) return;
      try {
        return await keeper.sync(set);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
    },
  });

  sets.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange(({ type, object, old }) => {
    for (const pod of [object, ...(old ? [old] : [])]) {
      const owner = controllerOf(pod);
      if (owner?.kind === "StatefulSet") queue.add(`${pod.metadata.namespace}/${owner.name}`);
      if (owner || type === "DELETED") continue;
      for (const set of sets.list()) {
        if (set.metadata.namespace === pod.metadata.namespace && ordinalOf(set, pod) >= 0) queue.add(keyOf(set));
      }
    }
  });
  // A claim that went with an earlier pod makes room for a new one.
  claims.onChange(({ type, object }) => {
    if (type !== "DELETED") return;
    for (const set of sets.list()) {
      const near = set.metadata.namespace === object.metadata.namespace;
      if (near && matchesSelector(set.spec.selector, object.metadata.labels)) queue.add(keyOf(set));
    }
  });
}

class Keeper {
  readonly #context: ControllerContext;
  readonly #history: HistoryControl;
  readonly #pods: StatefulPodControl;
  readonly #ownership: PodControl;
  readonly #podsOf: { get(value: string): Pod[] };

  constructor(context: ControllerContext) {
    this.#context = context;
    const of = resources.statefulSets;
    this.#history = new HistoryControl(context, { of, hashLabel: "controller.kubernetes.io/hash" });
    this.#pods = new StatefulPodControl(context);
    this.#ownership = new PodControl(context, "statefulset-controller", of);
    this.#podsOf = context.informer(resources.pods).index(podIndexValues);
  }

  async sync(set: StatefulSet): Promise<number | undefined> {
    const { update, revisions, collisions } = await this.#history.sync(set);
    const current = currentRevision(set, revisions, update);
    const read = () =>
      planStatefulSet({ set, pods: this.#candidates(set), update, current, collisions, now: this.#context.now() });
    const plan = read();
    await settleAll([
      ...plan.adopt.map((pod) => this.#ownership.adopt(set, pod)),
      ...plan.release.map((pod) => this.#ownership.release(set, pod)),
    ]);
    let failed: unknown;
    try {
      await this.#carryOut(set, plan);
    } catch (error) {
      failed = error;
    }
    const after = read();
    await this.#writeStatus(set, after.status);
    if (failed !== undefined) throw failed;
    await this.#truncate(set, [update, current]);
    return after.lookAgainMs;
  }

  async #carryOut(set: StatefulSet, plan: StatefulSetPlan): Promise<void> {
    await this.#retainClaims(set);
    await settleAll(plan.relabel.map((pod) => this.#pods.relabel(set, pod)));
    await settleAll(plan.claimsFor.map((pod) => this.#pods.createClaims(set, pod)));
    for (let size = 1, next = 0; next < plan.create.length; next += size, size *= 2) {
      await settleAll(plan.create.slice(next, next + size).map((pod) => this.#pods.create(set, pod)));
    }
    await settleAll(plan.remove.map((pod) => this.#pods.delete(set, pod)));
  }

  async #retainClaims(set: StatefulSet): Promise<void> {
    if (!set.spec.volumeClaimTemplates?.length || set.metadata.deletionTimestamp !== undefined) return;
    const start = startOrdinal(set);
    const end = start + (set.spec.replicas ?? 1);
    await settleAll(
      this.#podsOf.get(set.metadata.uid ?? "").map((pod) => {
        const ordinal = ordinalOf(set, pod);
        return this.#pods.retain(set, pod, ordinal < start || ordinal >= end);
      }),
    );
  }

  #candidates(set: StatefulSet): Pod[] {
    const { uid = "", namespace } = set.metadata;
    return [...this.#podsOf.get(uid), ...this.#podsOf.get(`orphans/${namespace}`)];
  }

  async #truncate(set: StatefulSet, used: readonly ControllerRevision[]): Promise<void> {
    if (set.metadata.deletionTimestamp !== undefined) return;
    const ofPods = this.#podsOf.get(set.metadata.uid ?? "").map((pod) => pod.metadata.labels?.[revisionLabel] ?? "");
    await this.#history.truncate(set, new Set([...ofPods, ...used.map(({ metadata }) => metadata.name)]));
  }

  async #writeStatus(set: StatefulSet, status: StatefulSetStatus): Promise<void> {
    const sets = this.#context.informer(resources.statefulSets);
    const newest = sets.get(keyOf(set));
    if (!newest || newest.metadata.uid !== set.metadata.uid || equalJson(newest.status, status)) return;
    try {
      const written = { ...newest, status };
      sets.assume(await this.#context.client.update(resources.statefulSets, written, { subresource: "status" }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
