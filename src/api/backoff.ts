/** Waiting times in milliseconds that double from `initialMs` up to `maxMs`. */
export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
}

/** The n-th waiting time (n from 0), between half of and the full doubled value, so that clients spread. */
export function backoffMs(options: BackoffOptions, n: number, random: () => number = Math.random): number {
  const full = Math.min(options.maxMs, options.initialMs * 2 ** Math.min(n, 30));
  return full * (0.5 + random() / 2);
}

/** Waits; an abort ends the wait early, without an error. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((done) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      done();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish, { once: true });
  });
}
