import { closeSync, existsSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { decodeEntry, type LogStream } from "./cri.ts";

const NEWLINE = 0x0a;

/**
 * Finds out how many bytes of each stream a log holds, so that its next writer goes on exactly there.
 * An entry that was cut off when its writer was killed is taken out of the file.
 */
export function recoverLog(path: string): Readonly<Record<LogStream, number>> {
  const bytes = { stdout: 0, stderr: 0 };
  if (!existsSync(path)) return bytes;
  const data = readFileSync(path);
  const end = data.lastIndexOf(NEWLINE) + 1;
  if (end < data.length) truncate(path, end);
  for (let start = 0; start < end; ) {
    const newline = data.indexOf(NEWLINE, start);
    const entry = decodeEntry(data.subarray(start, newline));
    if (entry) bytes[entry.stream] += entry.text.length + (entry.partial ? 0 : 1);
    start = newline + 1;
  }
  return bytes;
}

function truncate(path: string, size: number): void {
  const fd = openSync(path, "r+");
  ftruncateSync(fd, size);
  closeSync(fd);
}
