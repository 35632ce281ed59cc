import { Backoff } from "#api/index.ts";

/** Upstream's: from a second to a quarter of an hour, forgotten after twice that without a failure. */
const waits = { initialMs: 1000, maxMs: 15 * 60_000, resetMs: 30 * 60_000 };

/** How long a pod that failed stays before it is deleted and made anew, longer after each failure. */
export class FailureBackoff {
  readonly #failures = new Map<string, { readonly backoff: Backoff; due: number }>();

  /** Milliseconds still to wait; 0: now, which counts as one failure more. @param key of the place of the pod */
  takeMs(key: string, now: Date): number {
    const place = this.#failures.get(key) ?? { backoff: new Backoff(waits), due: 0 };
    if (place.due > now.getTime()) return place.due - now.getTime();
    place.due = now.getTime() + place.backoff.failed(now.getTime());
    this.#failures.set(key, place);
    return 0;
  }

  /** The owner is gone. @param prefix of its places' keys */
  forget(prefix: string): void {
    for (const key of this.#failures.keys()) if (key.startsWith(prefix)) this.#failures.delete(key);
  }
}
