/**
 * A clock in milliseconds that says the same on every thread of the process, as performance.now() does not: that counts
 * from the thread's start.
 */
export function sharedClock(): () => number {
  const offset = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now();
  return () => performance.now() + offset;
}
