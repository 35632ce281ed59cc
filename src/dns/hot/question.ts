import { hashByte, hashStart } from "./layout.ts";

/** Who asked, as far as counters and sizes care. */
export interface Asked {
  /** 1 for IPv4, 2 for IPv6. */
  readonly family: number;
  /** Longest answer in bytes where the client offers no size of its own by EDNS. */
  readonly smallest: number;
  /** Longest answer in bytes, whatever the client offers. */
  readonly largest: number;
}

/** Bytes of a message's header. */
export const headerBytes = 12;
/** Bytes of an OPT record without options. */
export const optBytes = 11;
/** Number of the type OPT. */
export const optType = 41;

const maxName = 255;
const maxLabels = 127;
/** Types from here on are rare or no types of records. */
const types = 128;

/** The question of the packet that is being answered; its memory is used again for the next one. */
export class QueryReader {
  /** The name in lower case as on the wire; where its labels begin; the hash of the name from each label on. */
  readonly name = new Uint8Array(maxName + 1);
  readonly labels = new Uint8Array(maxLabels + 1);
  readonly hashes = new Int32Array(maxLabels + 1);
  labelCount = 0;
  nameLength = 0;
  /** Where in the name the last capital letter stands, -1 without one. */
  lastCapital = -1;
  type = 0;
  /** Where in the packet's memory the question ends. */
  end = 0;
  /** Bytes of the answer's OPT record, 0 without one; its DO bit; the longest answer in bytes. */
  opt = 0;
  dnssecOk = 0;
  limit = 0;

  /**
   * Reads a plain query: one question of the class Internet with an ordinary type, and nothing behind it but an OPT
   * record without options. False for anything else, whatever the bytes.
   * @param length at least headerBytes
   */
  read(packet: Uint8Array, at: number, length: number, asked: Asked): boolean {
    // Opcode; QDCOUNT, ANCOUNT, NSCOUNT and the upper half of ARCOUNT.
    if ((packet[at + 2] as number) & 0x78 || packet[at + 4] !== 0 || packet[at + 5] !== 1) return false;
    for (let i = 6; i < 11; i++) if (packet[at + i] !== 0) return false;
    const nameAt = at + headerBytes;
    const end = at + length;
    if (!this.#readName(packet, nameAt, end)) return false;
    const questionEnd = nameAt + this.nameLength + 4;
    this.end = questionEnd;
    this.type = ((packet[questionEnd - 4] as number) << 8) | (packet[questionEnd - 3] as number);
    if (this.type === 0 || this.type >= types) return false;
    if (packet[questionEnd - 2] !== 0 || packet[questionEnd - 1] !== 1) return false;
    return this.#readOpt(packet, at, questionEnd, end, asked);
  }

  /** The first label of the suffix of that many bytes; -1 when no label begins there. */
  labelOf(bytes: number): number {
    const from = this.nameLength - bytes;
    for (let i = this.labelCount - 1; i >= 0; i--) if (this.labels[i] === from) return i;
    return -1;
  }

  /** Reads the question's name; false when it is none, or does not leave room for type and class. */
  #readName(packet: Uint8Array, start: number, end: number): boolean {
    const name = this.name;
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
      this.labels[labels++] = at - start;
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
    this.labelCount = labels;
    this.nameLength = at + 1 - start;
    this.lastCapital = capital;
    if (labels === 0 || at + 5 > end) return false;
    this.#hashName();
    return true;
  }

  /** Hashes from the end, so that each suffix has its hash. */
  #hashName(): void {
    const name = this.name;
    let hash = hashStart();
    let label = this.labelCount - 1;
    let start = this.labels[label] as number;
    for (let i = this.nameLength - 1; i >= 0; i--) {
      hash = hashByte(hash, name[i] as number);
      if (i !== start) continue;
      this.hashes[label] = hash;
      start = this.labels[--label] as number;
    }
  }

  /** Reads what follows the question: nothing, or one OPT record without options. False for anything else. */
  #readOpt(packet: Uint8Array, at: number, questionEnd: number, end: number, asked: Asked): boolean {
    this.opt = 0;
    this.dnssecOk = 0;
    this.limit = asked.smallest;
    const count = packet[at + 11] as number;
    if (count === 0) return questionEnd === end;
    if (count !== 1 || questionEnd + optBytes !== end) return false;
    const p = questionEnd;
    // Owner: the root; type OPT; version 0; no options (RFC 6891 §6.1.2).
    if (packet[p] !== 0 || packet[p + 1] !== 0 || packet[p + 2] !== optType) return false;
    if (packet[p + 6] !== 0 || packet[p + 9] !== 0 || packet[p + 10] !== 0) return false;
    const size = ((packet[p + 3] as number) << 8) | (packet[p + 4] as number);
    this.opt = optBytes;
    this.dnssecOk = (packet[p + 7] as number) & 0x80;
    if (size > this.limit) this.limit = Math.min(size, asked.largest);
    return true;
  }
}
