import { type LogFiles, realFiles } from "./log-files.ts";
import { formatBatch, formatRecord, type LogRecord, readLog } from "./log-format.ts";
import { LogRewrite } from "./log-rewrite.ts";

/** How far an acknowledged write has gone: past this process (it outlives a killed one), or onto the disk. */
export type Durability = "process" | "disk";

/** How a log is kept, and whom it tells. */
export interface LogOptions {
  readonly durability: Durability;
  /** Takes each record that the file holds. */
  replay(record: LogRecord): void;
  /** Everything up to this revision counts as kept. */
  kept(revision: number): void;
  /** Nothing more is kept; undefined: all is well again. */
  failed(error: Error | undefined): void;
  readonly files?: LogFiles;
  /** Milliseconds until a write that failed is tried again. */
  readonly retryMs?: number;
}

/** What a rewrite that failed is worth: the next begins when the log has grown by this factor. */
const patience = 2;

/**
 * The append-only log of the store, a record a line (log-format.ts).
 *
 * Records that come in during one turn of the event loop go out in one write. With durability `disk` an fdatasync
 * follows, shared by all records that came in while the one before ran; with `process` the write alone counts.
 *
 * A write that fails, for want of space say, is tried again at the same place until it works. After an fdatasync that
 * failed nobody knows what the disk holds, so nothing more is written to that file.
 */
export class AppendLog {
  readonly #path: string;
  readonly #options: LogOptions;
  readonly #files: LogFiles;
  #fd: number;
  /** Records not yet written, and the revision of the last of them. */
  #pending = "";
  #pendingRevision = 0;
  #busy = false;
  /** Length of what was written, and of what is known to be kept. */
  #bytes: number;
  #kept: number;
  #failure: Error | undefined;
  #dead = false;
  #retry: NodeJS.Timeout | undefined;
  #rewrite: LogRewrite | undefined;
  /** The rewrite waits for a write that is under way. */
  #finishing = false;
  /** Records that the new log has and the old one not: should the new one fail, the old one gets them. */
  #held = "";
  #rewriteFrom = 0;
  /** Bytes that a crash left half written at the end, which were cut off. */
  readonly torn: number;

  /** Opens the log. @throws LogDamagedError, with nothing changed; Error of the file system */
  constructor(path: string, options: LogOptions) {
    this.#path = path;
    this.#options = options;
    this.#files = options.files ?? realFiles;
    const found = this.#files.read(path);
    const { bytes, torn } = found ? readLog(found, path, options.replay) : { bytes: 0, torn: 0 };
    // A new log that had not taken the old one's place when the process ended.
    this.#files.remove(`${path}.new`);
    this.#fd = this.#files.open(path, false);
    if (torn > 0) this.#files.truncate(this.#fd, bytes);
    this.torn = torn;
    this.#bytes = bytes;
    this.#kept = bytes;
  }

  /** Size of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Why nothing is kept at present. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Adds a record; `kept` tells when it counts. Throws the error of a log that keeps nothing. */
  append(record: LogRecord): void {
    if (this.#failure) throw this.#failure;
    const text = formatRecord(record);
    this.#pending += text;
    this.#pendingRevision = record.revision;
    this.#rewrite?.note(text);
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => this.#flush());
  }

  /** Whether a rewrite may begin. */
  get rewritable(): boolean {
    return this.#rewrite === undefined && this.#failure === undefined && this.#bytes >= this.#rewriteFrom;
  }

  /** Begins to replace the log by a snapshot of everything appended so far; goes on by itself. */
  rewrite(snapshot: Iterator<LogRecord>): void {
    try {
      this.#rewrite = new LogRewrite(`${this.#path}.new`, this.#files, snapshot, (error) => {
        if (error) this.#abandonRewrite();
        else if (!this.#busy) this.#finishRewrite();
        else this.#finishing = true;
      });
    } catch {
      this.#rewriteFrom = patience * this.#bytes;
    }
  }

  /** Writes what is pending, brings it to the disk and closes the file. */
  close(): void {
    clearTimeout(this.#retry);
    this.#rewrite?.abandon();
    this.#rewrite = undefined;
    try {
      if (!this.#dead) {
        this.#pending = this.#held + this.#pending;
        this.#write();
        if (this.#options.durability === "disk") this.#files.syncNow(this.#fd);
        this.#options.kept(this.#pendingRevision);
      }
    } finally {
      this.#files.close(this.#fd);
      this.#dead = true;
      this.#failure = new Error("the store's log is closed");
      this.#options.failed(this.#failure);
    }
  }

  #write(): void {
    if (this.#pending === "") return;
    const bytes = Buffer.from(formatBatch(this.#kept) + this.#pending);
    this.#files.write(this.#fd, bytes, this.#bytes);
    this.#bytes += bytes.length;
    this.#pending = "";
  }

  #flush(): void {
    if (this.#dead) return;
    const revision = this.#pendingRevision;
    try {
      this.#write();
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    if (this.#failure) this.#recover();
    const bytes = this.#bytes;
    if (this.#options.durability === "process") {
      this.#done(revision, bytes);
      return;
    }
    this.#files.sync(this.#fd, (error) => {
      if (this.#dead) return;
      if (!error) this.#done(revision, bytes);
      else this.#die(error);
    });
  }

  #done(revision: number, bytes: number): void {
    this.#kept = bytes;
    this.#busy = false;
    this.#options.kept(revision);
    if (this.#finishing) this.#finishRewrite();
    else this.#goOn();
  }

  /** The new log counts when its name is on the disk. */
  #settle(revision: number, bytes: number): void {
    try {
      if (this.#options.durability === "disk") this.#files.syncFolder(this.#path);
    } catch (error) {
      this.#die(error as Error);
      return;
    }
    this.#done(revision, bytes);
  }

  #goOn(): void {
    if (this.#pending === "" || this.#busy || this.#dead) return;
    this.#busy = true;
    this.#flush();
  }

  /** A write failed: it is repeated at the same place, whatever part of it went out. */
  #fail(error: Error): void {
    if (this.#rewrite) this.#abandonRewrite();
    this.#failure = error;
    this.#options.failed(error);
    this.#retry = setTimeout(() => this.#flush(), this.#options.retryMs ?? 1000);
    this.#retry.unref();
  }

  #recover(): void {
    this.#failure = undefined;
    this.#options.failed(undefined);
  }

  #die(error: Error): void {
    this.#dead = true;
    this.#failure = error;
    this.#options.failed(error);
  }

  #abandonRewrite(): void {
    this.#rewrite?.abandon();
    this.#rewrite = undefined;
    this.#finishing = false;
    this.#rewriteFrom = patience * this.#bytes;
  }

  /** Brings the new log to the disk and puts it in the old one's place; records wait for as long as that takes. */
  #finishRewrite(): void {
    const rewrite = this.#rewrite as LogRewrite;
    this.#finishing = false;
    this.#busy = true;
    this.#held = this.#pending;
    const revision = this.#pendingRevision;
    this.#pending = "";
    this.#rewrite = undefined;
    rewrite.finish((error, fd, bytes) => {
      if (this.#dead) {
        rewrite.abandon();
        return;
      }
      try {
        if (error) throw error;
        this.#files.replace(rewrite.path, this.#path);
      } catch {
        rewrite.abandon();
        this.#rewriteFrom = patience * this.#bytes;
        this.#pending = this.#held + this.#pending;
        this.#held = "";
        this.#busy = false;
        this.#goOn();
        return;
      }
      this.#held = "";
      this.#files.close(this.#fd);
      this.#fd = fd;
      this.#bytes = bytes;
      this.#settle(revision, bytes);
    });
  }
}
