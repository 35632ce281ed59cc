import { check, isErrno, libc } from "#kernel/ffi/index.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes an exclusive lock on an open file (flock(2)). The kernel gives it back when the descriptor is closed, so also
 * when the process is killed.
 * @returns false when another open file description holds it
 * @throws SysError for any other failure
 */
export function tryLock(fd: number): boolean {
  try {
    check(libc.flock(fd, LOCK_EX | LOCK_NB), "flock");
    return true;
  } catch (error) {
    if (isErrno(error, "EWOULDBLOCK") || isErrno(error, "EAGAIN")) return false;
    throw error;
  }
}
