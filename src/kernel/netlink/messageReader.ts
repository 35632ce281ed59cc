import { NLA_F_NESTED } from "./constants.ts";

/** One received message. `payload` begins after nlmsghdr. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Netlink port of whom it is owed to: in a notification who made the change, in an answer who asked. */
  readonly port: number;
  readonly payload: Buffer;
}

/** Attributes of a message or nest by type. Of repeated types the last is in the map; see {@link eachAttribute}. */
export type Attributes = ReadonlyMap<number, Buffer>;

/**
 * Splits what one recv returned into messages. The messages refer to `buffer`'s memory.
 * @throws RangeError when a length field is wrong
 */
export function parseMessages(buffer: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + 16 <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (length < 16 || at + length > buffer.length) throw new RangeError(`netlink message of ${length} bytes at ${at}`);
    messages.push({
      type: buffer.readUInt16LE(at + 4),
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      port: buffer.readUInt32LE(at + 12),
      payload: buffer.subarray(at + 16, at + length),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

/**
 * Calls `visit` for each attribute in order, with flags removed from the type.
 * @throws RangeError when a length field is wrong
 */
export function eachAttribute(buffer: Buffer, visit: (type: number, payload: Buffer) => void): void {
  for (let at = 0; at + 4 <= buffer.length; ) {
    const length = buffer.readUInt16LE(at);
    if (length < 4 || at + length > buffer.length)
      throw new RangeError(`netlink attribute of ${length} bytes at ${at}`);
    visit(buffer.readUInt16LE(at + 2) & ~(NLA_F_NESTED | 0x4000), buffer.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
}

/** Attributes of a buffer by type. */
export function parseAttributes(buffer: Buffer): Attributes {
  const attributes = new Map<number, Buffer>();
  eachAttribute(buffer, (type, payload) => attributes.set(type, payload));
  return attributes;
}

/** Text of an attribute without its terminating NUL. */
export function attributeText(payload: Buffer): string {
  const end = payload.indexOf(0);
  return payload.toString("utf8", 0, end < 0 ? payload.length : end);
}
