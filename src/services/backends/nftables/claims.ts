/** A value that somebody wants under a key. */
interface Claim<V> {
  readonly owner: string;
  readonly value: V;
}

/**
 * Who wants which value under a key. Several may want the same key; the owner whose name sorts first has it, so that
 * the outcome does not depend on the order of events. Calls `changed` when the value that counts is another one.
 */
export class Claims<V> {
  readonly #claims = new Map<string, Claim<V>[]>();
  readonly #changed: (key: string, value: V | undefined) => void;

  constructor(changed: (key: string, value: V | undefined) => void) {
    this.#changed = changed;
  }

  /** Wants a value, in place of what the same owner wanted under the key before. */
  claim(key: string, owner: string, value: V): void {
    const claims = this.#claims.get(key);
    if (!claims) {
      this.#claims.set(key, [{ owner, value }]);
      return this.#changed(key, value);
    }
    const before = claims[0]?.value;
    const index = claims.findIndex((claim) => claim.owner >= owner);
    const position = index < 0 ? claims.length : index;
    claims.splice(position, claims[position]?.owner === owner ? 1 : 0, { owner, value });
    if (claims[0]?.value !== before) this.#changed(key, claims[0]?.value);
  }

  /** Wants nothing there any more. */
  release(key: string, owner: string): void {
    const claims = this.#claims.get(key);
    const index = claims?.findIndex((claim) => claim.owner === owner) ?? -1;
    if (!claims || index < 0) return;
    claims.splice(index, 1);
    if (claims.length === 0) this.#claims.delete(key);
    if (index === 0) this.#changed(key, claims[0]?.value);
  }
}
