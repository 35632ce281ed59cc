import type { Condition, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from "#api/index.ts";
import { resolveCount } from "../deployment/replicasets.ts";
import { controllerOf, isPodReady, setCondition } from "../objects.ts";

/** A pod that was evicted and is still there after this time counts as staying (upstream's DeletionTimeout). */
const deletionTimeoutMs = 2 * 60_000;

/** The controller of a pod and the number of pods that it wants; undefined: it has no such number. */
export interface Scale {
  readonly uid: string;
  readonly replicas: number;
}

/** What the status of a budget shall be. */
export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  /** Pods without a controller, where the budget is a share of what controllers want. */
  readonly unmanaged: readonly Pod[];
  /** Pods that were evicted long ago and are still there. */
  readonly notDeleted: readonly Pod[];
  readonly lookAgainMs?: number;
}

/**
 * Counts the pods of a budget. @param pods those that it selects; @param scaleOf the controller of a pod, which throws
 * when that has no number of replicas
 */
export function planBudget(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  scaleOf: (pod: Pod) => Scale,
  now: Date,
): BudgetPlan {
  const { expected, desired, unmanaged } = expectation(budget, pods, scaleOf);
  const evicted = evictions(budget, pods, now);
  const healthy = pods.filter(
    (pod) => !pod.metadata.deletionTimestamp && !Object.hasOwn(evicted.pending, pod.metadata.name) && isPodReady(pod),
  ).length;
  // A budget that selects nothing yet allows nothing, so that its first pods are safe.
  const disruptionsAllowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
  const status: PodDisruptionBudgetStatus = {
    observedGeneration: budget.metadata.generation ?? 0,
    ...(Object.keys(evicted.pending).length > 0 ? { disruptedPods: evicted.pending } : {}),
    disruptionsAllowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    conditions: conditions(budget, disruptionsAllowed, now),
  };
  const { notDeleted, lookAgainMs } = evicted;
  return { status, unmanaged, notDeleted, ...(lookAgainMs === undefined ? {} : { lookAgainMs }) };
}

/** The status when the numbers cannot be had: nothing may be disrupted. */
export function failedStatus(budget: PodDisruptionBudget, message: string, now: Date): PodDisruptionBudgetStatus {
  const zero = { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  const { generation = 0 } = budget.metadata;
  const condition = { ...allowed("False", "SyncFailed", message), observedGeneration: generation };
  const present = budget.status?.conditions ?? [];
  return { ...zero, ...budget.status, disruptionsAllowed: 0, conditions: setCondition(present, condition, now) };
}

function expectation(budget: PodDisruptionBudget, pods: readonly Pod[], scaleOf: (pod: Pod) => Scale) {
  const { minAvailable, maxUnavailable } = budget.spec;
  if (maxUnavailable === undefined && minAvailable === undefined) return { expected: 0, desired: 0, unmanaged: [] };
  if (typeof minAvailable === "number") return { expected: pods.length, desired: minAvailable, unmanaged: [] };
  const managed = pods.filter((pod) => controllerOf(pod));
  const scales = new Map(managed.map((pod) => scaleOf(pod)).map(({ uid, replicas }) => [uid, replicas]));
  const expected = [...scales.values()].reduce((sum, replicas) => sum + replicas, 0);
  const desired =
    maxUnavailable === undefined
      ? resolveCount(minAvailable, "0", expected, true)
      : Math.max(0, expected - resolveCount(maxUnavailable, "0", expected, true));
  return { expected, desired, unmanaged: pods.filter((pod) => !controllerOf(pod)) };
}

/** Evictions that the pods do not show yet. */
function evictions(budget: PodDisruptionBudget, pods: readonly Pod[], now: Date) {
  const pending: Record<string, string> = {};
  const notDeleted: Pod[] = [];
  const waits: number[] = [];
  for (const pod of pods) {
    const disrupted = budget.status?.disruptedPods ?? {};
    const time = Object.hasOwn(disrupted, pod.metadata.name) ? disrupted[pod.metadata.name] : undefined;
    if (time === undefined || pod.metadata.deletionTimestamp) continue;
    const leftMs = Date.parse(time) + deletionTimeoutMs - now.getTime();
    if (leftMs > 0) {
      pending[pod.metadata.name] = time;
      waits.push(leftMs);
    } else notDeleted.push(pod);
  }
  return { pending, notDeleted, ...(waits.length > 0 ? { lookAgainMs: Math.min(...waits) } : {}) };
}

function conditions(budget: PodDisruptionBudget, disruptionsAllowed: number, now: Date): readonly Condition[] {
  const condition =
    disruptionsAllowed > 0 ? allowed("True", "SufficientPods", "") : allowed("False", "InsufficientPods", "");
  const { generation = 0 } = budget.metadata;
  return setCondition(budget.status?.conditions ?? [], { ...condition, observedGeneration: generation }, now);
}

function allowed(status: "True" | "False", reason: string, message: string): Condition {
  return { type: "DisruptionAllowed", status, reason, message };
}
