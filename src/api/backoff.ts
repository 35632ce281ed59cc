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

/** How the waits of one thing grow that fails again and again. */
export interface RetryOptions extends BackoffOptions {
  /** A pause this long between failures starts over. */
  readonly resetMs: number;
  /** The first failure may be tried again at once. */
  readonly firstAtOnce?: boolean;
}

/** The growing waits of one thing that fails again and again. */
export class Backoff {
  readonly #options: RetryOptions;
  #next: number;
  #lastFailure = Number.NEGATIVE_INFINITY;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#next = options.firstAtOnce ? 0 : options.initialMs;
  }

  /** Notes a failure at `now` (ms of any clock that only grows); gives the wait before the next attempt. */
  failed(now: number): number {
    if (now - this.#lastFailure > this.#options.resetMs) this.reset();
    const wait = this.#next;
    this.#next = wait === 0 ? this.#options.initialMs : Math.min(wait * 2, this.#options.maxMs);
    this.#lastFailure = now;
    return wait;
  }

  /** Forgets all failures. */
  reset(): void {
    this.#next = this.#options.firstAtOnce ? 0 : this.#options.initialMs;
  }
}
