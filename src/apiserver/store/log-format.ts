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

/** The log holds damage that no crash explains. Nothing of it was changed. */
export class LogDamagedError extends Error {
  readonly file: string;
  /** Bytes before the damage. */
  readonly offset: number;

  constructor(file: string, offset: number) {
    super(
      `${file}: the record at byte ${offset} is damaged, and what follows it was acknowledged; nothing was changed. Restore the file, or give up what follows by: truncate -s ${offset} ${file}`,
    );
    this.file = file;
    this.offset = offset;
  }
}

/** What reading a log found. */
export interface LogContent {
  /** Bytes of whole records from the start on. */
  readonly bytes: number;
  /** Bytes after them, which a crash left half written. */
  readonly torn: number;
}

/**
 * A record's line: `<crc32 of what follows, 8 hex digits> <revision> <P|D|S> <resource> <key> <json>`. White space in a
 * key, which names of roles and bindings may have, is percent-encoded.
 */
export function formatRecord(record: LogRecord): string {
  const operation = record.json === undefined ? "D" : record.snapshot ? "S" : "P";
  return line(`${record.revision} ${operation} ${record.resource} ${written(record.key)} ${record.json ?? ""}`);
}

function written(key: string): string {
  return key.replace(/[%\s]/g, encodeURIComponent);
}

function readBack(key: string): string {
  return key.includes("%") ? decodeURIComponent(key) : key;
}

/** The line before a batch: `<crc32> B <bytes>`, which says that so many bytes of the file were kept by then. */
export function formatBatch(kept: number): string {
  return line(`B ${kept}`);
}

function line(payload: string): string {
  return `${crc32(payload).toString(16).padStart(8, "0")} ${payload}\n`;
}

/**
 * Reads a log's whole records. What a crash left half written at the end is told by `torn`. A damaged record in front
 * of that is another matter: when a later batch says that it had been kept, or later records are whole and no block
 * of zeros explains it, the log is refused.
 * @param file its name, for the error
 * @throws LogDamagedError
 */
export function readLog(bytes: Buffer, file: string, replay: (record: LogRecord) => void): LogContent {
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    const found = parseLine(bytes.toString("utf8", start, end));
    if (found === undefined) {
      if (isDamage(bytes, start)) throw new LogDamagedError(file, start);
      break;
    }
    if (typeof found === "object") replay(found);
    start = end + 1;
  }
  return { bytes: start, torn: bytes.length - start };
}

/** Whether a bad record at this place cannot come from a write that was cut short. */
function isDamage(bytes: Buffer, bad: number): boolean {
  let nextWhole: number | undefined;
  let start = bytes.indexOf(10, bad) + 1;
  for (let end = bytes.indexOf(10, start); start > 0 && end >= 0; end = bytes.indexOf(10, start)) {
    const found = parseLine(bytes.toString("utf8", start, end));
    if (typeof found === "number" && found > bad) return true;
    if (found !== undefined) nextWhole ??= start;
    start = end + 1;
  }
  return nextWhole !== undefined && !hasEmptySector(bytes, bad, nextWhole);
}

/** Blocks of a last write that never reached the disk read as zeros. */
const sector = 512;

function hasEmptySector(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at = (Math.floor(at / sector) + 1) * sector) {
    const part = bytes.subarray(at, Math.min(to, (Math.floor(at / sector) + 1) * sector));
    if (part.every((byte) => byte === 0)) return true;
  }
  return false;
}

/** A record, or the number of a batch line; undefined for what is neither. */
function parseLine(text: string): LogRecord | number | undefined {
  const payload = text.slice(9);
  if (text[8] !== " " || Number.parseInt(text.slice(0, 8), 16) !== crc32(payload)) return undefined;
  const batch = /^B (\d+)$/.exec(payload);
  if (batch) return Number(batch[1]);
  const match = /^(\d+) ([PDS]) (\S+) (\S+) /.exec(payload);
  if (!match) return undefined;
  const [head, revision, operation, resource = "", key = ""] = match;
  const record = { revision: Number(revision), resource, key: readBack(key) };
  if (operation === "D") return record;
  return { ...record, json: payload.slice(head.length), snapshot: operation === "S" };
}
