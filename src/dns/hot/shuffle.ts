/** More records than this are not put in order here. */
export const maxShuffled = 255;

/** Copies records in a random order, without allocating. */
export class Shuffler {
  readonly #order = new Uint8Array(maxShuffled + 1);
  #random: number;

  /** @param seed start of the order, not 0 */
  constructor(seed: number) {
    this.#random = seed | 0 || 1;
  }

  /**
   * Copies `wanted` of `total` records of `size` bytes (Fisher and Yates, as far as it is needed).
   * @param total at most maxShuffled
   */
  copy(from: Uint8Array, at: number, to: Uint8Array, where: number, size: number, total: number, wanted: number): void {
    const order = this.#order;
    for (let i = 0; i < total; i++) order[i] = i;
    for (let i = 0; i < wanted; i++) {
      const j = i + this.#below(total - i);
      const record = order[j] as number;
      order[j] = order[i] as number;
      copy(from, at + record * size, to, where + i * size, size);
    }
  }

  /** A number from 0 to below the bound (xorshift32; nobody gains by guessing it). */
  #below(bound: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return (x >>> 0) % bound;
  }
}

/** Short pieces byte by byte: a subarray for each would cost more than its copy. */
export function copy(from: Uint8Array, at: number, to: Uint8Array, where: number, bytes: number): void {
  if (bytes > 96) {
    to.set(from.subarray(at, at + bytes), where);
    return;
  }
  for (let i = 0; i < bytes; i++) to[where + i] = from[at + i] as number;
}
