import { type Condition, matchesSelector, type Pod, type ReplicaSet } from "#api/index.ts";
import { availableInMs, conditionOf, controllerOf, isPodActive, isPodReady, isPodTerminal } from "../objects.ts";

/** What to do for one ReplicaSet. */
export interface ReplicaSetPlan {
  /** Pods without an owner that match: take them. */
  readonly adopt: readonly Pod[];
  /** Own pods whose labels no longer match: let go. */
  readonly release: readonly Pod[];
  /** So many pods are missing. */
  readonly create: number;
  /** Pods too many, in the order of their deletion. */
  readonly remove: readonly Pod[];
  readonly status: NonNullable<ReplicaSet["status"]>;
  /** A pod becomes available by the passing of time: look again after so many milliseconds. */
  readonly lookAgainMs?: number;
}

/**
 * Compares a ReplicaSet with the pods of its namespace that it owns or matches.
 * `failure` is the message of a create or delete that failed just now (condition ReplicaFailure); `related` are pods of
 * ReplicaSets with the same owner: their nodes are doubled up first.
 */
export function planReplicaSet(
  replicaSet: ReplicaSet,
  pods: readonly Pod[],
  now: Date,
  failure?: { readonly reason: string; readonly message: string },
  related: readonly Pod[] = [],
): ReplicaSetPlan {
  const { uid, deletionTimestamp } = replicaSet.metadata;
  const matches = (pod: Pod) => matchesSelector(replicaSet.spec.selector, pod.metadata.labels);
  const owned = pods.filter((pod) => controllerOf(pod)?.uid === uid);
  const deleting = deletionTimestamp !== undefined;
  const free = pods.filter((pod) => !controllerOf(pod) && isPodActive(pod) && matches(pod));
  const adopt = deleting ? [] : free;
  const release = deleting ? [] : owned.filter((pod) => !matches(pod) && pod.metadata.deletionTimestamp === undefined);
  const mine = [...owned.filter((pod) => matches(pod)), ...adopt].filter(isPodActive);
  const wanted = replicaSet.spec.replicas ?? 1;
  const surplus = mine.length - wanted;
  const availability = mine.map((pod) => availableInMs(pod, replicaSet.spec.minReadySeconds ?? 0, now));
  const soonest = Math.min(...(availability.filter((ms) => ms !== undefined && ms > 0) as number[]));
  return {
    adopt,
    release,
    create: deleting ? 0 : Math.max(0, -surplus),
    remove: deleting || surplus <= 0 ? [] : rankForRemoval(mine, [...mine, ...related]).slice(0, surplus),
    status: {
      ...statusOf(replicaSet, mine, availability, failure, now),
      terminatingReplicas: owned.filter((pod) => !isPodTerminal(pod) && pod.metadata.deletionTimestamp).length,
    },
    ...(Number.isFinite(soonest) ? { lookAgainMs: soonest } : {}),
  };
}

function statusOf(
  replicaSet: ReplicaSet,
  mine: readonly Pod[],
  availability: readonly (number | undefined)[],
  failure: { readonly reason: string; readonly message: string } | undefined,
  now: Date,
): NonNullable<ReplicaSet["status"]> {
  const templateLabels = replicaSet.spec.template.metadata?.labels ?? {};
  const fullyLabeled = mine.filter((pod) => matchesSelector({ matchLabels: templateLabels }, pod.metadata.labels));
  const present = replicaSet.status?.conditions ?? [];
  const others = present.filter((condition) => condition.type !== "ReplicaFailure");
  const old = conditionOf(present, "ReplicaFailure");
  const since = now.toISOString().replace(/\.\d+Z$/, "Z");
  // The first failure's text stays: each names another pod, and a status that changed would be tried again at once.
  const condition: Condition | undefined =
    failure && (old ?? { type: "ReplicaFailure", status: "True", lastTransitionTime: since, ...failure });
  const conditions = condition ? [...others, condition] : others;
  return {
    replicas: mine.length,
    fullyLabeledReplicas: fullyLabeled.length,
    readyReplicas: mine.filter(isPodReady).length,
    availableReplicas: availability.filter((ms) => ms === 0).length,
    observedGeneration: replicaSet.metadata.generation ?? 0,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

/**
 * The order in which pods may go: those that serve least, first. Rules and their order are Kubernetes'
 * (k8s.io/kubernetes pkg/controller ActivePodsWithRanks). `onNodes` are all pods that serve the same.
 */
export function rankForRemoval(pods: readonly Pod[], onNodes: readonly Pod[] = pods): Pod[] {
  const perNode = new Map<string, number>();
  for (const pod of onNodes.filter(isPodActive)) {
    const node = pod.spec.nodeName;
    if (node) perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const neighbours = (pod: Pod) => perNode.get(pod.spec.nodeName ?? "") ?? 0;
  const phases: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };
  const phase = (pod: Pod) => phases[pod.status?.phase ?? "Pending"] ?? 0;
  const cost = (pod: Pod) => Number(pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? 0) || 0;
  const restarts = (pod: Pod) => Math.max(0, ...(pod.status?.containerStatuses ?? []).map((one) => one.restartCount));
  const readySince = (pod: Pod) =>
    isPodReady(pod) ? (conditionOf(pod.status?.conditions, "Ready")?.lastTransitionTime ?? "") : "";
  const newestFirst = (a: string, b: string) => (a === b ? 0 : a < b ? 1 : -1);
  return [...pods].sort(
    (a, b) =>
      Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
      phase(a) - phase(b) ||
      Number(isPodReady(a)) - Number(isPodReady(b)) ||
      cost(a) - cost(b) ||
      neighbours(b) - neighbours(a) ||
      newestFirst(readySince(a), readySince(b)) ||
      restarts(b) - restarts(a) ||
      newestFirst(a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? "") ||
      newestFirst(a.metadata.name, b.metadata.name),
  );
}
