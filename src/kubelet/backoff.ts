import type { RetryOptions } from "#api/index.ts";

/** Containers that end: at once, then 10 s doubled up to 5 min, forgotten after 10 quiet minutes (as upstream). */
export const restartBackoff: RetryOptions = {
  initialMs: 10_000,
  maxMs: 300_000,
  resetMs: 600_000,
  firstAtOnce: true,
};

/** Images that cannot be had: 10 s doubled up to 5 min (as upstream). */
export const imageBackoff: RetryOptions = { initialMs: 10_000, maxMs: 300_000, resetMs: 600_000 };

/** Set-up steps that wait for something else, such as a ConfigMap or the pod network. */
export const setupBackoff: RetryOptions = { initialMs: 100, maxMs: 10_000, resetMs: 60_000 };

/** A duration as Go prints it: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
