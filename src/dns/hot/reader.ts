import { ednsUdpBytes } from "../core/index.ts";
import { entryField, entryFlag, entryKind, hashByte, hashEnd, hashStart, type TableMemory } from "./layout.ts";

/** Results of {@link HotReader.answer} other than a length. */
export const hotResult = {
  /** Nothing is sent back. */
  none: 0,
  /** For the plugins: unusual, or not known here. */
  pass: -1,
} as const;

/** Who asked, as far as counters care. */
export interface Asked {
  /** 1 for IPv4, 2 for IPv6. */
  readonly family: number;
  /** Longest answer in bytes where the client offers no size of its own by EDNS. */
  readonly smallest: number;
  /** Longest answer in bytes, whatever the client offers. */
  readonly largest: number;
}

/** Told of each answer: what was asked, and what came out. */
export interface HotCounter {
  count(zone: number, family: number, type: number, rcode: number, asked: number, answered: number): void;
}

const header = 12;
const maxName = 255;
const maxLabels = 127;
/** Types from here on are rare or no types of records. */
const types = 128;
/** Bytes of our OPT record. */
const optBytes = 11;
/** More records than this are not put in order here. */
const maxShuffled = 255;
const nxdomain = 3;
const optType = 41;

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
  /** The name in lower case; where its labels begin; the hash of the name from each label on. */
  readonly #name = new Uint8Array(maxName + 1);
  readonly #labels = new Uint8Array(maxLabels + 1);
  readonly #hashes = new Int32Array(maxLabels + 1);
  readonly #order = new Uint8Array(maxShuffled + 1);
  #labelCount = 0;
  #nameLength = 0;
  /** Where the last capital letter stands, -1 without one. */
  #lastCapital = -1;
  #random: number;
  /** Of the packet being answered: bytes of our OPT record, its DO bit, the longest answer. */
  #opt = 0;
  #dnssecOk = 0;
  #limit = 0;
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
    if (length < header || (packet[at + 2] as number) & 0x80) return hotResult.none;
    // A query with one question, nothing but an OPT record behind it. (Opcode: 0x78; QDCOUNT, ANCOUNT, NSCOUNT.)
    if ((packet[at + 2] as number) & 0x78) return hotResult.pass;
    if (packet[at + 4] !== 0 || packet[at + 5] !== 1) return hotResult.pass;
    for (let i = 6; i < 11; i++) if (packet[at + i] !== 0) return hotResult.pass;
    const nameAt = at + header;
    const end = at + length;
    if (!this.#readName(packet, nameAt, end)) return hotResult.pass;
    const questionEnd = nameAt + this.#nameLength + 4;
    const type = ((packet[questionEnd - 4] as number) << 8) | (packet[questionEnd - 3] as number);
    if (type === 0 || type >= types || packet[questionEnd - 2] !== 0 || packet[questionEnd - 1] !== 1)
      return hotResult.pass;
    if (!this.#readOpt(packet, at, questionEnd, end, asked)) return hotResult.pass;
    const entry = this.#find(0, type);
    this.#source = entry;
    const written = entry > 0 ? this.#write(packet, at, questionEnd, entry) : this.#deny(packet, at, questionEnd);
    if (written < 0) return hotResult.pass;
    const zone = this.#heap[this.#source + entryField.zone] as number;
    this.#counter.count(zone, asked.family, type, (packet[at + 3] as number) & 15, length, written);
    return written;
  }

  /** Reads the question's name; false when it is none, or does not leave room for type and class. */
  #readName(packet: Uint8Array, start: number, end: number): boolean {
    const name = this.#name;
    let labels = 0;
    let capital = -1;
    let at = start;
    for (;;) {
      if (at >= end) return false;
      const length = packet[at] as number;
      if (length === 0) break;
      const next = at + 1 + length;
      // A pointer or an unknown label type has one of the upper two bits; 255 bytes with the root.
      if (length > 63 || next >= end || next - start > maxName - 1) return false;
      this.#labels[labels++] = at - start;
      name[at - start] = length;
      for (let i = at + 1; i < next; i++) {
        const byte = packet[i] as number;
        if (byte >= 0x41 && byte <= 0x5a) {
          capital = i - start;
          name[i - start] = byte | 0x20;
        } else name[i - start] = byte;
      }
      at = next;
    }
    name[at - start] = 0;
    this.#labelCount = labels;
    this.#nameLength = at + 1 - start;
    this.#lastCapital = capital;
    if (labels === 0 || at + 5 > end) return false;
    this.#hashName();
    return true;
  }

  /** Hashes from the end, so that each suffix has its hash. */
  #hashName(): void {
    const name = this.#name;
    let hash = hashStart();
    let label = this.#labelCount - 1;
    let start = this.#labels[label] as number;
    for (let i = this.#nameLength - 1; i >= 0; i--) {
      hash = hashByte(hash, name[i] as number);
      if (i !== start) continue;
      this.#hashes[label] = hash;
      start = this.#labels[--label] as number;
    }
  }

  /** Reads what follows the question: nothing, or one OPT record without options. False for anything else. */
  #readOpt(packet: Uint8Array, at: number, questionEnd: number, end: number, asked: Asked): boolean {
    this.#opt = 0;
    this.#dnssecOk = 0;
    this.#limit = asked.smallest;
    const count = packet[at + 11] as number;
    if (count === 0) return questionEnd === end;
    if (count !== 1 || questionEnd + optBytes !== end) return false;
    const p = questionEnd;
    // Owner: the root; type OPT; version 0; no options (RFC 6891 §6.1.2).
    if (packet[p] !== 0 || packet[p + 1] !== 0 || packet[p + 2] !== optType) return false;
    if (packet[p + 6] !== 0 || packet[p + 9] !== 0 || packet[p + 10] !== 0) return false;
    const size = ((packet[p + 3] as number) << 8) | (packet[p + 4] as number);
    this.#opt = optBytes;
    this.#dnssecOk = (packet[p + 7] as number) & 0x80;
    if (size > this.#limit) this.#limit = Math.min(size, asked.largest);
    return true;
  }

  /** The entry of the name from a label on; 0 without one. Ends, as a table always has empty slots. */
  #find(label: number, type: number): number {
    const hash = hashEnd(this.#hashes[label] as number, type);
    const mask = this.#mask;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = Atomics.load(this.#slots, slot);
      if (offset === 0) return 0;
      if (offset > 0 && this.#words[offset >> 2] === hash && this.#isKey(offset, label, type)) return offset;
    }
  }

  #isKey(offset: number, label: number, type: number): boolean {
    const from = this.#labels[label] as number;
    const length = this.#nameLength - from;
    if (this.#halves[(offset + entryField.type) >> 1] !== type) return false;
    if (this.#halves[(offset + entryField.keyLength) >> 1] !== length) return false;
    const key = offset + entryField.key - from;
    for (let i = from; i < this.#nameLength; i++) if (this.#heap[key + i] !== this.#name[i]) return false;
    return true;
  }

  /** The first label of the suffix of that many bytes; -1 when no label begins there. */
  #labelOf(bytes: number): number {
    const from = this.#nameLength - bytes;
    for (let i = this.#labelCount - 1; i >= 0; i--) if (this.#labels[i] === from) return i;
    return -1;
  }

  /**
   * A name that does not exist: seen from the zone's top, a name all of whose children are known lacks this one.
   * @returns the answer's length, -1 when that cannot be said
   */
  #deny(packet: Uint8Array, at: number, questionEnd: number): number {
    let apex = 0;
    let apexLabel = 0;
    for (let label = this.#labelCount - 1; label >= 0; label--) {
      const node = this.#find(label, 0);
      if (node === 0) {
        if (apex === 0) continue;
        this.#source = apex;
        return this.#writeDenial(packet, at, questionEnd, apex, apexLabel, nxdomain);
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
  #write(packet: Uint8Array, at: number, questionEnd: number, entry: number): number {
    const heap = this.#heap;
    if (heap[entry + entryField.kind] === entryKind.nodata) {
      const label = this.#labelOf(heap[entry + entryField.zoneLength] as number);
      const apex = label < 0 ? 0 : this.#find(label, 0);
      if (apex === 0 || heap[apex + entryField.kind] !== entryKind.apex) return -1;
      return this.#writeDenial(packet, at, questionEnd, apex, label, 0);
    }
    const flags = heap[entry + entryField.flags] as number;
    if (this.#lastCapital >= 0 && !(flags & entryFlag.anyCase)) return -1;
    const half = entry >> 1;
    const halves = this.#halves;
    let answers = halves[half + (entryField.answers >> 1)] as number;
    let bytes = halves[half + (entryField.bodyLength >> 1)] as number;
    const recordSize = halves[half + (entryField.recordSize >> 1)] as number;
    const room = this.#limit - this.#opt - (questionEnd - at);
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
      this.#copyShuffled(packet, questionEnd, body, recordSize, total, answers);
    } else copy(heap, body, packet, questionEnd, bytes);
    const authorities = halves[half + (entryField.authorities >> 1)] as number;
    const additionals = halves[half + (entryField.additionals >> 1)] as number;
    return this.#finish(packet, at, questionEnd + bytes, truncated, 0, answers, authorities, additionals);
  }

  /** NXDOMAIN or NODATA with the zone's SOA record. */
  #writeDenial(
    packet: Uint8Array,
    at: number,
    questionEnd: number,
    apex: number,
    apexLabel: number,
    rcode: number,
  ): number {
    const zoneStart = this.#labels[apexLabel] as number;
    // The SOA's owner points into the question, if it is written there as in the zone.
    if (this.#lastCapital > zoneStart) return -1;
    const heap = this.#heap;
    const half = apex >> 1;
    let from = apex + entryField.key + (this.#halves[half + (entryField.keyLength >> 1)] as number);
    // Body: number of pointers, where each stands in the record, the record.
    const pointers = heap[from++] as number;
    const bytes = (this.#halves[half + (entryField.bodyLength >> 1)] as number) - 1 - pointers;
    if (questionEnd - at + bytes + this.#opt > this.#limit) return -1;
    const record = from + pointers;
    copy(heap, record, packet, questionEnd, bytes);
    const target = 0xc000 | (header + zoneStart);
    for (let i = 0; i < pointers; i++) {
      const place = questionEnd + (heap[from + i] as number);
      packet[place] = target >> 8;
      packet[place + 1] = target & 0xff;
    }
    return this.#finish(packet, at, questionEnd + bytes, 0, rcode, 0, 1, 0);
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
    const opt = this.#opt;
    if (opt > 0) {
      packet[end] = 0;
      packet[end + 1] = 0;
      packet[end + 2] = optType;
      packet[end + 3] = ednsUdpBytes >> 8;
      packet[end + 4] = ednsUdpBytes & 0xff;
      for (let i = 5; i < optBytes; i++) packet[end + i] = 0;
      packet[end + 7] = this.#dnssecOk;
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
