import type { Entry } from "./entry.ts";
import type { Store } from "./store.ts";

/** What is made of a resource's objects. */
export interface Following {
  /** Forgets everything: all objects are taken anew. */
  clear(): void;
  take(entry: Entry): void;
  /** Takes back what this version of an object has given. */
  giveBack(entry: Entry): void;
}

/**
 * Keeps an index of a resource's objects up to date from the store's changes when it is asked: a refused or dry-run
 * write leaves nothing to take back.
 */
export class Follower {
  readonly #store: Store;
  readonly #resource: string;
  readonly #index: Following;
  #seen = -1;

  constructor(store: Store, resource: string, index: Following) {
    this.#store = store;
    this.#resource = resource;
    this.#index = index;
  }

  /** Brings the index up to the store's present revision. */
  refresh(): void {
    const revision = this.#store.collectionRevision(this.#resource);
    if (revision === this.#seen) return;
    const changes = this.#seen < 0 ? undefined : this.#store.changesSince(this.#resource, this.#seen);
    this.#seen = revision;
    if (!changes) {
      this.#index.clear();
      for (const entry of this.#store.list(this.#resource)) this.#index.take(entry);
      return;
    }
    for (const { type, previous, entry } of changes) {
      if (previous) this.#index.giveBack(previous);
      if (type !== "DELETED") this.#index.take(entry);
    }
  }
}
