import { formatIp } from "#base/ip.ts";
import { AF, addressOf, check, isErrno, libc } from "#kernel/ffi/index.ts";

/** Room for one packet, and for one answer. */
export const slotBytes = 4096;

/** struct mmsghdr: msghdr {name@0, namelen u32@8, iov@16, iovlen@24, control@32, controllen@40, flags@48}, len u32@56. */
const headerBytes = 64;
const iovecBytes = 16;
/** struct sockaddr_in6 has 28 bytes. */
const nameBytes = 28;
const nameRoom = 32;
/** A control message with in6_pktinfo has 36 bytes, one with in_pktinfo 28; padded to 8. */
const controlRoom = 64;
const MSG_DONTWAIT = 0x40;
const MSG_WAITFORONE = 0x10000;
/** Failures to receive after which the next attempt may succeed; the first is the time-out. */
const passing = ["EAGAIN", "EINTR", "ECONNREFUSED", "ENOBUFS", "ENOMEM"];

/** Words of 32 bits from a header's start. */
const word = { name: 0, nameLength: 2, vector: 4, vectors: 6, control: 8, controlLength: 10, length: 14 } as const;

/** Where a packet came from and which address it was sent to, as bytes: a sockaddr and the control messages. */
export type Envelope = Uint8Array;

/** Bytes of an envelope: u32 lengths of sockaddr and control messages, then both with their whole room. */
export const envelopeBytes = 8 + nameRoom + controlRoom;

/** A place in the batch's memory. */
interface Layout {
  readonly packets: number;
  readonly received: number;
  readonly sent: number;
  readonly receivedVectors: number;
  readonly sentVectors: number;
  readonly names: number;
  readonly controls: number;
  readonly bytes: number;
}

/**
 * Packets received by one recvmmsg(2) and answered by sendmmsg(2), each answer in the memory of its packet. Two arrays
 * of headers, one to receive and one to send, point to the same buffers.
 */
export class DatagramBatch {
  /** All memory; packet i begins at {@link at}(i). */
  readonly bytes: Uint8Array;
  readonly #fd: number;
  readonly #count: number;
  readonly #layout: Layout;
  readonly #words: Uint32Array;
  readonly #receivedAddress: number;
  readonly #sentAddress: number;
  /** Headers that have to be set again before the next call. */
  #written: number;

  /** @param fd a socket of openDatagrams, which the caller closes after the last call */
  constructor(fd: number, count = 64) {
    this.#fd = fd;
    this.#count = count;
    this.#written = count;
    this.#layout = layoutOf(count);
    this.bytes = new Uint8Array(this.#layout.bytes);
    this.#words = new Uint32Array(this.bytes.buffer);
    const base = Number(addressOf(this.bytes));
    this.#receivedAddress = base + this.#layout.received;
    this.#sentAddress = base + this.#layout.sent;
    for (let i = 0; i < count; i++) {
      this.#pointers(base, i, this.#layout.received, this.#layout.receivedVectors);
      this.#pointers(base, i, this.#layout.sent, this.#layout.sentVectors);
    }
  }

  /**
   * Waits for packets, at most for the socket's time-out, and takes all that are there. Returns how many.
   * @throws SysError for what will not be better the next time
   */
  receive(): number {
    return this.#take(MSG_WAITFORONE);
  }

  /** The same without waiting. */
  receiveNow(): number {
    return this.#take(MSG_DONTWAIT);
  }

  #take(flags: number): number {
    const words = this.#words;
    // What the last call has written; the other headers are as they were.
    for (let i = 0; i < this.#written; i++) {
      const header = (this.#layout.received + i * headerBytes) >> 2;
      words[header + word.nameLength] = nameBytes;
      words[header + word.controlLength] = controlRoom;
    }
    try {
      this.#written = check(libc.recvmmsg(this.#fd, this.#receivedAddress, this.#count, flags, 0), "recvmmsg");
      return this.#written;
    } catch (error) {
      if (passing.some((code) => isErrno(error, code))) return 0;
      throw error;
    }
  }

  /** Where packet i begins. */
  at(i: number): number {
    return this.#layout.packets + i * slotBytes;
  }

  /** A copy of packet i. */
  packet(i: number): Uint8Array {
    return this.bytes.slice(this.at(i), this.at(i) + this.lengthOf(i));
  }

  /** Bytes of packet i; a longer one was cut at slotBytes. */
  lengthOf(i: number): number {
    return this.#words[((this.#layout.received + i * headerBytes) >> 2) + word.length] as number;
  }

  /** 1 for IPv4, 2 for IPv6. */
  family(i: number): number {
    return isIpv4(this.bytes, this.#layout.names + i * nameRoom) ? 1 : 2;
  }

  /** Takes packet i's memory of that length as its answer; 0: none is sent. */
  answer(i: number, length: number): void {
    this.#words[(this.#layout.sentVectors + i * iovecBytes + 8) >> 2] = length;
  }

  /** Sends the answers of the first `count` packets. What cannot be sent is lost, as UDP has it. */
  send(count: number): void {
    for (let from = 0; from < count; ) {
      if (!this.#hasAnswer(from)) {
        from++;
        continue;
      }
      let to = from;
      while (to < count && this.#hasAnswer(to)) this.#addressed(to++);
      while (from < to) {
        const sent = libc.sendmmsg(this.#fd, this.#sentAddress + from * headerBytes, to - from, 0) as number;
        from += sent > 0 ? sent : 1; // the first one failed: its client is gone
      }
    }
  }

  /** A copy of who sent packet i and to which address. */
  envelope(i: number): Envelope {
    const header = (this.#layout.received + i * headerBytes) >> 2;
    const copy = new Uint8Array(envelopeBytes);
    const lengths = new Uint32Array(copy.buffer, 0, 2);
    lengths[0] = this.#words[header + word.nameLength] as number;
    lengths[1] = this.#words[header + word.controlLength] as number;
    const name = this.#layout.names + i * nameRoom;
    const control = this.#layout.controls + i * controlRoom;
    copy.set(this.bytes.subarray(name, name + nameRoom), 8);
    copy.set(this.bytes.subarray(control, control + controlRoom), 8 + nameRoom);
    clearInterface(copy, 8 + nameRoom, lengths[1] as number);
    return copy;
  }

  #hasAnswer(i: number): boolean {
    return this.#words[(this.#layout.sentVectors + i * iovecBytes + 8) >> 2] !== 0;
  }

  /** The answer goes from the address that was asked to the one that asked. */
  #addressed(i: number): void {
    const words = this.#words;
    const received = (this.#layout.received + i * headerBytes) >> 2;
    const sent = (this.#layout.sent + i * headerBytes) >> 2;
    const control = words[received + word.controlLength] as number;
    words[sent + word.nameLength] = words[received + word.nameLength] as number;
    words[sent + word.controlLength] = control;
    clearInterface(this.bytes, this.#layout.controls + i * controlRoom, control);
  }

  #pointers(base: number, i: number, headers: number, vectors: number): void {
    const view = new DataView(this.bytes.buffer);
    const header = headers + i * headerBytes;
    const vector = vectors + i * iovecBytes;
    const pointer = (at: number, to: number) => view.setBigUint64(at, BigInt(base + to), true);
    pointer(header + 4 * word.name, this.#layout.names + i * nameRoom);
    pointer(header + 4 * word.vector, vector);
    view.setBigUint64(header + 4 * word.vectors, 1n, true);
    pointer(header + 4 * word.control, this.#layout.controls + i * controlRoom);
    pointer(vector, this.at(i));
    view.setBigUint64(vector + 8, BigInt(slotBytes), true);
  }
}

function layoutOf(count: number): Layout {
  const received = count * slotBytes;
  const sent = received + count * headerBytes;
  const receivedVectors = sent + count * headerBytes;
  const sentVectors = receivedVectors + count * iovecBytes;
  const names = sentVectors + count * iovecBytes;
  const controls = names + count * nameRoom;
  const bytes = controls + count * controlRoom;
  return { packets: 0, received, sent, receivedVectors, sentVectors, names, controls, bytes };
}

/**
 * The interface in a pktinfo (cmsghdr of 16 bytes before it: u64 length, i32 level, i32 type) is where the packet came
 * in. Answers take the way that the routes say, except to link-local addresses, which mean nothing without it.
 */
function clearInterface(bytes: Uint8Array, control: number, length: number): void {
  if (length < 28) return;
  const isV6 = bytes[control + 8] === 41;
  if (isV6 && bytes[control + 16] === 0xfe) return;
  const at = control + 16 + (isV6 ? 16 : 0);
  for (let i = 0; i < 4; i++) bytes[at + i] = 0;
}

/** Whether a sockaddr is of IPv4, also as an address of IPv6 (::ffff:a.b.c.d). */
function isIpv4(bytes: Uint8Array, name: number): boolean {
  if (((bytes[name] as number) | ((bytes[name + 1] as number) << 8)) === AF.INET) return true;
  for (let i = 8; i < 18; i++) if (bytes[name + i] !== 0) return false;
  return bytes[name + 18] === 0xff && bytes[name + 19] === 0xff;
}

/** Address and port of who sent; an IPv4 address as such, also on a socket for both families. */
export function peerOf(envelope: Envelope): { readonly address: string; readonly port: number } {
  const name = 8;
  const port = ((envelope[name + 2] as number) << 8) | (envelope[name + 3] as number);
  const own = ((envelope[name] as number) | ((envelope[name + 1] as number) << 8)) === AF.INET;
  if (!isIpv4(envelope, name)) return { address: formatIp({ family: 6, bytes: envelope.slice(16, 32) }), port };
  const at = own ? name + 4 : name + 20;
  return { address: formatIp({ family: 4, bytes: envelope.slice(at, at + 4) }), port };
}
