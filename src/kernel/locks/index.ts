/** Locks between processes. */
import { closeSync, openSync } from "node:fs";
import { check, isErrno, libc } from "#kernel/ffi/index.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Whether others may hold a lock too, who all take it as `shared`. */
export type LockKind = "exclusive" | "shared";

/**
 * Takes a flock(2) on an open file. The kernel gives it back when the descriptor is closed, so also when the process
 * is killed.
 * @returns false when another open file description holds it
 * @throws SysError for any other failure
 */
export function tryLock(fd: number, path?: string, kind: LockKind = "exclusive"): boolean {
  try {
    check(libc.flock(fd, (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB), "flock", path);
    return true;
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return false;
    throw error;
  }
}

/**
 * Takes a flock(2) on a file, made when missing.
 * @returns what gives it back, or undefined when another descriptor, of this process too, holds it
 * @throws SysError; an Error when the file cannot be opened
 */
export function tryLockFile(path: string, kind: LockKind = "exclusive"): (() => void) | undefined {
  const fd = openSync(path, "a", 0o600);
  try {
    if (tryLock(fd, path, kind)) return () => closeSync(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/**
 * Like {@link tryLockFile}, but waits for the holder: 1 ms at first, 20 ms at most between attempts.
 * @throws Error after `timeoutMs`
 */
export async function lockFile(path: string, timeoutMs = 30_000, kind: LockKind = "exclusive"): Promise<() => void> {
  const deadline = performance.now() + timeoutMs;
  for (let wait = 1; ; wait = Math.min(20, wait * 2)) {
    const release = tryLockFile(path, kind);
    if (release) return release;
    if (performance.now() > deadline) throw new Error(`${path} is locked by another process for ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
