import { NLA_F_NESTED, NLM_F } from "./constants.ts";

/**
 * Builds netlink messages in one growing buffer: pure, sends nothing.
 *
 * ```
 * writer.begin(RTM.NEWLINK, NLM_F.CREATE).u8(0)…   nlmsghdr, then the fixed header of the message type
 *   .attributeText(IFLA.IFNAME, "cni0")            rtattr: u16 length, u16 type, payload, padded to 4
 *   .nest(IFLA.LINKINFO, () => …)                  an attribute made of attributes
 *   .end();                                        length filled in
 * ```
 * Numbers are in host order, little endian on both architectures, unless the name says `be`.
 * Message number i (from 0) carries sequence number i + 1.
 */
export class MessageWriter {
  #buffer: Buffer;
  #length = 0;
  #start = 0;
  #count = 0;
  #open = false;

  /** @param capacity bytes to reserve at first; the buffer grows as needed */
  constructor(capacity = 4096) {
    this.#buffer = Buffer.alloc(capacity);
  }

  /** Number of finished messages. */
  get count(): number {
    return this.#count;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The finished messages; valid until the next write or reset. */
  bytes(): Buffer {
    if (this.#open) throw new Error("netlink message not ended");
    return this.#buffer.subarray(0, this.#length);
  }

  /** Forgets all messages and keeps the memory. */
  reset(): this {
    this.#length = 0;
    this.#count = 0;
    this.#open = false;
    return this;
  }

  /** Starts a message (struct nlmsghdr). NLM_F_REQUEST is added. */
  begin(type: number, flags = 0): this {
    if (this.#open) throw new Error("netlink message not ended");
    this.#start = this.#length;
    this.#open = true;
    return this.u32(0)
      .u16(type)
      .u16(flags | NLM_F.REQUEST)
      .u32(this.#count + 1)
      .u32(0);
  }

  /** Ends the message: writes its length into its header. */
  end(): this {
    if (!this.#open) throw new Error("no netlink message begun");
    this.#buffer.writeUInt32LE(this.#length - this.#start, this.#start);
    this.#open = false;
    this.#count++;
    return this;
  }

  /** Asks for an acknowledgement of the message written last. Without it success is silent. */
  acknowledgeLast(): this {
    if (this.#count === 0) throw new Error("no netlink message to acknowledge");
    const at = this.#start + 6;
    this.#buffer.writeUInt16LE(this.#buffer.readUInt16LE(at) | NLM_F.ACK, at);
    return this;
  }

  /** One byte. */
  u8(value: number): this {
    const at = this.#grow(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  /** Two bytes, host order. */
  u16(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  /** Two bytes, network order. */
  u16be(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }

  /** Four bytes, host order, unsigned. */
  u32(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32LE(value >>> 0, at);
    return this;
  }

  /** Four bytes, host order, signed. */
  i32(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeInt32LE(value, at);
    return this;
  }

  /** Four bytes, network order. */
  u32be(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32BE(value >>> 0, at);
    return this;
  }

  /** Eight bytes, network order. */
  u64be(value: bigint): this {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64BE(value, at);
    return this;
  }

  /** Raw bytes, without padding. */
  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** Room for so many bytes, all of which the caller writes before the next write. */
  reserve(length: number): Buffer {
    const at = this.#grow(length);
    return this.#buffer.subarray(at, at + length);
  }

  /**
   * An attribute with the given payload.
   * @throws RangeError above 65,531 bytes
   */
  attribute(type: number, payload: Uint8Array): this {
    return this.#attribute(type, payload.length).raw(payload).#pad();
  }

  /** An attribute without payload (a flag). */
  attributeFlag(type: number): this {
    return this.#attribute(type, 0);
  }

  /** An attribute of one byte. */
  attributeU8(type: number, value: number): this {
    return this.#attribute(type, 1).u8(value).#pad();
  }

  /** An attribute of two bytes, host order. */
  attributeU16(type: number, value: number): this {
    return this.#attribute(type, 2).u16(value).#pad();
  }

  /** An attribute of two bytes, network order. */
  attributeU16be(type: number, value: number): this {
    return this.#attribute(type, 2).u16be(value).#pad();
  }

  /** An attribute of four bytes, host order. */
  attributeU32(type: number, value: number): this {
    return this.#attribute(type, 4).u32(value);
  }

  /** An attribute of four bytes, network order. */
  attributeU32be(type: number, value: number): this {
    return this.#attribute(type, 4).u32be(value);
  }

  /** An attribute of eight bytes, network order. */
  attributeU64be(type: number, value: bigint): this {
    return this.#attribute(type, 8).u64be(value);
  }

  /** An attribute holding text with a terminating NUL. */
  attributeText(type: number, text: string): this {
    const at = this.#length;
    // Written in place: of the worst case, three bytes a character, what is not needed is given back.
    this.#grow(4 + 3 * text.length + 1);
    const length = 4 + this.#buffer.write(text, at + 4, "utf8") + 1;
    this.#buffer[at + length - 1] = 0;
    this.#length = at;
    this.#attribute(type, length - 4).#grow(length - 4);
    return this.#pad();
  }

  /**
   * An attribute made of the attributes that `write` writes.
   * @throws RangeError above 65,535 bytes, the most that its length field can say
   */
  nest(type: number, write: () => void): this {
    const at = this.open(type);
    write();
    return this.close(at);
  }

  /** Begins a {@link nest} that {@link close} ends: for so many of them that a function for each would show. */
  open(type: number): number {
    const at = this.#length;
    this.u16(0).u16(type | NLA_F_NESTED);
    return at;
  }

  /** @param at what {@link open} gave @throws RangeError as {@link nest} */
  close(at: number): this {
    const length = this.#length - at;
    if (length > 0xffff) throw new RangeError(`nested netlink attribute has ${length} bytes, 65535 at most`);
    this.#buffer.writeUInt16LE(length, at);
    return this;
  }

  #attribute(type: number, length: number): this {
    if (length > 0xffff - 4) throw new RangeError(`netlink attribute ${type} has ${length} bytes, 65531 at most`);
    return this.u16(4 + length).u16(type);
  }

  #pad(): this {
    while (this.#length & 3) this.u8(0);
    return this;
  }

  #grow(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(this.#buffer.length * 2, at + bytes));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = at + bytes;
    return at;
  }
}
