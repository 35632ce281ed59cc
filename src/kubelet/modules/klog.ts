import { type LogEntry, logTime } from "../logs/index.ts";

/** `I1121 03:51:00.123000 ` (k8s.io/klog, text format); the year is not written. */
const HEADER = /^[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{6}) /;
const DAY_MS = 24 * 3600 * 1000;

function timeOf([, month, day, clock]: RegExpExecArray, nowMs: number): string {
  const year = new Date(nowMs).getUTCFullYear();
  const of = (y: number) => `${y}-${month}-${day}T${clock}000Z`;
  // A line of the last days of a year, read in the next one.
  return Date.parse(of(year)) > nowMs + DAY_MS ? of(year - 1) : of(year);
}

/**
 * Reads lines of a log in klog's form as entries of a container's log. A line without a header belongs to the one
 * before and has its time.
 */
export function klogDecoder(nowMs: number): (line: Buffer) => LogEntry {
  let time = logTime(0);
  return (line) => {
    const header = HEADER.exec(line.toString("latin1", 0, 32));
    if (header) time = timeOf(header, nowMs);
    return { time, stream: "stderr", partial: false, text: line };
  };
}
