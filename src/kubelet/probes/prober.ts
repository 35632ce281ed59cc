import type { Probe } from "#api/index.ts";
import { type Attempt, attempt, type ProbeTarget } from "./attempt.ts";
import { type ProbeResult, ProbeSchedule } from "./schedule.ts";

/** Kinds of probes, as their events name them. */
export type ProbeKind = "readiness" | "liveness" | "startup";

/** Who wants to know. */
export interface ProberEvents {
  /** The result has changed. */
  readonly onResult: (kind: ProbeKind, result: ProbeResult, last: Attempt) => void;
  /** An attempt has failed and counts, or could not be made. @param what upstream's words, after the probe's kind */
  readonly onUnhealthy: (kind: ProbeKind, what: string) => void;
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
    this.#startedMs = startedMs;
    this.#schedule = new ProbeSchedule(probe, kind, this.#nowMs());
  }

  /** Begins after the probe's initial delay. */
  start(): void {
    this.#wait();
  }

  /**
   * The container has done something, such as writing to its log. A probe that has never succeeded is tried soon:
   * a program usually says so when it is up, and the next regular attempt may be far.
   */
  hint(): void {
    if (!this.#stopped && this.#schedule.hint(this.#nowMs())) this.#wait();
  }

  /** Ends it; no more callbacks come. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Time since the container's start. */
  #nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const ms = Math.max(0, Math.ceil(this.#schedule.dueMs - this.#nowMs()));
    this.#timer = setTimeout(() => {
      // A timer counts from the beginning of the event loop's turn, so it may be early; such an attempt would not count.
      if (this.#nowMs() < this.#schedule.dueMs) this.#wait();
      else void this.#run();
    }, ms);
  }

  async #run(): Promise<void> {
    this.#schedule.begin(this.#nowMs());
    const last = await attempt(this.#probe, this.#target, this.#schedule.timeoutMs);
    if (this.#stopped) return;
    this.#take(last);
    // The handlers may have stopped this probe.
    if (!this.#stopped) this.#wait();
  }

  #take(last: Attempt): void {
    const { success, errored, message } = last;
    const before = this.#schedule.result;
    const isCounted = this.#schedule.record(errored ? "error" : success ? "success" : "failure", this.#nowMs());
    if (isCounted && !success) {
      const what = errored ? `errored and resulted in ${errored} state` : "failed";
      this.#events.onUnhealthy(this.#kind, `probe ${what}: ${message}`);
    }
    const { result } = this.#schedule;
    if (result === before) return;
    this.#events.onResult(this.#kind, result, last);
    // The container is ended for it: as upstream, no more attempts are made while it ends.
    if (result === "failure" && this.#kind !== "readiness") this.stop();
  }
}
