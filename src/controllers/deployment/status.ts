import type { Condition, Deployment, DeploymentStatus, ReplicaSet } from "#api/index.ts";
import { conditionOf, timeText } from "../objects.ts";
import { isComplete } from "./plan.ts";
import { limits, total, totalWanted } from "./replicasets.ts";

/** The status, and when it changes by the passing of time alone. */
export interface StatusPlan {
  readonly status: DeploymentStatus;
  /** The progress deadline is so many milliseconds away. */
  readonly lookAgainMs?: number;
}

/** The status of a Deployment as its ReplicaSets show it. `created`: the current one was created just now. */
export function deploymentStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  replicaSets: readonly ReplicaSet[],
  now: Date,
  created = false,
): StatusPlan {
  const old = replicaSets.filter((one) => one.metadata.uid !== current?.metadata.uid);
  const wanted = deployment.spec.replicas ?? 1;
  const replicas = total(replicaSets, "replicas");
  const available = total(replicaSets, "availableReplicas");
  const counts = {
    replicas,
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total(replicaSets, "readyReplicas"),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, totalWanted(replicaSets) - available),
  };
  const previous = deployment.status ?? {};
  const enough = available >= wanted - limits(deployment).unavailable;
  const present = (previous.conditions ?? []).filter(({ type }) => type !== "Progressing" && type !== "Available");
  const progress = progressing({ deployment, current, old, counts, now, created });
  const conditions = [
    ...(progress.condition ? [progress.condition] : []),
    keepTimes(conditionOf(previous.conditions, "Available"), enough ? availableTrue : availableFalse, now),
    ...present,
  ];
  return {
    status: {
      observedGeneration: deployment.metadata.generation ?? 0,
      ...withoutZeros(counts),
      ...(previous.collisionCount === undefined ? {} : { collisionCount: previous.collisionCount }),
      conditions,
    },
    ...(progress.lookAgainMs === undefined ? {} : { lookAgainMs: progress.lookAgainMs }),
  };
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
  readonly created: boolean;
}

/** The condition Progressing: complete, moving, or stuck beyond the deadline. */
function progressing(input: ProgressInput): { condition?: Condition; lookAgainMs?: number } {
  const { deployment, current, old, counts, now, created } = input;
  const previous = conditionOf(deployment.status?.conditions, "Progressing");
  const make = (status: Condition["status"], reason: string, message: string): Condition =>
    keepTimes(previous, { type: "Progressing", status, reason, message }, now);
  if (deployment.spec.paused) return { condition: make("Unknown", "DeploymentPaused", "Deployment is paused") };
  if (!current) return previous ? { condition: previous } : {};
  const name = `ReplicaSet "${current.metadata.name}"`;
  if (isComplete(deployment, current, old)) {
    return { condition: make("True", "NewReplicaSetAvailable", `${name} has successfully progressed.`) };
  }
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
  if (created) {
    const condition = make("True", "NewReplicaSetCreated", `Created new replica set "${current.metadata.name}"`);
    return { condition: { ...condition, lastUpdateTime: timeText(now) }, lookAgainMs: deadlineMs };
  }
  if (!previous || moved(deployment.status ?? {}, counts) || previous.reason === "NewReplicaSetAvailable") {
    const condition = make("True", "ReplicaSetUpdated", `${name} is progressing.`);
    return { condition: { ...condition, lastUpdateTime: timeText(now) }, lookAgainMs: deadlineMs };
  }
  const since = Date.parse(previous.lastUpdateTime ?? "") || now.getTime();
  const leftMs = since + deadlineMs - now.getTime();
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

/** An unchanged condition stays as it was; the transition time moves with the status only. */
function keepTimes(previous: Condition | undefined, next: Condition, now: Date): Condition {
  if (
    previous &&
    previous.status === next.status &&
    previous.reason === next.reason &&
    previous.message === next.message
  ) {
    return previous;
  }
  const time = timeText(now);
  const transition = previous?.status === next.status ? (previous.lastTransitionTime ?? time) : time;
  return { ...next, lastUpdateTime: time, lastTransitionTime: transition };
}

/** Zero counters are absent on the wire (omitempty). */
function withoutZeros(counts: Counts): Partial<Counts> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
