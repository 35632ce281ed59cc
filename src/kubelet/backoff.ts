/** How waits grow. Times in milliseconds. */
export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** A pause this long between failures starts over. */
  readonly resetMs: number;
  /** The first failure may be tried again at once. */
  readonly firstAtOnce?: boolean;
}

/** Containers that end: at once, then 10 s doubled up to 5 min, forgotten after 10 quiet minutes (as upstream). */
export const restartBackoff: BackoffOptions = {
  initialMs: 10_000,
  maxMs: 300_000,
  resetMs: 600_000,
  firstAtOnce: true,
};

/** Images that cannot be had: 10 s doubled up to 5 min (as upstream). */
export const imageBackoff: BackoffOptions = { initialMs: 10_000, maxMs: 300_000, resetMs: 600_000 };

/** Set-up steps that wait for something else, such as a ConfigMap or the pod network. */
export const setupBackoff: BackoffOptions = { initialMs: 100, maxMs: 10_000, resetMs: 60_000 };

/** The growing waits of one thing that fails again and again. */
export class Backoff {
  readonly #options: BackoffOptions;
  #next: number;
  #lastFailure = Number.NEGATIVE_INFINITY;

  constructor(options: BackoffOptions) {
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

/** A duration as Go prints it: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
