import type { Probe } from "#api/index.ts";

/** What a probe has found out so far. */
export type ProbeResult = "unknown" | "success" | "failure";

/** What came of one attempt; an error says nothing about the container. */
export type ProbeOutcome = "success" | "failure" | "error";

/** First wait between attempts while a probe has not yet succeeded, in ms; also the least between any two. */
const FIRST_RETRY_MS = 10;

/**
 * When to probe, and what the results mean: upstream's period and thresholds, but until the first success attempts
 * follow after 10, 20, 40 … ms up to the period, so that a container that is up at once is ready at once. A hint that
 * the container has got further brings an attempt forward, once between two of these.
 *
 *     attempts   | | |   |     |h        |            h |             |
 *     counted                            C              C             C     one a period, as upstream's ticker
 *
 * No clock of its own: all times are ms since the container's start.
 */
export class ProbeSchedule {
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly #initialDelayMs: number;
  readonly #successThreshold: number;
  readonly #failureThreshold: number;
  readonly #fastStart: boolean;
  #retryMs = FIRST_RETRY_MS;
  #everSucceeded = false;
  #successes = 0;
  #failures = 0;
  /** From when on an attempt counts, whoever has caused it. */
  #nextCountedMs: number;
  /** The next attempt that no hint brings forward. */
  #regularMs: number;
  #hintMs: number | undefined;
  /** A hint has had its attempt since the last regular one. */
  #isHintSpent = false;
  #isTrying = false;
  #isHintedMeanwhile = false;
  #beganMs = Number.NEGATIVE_INFINITY;
  #endedMs = Number.NEGATIVE_INFINITY;
  #result: ProbeResult = "unknown";

  /**
   * @param kind liveness probes keep to their period: nobody waits for their first success
   * @param nowMs the schedule begins now: readiness and liveness probes wait for a startup probe
   */
  constructor(probe: Probe, kind: "readiness" | "liveness" | "startup", nowMs = 0) {
    this.periodMs = (probe.periodSeconds ?? 10) * 1000;
    this.timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    this.#initialDelayMs = (probe.initialDelaySeconds ?? 0) * 1000;
    this.#successThreshold = probe.successThreshold ?? 1;
    this.#failureThreshold = probe.failureThreshold ?? 3;
    this.#fastStart = kind !== "liveness";
    this.#regularMs = Math.max(this.#initialDelayMs, nowMs);
    this.#nextCountedMs = this.#regularMs + (this.#fastStart ? this.periodMs : 0);
  }

  get result(): ProbeResult {
    return this.#result;
  }

  /** When the next attempt is to be made. */
  get dueMs(): number {
    return Math.min(this.#regularMs, this.#hintMs ?? Number.POSITIVE_INFINITY);
  }

  /**
   * The container may have got further: until the first success this is worth an attempt.
   * @returns whether the next attempt is sooner for it
   */
  hint(nowMs: number): boolean {
    if (!this.#fastStart || this.#everSucceeded || nowMs < this.#initialDelayMs) return false;
    // What is said during an attempt may be later than what that attempt sees: its end decides.
    if (this.#isTrying) {
      this.#isHintedMeanwhile = true;
      return false;
    }
    return this.#takeHint(nowMs);
  }

  /** An attempt is being made. */
  begin(nowMs: number): void {
    this.#isTrying = true;
    this.#isHintedMeanwhile = false;
    this.#beganMs = nowMs;
    this.#hintMs = undefined;
  }

  /**
   * Takes an attempt's outcome.
   * @returns whether it counts: what went wrong deserves an event
   */
  record(outcome: ProbeOutcome, nowMs: number): boolean {
    this.#isTrying = false;
    this.#endedMs = nowMs;
    const isCounted = nowMs >= this.#nextCountedMs;
    if (isCounted) this.#nextCountedMs = Math.max(this.#nextCountedMs, this.#beganMs) + this.periodMs;
    if (outcome === "success") this.#succeeded();
    else if (outcome === "failure") this.#failed(isCounted);
    this.#plan(nowMs);
    return isCounted;
  }

  #succeeded(): void {
    this.#failures = 0;
    if (++this.#successes < this.#successThreshold) return;
    this.#result = "success";
    this.#everSucceeded = true;
  }

  #failed(isCounted: boolean): void {
    this.#successes = 0;
    if (isCounted && ++this.#failures >= this.#failureThreshold) this.#result = "failure";
  }

  #plan(nowMs: number): void {
    const isFast = this.#fastStart && !this.#everSucceeded;
    if (!isFast) this.#regularMs = this.#nextCountedMs;
    else if (nowMs >= this.#regularMs) {
      this.#regularMs = Math.min(nowMs + this.#retryMs, this.#nextCountedMs);
      this.#retryMs = Math.min(this.#retryMs * 2, this.periodMs);
      this.#isHintSpent = false;
    }
    this.#regularMs = Math.max(this.#regularMs, nowMs + FIRST_RETRY_MS);
    if (isFast && this.#isHintedMeanwhile) this.#takeHint(nowMs);
  }

  #takeHint(nowMs: number): boolean {
    const dueMs = Math.max(nowMs, this.#endedMs + FIRST_RETRY_MS);
    if (this.#isHintSpent || dueMs >= this.#regularMs) return false;
    this.#isHintSpent = true;
    this.#hintMs = dueMs;
    return true;
  }
}
