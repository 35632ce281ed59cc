import { libc } from "../ffi/index.ts";

/** linux/prctl.h */
const PR_SET_PDEATHSIG = 1;

/** Signal numbers of signal(7), the same on x64 and arm64. */
const SIGTERM = 15;

/**
 * Sends this process SIGTERM when the one that started it ends, however it ends. Call it on the main thread: the kernel
 * follows the thread that forked.
 * @param expected pid of the process that started us; when it is gone already, the signal comes at once
 */
export function endWithParent(expected: number): void {
  libc.prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  // It may have ended before the kernel was told; then we belong to somebody else by now.
  if (libc.getppid() !== expected) process.kill(process.pid, "SIGTERM");
}
