import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type BackoffOptions, backoffMs } from "./backoff.ts";
import { isConflict } from "./errors.ts";

/** What to do with keys, and how eagerly. */
export interface WorkQueueOptions {
  readonly name: string;
  /**
   * Brings one key in order. A failure puts the key back after its back-off; a number of milliseconds returned puts
   * it back after that time.
   */
  readonly handle: (key: string, signal: AbortSignal) => Promise<number | void>;
  /** Keys worked on at the same time. Default 1. */
  readonly concurrency?: number;
  /** Per key. Default 5 ms to 60 s. */
  readonly backoff?: BackoffOptions;
}

/**
 * Keys waiting for work. A key is in the queue at most once and never worked on twice at a time: added while it is
 * being worked on, it comes again afterwards.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  /** Insertion order is the order of work. */
  readonly #waiting = new Set<string>();
  readonly #working = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly at: number }>();
  readonly #idle = new Set<() => void>();
  #started = false;

  constructor(options: WorkQueueOptions, deps: { readonly log: Logger; readonly signal: AbortSignal }) {
    this.#options = options;
    this.#log = deps.log;
    this.#signal = deps.signal;
    this.#signal.addEventListener("abort", () => this.#drop(), { once: true });
  }

  /** Begins to work; keys added earlier have waited for it. */
  start(): void {
    this.#started = true;
    this.#pump();
  }

  /** Asks for work on a key. */
  add(key: string): void {
    if (this.#signal.aborted) return;
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  /** Adds a key after some milliseconds; of several such requests the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#signal.aborted) return;
    const at = performance.now() + ms;
    const present = this.#timers.get(key);
    if (present && present.at <= at) return;
    clearTimeout(present?.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
      this.#settle();
    }, ms);
    this.#timers.set(key, { timer, at });
  }

  /** Resolves when nothing waits, runs or is due again after a failure (for tests and orderly starts). */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((done) => this.#idle.add(done));
  }

  /** Resolves when the work that ran at the time of the abort has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#working.values());
  }

  /** Keys waiting, being worked on, and failed at their last attempt. */
  stats(): { readonly waiting: number; readonly working: number; readonly failing: number } {
    return { waiting: this.#waiting.size, working: this.#working.size, failing: this.#failures.size };
  }

  #pump(): void {
    if (!this.#started || this.#signal.aborted) return;
    const limit = this.#options.concurrency ?? 1;
    for (const key of this.#waiting) {
      if (this.#working.size >= limit) return;
      this.#waiting.delete(key);
      this.#working.set(key, this.#work(key));
    }
  }

  async #work(key: string): Promise<void> {
    // The caller's event handler finishes first, and the map below already knows this key.
    await Promise.resolve();
    try {
      const after = await this.#options.handle(key, this.#signal);
      this.#failures.delete(key);
      if (typeof after === "number") this.addAfter(key, after);
    } catch (error) {
      if (!this.#signal.aborted) this.#retry(key, error);
    }
    this.#working.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    this.#pump();
    this.#settle();
  }

  #retry(key: string, error: unknown): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const fields = { queue: this.#options.name, key, attempt: failures + 1, error: errorMessage(error) };
    // Conflicts belong to optimistic concurrency; the first failures of others may be a server that restarts.
    if (isConflict(error) || failures < 3) this.#log.debug("Work failed, will retry", fields);
    else this.#log.warn("Work keeps failing", fields);
    this.addAfter(key, backoffMs(this.#options.backoff ?? { initialMs: 5, maxMs: 60_000 }, failures));
  }

  #isIdle(): boolean {
    if (this.#waiting.size > 0 || this.#working.size > 0) return false;
    return ![...this.#timers.keys()].some((key) => this.#failures.has(key));
  }

  #settle(): void {
    if (!this.#isIdle()) return;
    for (const done of this.#idle) done();
    this.#idle.clear();
  }

  #drop(): void {
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting.clear();
    this.#again.clear();
    this.#settle();
  }
}
