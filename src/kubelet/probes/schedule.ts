import type { Probe } from "#api/index.ts";

/** What a probe has found out so far. */
export type ProbeResult = "unknown" | "success" | "failure";

/** First wait between attempts while a probe has not yet succeeded, in ms; also the least between any two. */
export const FIRST_RETRY_MS = 10;

/**
 * When to probe, and what the results mean: upstream's thresholds, but until the first success attempts follow after
 * 10, 20, 40 … ms up to the period, so that a container that is up at once is ready at once. Only attempts that the
 * period alone would have made count as failures. No clock of its own.
 */
export class ProbeSchedule {
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly initialDelayMs: number;
  readonly #successThreshold: number;
  readonly #failureThreshold: number;
  readonly #fastStart: boolean;
  #retryMs = FIRST_RETRY_MS;
  #everSucceeded = false;
  #successes = 0;
  #failures = 0;
  #nextCountedMs: number;
  #result: ProbeResult = "unknown";

  /** @param kind liveness probes keep to their period: nobody waits for their first success */
  constructor(probe: Probe, kind: "readiness" | "liveness" | "startup") {
    this.periodMs = (probe.periodSeconds ?? 10) * 1000;
    this.timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    this.initialDelayMs = (probe.initialDelaySeconds ?? 0) * 1000;
    this.#successThreshold = probe.successThreshold ?? 1;
    this.#failureThreshold = probe.failureThreshold ?? 3;
    this.#fastStart = kind !== "liveness";
    this.#nextCountedMs = this.initialDelayMs + (this.#fastStart ? this.periodMs : 0);
  }

  get result(): ProbeResult {
    return this.#result;
  }

  /** Whether a hint that the container has got further is worth an attempt of its own. */
  get takesHints(): boolean {
    return this.#fastStart && !this.#everSucceeded;
  }

  /**
   * Takes an attempt's outcome.
   * @param sinceStartMs time since the container's start
   * @param isExtra made for a hint, beside the schedule: a failure says nothing
   * @returns whether a failure counts (and deserves an event), and the wait before the next attempt
   */
  record(
    success: boolean,
    sinceStartMs: number,
    isExtra = false,
  ): { readonly counted: boolean; readonly waitMs: number } {
    if (success) return this.#succeeded();
    if (isExtra) return { counted: false, waitMs: Math.min(this.#retryMs, this.periodMs) };
    this.#successes = 0;
    const counted = this.#everSucceeded || sinceStartMs >= this.#nextCountedMs;
    if (counted) {
      this.#nextCountedMs = sinceStartMs + this.periodMs;
      if (++this.#failures >= this.#failureThreshold) this.#result = "failure";
    }
    return { counted, waitMs: this.#waitMs() };
  }

  #succeeded(): { counted: boolean; waitMs: number } {
    this.#failures = 0;
    if (++this.#successes >= this.#successThreshold) {
      this.#result = "success";
      this.#everSucceeded = true;
    }
    return { counted: false, waitMs: this.#result === "success" ? this.periodMs : this.#waitMs() };
  }

  #waitMs(): number {
    if (!this.#fastStart || this.#everSucceeded) return this.periodMs;
    const wait = Math.min(this.#retryMs, this.periodMs);
    this.#retryMs *= 2;
    return wait;
  }
}
