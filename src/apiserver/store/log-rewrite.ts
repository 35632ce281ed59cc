import type { LogFiles } from "./log-files.ts";
import { formatRecord, type LogRecord } from "./log-format.ts";

/** Characters written in one turn of the event loop: well below a millisecond. */
const sliceSize = 128 << 10;

/**
 * Writes a new log beside the old one: a snapshot's records, a slice in each turn of the event loop, and then whatever
 * was logged meanwhile. The old log stays whole until the new one takes its place.
 */
export class LogRewrite {
  readonly path: string;
  readonly #files: LogFiles;
  readonly #records: Iterator<LogRecord>;
  readonly #over: (error?: Error) => void;
  #fd: number;
  #bytes = 0;
  /** What was logged since the snapshot, not yet here. */
  #since: string[] = [];
  #timer: NodeJS.Immediate | undefined;

  /** Begins. `over` is called when only `finish` is left to do, or with what went wrong. @throws Error of open(2) */
  constructor(path: string, files: LogFiles, records: Iterator<LogRecord>, over: (error?: Error) => void) {
    this.path = path;
    this.#files = files;
    this.#records = records;
    this.#over = over;
    files.remove(path);
    this.#fd = files.open(path, true);
    this.#timer = setImmediate(() => this.#slice());
  }

  /** Notes what goes to the old log from now on. */
  note(text: string): void {
    this.#since.push(text);
  }

  /** Writes what was noted and brings everything to the disk. */
  finish(done: (error: Error | null, fd: number, bytes: number) => void): void {
    try {
      this.#write(this.#since.splice(0).join(""));
    } catch (error) {
      done(error as Error, this.#fd, this.#bytes);
      return;
    }
    this.#files.sync(this.#fd, (error) => done(error, this.#fd, this.#bytes));
  }

  /** Gives up: the new file is removed. */
  abandon(): void {
    clearImmediate(this.#timer);
    this.#files.close(this.#fd);
    this.#files.remove(this.path);
  }

  #slice(): void {
    try {
      if (this.#copy()) {
        this.#timer = setImmediate(() => this.#slice());
        return;
      }
      // What came in meanwhile: the rest is little enough to hold the log up for.
      if (this.#catchUp()) {
        this.#timer = setImmediate(() => this.#slice());
        return;
      }
    } catch (error) {
      this.#over(error as Error);
      return;
    }
    this.#over();
  }

  /** Copies a slice of the snapshot. @returns false when there is no more */
  #copy(): boolean {
    let text = "";
    while (text.length < sliceSize) {
      const { value, done } = this.#records.next();
      if (done) {
        this.#write(text);
        return false;
      }
      text += formatRecord(value as LogRecord);
    }
    this.#write(text);
    return true;
  }

  /** Writes a slice of what was noted, more of it than comes in. @returns false when little was left */
  #catchUp(): boolean {
    let size = 0;
    let count = 0;
    while (count < this.#since.length && size < 4 * sliceSize) size += (this.#since[count++] as string).length;
    this.#write(this.#since.splice(0, count).join(""));
    return size > sliceSize;
  }

  #write(text: string): void {
    if (text === "") return;
    const bytes = Buffer.from(text);
    this.#files.write(this.#fd, bytes, this.#bytes);
    this.#bytes += bytes.length;
  }
}
