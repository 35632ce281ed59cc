import { ednsUdpBytes } from "../core/index.ts";
import { cachedField, cachedType, entryField, entryFlag, entryKind, type TableMemory } from "./layout.ts";
import { type Asked, headerBytes, optBytes, optType, QueryReader } from "./question.ts";
import { copy, maxShuffled, Shuffler } from "./shuffle.ts";
import { TableView } from "./view.ts";

/** Results of {@link HotReader.answer} other than a length. */
export const hotResult = {
  /** Nothing is sent back. */
  none: 0,
  /** For the plugins: unusual, or not known here. */
  pass: -1,
} as const;

/** Told of each answer: what was asked (`dnssecOk` not 0: with DO), and what came out. */
export interface HotCounter {
  count(
    zone: number,
    family: number,
    type: number,
    rcode: number,
    dnssecOk: number,
    asked: number,
    answered: number,
  ): void;
}

const nxdomain = 3;

/**
 * Answers packets out of tables, in the packet's own memory. What is answered has the same bytes as the plugins'
 * answer would have; everything else is passed. It allocates nothing and never throws, whatever the bytes.
 */
export class HotReader {
  /** The present time of the clock that cached answers end by, ms. To be set before packets are answered. */
  now = 0;
  readonly #counter: HotCounter;
  readonly #fixed = new TableView();
  readonly #cached = new TableView();
  readonly #query = new QueryReader();
  readonly #shuffler: Shuffler;
  /** The zone in which the answer counts. */
  #zone = 0;

  /** @param seed start of the order of shuffled records, not 0 */
  constructor(counter: HotCounter, seed: number) {
    this.#counter = counter;
    this.#shuffler = new Shuffler(seed);
  }

  /** Reads from this memory from now on; without a table of cached answers from the former one. */
  use(fixed: TableMemory, cached?: TableMemory): void {
    this.#fixed.use(fixed);
    if (cached) this.#cached.use(cached);
  }

  /**
   * Answers the query at `at` of `length` bytes in place: the answer begins there too and needs room for
   * `asked.largest` bytes. Returns its length, or a hotResult.
   */
  answer(packet: Uint8Array, at: number, length: number, asked: Asked): number {
    if (length < headerBytes || (packet[at + 2] as number) & 0x80) return hotResult.none;
    if (!this.#query.read(packet, at, length, asked)) return hotResult.pass;
    const { type } = this.#query;
    const entry = this.#fixed.find(this.#query, 0, type);
    let written = entry > 0 ? this.#write(packet, at, entry) : this.#deny(packet, at);
    if (written < 0) written = this.#writeCached(packet, at);
    if (written < 0) return hotResult.pass;
    const rcode = (packet[at + 3] as number) & 15;
    this.#counter.count(this.#zone, asked.family, type, rcode, this.#query.dnssecOk, length, written);
    return written;
  }

  /**
   * A name that does not exist: seen from the zone's top, a name all of whose children are known lacks this one.
   * @returns the answer's length, -1 when that cannot be said
   */
  #deny(packet: Uint8Array, at: number): number {
    const { heap } = this.#fixed;
    let apex = 0;
    let apexLabel = 0;
    for (let label = this.#query.labelCount - 1; label >= 0; label--) {
      const node = this.#fixed.find(this.#query, label, 0);
      if (node === 0) {
        if (apex === 0) continue;
        return this.#writeDenial(packet, at, apex, apexLabel, nxdomain);
      }
      const kind = heap[node + entryField.kind];
      if (kind === entryKind.apex) {
        if (!((heap[node + entryField.flags] as number) & entryFlag.closed)) return -1;
        apex = node;
        apexLabel = label;
      } else if (kind !== entryKind.closed) return -1;
    }
    return -1;
  }

  /** Writes an entry's answer; returns its length, -1 when the plugins have to. */
  #write(packet: Uint8Array, at: number, entry: number): number {
    const view = this.#fixed;
    const { heap } = view;
    if (heap[entry + entryField.kind] === entryKind.nodata) {
      const label = this.#query.labelOf(heap[entry + entryField.zoneLength] as number);
      const apex = label < 0 ? 0 : view.find(this.#query, label, 0);
      if (apex === 0 || heap[apex + entryField.kind] !== entryKind.apex) return -1;
      return this.#writeDenial(packet, at, apex, label, 0);
    }
    const flags = heap[entry + entryField.flags] as number;
    if (this.#query.lastCapital >= 0 && !(flags & entryFlag.anyCase)) return -1;
    let answers = view.half(entry, entryField.answers);
    let bytes = view.half(entry, entryField.bodyLength);
    const recordSize = view.half(entry, entryField.recordSize);
    const room = this.#query.limit - this.#query.opt - (this.#query.end - at);
    let truncated = 0;
    if (bytes > room) {
      if (recordSize === 0 || room < 0) return -1;
      answers = Math.floor(room / recordSize);
      bytes = answers * recordSize;
      truncated = 2;
    }
    const total = view.half(entry, entryField.answers);
    if (flags & entryFlag.shuffle && total > 1) {
      if (total > maxShuffled) return -1;
      this.#shuffler.copy(heap, view.body(entry), packet, this.#query.end, recordSize, total, answers);
    } else copy(heap, view.body(entry), packet, this.#query.end, bytes);
    const authorities = view.half(entry, entryField.authorities);
    const additionals = view.half(entry, entryField.additionals);
    this.#zone = heap[entry + entryField.zone] as number;
    return this.#finish(packet, at, this.#query.end + bytes, truncated, 0, answers, authorities, additionals);
  }

  /** NXDOMAIN or NODATA with the zone's SOA record. */
  #writeDenial(packet: Uint8Array, at: number, apex: number, apexLabel: number, rcode: number): number {
    const zoneStart = this.#query.labels[apexLabel] as number;
    // The SOA's owner points into the question, if it is written there as in the zone.
    if (this.#query.lastCapital > zoneStart) return -1;
    const { heap } = this.#fixed;
    let from = this.#fixed.body(apex);
    // Body: number of pointers, where each stands in the record, the record.
    const pointers = heap[from++] as number;
    const bytes = this.#fixed.half(apex, entryField.bodyLength) - 1 - pointers;
    if (this.#query.end - at + bytes + this.#query.opt > this.#query.limit) return -1;
    const record = from + pointers;
    copy(heap, record, packet, this.#query.end, bytes);
    const target = 0xc000 | (headerBytes + zoneStart);
    for (let i = 0; i < pointers; i++) {
      const place = this.#query.end + (heap[from + i] as number);
      packet[place] = target >> 8;
      packet[place + 1] = target & 0xff;
    }
    this.#zone = heap[apex + entryField.zone] as number;
    return this.#finish(packet, at, this.#query.end + bytes, 0, rcode, 0, 1, 0);
  }

  /** What a cache has; returns its length, -1 when there is nothing or the plugins have to see the query. */
  #writeCached(packet: Uint8Array, at: number): number {
    const view = this.#cached;
    const query = this.#query;
    const checkingDisabled = ((packet[at + 3] as number) & 0x10) !== 0;
    const entry = view.find(query, 0, cachedType(query.type, query.dnssecOk !== 0, checkingDisabled));
    if (entry === 0) return -1;
    const flags = view.heap[entry + entryField.flags] as number;
    if (query.lastCapital >= 0 && !(flags & entryFlag.anyCase)) return -1;
    const body = view.body(entry);
    if (!this.#mayBeGiven(body)) return -1;
    const places = view.heap[body + cachedField.count] as number;
    const records = body + cachedField.places + 2 * places;
    const bytes = view.half(entry, entryField.bodyLength) - (records - body);
    if (query.end - at + bytes + query.opt > query.limit) return -1;
    const lead = view.half(entry, entryField.lead);
    copy(view.heap, records, packet, query.end, flags & entryFlag.shuffle ? lead : bytes);
    if (flags & entryFlag.shuffle) {
      const size = view.half(entry, entryField.recordSize);
      const total = (bytes - lead) / size;
      this.#shuffler.copy(view.heap, records + lead, packet, query.end + lead, size, total, total);
    }
    this.#countDown(packet, body, places);
    this.#zone = view.heap[entry + entryField.zone] as number;
    const answers = view.half(entry, entryField.answers);
    const authorities = view.half(entry, entryField.authorities);
    const additionals = view.half(entry, entryField.additionals);
    const header = view.heap[body + cachedField.header] as number;
    return this.#finish(packet, at, query.end + bytes, 0, header, answers, authorities, additionals);
  }

  /** Whether a cached answer's time has not come, also that of the plugins to see how it is wanted. */
  #mayBeGiven(body: number): boolean {
    const { bytes } = this.#cached;
    if (this.now >= bytes.getFloat64(body + cachedField.until, true)) return false;
    const idle = bytes.getFloat64(body + cachedField.idle, true);
    if (idle === 0) return true;
    if (this.now - bytes.getFloat64(body + cachedField.used, true) > idle) return false;
    bytes.setFloat64(body + cachedField.used, this.now, true);
    return true;
  }

  /** Writes the seconds that are left where the TTLs stand. */
  #countDown(packet: Uint8Array, body: number, places: number): void {
    const { bytes } = this.#cached;
    const left = Math.ceil((bytes.getFloat64(body + cachedField.expires, true) - this.now) / 1000);
    for (let i = 0; i < places; i++) {
      const place = this.#query.end + bytes.getUint16(body + cachedField.places + 2 * i, true);
      packet[place] = left >>> 24;
      packet[place + 1] = (left >>> 16) & 0xff;
      packet[place + 2] = (left >>> 8) & 0xff;
      packet[place + 3] = left & 0xff;
    }
  }

  /**
   * Puts OPT behind the records and writes the header. Returns the answer's length.
   * @param low the header's fourth byte: RA, AD and the RCODE
   */
  #finish(
    packet: Uint8Array,
    at: number,
    end: number,
    truncated: number,
    low: number,
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
    packet[at + 3] = ((packet[at + 3] as number) & 0x10) | low;
    packet[at + 6] = answers >> 8;
    packet[at + 7] = answers & 0xff;
    packet[at + 8] = authorities >> 8;
    packet[at + 9] = authorities & 0xff;
    packet[at + 10] = extra >> 8;
    packet[at + 11] = extra & 0xff;
    return end + opt - at;
  }
}
