/** DER encoding (ITU-T X.690) of what certificates are made of. Every function returns one whole element. */

/** Tag numbers of X.680's universal class, with the constructed bit where the type is constructed. */
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Lengths below this stand in one byte. */
const LONG_FORM = 0x80;

function lengthBytes(length: number): number[] {
  if (length < LONG_FORM) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [LONG_FORM | bytes.length, ...bytes];
}

/** An element of any tag byte around content that is encoded already. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(length)]), ...content]);
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => element(tags.sequence, ...items);

/** A SET OF one item; several would have to be sorted. */
export const setOf = (item: Uint8Array): Uint8Array => element(tags.set, item);

export const boolean = (value: boolean): Uint8Array => element(tags.boolean, Uint8Array.of(value ? 0xff : 0));

export const octetString = (bytes: Uint8Array): Uint8Array => element(tags.octetString, bytes);

export const utf8String = (text: string): Uint8Array => element(tags.utf8String, Buffer.from(text, "utf8"));

/** `[number]` of the context-specific class; constructed where it holds elements, primitive where it holds bytes. */
export function context(number: number, kind: "constructed" | "primitive", content: Uint8Array): Uint8Array {
  return element((kind === "constructed" ? 0xa0 : 0x80) | number, content);
}

/** A non-negative INTEGER from its big-endian bytes. */
export function integer(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const significant = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  // The highest bit is the sign.
  const padding = (significant[0] ?? 0) >= 0x80 ? [Uint8Array.of(0)] : [];
  return element(tags.integer, ...padding, significant);
}

/** @param unused bits at the end of the last byte that do not count */
export function bitString(bytes: Uint8Array, unused = 0): Uint8Array {
  return element(tags.bitString, Uint8Array.of(unused), bytes);
}

/** A BIT STRING of named bits, bit 0 first, trailing zeros cut off as DER wants. */
export function namedBits(bits: readonly number[]): Uint8Array {
  const highest = Math.max(...bits);
  const bytes = new Uint8Array(Math.floor(highest / 8) + 1);
  for (const bit of bits) bytes[Math.floor(bit / 8)] = (bytes[Math.floor(bit / 8)] ?? 0) | (0x80 >> (bit % 8));
  return bitString(bytes, 7 - (highest % 8));
}

/** @param dotted such as `2.5.4.3` */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return element(tags.objectIdentifier, Uint8Array.from(bytes));
}

/** A Time to the second: UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5). */
export function time(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? element(tags.utcTime, Buffer.from(digits.slice(2), "ascii"))
    : element(tags.generalizedTime, Buffer.from(digits, "ascii"));
}
