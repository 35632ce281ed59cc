import { closeSync, constants, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { encodeEntries, type LogStream, logTime } from "./cri.ts";

/** The log file of one run of one container; readers that follow it are told when it grows and when it ends. */
export class ContainerLog {
  readonly path: string;
  readonly #fd: number;
  readonly #now: () => number;
  readonly #listeners = new Set<() => void>();
  #ended = false;

  /** Opens the file for appending; makes it and its folder when missing. `now` is in ms since 1970. */
  constructor(path: string, now: () => number = preciseNow) {
    mkdirSync(dirname(path), { recursive: true });
    this.path = path;
    this.#now = now;
    this.#fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o640);
  }

  /** Nothing more will be written. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Writes a piece of output before it returns: a writer killed at any moment leaves whole entries.
   * Ignored after end().
   */
  write(stream: LogStream, chunk: Buffer): void {
    if (this.#ended || chunk.length === 0) return;
    writeSync(this.#fd, encodeEntries(stream, chunk, logTime(this.#now())));
    this.#tell();
  }

  /** Closes the file. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    closeSync(this.#fd);
    this.#tell();
  }

  /** Calls back after each write and at the end; gives the function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Milliseconds since 1970 with fractions of microseconds. */
function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
