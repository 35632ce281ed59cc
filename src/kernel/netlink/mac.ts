import { randomBytes } from "node:crypto";

/**
 * Six bytes of a MAC address in text with colons.
 * @throws RangeError
 */
export function parseMac(text: string): Buffer {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text))
    throw new RangeError(`${JSON.stringify(text)} is no MAC address`);
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

/** Text of a MAC address, lower case with colons. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** A random unicast address with the locally administered bit set (IEEE 802-2014 section 8.4). */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return formatMac(bytes);
}
