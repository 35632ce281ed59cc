import type { Element } from "./model.ts";

const NOTHING = Buffer.alloc(0);

/** Room for so many at first. */
const FIRST = 4;

/**
 * Elements of one map, their keys and values one after the other in one piece of memory: an object for each of some
 * 100,000 elements would cost more than the kernel's part of their commit. They have no comments and lives, and their
 * origins are told by who made them (`Nftables.tellOrigins`).
 */
export class PackedElements implements Iterable<Element> {
  readonly keyLength: number;
  readonly dataLength: number;
  #bytes: Buffer = NOTHING;
  #length = 0;

  /**
   * @param keyLength,dataLength in bytes, of concatenations: each part padded to 4
   * @throws RangeError for lengths that are no multiples of 4
   */
  constructor(keyLength: number, dataLength: number) {
    if ((keyLength | dataLength) & 3) throw new RangeError(`elements of ${keyLength} and ${dataLength} bytes`);
    this.keyLength = keyLength;
    this.dataLength = dataLength;
  }

  get length(): number {
    return this.#length;
  }

  /** Keys and values; valid until the next {@link add}. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length * this.#stride);
  }

  /**
   * One more, its key made of a beginning and a number in host order.
   * @param begin,data as `keyText` has them, of the lengths that are due
   */
  add(begin: string, number: number, data: string): this {
    const at = this.#length * this.#stride;
    this.#reserve(1);
    const bytes = this.#bytes;
    const end = at + this.keyLength;
    // Byte by byte: for so few of them a call of what is native costs more.
    for (let i = 0; i < begin.length; i++) bytes[at + i] = begin.charCodeAt(i);
    bytes[end - 4] = number;
    bytes[end - 3] = number >>> 8;
    bytes[end - 2] = number >>> 16;
    bytes[end - 1] = number >>> 24;
    for (let i = 0; i < data.length; i++) bytes[end + i] = data.charCodeAt(i);
    this.#length++;
    return this;
  }

  /** One more for each value of a list, numbered from 0 on. @param list values as {@link add} takes them, in one text */
  addList(begin: string, list: string): this {
    const { dataLength, keyLength } = this;
    const count = list.length / dataLength;
    this.#reserve(count);
    const bytes = this.#bytes;
    const start = this.#length * this.#stride;
    for (let i = 0, at = start, from = 0; i < count; i++) {
      for (let j = 0; j < begin.length; j++) bytes[at + j] = begin.charCodeAt(j);
      at += keyLength;
      bytes[at - 4] = i;
      bytes[at - 3] = i >>> 8;
      bytes[at - 2] = i >>> 16;
      bytes[at - 1] = i >>> 24;
      for (let j = 0; j < dataLength; j++) bytes[at++] = list.charCodeAt(from++);
    }
    this.#length += count;
    return this;
  }

  at(index: number): Element | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    const from = index * this.#stride;
    const end = from + this.keyLength;
    return { key: this.#bytes.subarray(from, end), data: this.#bytes.subarray(end, end + this.dataLength) };
  }

  *[Symbol.iterator](): Generator<Element, void, void> {
    for (let i = 0; i < this.#length; i++) yield this.at(i) as Element;
  }

  #reserve(count: number): void {
    const needed = (this.#length + count) * this.#stride;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(needed, 2 * this.#bytes.length, FIRST * this.#stride));
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }

  get #stride(): number {
    return this.keyLength + this.dataLength;
  }
}

/** Elements of an operation, in either form. */
export type ElementList = readonly Element[] | PackedElements;
