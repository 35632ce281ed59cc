/** Which of a container's outputs a line came from. */
export type LogStream = "stdout" | "stderr";

/** One entry of a container's log file. */
export interface LogEntry {
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly stream: LogStream;
  /** The text goes on in the stream's next entry: no newline follows. */
  readonly partial: boolean;
  readonly text: Buffer;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;

/**
 * Puts a piece of output into the CRI log format: `TIME STREAM F|P TEXT` for each line.
 * What has no newline yet becomes a partial entry at once, so that nothing is held in memory and lost with the writer.
 * Source: Kubernetes' CRI logging format (kubelet-cri-logging).
 */
export function encodeEntries(stream: LogStream, chunk: Buffer, time: string): Buffer {
  const parts: Buffer[] = [];
  const full = Buffer.from(`${time} ${stream} F `);
  for (let start = 0; start < chunk.length; ) {
    const end = chunk.indexOf(NEWLINE, start);
    if (end < 0) {
      parts.push(Buffer.from(`${time} ${stream} P `), chunk.subarray(start), Buffer.from("\n"));
      break;
    }
    parts.push(full, chunk.subarray(start, end + 1));
    start = end + 1;
  }
  return Buffer.concat(parts);
}

/**
 * Reads one line of a log file, without its newline.
 * @returns undefined for a line that is not in the format
 */
export function decodeEntry(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  const third = line.indexOf(SPACE, second + 1);
  if (first < 0 || second < 0 || third < 0) return undefined;
  const stream = line.toString("latin1", first + 1, second);
  if (stream !== "stdout" && stream !== "stderr") return undefined;
  const tag = line.toString("latin1", second + 1, third);
  return {
    time: line.toString("latin1", 0, first),
    stream,
    partial: tag.split(":")[0] === "P",
    text: line.subarray(third + 1),
  };
}

/** A time in milliseconds since 1970, with fractions, as RFC 3339 in UTC with nine digits. */
export function logTime(ms: number): string {
  const whole = Math.floor(ms);
  const nanos = Math.floor((ms - whole) * 1e6);
  return `${new Date(whole).toISOString().slice(0, -1)}${String(nanos).padStart(6, "0")}Z`;
}
