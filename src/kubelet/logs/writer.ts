import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { encodeEntries, type LogStream, logTime } from "./cri.ts";
import { type StreamBytes, writeLedger } from "./ledger.ts";
import { defaultLogLimits, type LogLimits, putAside } from "./rotation.ts";

const NEWLINE = 0x0a;

/** What a log is given besides its path. */
export interface ContainerLogOptions {
  /** In ms since 1970, with fractions. */
  readonly now?: () => number;
  readonly limits?: LogLimits;
  /** Where is noted what was written, for recoverLog(); without it, nobody goes on with this log. */
  readonly ledger?: string;
  /** What earlier writers have put into it. */
  readonly written?: StreamBytes;
}

/**
 * The log of one run of one container; readers that follow it are told when it grows and when it ends. A file that is
 * full is put aside, between two lines where the output has any.
 */
export class ContainerLog {
  readonly path: string;
  readonly #now: () => number;
  readonly #limits: LogLimits;
  readonly #ledger: string | undefined;
  readonly #written: Record<LogStream, number>;
  /** Streams whose last line is not complete. */
  readonly #cut = new Set<LogStream>();
  readonly #listeners = new Set<() => void>();
  #fd: number;
  #size: number;
  #ended = false;

  /** Opens the file for appending; makes it and its folder when missing. */
  constructor(path: string, options: ContainerLogOptions = {}) {
    mkdirSync(dirname(path), { recursive: true });
    this.path = path;
    this.#now = options.now ?? preciseNow;
    this.#limits = options.limits ?? defaultLogLimits;
    this.#ledger = options.ledger;
    this.#written = { ...(options.written ?? { stdout: 0, stderr: 0 }) };
    this.#fd = openLog(path);
    this.#size = fstatSync(this.#fd).size;
  }

  /** Nothing more will be written. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Writes a piece of output before it returns: a writer killed at any moment leaves whole entries.
   * Ignored after end().
   * @throws Error ENOSPC when there is no room for all of it; nothing is written then
   */
  write(stream: LogStream, chunk: Buffer): void {
    if (this.#ended || chunk.length === 0) return;
    if (this.#isFull()) this.#rotate();
    const entries = encodeEntries(stream, chunk, logTime(this.#now()));
    this.#append(entries);
    this.#size += entries.length;
    this.#written[stream] += chunk.length;
    if (chunk.at(-1) === NEWLINE) this.#cut.delete(stream);
    else this.#cut.add(stream);
    this.#tell();
  }

  #append(entries: Buffer): void {
    const written = writeSync(this.#fd, entries);
    if (written === entries.length) return;
    ftruncateSync(this.#fd, this.#size);
    throw Object.assign(new Error(`ENOSPC: no space left on device, write '${this.path}'`), { code: "ENOSPC" });
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

  #isFull(): boolean {
    const { maxBytes } = this.#limits;
    if (maxBytes < 0 || this.#size < maxBytes) return false;
    // Output that has no lines must be bounded too.
    return this.#cut.size === 0 || this.#size >= 2 * maxBytes;
  }

  #rotate(): void {
    const { ino: inode } = fstatSync(this.#fd);
    if (this.#ledger !== undefined) writeLedger(this.#ledger, { inode, bytes: this.#written });
    putAside(this.path, this.#limits.maxFiles, this.#now());
    const full = this.#fd;
    this.#fd = openLog(this.path);
    this.#size = 0;
    closeSync(full);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function openLog(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o640);
}

/** Milliseconds since 1970 with fractions of microseconds. */
function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
