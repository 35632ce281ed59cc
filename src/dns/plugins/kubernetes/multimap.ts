/** Sets of strings by string. */
export class Multimap {
  readonly #sets = new Map<string, Set<string>>();

  add(key: string, value: string): void {
    const set = this.#sets.get(key);
    if (set) set.add(value);
    else this.#sets.set(key, new Set([value]));
  }

  remove(key: string, value: string): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key);
  }

  has(key: string): boolean {
    return this.#sets.has(key);
  }

  /** Sorted. */
  get(key: string): string[] {
    return [...(this.#sets.get(key) ?? [])].sort();
  }
}
