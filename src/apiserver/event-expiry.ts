import type { Store } from "./store/index.ts";

/** How long an Event is kept after its last change (kube-apiserver's --event-ttl). */
const lifeMs = 3_600_000;
const sweepMs = 60_000;

/** Removes Events that nothing has touched for an hour. */
export class EventExpiry {
  readonly #store: Store;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Sweeps every minute until stop(). */
  start(): void {
    this.#timer = setInterval(() => this.sweep(Date.now()), sweepMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Removes what is too old at a moment, in milliseconds since 1970. */
  sweep(now: number): void {
    // What cannot be kept cannot be removed either.
    if (this.#store.failure) return;
    for (const { key, object } of this.#store.list("events")) {
      const { lastTimestamp, series } = object as { lastTimestamp?: string; series?: { lastObservedTime?: string } };
      const touched = series?.lastObservedTime ?? lastTimestamp ?? object.metadata.creationTimestamp;
      if (touched !== undefined && Date.parse(touched) < now - lifeMs) this.#store.remove("events", key);
    }
  }
}
