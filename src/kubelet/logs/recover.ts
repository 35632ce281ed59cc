import { closeSync, ftruncateSync, openSync, readFileSync, statSync } from "node:fs";
import { decodeEntry } from "./cri.ts";
import { readLedger, type StreamBytes } from "./ledger.ts";

const NEWLINE = 0x0a;

/**
 * Finds out how many bytes of each stream were put into a log, files that are gone included, so that its next writer
 * goes on exactly there. An entry that was cut off when its writer was killed is taken out of the file.
 * @param ledgerPath what the writer notes when it puts a file aside
 */
export function recoverLog(path: string, ledgerPath: string): StreamBytes {
  const ledger = readLedger(ledgerPath);
  const before = ledger?.bytes ?? { stdout: 0, stderr: 0 };
  const inode = statSync(path, { throwIfNoEntry: false })?.ino;
  // Killed between the note and the renaming: the note tells of this very file.
  if (inode === undefined || inode === ledger?.inode) return before;
  const bytes = bytesIn(path);
  return { stdout: before.stdout + bytes.stdout, stderr: before.stderr + bytes.stderr };
}

function bytesIn(path: string): StreamBytes {
  const bytes = { stdout: 0, stderr: 0 };
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
