import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { crc32 } from "node:zlib";

/** One change as it lies in the log. `json` is absent for a deletion. */
export interface LogRecord {
  readonly revision: number;
  readonly resource: string;
  readonly key: string;
  readonly json?: string;
  /** True for a record of a snapshot: the object's state, but not a change that a watch may replay. */
  readonly snapshot?: boolean;
}

/** How far an acknowledged write must have gone. */
export type Durability = "process" | "machine";

/**
 * The append-only log of the store: one line a record,
 *
 *     <crc32, 8 hex digits> <revision> <P|D|S> <resource> <key> <json>\n
 *
 * Records gathered in one turn of the event loop go out in one write. With durability `machine` an fdatasync follows,
 * shared by all writes that came in while the one before ran; with `process` (enough to outlive a killed process) the
 * write alone counts.
 */
export class AppendLog {
  readonly #path: string;
  readonly #durability: Durability;
  #fd: number;
  #pending = "";
  #waiting: (() => void)[] = [];
  #busy = false;
  #bytes: number;
  #failure: Error | undefined;

  /** Opens the log, gives every whole record to `replay`, and cuts off what a crash left half written. */
  constructor(path: string, durability: Durability, replay: (record: LogRecord) => void) {
    this.#path = path;
    this.#durability = durability;
    this.#bytes = existsSync(path) ? replayFile(path, replay) : 0;
    this.#fd = openSync(path, "a", 0o600);
    ftruncateSync(this.#fd, this.#bytes);
  }

  /** Size of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a record; `done` is called, in order, once it counts as kept. */
  append(record: LogRecord, done: () => void): void {
    if (this.#failure) throw this.#failure;
    this.#pending += formatRecord(record);
    this.#waiting.push(done);
    if (!this.#busy) {
      this.#busy = true;
      setImmediate(() => this.#flush());
    }
  }

  /** Replaces the log by these records, atomically. Records still pending are written first. */
  rewrite(records: Iterable<LogRecord>): void {
    const temporary = `${this.#path}.new`;
    const fd = openSync(temporary, "w", 0o600);
    let bytes = 0;
    let chunk = "";
    for (const record of records) {
      chunk += formatRecord(record);
      if (chunk.length > 1 << 20) {
        bytes += writeAll(fd, chunk);
        chunk = "";
      }
    }
    bytes += writeAll(fd, chunk);
    if (this.#durability === "machine") fsyncSync(fd);
    closeSync(this.#fd);
    renameSync(temporary, this.#path);
    this.#fd = fd;
    this.#bytes = bytes;
  }

  /** Writes what is pending and closes the file. */
  close(): void {
    this.#write();
    if (this.#durability === "machine") fsyncSync(this.#fd);
    closeSync(this.#fd);
    this.#failure = new Error("the store's log is closed");
    for (const done of this.#waiting.splice(0)) done();
  }

  #write(): void {
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    this.#bytes += writeAll(this.#fd, text);
  }

  #flush(): void {
    if (this.#failure) return;
    this.#write();
    const batch = this.#waiting;
    this.#waiting = [];
    if (this.#durability === "process") {
      this.#busy = false;
      for (const done of batch) done();
      return;
    }
    fdatasync(this.#fd, (error) => {
      // After a failed sync nobody knows what the disk holds: nothing more is acknowledged.
      if (error) this.#failure ??= error;
      else for (const done of batch) done();
      if (this.#waiting.length > 0 && !this.#failure) this.#flush();
      else this.#busy = false;
    });
  }
}

function writeAll(fd: number, text: string): number {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  return bytes.length;
}

function formatRecord(record: LogRecord): string {
  const operation = record.json === undefined ? "D" : record.snapshot ? "S" : "P";
  const payload = `${record.revision} ${operation} ${record.resource} ${record.key} ${record.json ?? ""}`;
  return `${crc32(payload).toString(16).padStart(8, "0")} ${payload}\n`;
}

/** Reads whole records; returns the length of the good part. Stops at the first record that is torn or damaged. */
function replayFile(path: string, replay: (record: LogRecord) => void): number {
  const bytes = readFileSync(path);
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    const record = parseRecord(bytes.toString("utf8", start, end));
    if (!record) break;
    replay(record);
    start = end + 1;
  }
  return start;
}

function parseRecord(line: string): LogRecord | undefined {
  const payload = line.slice(9);
  if (line[8] !== " " || Number.parseInt(line.slice(0, 8), 16) !== crc32(payload)) return undefined;
  const match = /^(\d+) ([PDS]) (\S+) (\S+) /.exec(payload);
  if (!match) return undefined;
  const [head, revision, operation, resource = "", key = ""] = match;
  const record = { revision: Number(revision), resource, key };
  if (operation === "D") return record;
  return { ...record, json: payload.slice(head.length), snapshot: operation === "S" };
}
