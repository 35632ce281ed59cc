/** The first piece of an answer, and most later ones, are about this long, in bytes. */
const shortest = 16 << 10;
const usual = 128 << 10;
const comma = 0x2c;

/** A long body that is made piece by piece. */
export interface Pieces extends Iterable<Uint8Array> {
  /** A piece has been sent: its memory may be used for another one. */
  sent(piece: Uint8Array): void;
}

/**
 * A long JSON text as pieces of UTF-8, made one by one as they are asked for. Each text is written to its place in a
 * buffer: joining the texts first and encoding them then takes four times as long (54 → 14 ms for 27 MB). Buffers are
 * used again, as V8 counts what it did not allocate itself and collects all the more often for it.
 */
export class JsonPieces implements Pieces {
  readonly #head: string;
  readonly #items: Iterable<string>;
  readonly #tail: string;
  readonly #free: ArrayBuffer[] = [];
  #bytes = Buffer.alloc(0);
  #length = 0;

  /** @param items the elements of a list between head and tail */
  constructor(head: string, items: Iterable<string>, tail: string) {
    this.#head = head;
    this.#items = items;
    this.#tail = tail;
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(shortest, room(this.#head)));
    this.#length = 0;
    this.#write(this.#head);
    let first = true;
    for (const item of this.#items) {
      if (!this.#fits(item)) yield this.#take(item);
      if (!first) this.#bytes[this.#length++] = comma;
      first = false;
      this.#write(item);
    }
    if (!this.#fits(this.#tail)) yield this.#take(this.#tail);
    this.#write(this.#tail);
    yield this.#bytes.subarray(0, this.#length);
  }

  sent(piece: Uint8Array): void {
    const { buffer } = piece;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === usual) this.#free.push(buffer);
  }

  #fits(text: string): boolean {
    return this.#length + room(text) <= this.#bytes.length;
  }

  /** Gives what is full, and makes room for a text. */
  #take(text: string): Uint8Array {
    const full = this.#bytes.subarray(0, this.#length);
    const size = Math.max(usual, room(text));
    const free = size === usual ? this.#free.pop() : undefined;
    this.#bytes = free ? Buffer.from(free) : Buffer.allocUnsafeSlow(size);
    this.#length = 0;
    return full;
  }

  #write(text: string): void {
    this.#length += this.#bytes.write(text, this.#length);
  }
}

/** Bytes for a text and a comma: UTF-8 has at most three for a unit of UTF-16. */
function room(text: string): number {
  return 3 * text.length + 1;
}
