import { ednsUdpBytes } from "../core/index.ts";
import { entryField, entryFlag, entryKind, hashEnd, type TableMemory } from "./layout.ts";
import { type Asked, headerBytes, optBytes, optType, QueryReader } from "./question.ts";

/** Results of {@link HotReader.answer} other than a length. */
export const hotResult = {
  /** Nothing is sent back. */
  none: 0,
  /** For the plugins: unusual, or not known here. */
  pass: -1,
} as const;

/** Told of each answer: what was asked, and what came out. */
export interface HotCounter {
  count(zone: number, family: number, type: number, rcode: number, asked: number, answered: number): void;
}

/** More records than this are not put in order here. */
const maxShuffled = 255;
const nxdomain = 3;

/**
 * Answers packets out of a table, in the packet's own memory. What is answered has the same bytes as the plugins'
 * answer would have; everything else is passed. It allocates nothing and never throws, whatever the bytes.
 */
export class HotReader {
  readonly #counter: HotCounter;
  #slots: Int32Array = new Int32Array(1);
  #mask = 0;
  #heap: Uint8Array = new Uint8Array(0);
  #halves: Uint16Array = new Uint16Array(0);
  #words: Int32Array = new Int32Array(0);
  readonly #query = new QueryReader();
  readonly #order = new Uint8Array(maxShuffled + 1);
  #random: number;
  /** The entry in whose zone the answer counts. */
  #source = 0;

  /** @param seed start of the order of shuffled records, not 0 */
  constructor(counter: HotCounter, seed: number) {
    this.#counter = counter;
    this.#random = seed | 0 || 1;
  }

  /** Reads from this memory from now on. */
  use({ slots, heap }: TableMemory): void {
    this.#slots = new Int32Array(slots);
    this.#mask = this.#slots.length - 1;
    this.#heap = new Uint8Array(heap);
    this.#halves = new Uint16Array(heap, 0, heap.byteLength >> 1);
    this.#words = new Int32Array(heap, 0, heap.byteLength >> 2);
  }

  /**
   * Answers the query at `at` of `length` bytes in place: the answer begins there too and needs room for
   * `asked.largest` bytes. Returns its length, or a hotResult.
   */
  answer(packet: Uint8Array, at: number, length: number, asked: Asked): number {
    if (length < headerBytes || (packet[at + 2] as number) & 0x80) return hotResult.none;
    if (!this.#query.read(packet, at, length, asked)) return hotResult.pass;
    const { type } = this.#query;
    const entry = this.#find(0, type);
    this.#source = entry;
    const written = entry > 0 ? this.#write(packet, at, entry) : this.#deny(packet, at);
    if (written < 0) return hotResult.pass;
    const zone = this.#heap[this.#source + entryField.zone] as number;
    this.#counter.count(zone, asked.family, type, (packet[at + 3] as number) & 15, length, written);
    return written;
  }

  /** The entry of the name from a label on; 0 without one. Ends, as a table always has empty slots. */
  #find(label: number, type: number): number {
    const hash = hashEnd(this.#query.hashes[label] as number, type);
    const mask = this.#mask;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = Atomics.load(this.#slots, slot);
      if (offset === 0) return 0;
      if (offset > 0 && this.#words[offset >> 2] === hash && this.#isKey(offset, label, type)) return offset;
    }
  }

  #isKey(offset: number, label: number, type: number): boolean {
    const from = this.#query.labels[label] as number;
    const length = this.#query.nameLength - from;
    if (this.#halves[(offset + entryField.type) >> 1] !== type) return false;
    if (this.#halves[(offset + entryField.keyLength) >> 1] !== length) return false;
    const key = offset + entryField.key - from;
    for (let i = from; i < this.#query.nameLength; i++) if (this.#heap[key + i] !== this.#query.name[i]) return false;
    return true;
  }

  /**
   * A name that does not exist: seen from the zone's top, a name all of whose children are known lacks this one.
   * @returns the answer's length, -1 when that cannot be said
   */
  #deny(packet: Uint8Array, at: number): number {
    let apex = 0;
    let apexLabel = 0;
    for (let label = this.#query.labelCount - 1; label >= 0; label--) {
      const node = this.#find(label, 0);
      if (node === 0) {
        if (apex === 0) continue;
        this.#source = apex;
        return this.#writeDenial(packet, at, apex, apexLabel, nxdomain);
      }
      const kind = this.#heap[node + entryField.kind];
      if (kind === entryKind.apex) {
        if (!((this.#heap[node + entryField.flags] as number) & entryFlag.closed)) return -1;
        apex = node;
        apexLabel = label;
      } else if (kind !== entryKind.closed) return -1;
    }
    return -1;
  }

  /** Writes an entry's answer; returns its length, -1 when the plugins have to. */
  #write(packet: Uint8Array, at: number, entry: number): number {
    const heap = this.#heap;
    if (heap[entry + entryField.kind] === entryKind.nodata) {
      const label = this.#query.labelOf(heap[entry + entryField.zoneLength] as number);
      const apex = label < 0 ? 0 : this.#find(label, 0);
      if (apex === 0 || heap[apex + entryField.kind] !== entryKind.apex) return -1;
      return this.#writeDenial(packet, at, apex, label, 0);
    }
    const flags = heap[entry + entryField.flags] as number;
    if (this.#query.lastCapital >= 0 && !(flags & entryFlag.anyCase)) return -1;
    const half = entry >> 1;
    const halves = this.#halves;
    let answers = halves[half + (entryField.answers >> 1)] as number;
    let bytes = halves[half + (entryField.bodyLength >> 1)] as number;
    const recordSize = halves[half + (entryField.recordSize >> 1)] as number;
    const room = this.#query.limit - this.#query.opt - (this.#query.end - at);
    let truncated = 0;
    if (bytes > room) {
      if (recordSize === 0 || room < 0) return -1;
      answers = Math.floor(room / recordSize);
      bytes = answers * recordSize;
      truncated = 2;
    }
    const body = entry + entryField.key + (halves[half + (entryField.keyLength >> 1)] as number);
    const total = halves[half + (entryField.answers >> 1)] as number;
    if (flags & entryFlag.shuffle && total > 1) {
      if (total > maxShuffled) return -1;
      this.#copyShuffled(packet, this.#query.end, body, recordSize, total, answers);
    } else copy(heap, body, packet, this.#query.end, bytes);
    const authorities = halves[half + (entryField.authorities >> 1)] as number;
    const additionals = halves[half + (entryField.additionals >> 1)] as number;
    return this.#finish(packet, at, this.#query.end + bytes, truncated, 0, answers, authorities, additionals);
  }

  /** NXDOMAIN or NODATA with the zone's SOA record. */
  #writeDenial(packet: Uint8Array, at: number, apex: number, apexLabel: number, rcode: number): number {
    const zoneStart = this.#query.labels[apexLabel] as number;
    // The SOA's owner points into the question, if it is written there as in the zone.
    if (this.#query.lastCapital > zoneStart) return -1;
    const heap = this.#heap;
    const half = apex >> 1;
    let from = apex + entryField.key + (this.#halves[half + (entryField.keyLength >> 1)] as number);
    // Body: number of pointers, where each stands in the record, the record.
    const pointers = heap[from++] as number;
    const bytes = (this.#halves[half + (entryField.bodyLength >> 1)] as number) - 1 - pointers;
    if (this.#query.end - at + bytes + this.#query.opt > this.#query.limit) return -1;
    const record = from + pointers;
    copy(heap, record, packet, this.#query.end, bytes);
    const target = 0xc000 | (headerBytes + zoneStart);
    for (let i = 0; i < pointers; i++) {
      const place = this.#query.end + (heap[from + i] as number);
      packet[place] = target >> 8;
      packet[place + 1] = target & 0xff;
    }
    return this.#finish(packet, at, this.#query.end + bytes, 0, rcode, 0, 1, 0);
  }

  /** Copies `wanted` of the records in a random order (Fisher and Yates, as far as it is needed). */
  #copyShuffled(packet: Uint8Array, to: number, body: number, size: number, total: number, wanted: number): void {
    const order = this.#order;
    for (let i = 0; i < total; i++) order[i] = i;
    for (let i = 0; i < wanted; i++) {
      const j = i + this.#below(total - i);
      const record = order[j] as number;
      order[j] = order[i] as number;
      copy(this.#heap, body + record * size, packet, to + i * size, size);
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

  /** Puts OPT behind the records and writes the header. Returns the answer's length. */
  #finish(
    packet: Uint8Array,
    at: number,
    end: number,
    truncated: number,
    rcode: number,
    answers: number,
    authorities: number,
    additionals: number,
  ): number {
    const opt = this.#query.opt;
    if (opt > 0) {
      packet[end] = 0;
      packet[end + 1] = 0;
      packet[end + 2] = optType;
      packet[end + 3] = ednsUdpBytes >> 8;
      packet[end + 4] = ednsUdpBytes & 0xff;
      for (let i = 5; i < optBytes; i++) packet[end + i] = 0;
      packet[end + 7] = this.#query.dnssecOk;
    }
    const extra = additionals + (opt > 0 ? 1 : 0);
    // QR and AA; RD and CD as asked.
    packet[at + 2] = 0x84 | truncated | ((packet[at + 2] as number) & 1);
    packet[at + 3] = ((packet[at + 3] as number) & 0x10) | rcode;
    packet[at + 6] = answers >> 8;
    packet[at + 7] = answers & 0xff;
    packet[at + 8] = authorities >> 8;
    packet[at + 9] = authorities & 0xff;
    packet[at + 10] = extra >> 8;
    packet[at + 11] = extra & 0xff;
    return end + opt - at;
  }
}

/** Short pieces byte by byte: a subarray for each would cost more than its copy. */
function copy(from: Uint8Array, at: number, to: Uint8Array, where: number, bytes: number): void {
  if (bytes > 96) {
    to.set(from.subarray(at, at + bytes), where);
    return;
  }
  for (let i = 0; i < bytes; i++) to[where + i] = from[at + i] as number;
}
