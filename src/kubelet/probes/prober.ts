import type { Probe } from "#api/index.ts";
import { type Attempt, attempt, type ProbeTarget } from "./attempt.ts";
import { type ProbeResult, ProbeSchedule } from "./schedule.ts";

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

  /** Ends it; no more callbacks come. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => void this.#run(), ms);
  }

  async #run(): Promise<void> {
    const last = await attempt(this.#probe, this.#target, this.#schedule.timeoutMs);
    if (this.#stopped) return;
    const before = this.#schedule.result;
    const { counted, waitMs } = this.#schedule.record(last.success, performance.now() - this.#startedMs);
    if (counted) this.#events.onFailure(this.#kind, last.message);
    if (this.#schedule.result !== before) this.#events.onResult(this.#kind, this.#schedule.result, last);
    // The handlers may have stopped this probe.
    if (!this.#stopped) this.#wait(waitMs);
  }
}
