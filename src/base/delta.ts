/** What has to be done to make the actual state the desired one. */
export interface Pending<K, V> {
  /** Desired and not there. */
  readonly add: readonly (readonly [K, V])[];
  /** There with another value. */
  readonly change: readonly (readonly [K, V])[];
  /** There and not desired, with the value that is there. */
  readonly remove: readonly (readonly [K, V])[];
  /** Desired anew, and there already with an equal value. */
  readonly same: readonly (readonly [K, V])[];
}

/**
 * Desired state against actual state. It looks only at what was touched since the last {@link applied}, so that one
 * change among 100,000 costs one comparison.
 *
 * Usage: {@link setDesired} and {@link deleteDesired} as the wish changes; {@link pending}, do it, {@link applied}.
 * When doing it failed half-way, read the truth and {@link replaceActual}.
 */
export class DeltaTracker<K, V> {
  readonly #desired = new Map<K, V>();
  readonly #actual = new Map<K, V>();
  /** Keys whose desired and actual value may differ. */
  readonly #dirty = new Set<K>();
  readonly #equal: (a: V, b: V) => boolean;

  constructor(equal: (a: V, b: V) => boolean = Object.is) {
    this.#equal = equal;
  }

  get desired(): ReadonlyMap<K, V> {
    return this.#desired;
  }

  get actual(): ReadonlyMap<K, V> {
    return this.#actual;
  }

  setDesired(key: K, value: V): void {
    this.#desired.set(key, value);
    this.#dirty.add(key);
  }

  deleteDesired(key: K): void {
    if (this.#desired.delete(key)) this.#dirty.add(key);
  }

  /** What is really there, read anew. */
  replaceActual(entries: Iterable<readonly [K, V]>): void {
    for (const key of this.#actual.keys()) this.#dirty.add(key);
    this.#actual.clear();
    for (const [key, value] of entries) {
      this.#actual.set(key, value);
      this.#dirty.add(key);
    }
    for (const key of this.#desired.keys()) this.#dirty.add(key);
  }

  /** The difference now. */
  pending(): Pending<K, V> {
    const add: [K, V][] = [];
    const change: [K, V][] = [];
    const remove: [K, V][] = [];
    const same: [K, V][] = [];
    for (const key of this.#dirty) {
      const wanted = this.#desired.get(key);
      const held = this.#actual.get(key);
      if (wanted === undefined && held === undefined) continue;
      if (wanted === undefined) remove.push([key, held as V]);
      else if (held === undefined) add.push([key, wanted]);
      else if (!this.#equal(held, wanted)) change.push([key, wanted]);
      else same.push([key, wanted]);
    }
    return { add, change, remove, same };
  }

  /** The pending difference is done: the actual state is now the desired one. Call it before the next wish changes. */
  applied(): void {
    for (const key of this.#dirty) {
      const wanted = this.#desired.get(key);
      if (wanted === undefined) this.#actual.delete(key);
      else this.#actual.set(key, wanted);
    }
    this.#dirty.clear();
  }
}
