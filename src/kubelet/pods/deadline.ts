import type { Pod } from "#api/index.ts";
import type { PodView } from "../status/podStatus.ts";

/** What becomes of a pod whose time is over (upstream: pkg/kubelet/active_deadline.go). */
export const DEADLINE_VERDICT: NonNullable<PodView["verdict"]> = {
  phase: "Failed",
  reason: "DeadlineExceeded",
  message: "Pod was active on the node longer than the specified deadline",
};

/** How long a pod may still run, in ms, 0 or less when its time is over; undefined when it has no deadline. */
export function timeLeft({ spec }: Pick<Pod, "spec">, startTime: string, nowMs: number): number | undefined {
  if (spec.activeDeadlineSeconds === undefined) return undefined;
  return Date.parse(startTime) + spec.activeDeadlineSeconds * 1000 - nowMs;
}

/** What an earlier agent has decided about a pod. */
export function verdictOf({ status }: Pick<Pod, "status">): PodView["verdict"] {
  const { phase, reason, message = "" } = status ?? {};
  const isDecided = phase === "Failed" && (reason === DEADLINE_VERDICT.reason || reason === "Evicted");
  return isDecided ? { phase, reason, message } : undefined;
}
