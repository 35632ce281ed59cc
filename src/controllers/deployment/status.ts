import type { Condition, Deployment, DeploymentStatus, ReplicaSet } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import { conditionOf, timeText } from "../objects.ts";
import { isComplete } from "./plan.ts";
import { limits, total, totalWanted } from "./replicasets.ts";

/** The status, and when it changes by the passing of time alone. */
export interface StatusPlan {
  readonly status: DeploymentStatus;
  /** The progress deadline is so many milliseconds away. */
  readonly lookAgainMs?: number;
}

/**
 * The status of a Deployment as its ReplicaSets show it. `event`: what was done just now, which begins a new wait for
 * progress.
 */
export function deploymentStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  replicaSets: readonly ReplicaSet[],
  now: Date,
  event?: RolloutEvent,
): StatusPlan {
  const old = replicaSets.filter((one) => one.metadata.uid !== current?.metadata.uid);
  const wanted = deployment.spec.replicas ?? 1;
  const available = total(replicaSets, "availableReplicas");
  const counts = {
    replicas: total(replicaSets, "replicas"),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total(replicaSets, "readyReplicas"),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, totalWanted(replicaSets) - available),
  };
  const previous = deployment.status ?? {};
  const enough = available >= wanted - limits(deployment).unavailable;
  const progress = progressing({ deployment, current, old, counts, now, event });
  // As upstream: what changes goes to the end, and what was done just now changed first.
  const serving = enough ? availableTrue : availableFalse;
  const order = event ? [progress.condition, serving] : [serving, progress.condition];
  const conditions = order.reduce((all, next) => changed(all, next, now), previous.conditions ?? []);
  return {
    status: {
      observedGeneration: deployment.metadata.generation ?? 0,
      ...withoutZeros(counts),
      terminatingReplicas: replicaSets.reduce((sum, { status }) => sum + (status?.terminatingReplicas ?? 0), 0),
      ...(previous.collisionCount === undefined ? {} : { collisionCount: previous.collisionCount }),
      conditions: withFailure(conditions, current, old, now),
    },
    ...(progress.lookAgainMs === undefined ? {} : { lookAgainMs: progress.lookAgainMs }),
  };
}

/** What the controller has just done, or could not do, with the current ReplicaSet. */
export type RolloutEvent = { readonly type: "created" } | { readonly type: "failed"; readonly message: string };

/** Sets a condition; one that changes its status or reason goes to the end. */
function changed(conditions: readonly Condition[], next: Condition | undefined, now: Date): readonly Condition[] {
  if (!next) return conditions;
  const present = conditionOf(conditions, next.type);
  const same =
    present && present.status === next.status && present.reason === next.reason && next.lastUpdateTime === undefined;
  if (same) return conditions;
  if (present && equalJson(present, next)) return conditions;
  const time = timeText(now);
  const transition = present?.status === next.status ? (present.lastTransitionTime ?? time) : time;
  const condition = { lastUpdateTime: time, ...next, lastTransitionTime: transition };
  return [...conditions.filter(({ type }) => type !== next.type), condition];
}

/** A ReplicaSet that cannot create its pods says so on the Deployment too, the current one first. */
function withFailure(
  conditions: readonly Condition[],
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  now: Date,
): readonly Condition[] {
  const failures = [...(current ? [current] : []), ...old].flatMap(
    ({ status }) => conditionOf(status?.conditions, "ReplicaFailure") ?? [],
  );
  const [failure] = failures;
  if (!failure) return conditions.filter(({ type }) => type !== "ReplicaFailure");
  const { type, status, reason = "", message = "" } = failure;
  return changed(conditions, { type, status, reason, message }, now);
}

const availableTrue: Condition = {
  type: "Available",
  status: "True",
  reason: "MinimumReplicasAvailable",
  message: "Deployment has minimum availability.",
};
const availableFalse: Condition = {
  type: "Available",
  status: "False",
  reason: "MinimumReplicasUnavailable",
  message: "Deployment does not have minimum availability.",
};

type Counts = Required<
  Pick<DeploymentStatus, "replicas" | "updatedReplicas" | "readyReplicas" | "availableReplicas" | "unavailableReplicas">
>;

interface ProgressInput {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly counts: Counts;
  readonly now: Date;
  readonly event: RolloutEvent | undefined;
}

/** The deadline that means none (upstream: MaxInt32). */
const noDeadline = 2 ** 31 - 1;

/** The condition Progressing: complete, moving, or stuck beyond the deadline. */
function progressing(input: ProgressInput): { condition?: Condition; lookAgainMs?: number } {
  const { deployment, current, old, counts, now, event } = input;
  const previous = conditionOf(deployment.status?.conditions, "Progressing");
  const deadline = deployment.spec.progressDeadlineSeconds ?? 600;
  if (deadline === noDeadline) return previous ? { condition: previous } : {};
  const make = (status: Condition["status"], reason: string, message: string): Condition => ({
    type: "Progressing",
    status,
    reason,
    message,
  });
  const anew = (condition: Condition) => ({
    condition: { ...condition, lastUpdateTime: timeText(now) },
    lookAgainMs: deadline * 1000,
  });
  if (event?.type === "failed") return { condition: make("False", "ReplicaSetCreateError", event.message) };
  if (deployment.spec.paused) return { condition: make("Unknown", "DeploymentPaused", "Deployment is paused") };
  if (!current) return previous ? { condition: previous } : {};
  const name = `ReplicaSet "${current.metadata.name}"`;
  if (isComplete(deployment, current, old)) {
    return { condition: make("True", "NewReplicaSetAvailable", `${name} has successfully progressed.`) };
  }
  // Complete once, it stays so until something new is rolled out: pods that fail later are no lack of progress.
  if (previous?.reason === "NewReplicaSetAvailable" && counts.replicas === counts.updatedReplicas && !event) {
    return { condition: previous };
  }
  if (event) return anew(make("True", "NewReplicaSetCreated", `Created new replica set "${current.metadata.name}"`));
  if (!previous) return anew(make("True", "FoundNewReplicaSet", `Found new replica set "${current.metadata.name}"`));
  if (previous.reason === "DeploymentPaused") {
    return anew(make("Unknown", "DeploymentResumed", "Deployment is resumed"));
  }
  if (moved(deployment.status ?? {}, counts) || previous.reason === "NewReplicaSetAvailable") {
    return anew(make("True", "ReplicaSetUpdated", `${name} is progressing.`));
  }
  const leftMs = (Date.parse(previous.lastUpdateTime ?? "") || now.getTime()) + deadline * 1000 - now.getTime();
  if (leftMs > 0 && previous.reason !== "ProgressDeadlineExceeded") return { condition: previous, lookAgainMs: leftMs };
  return { condition: make("False", "ProgressDeadlineExceeded", `${name} has timed out progressing.`) };
}

/** More pods are updated, ready or available, or fewer old ones are left, than the last status says. */
function moved(before: DeploymentStatus, counts: Counts): boolean {
  const oldBefore = (before.replicas ?? 0) - (before.updatedReplicas ?? 0);
  return (
    counts.updatedReplicas > (before.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < oldBefore ||
    counts.readyReplicas > (before.readyReplicas ?? 0) ||
    counts.availableReplicas > (before.availableReplicas ?? 0)
  );
}

/** Zero counters are absent on the wire (omitempty). */
function withoutZeros(counts: Counts): Partial<Counts> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
