import type { FieldSet } from "../object.ts";
import { setText } from "./field-set.ts";

/** How many texts are kept, and how long they may be together and each, in characters. */
const limit = { count: 2048, characters: 4 << 20, each: 64 << 10 };

/**
 * Sets of fields by their text, so that all objects of one form hold one set: the pods of a ReplicaSet differ in names
 * only, and what they own takes twice the memory of all else in them (10,000 pods: 272 → 221 MB). What is in use the
 * longest is forgotten first, and only costs memory then.
 */
export class SharedSets {
  readonly #sets = new Map<string, FieldSet>();
  readonly #given = new WeakSet<FieldSet>();
  #characters = 0;

  /** The shared set of the same members. One that was given out before is it. */
  of(set: FieldSet): FieldSet {
    return this.#given.has(set) ? set : this.get(setText(set));
  }

  /** The set of a text. It is shared: never change it. */
  get(text: string): FieldSet {
    const known = this.#sets.get(text);
    if (known) return known;
    const set = JSON.parse(text) as FieldSet;
    this.#given.add(set);
    if (text.length > limit.each) return set;
    this.#sets.set(text, set);
    this.#characters += text.length;
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= limit.count && this.#characters <= limit.characters) break;
      this.#sets.delete(oldest);
      this.#characters -= oldest.length;
    }
    return set;
  }
}
