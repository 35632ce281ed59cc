/**
 * Work that changes only mark as due. One pass at a time does it, and another one follows when something was marked
 * meanwhile.
 */
export class Passes {
  readonly #pass: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #running: Promise<void> | undefined;
  #marked = false;
  #ended = false;
  #isHeld = false;

  constructor(pass: () => Promise<void>, onError: (error: unknown) => void) {
    this.#pass = pass;
    this.#onError = onError;
  }

  /** A pass is due. */
  mark(): void {
    this.#marked = true;
    if (this.#ended || this.#isHeld) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#marked && !this.#ended) this.mark();
    });
  }

  /** No pass begins before {@link release}; marks are kept. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Passes that are due may begin. */
  release(): void {
    this.#isHeld = false;
    if (this.#marked) this.mark();
  }

  /** Does something after a time, unless the passes end before. */
  later(waitMs: number, work: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, waitMs);
    this.#timers.add(timer);
    return timer;
  }

  /** Forgets what was to be done later. */
  cancel(timer: NodeJS.Timeout | undefined): void {
    clearTimeout(timer);
    if (timer) this.#timers.delete(timer);
  }

  /** No pass begins any more; one that runs goes on. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Resolves when no pass runs. Call end() before. */
  async over(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Marks of one turn of the event loop (many objects of one watch message) make one pass.
    await Promise.resolve();
    while (this.#marked && !this.#ended) {
      this.#marked = false;
      try {
        await this.#pass();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}

/** Waits until all have ended, whatever becomes of them. @throws what the first of them failed with */
export async function allDone(work: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}
