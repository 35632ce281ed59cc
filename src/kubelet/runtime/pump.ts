import { hasCode } from "#base/errors.ts";
import type { PollWatcher, Spool } from "#kernel/process/index.ts";

/** How long is waited before a full file system is tried again, in ms. */
const RETRY_MS = 1000;

function isFull(error: unknown): boolean {
  return hasCode(error, "ENOSPC") || hasCode(error, "EDQUOT");
}

/**
 * Moves one stream of a container from its pipe through its spool to who takes it. Where the spool or the log does not
 * fit on its file system, the pipe is left alone for a second: it fills up and makes the container wait, and nothing is
 * lost.
 */
export class OutputPump {
  readonly #spool: Pick<Spool, "size" | "read" | "take" | "free">;
  readonly #pipe: number;
  readonly #watcher: Pick<PollWatcher, "watch" | "unwatch">;
  readonly #take: (chunk: Buffer) => void;
  readonly #ended = Promise.withResolvers<void>();
  #position: number;
  #retry: NodeJS.Timeout | undefined;

  /**
   * @param pipe what the spool takes from
   * @param position bytes that were taken before
   * @param take must throw before it has taken anything
   */
  constructor(
    spool: Pick<Spool, "size" | "read" | "take" | "free">,
    pipe: number,
    watcher: Pick<PollWatcher, "watch" | "unwatch">,
    position: number,
    take: (chunk: Buffer) => void,
  ) {
    this.#spool = spool;
    this.#pipe = pipe;
    this.#watcher = watcher;
    this.#position = position;
    this.#take = take;
  }

  /** Resolves when the pipe has no writer any more, or at stop(). */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Passes on what an earlier agent has spooled and not logged, then follows the pipe. */
  start(): void {
    if (!this.#attempt(() => this.#forward())) return;
    this.#watcher.watch(this.#pipe, () => this.#attempt(() => this.#move()));
  }

  /** Nothing is moved any more; descriptors can be closed. */
  stop(): void {
    clearTimeout(this.#retry);
    this.#watcher.unwatch(this.#pipe);
    this.#ended.resolve();
  }

  /** @returns whether it goes on; tried anew later when there was no room */
  #attempt(step: () => boolean): boolean {
    try {
      return step();
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#retry = setTimeout(() => this.start(), RETRY_MS);
      this.#retry.unref();
      return false;
    }
  }

  #move(): boolean {
    const taken = this.#spool.take();
    this.#forward();
    if (taken === "end") this.#ended.resolve();
    return taken !== "end";
  }

  #forward(): true {
    while (this.#position < this.#spool.size) {
      const chunk = this.#spool.read(this.#position);
      if (chunk.length === 0) break;
      this.#take(chunk);
      this.#position += chunk.length;
    }
    this.#spool.free(this.#position);
    return true;
  }
}
