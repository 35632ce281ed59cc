import { readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";

/** How much of one container's log is kept (KubeletConfiguration containerLogMaxSize and containerLogMaxFiles). */
export interface LogLimits {
  /** A file that has reached this many bytes is put aside; negative: never. */
  readonly maxBytes: number;
  /** Files in all, at least 2. */
  readonly maxFiles: number;
}

/** Upstream's. */
export const defaultLogLimits: LogLimits = { maxBytes: 10 * 1024 * 1024, maxFiles: 5 };

/** What stands behind a log's name: the time of a container's log, as upstream; the number of a program's. */
const OLDER = /^\.(?:\d{8}-\d{6}|1)$/;
const SECOND_MS = 1000;

/** The files that were put aside for this log, the oldest first. */
export function olderLogs(path: string): string[] {
  const folder = dirname(path);
  const name = basename(path);
  return readdirSync(folder)
    .filter((entry) => entry.startsWith(name) && OLDER.test(entry.slice(name.length)))
    .sort()
    .map((entry) => `${folder}/${entry}`);
}

/** `20261121-040000` (UTC). */
function stampOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
}

function msOf(stamp: string): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)$/.exec(stamp) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/**
 * Puts a log aside as `<path>.<time>` and deletes what is more than the limit. Two in one second, or a clock that was
 * set back, must neither overwrite a file nor change the order: such a name takes the second after the newest one's.
 */
export function putAside(path: string, maxFiles: number, nowMs: number): void {
  const older = olderLogs(path);
  const newest = older.at(-1)?.slice(path.length + 1);
  const stamp = newest === undefined || stampOf(nowMs) > newest ? stampOf(nowMs) : stampOf(msOf(newest) + SECOND_MS);
  renameSync(path, `${path}.${stamp}`);
  const kept = Math.max(1, maxFiles - 1);
  for (const file of [...older, `${path}.${stamp}`].slice(0, -kept)) rmSync(file, { force: true });
}

/** Deletes a log with all that was put aside. */
export function removeLog(path: string): void {
  try {
    for (const file of olderLogs(path)) rmSync(file, { force: true });
  } catch {
    // Without its folder there is nothing to delete.
  }
  rmSync(path, { force: true });
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** One file of a log, under the name that it has now. */
export interface LogPart {
  readonly path: string;
  readonly inode: number | undefined;
}

/**
 * The file that goes on where the one with this inode ended; undefined while that is the one being written.
 * When it was deleted meanwhile, the oldest that is left.
 */
export function nextLog(path: string, inode: number): LogPart | undefined {
  if (inodeOf(path) === inode) return undefined;
  // Another process may put the log aside between the listing and the looks at its files: then once more.
  for (let attempt = 0; ; attempt++) {
    const parts = [...olderLogs(path), path].map((file) => ({ path: file, inode: inodeOf(file) }));
    const at = parts.findIndex((part) => part.inode === inode);
    if (at >= 0) return parts[at + 1];
    if (attempt === 2) return parts[0];
  }
}
