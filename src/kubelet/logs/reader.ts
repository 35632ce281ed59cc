import { type FileHandle, open } from "node:fs/promises";
import { decodeEntry, type LogEntry } from "./cri.ts";
import { bytesOf, type ReadPlace } from "./follow.ts";
import type { LogGrowth } from "./growth.ts";

/** What of a log is wanted (core/v1 PodLogOptions). */
export interface LogOptions {
  readonly follow?: boolean;
  /** Last lines only. */
  readonly tailLines?: number;
  /** Entries at or after this time, in ms since 1970. */
  readonly sinceMs?: number;
  readonly timestamps?: boolean;
  /** Stop after so many bytes of output. */
  readonly limitBytes?: number;
  readonly stream?: "stdout" | "stderr";
}

/** One line as an entry; undefined for a line to leave out. */
type LineDecoder = (line: Buffer) => LogEntry | undefined;

const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

/** Where the last `lines` lines of the file begin. */
async function tailOffset(file: FileHandle, size: number, lines: number): Promise<number> {
  if (lines <= 0) return size;
  const buffer = Buffer.alloc(CHUNK);
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // The newline at the very end closes the last line, it does not begin another one.
      if (buffer[i] === NEWLINE && start + i !== size - 1 && ++found === lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

/** Text of one entry as the client gets it. */
function render(entry: LogEntry, timestamps: boolean): Buffer {
  const parts = [entry.text];
  if (timestamps) parts.unshift(Buffer.from(`${entry.time} `));
  if (!entry.partial) parts.push(Buffer.from("\n"));
  return Buffer.concat(parts);
}

async function* entriesOf(chunks: AsyncIterable<Buffer>, decode: LineDecoder): AsyncGenerator<LogEntry> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const data: Buffer = rest.length ? Buffer.concat([rest, chunk]) : chunk;
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      const entry = decode(data.subarray(start, end));
      if (entry) yield entry;
      start = end + 1;
    }
    rest = data.subarray(start);
  }
}

/**
 * The wanted part of a container's log as the bytes a client gets: of its newest file, as upstream, and when it is
 * followed, of those that come after it.
 * @param live the log while it is being written; needed to follow it
 * @param decode reads the lines of a log that is not in the CRI format
 * @throws Error with code ENOENT when there is no such log
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  signal: AbortSignal,
  live?: LogGrowth,
  decode: LineDecoder = decodeEntry,
): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  const { size } = await file.stat();
  const place: ReadPlace = { file, position: 0, end: size };
  try {
    if (options.tailLines !== undefined) place.position = await tailOffset(file, size, options.tailLines);
    let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
    const pieces: Buffer[] = [];
    let held = 0;
    const following = options.follow ? live : undefined;
    for await (const entry of entriesOf(bytesOf(path, place, following, signal), decode)) {
      if (options.sinceMs !== undefined && Date.parse(entry.time) < options.sinceMs) continue;
      if (options.stream && entry.stream !== options.stream) continue;
      const text = render(entry, options.timestamps ?? false).subarray(0, left);
      left -= text.length;
      pieces.push(text);
      held += text.length;
      // Entries of a plain read are gathered; those of a followed log go out as they come.
      if (following || held >= CHUNK || left === 0) {
        yield Buffer.concat(pieces.splice(0));
        held = 0;
      }
      if (left === 0) return;
    }
    if (held > 0) yield Buffer.concat(pieces);
  } finally {
    await place.file.close();
  }
}
