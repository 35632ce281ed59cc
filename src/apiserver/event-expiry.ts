import type { Store } from "./store/index.ts";

const sweepMs = 60_000;

/** Removes Events that nothing has touched for some time (kube-apiserver's --event-ttl, an hour by default). */
export class EventExpiry {
  readonly #store: Store;
  readonly #lifeMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, seconds = 3600) {
    this.#store = store;
    this.#lifeMs = 1000 * seconds;
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
      if (touched !== undefined && Date.parse(touched) < now - this.#lifeMs) this.#store.remove("events", key);
    }
  }
}
