import type { Probe } from "#api/index.ts";
import { type Attempt, attempt, type ProbeTarget } from "./attempt.ts";
import { FIRST_RETRY_MS, type ProbeResult, ProbeSchedule } from "./schedule.ts";

/** Kinds of probes, as their events name them. */
export type ProbeKind = "readiness" | "liveness" | "startup";

/** Who wants to know. */
export interface ProberEvents {
  /** The result has changed. */
  readonly onResult: (kind: ProbeKind, result: ProbeResult, last: Attempt) => void;
  /** An attempt has failed and counts. */
  readonly onFailure: (kind: ProbeKind, message: string) => void;
}

/** Runs one probe of one run of a container until it is stopped. */
export class Prober {
  readonly #kind: ProbeKind;
  readonly #probe: Probe;
  readonly #target: ProbeTarget;
  readonly #events: ProberEvents;
  readonly #schedule: ProbeSchedule;
  readonly #startedMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** An attempt is being made. */
  #trying = false;
  #hinted = false;
  #stopped = false;

  /** @param startedMs the container's start, on the clock of performance.now() */
  constructor(kind: ProbeKind, probe: Probe, target: ProbeTarget, events: ProberEvents, startedMs: number) {
    this.#kind = kind;
    this.#probe = probe;
    this.#target = target;
    this.#events = events;
    this.#schedule = new ProbeSchedule(probe, kind);
    this.#startedMs = startedMs;
  }

  /** Begins after the probe's initial delay. */
  start(): void {
    const passed = performance.now() - this.#startedMs;
    this.#wait(Math.max(0, this.#schedule.initialDelayMs - passed));
  }

  /**
   * The container has done something, such as writing to its log. A probe that has never succeeded is tried at once:
   * a program usually says so when it is up, and the next regular attempt may be far.
   */
  hint(): void {
    if (this.#stopped || !this.#schedule.takesHints) return;
    this.#hinted = true;
    const now = performance.now();
    if (this.#trying || now - this.#startedMs < this.#schedule.initialDelayMs) return;
    clearTimeout(this.#timer);
    this.#wait(Math.max(0, FIRST_RETRY_MS - (now - this.#lastMs)));
  }

  /** Ends it; no more callbacks come. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => void this.#run(), ms);
  }

  async #run(): Promise<void> {
    const isExtra = this.#hinted;
    this.#hinted = false;
    this.#trying = true;
    const last = await attempt(this.#probe, this.#target, this.#schedule.timeoutMs);
    this.#trying = false;
    this.#lastMs = performance.now();
    if (this.#stopped) return;
    const before = this.#schedule.result;
    const { counted, waitMs } = this.#schedule.record(last.success, this.#lastMs - this.#startedMs, isExtra);
    if (counted) this.#events.onFailure(this.#kind, last.message);
    if (this.#schedule.result !== before) this.#events.onResult(this.#kind, this.#schedule.result, last);
    // The handlers may have stopped this probe.
    if (!this.#stopped) this.#wait(this.#hinted ? FIRST_RETRY_MS : waitMs);
  }
}
