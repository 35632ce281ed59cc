import type { Pod } from "#api/index.ts";
import type { PodView } from "../status/podStatus.ts";
import type { Passes } from "./passes.ts";

/** Longest wait of a timer in one piece. */
const MAX_WAIT_MS = 24 * 3600 * 1000;

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

/** The clock of one pod's deadline. */
export class PodDeadline {
  readonly #passes: Pick<Passes, "later" | "cancel">;
  readonly #startTime: string;
  readonly #onOver: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param onOver called when the time is over that was not at the last look */
  constructor(passes: Pick<Passes, "later" | "cancel">, startTime: string, onOver: () => void) {
    this.#passes = passes;
    this.#startTime = startTime;
    this.#onOver = onOver;
  }

  /** Looks whether the pod's time is over. */
  isOver(pod: Pick<Pod, "spec">): boolean {
    const left = timeLeft(pod, this.#startTime, Date.now());
    this.#passes.cancel(this.#timer);
    if (left === undefined || left <= 0) return left !== undefined;
    this.#timer = this.#passes.later(Math.min(left, MAX_WAIT_MS), () => {
      if (this.isOver(pod)) this.#onOver();
    });
    return false;
  }
}
