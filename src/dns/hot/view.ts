import { entryField, hashEnd, type TableMemory } from "./layout.ts";
import type { QueryReader } from "./question.ts";

/** A table as a reader looks things up in it, without a lock. */
export class TableView {
  heap: Uint8Array = new Uint8Array(0);
  /** The heap by two bytes. */
  halves: Uint16Array = new Uint16Array(0);
  /** The heap at any place. */
  bytes: DataView = new DataView(new ArrayBuffer(0));
  #slots: Int32Array = new Int32Array(1);
  #mask = 0;
  #words: Int32Array = new Int32Array(0);

  /** Looks in this memory from now on. */
  use({ slots, heap }: TableMemory): void {
    this.#slots = new Int32Array(slots);
    this.#mask = this.#slots.length - 1;
    this.heap = new Uint8Array(heap);
    this.bytes = new DataView(heap);
    this.halves = new Uint16Array(heap, 0, heap.byteLength >> 1);
    this.#words = new Int32Array(heap, 0, heap.byteLength >> 2);
  }

  /** The entry of the query's name from a label on; 0 without one. Ends, as a table always has empty slots. */
  find(query: QueryReader, label: number, type: number): number {
    const hash = hashEnd(query.hashes[label] as number, type);
    const mask = this.#mask;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = Atomics.load(this.#slots, slot);
      if (offset === 0) return 0;
      if (offset > 0 && this.#words[offset >> 2] === hash && this.#isKey(query, offset, label, type)) return offset;
    }
  }

  /** A field of two bytes. */
  half(entry: number, field: number): number {
    return this.halves[(entry + field) >> 1] as number;
  }

  /** Where an entry's body begins. */
  body(entry: number): number {
    return entry + entryField.key + this.half(entry, entryField.keyLength);
  }

  #isKey(query: QueryReader, offset: number, label: number, type: number): boolean {
    const from = query.labels[label] as number;
    if (this.half(offset, entryField.type) !== type) return false;
    if (this.half(offset, entryField.keyLength) !== query.nameLength - from) return false;
    const key = offset + entryField.key - from;
    for (let i = from; i < query.nameLength; i++) if (this.heap[key + i] !== query.name[i]) return false;
    return true;
  }
}
