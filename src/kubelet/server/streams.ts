import type { Writable } from "node:stream";
import type { CommandEnd } from "#wire/websocket/index.ts";

/** What a client does. */
export interface StreamInput {
  /**
   * Data for standard input.
   * @returns false when no more is to come before `resume` was called
   */
  readonly onStdin: (data: Buffer, resume: () => void) => boolean;
  /** No more stdin comes. */
  readonly onStdinEnd: () => void;
  readonly onResize: (columns: number, rows: number) => void;
  /** The client is gone. */
  readonly onGone: () => void;
}

/** A client of exec or attach, whatever it speaks: streams in, streams and one status out. */
export interface ClientStreams {
  /** Begins to take what the client sends, and has sent. */
  listen(input: StreamInput): void;
  /**
   * Sends output.
   * @returns false when the client is slow: read on when `resume` was called
   */
  send(stream: "stdout" | "stderr", data: Buffer, resume: () => void): boolean;
  /** Tells how it ended, and closes. */
  end(end: CommandEnd): void;
}

/** Above this much unsent output, in bytes, a command's output is no longer read. */
export const HIGH_WATER = 1 << 20;
/** A client that does not close its end after the status was sent is cut off after this time, in ms. */
export const CLOSE_MS = 10_000;

/** Keeps what comes before somebody listens. */
export class EarlyEvents {
  #input: StreamInput | undefined;
  readonly #early: ((input: StreamInput) => void)[] = [];

  listen(input: StreamInput): void {
    this.#input = input;
    for (const early of this.#early.splice(0)) early(input);
  }

  take(event: (input: StreamInput) => void): void {
    if (this.#input) event(this.#input);
    else this.#early.push(event);
  }
}

/**
 * Writes to a process that may not read.
 * @returns false when the process is behind: `resume` is called when it has caught up, or closed its end
 */
export function writeSlowly(to: Writable, data: Buffer, resume: () => void): boolean {
  if (to.destroyed || to.writableEnded) return true;
  const more = to.write(data, () => {
    if (!more) resume();
  });
  return more;
}
