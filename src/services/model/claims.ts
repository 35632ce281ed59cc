/** What somebody wants under a key. */
export interface Claim<V> {
  readonly owner: string;
  readonly value: V;
}

/**
 * Who wants what under a key. Several may want the same key: the owner whose name sorts first has it, so that the outcome
 * does not depend on the order of events; when it goes, the next takes over.
 */
export class Claims<V> {
  /** Under most keys there is one, which stands there by itself; of several the first has it. */
  readonly #claims = new Map<string, Claim<V> | readonly Claim<V>[]>();

  holder(key: string): Claim<V> | undefined {
    return listOf(this.#claims.get(key))[0];
  }

  /**
   * Wants a value, in place of what the owner wanted under the key before.
   * @param value undefined: nothing any more
   * @returns who had it, and who has it now
   */
  set(key: string, owner: string, value: V | undefined): [before: Claim<V> | undefined, after: Claim<V> | undefined] {
    const found = this.#claims.get(key);
    const claim = value === undefined ? undefined : { owner, value };
    if (found === undefined || ("owner" in found && found.owner === owner)) {
      if (claim) this.#claims.set(key, claim);
      else this.#claims.delete(key);
      return [found, claim];
    }
    const all = listOf(found);
    const others = all.filter((one) => one.owner !== owner);
    const position = others.findIndex((one) => one.owner > owner);
    if (claim) others.splice(position < 0 ? others.length : position, 0, claim);
    const [first] = others;
    if (first) this.#claims.set(key, others.length === 1 ? first : others);
    else this.#claims.delete(key);
    return [all[0], first];
  }
}

function listOf<V>(found: Claim<V> | readonly Claim<V>[] | undefined): readonly Claim<V>[] {
  if (found === undefined) return [];
  return "owner" in found ? [found] : found;
}
