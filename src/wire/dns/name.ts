import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";
import { DnsError } from "./errors.ts";

/**
 * Domain names are kept as text: absolute, with the final dot, case as written, `.` for the root.
 * A dot or backslash inside a label is `\.` or `\\`, a byte outside of printable ASCII `\DDD` (RFC 1035 §5.1),
 * so that text and bytes stand for each other exactly.
 */

/** Longest name on the wire in bytes, length bytes and root included (RFC 1035 §2.3.4). */
export const maxNameBytes = 255;

/** Longest label in bytes (RFC 1035 §2.3.4). */
export const maxLabelBytes = 63;

const dot = 0x2e;
const backslash = 0x5c;

/** Text of one label's bytes, with escapes where they are needed. */
export function labelText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === dot || byte === backslash) text += `\\${String.fromCharCode(byte)}`;
    else if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${String(byte).padStart(3, "0")}`;
  }
  return text;
}

/** Writes one label (text with escapes) at `offset` behind its length byte; returns the offset after it. */
export function writeLabel(label: string, out: Uint8Array, offset: number): number {
  let at = offset + 1;
  const limit = Math.min(out.length, offset + 1 + maxLabelBytes);
  for (let i = 0; i < label.length; i++) {
    let code = label.charCodeAt(i);
    if (code > 0x7f) throw new DnsError("bad-name", `label ${JSON.stringify(label)} is not ASCII`);
    if (code === backslash) {
      const digits = label.slice(i + 1, i + 4);
      if (/^\d{3}$/.test(digits)) {
        code = Number(digits);
        i += 3;
      } else {
        code = label.charCodeAt(++i); // NaN behind a last backslash: refused below
      }
    }
    if (!(code <= 0xff)) throw new DnsError("bad-name", `label ${JSON.stringify(label)} has a wrong escape`);
    if (at >= limit) throw labelTooLong(label, out, offset);
    out[at++] = code;
  }
  if (at === offset + 1) throw new DnsError("bad-name", "empty label");
  out[offset] = at - offset - 1;
  return at;
}

function labelTooLong(label: string, out: Uint8Array, offset: number): DnsError {
  if (out.length < offset + 1 + maxLabelBytes) return new DnsError("too-large", "no room for a name", offset);
  return new DnsError("bad-name", `label ${JSON.stringify(label)} is longer than ${maxLabelBytes} bytes`);
}

/** Index of the dot that ends the label starting at `start`, escapes respected; the text's length without one. */
export function labelEnd(name: string, start: number): number {
  let end = name.indexOf(".", start);
  while (end > 0 && isEscaped(name, end, start)) end = name.indexOf(".", end + 1);
  return end < 0 ? name.length : end;
}

/** Whether an odd number of backslashes stands before `index`. */
function isEscaped(name: string, index: number, start: number): boolean {
  let count = 0;
  for (let i = index - 1; i >= start && name.charCodeAt(i) === backslash; i--) count++;
  return count % 2 === 1;
}

/** Labels of a name from left to right, escapes kept; none for the root. */
export function labelsOf(name: string): string[] {
  const labels: string[] = [];
  if (name === "." || name === "") return labels;
  for (let start = 0; start < name.length; ) {
    const end = labelEnd(name, start);
    labels.push(name.slice(start, end));
    start = end + 1;
  }
  return labels;
}

/** The name without its first label; the root's parent is the root. */
export function parentName(name: string): string {
  const rest = name.slice(labelEnd(name, 0) + 1);
  return rest === "" ? "." : rest;
}

/** ASCII lower case: names are compared without regard to case (RFC 4343). */
export function lowerName(name: string): string {
  // Names are ASCII by construction (other bytes are \DDD), so the general toLowerCase is exact.
  return name.toLowerCase();
}

/** Whether `name` is `zone` or lies below it. Both absolute and in lower case. */
export function isSubdomain(name: string, zone: string): boolean {
  if (zone === ".") return true;
  if (!name.endsWith(zone)) return false;
  const before = name.length - zone.length - 1;
  return before < 0 || (name.charCodeAt(before) === dot && !isEscaped(name, before, 0));
}

/**
 * Makes any text an absolute, checked name: adds the final dot, checks label and name lengths and escapes.
 * @throws DnsError `bad-name`
 */
export function parseName(text: string): string {
  if (text === "" || text === ".") return ".";
  if (isEscaped(text, text.length, 0)) throw new DnsError("bad-name", `${JSON.stringify(text)} ends in half an escape`);
  const absolute = labelEnd(text, lastLabelStart(text)) === text.length ? `${text}.` : text;
  const scratch = new Uint8Array(maxNameBytes + maxLabelBytes + 2);
  let canonical = "";
  let at = 0;
  for (const label of labelsOf(absolute)) {
    const start = at;
    at = writeLabel(label, scratch, at);
    if (at + 1 > maxNameBytes) throw new DnsError("bad-name", `name is longer than ${maxNameBytes} bytes`);
    canonical += `${labelText(scratch, start + 1, at)}.`;
  }
  return canonical;
}

function lastLabelStart(text: string): number {
  let start = 0;
  for (;;) {
    const end = labelEnd(text, start);
    if (end >= text.length - 1) return start;
    start = end + 1;
  }
}

/** Like {@link parseName}, but undefined for text that is no name. */
export function tryParseName(text: string): string | undefined {
  try {
    return parseName(text);
  } catch (error) {
    if (error instanceof DnsError) return undefined;
    throw error;
  }
}

/** Name of the reverse record of an address: `1.0.96.10.in-addr.arpa.` (RFC 1035 §3.5), nibbles under ip6.arpa (RFC 3596 §2.5). */
export function reverseName(ip: Ip): string {
  if (ip.family === 4) return `${[...ip.bytes].reverse().join(".")}.in-addr.arpa.`;
  const nibbles = [...ip.bytes].flatMap((byte) => [byte >> 4, byte & 15]).map((nibble) => nibble.toString(16));
  return `${nibbles.reverse().join(".")}.ip6.arpa.`;
}

/** The address of a full reverse name (lower case), undefined for any other name. */
export function addressOfReverseName(name: string): Ip | undefined {
  if (name.endsWith(".in-addr.arpa.")) {
    const octets = name.slice(0, -".in-addr.arpa.".length).split(".");
    if (octets.length !== 4 || !octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet))) return undefined;
    return tryParseIp(octets.reverse().join("."));
  }
  if (!name.endsWith(".ip6.arpa.")) return undefined;
  const nibbles = name.slice(0, -".ip6.arpa.".length).split(".");
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) return undefined;
  const hex = nibbles.reverse().join("");
  return {
    family: 6,
    bytes: Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)),
  };
}

/**
 * The reverse zones of a network: `10.0.0.0/24` is `0.0.10.in-addr.arpa.`. A prefix within a label (a byte of IPv4,
 * four bits of IPv6) is all the zones up to the label's end: 10.0.0.0/23 is two of /24. Most specific first by number.
 */
export function reverseZones(network: { readonly ip: Ip; readonly prefix: number }): string[] {
  const [bits, total] = network.ip.family === 4 ? [8, 4] : [4, 32];
  const count = Math.ceil(network.prefix / bits);
  const labels = labelsOf(reverseName(network.ip)).slice(total - count);
  const free = count * bits - network.prefix;
  if (free === 0) return [`${labels.join(".")}.`];
  const radix = network.ip.family === 4 ? 10 : 16;
  const first = (Number.parseInt(labels[0] as string, radix) >> free) << free;
  return Array.from({ length: 1 << free }, (_, i) => `${[(first + i).toString(radix), ...labels.slice(1)].join(".")}.`);
}

/** Text of address bytes: 4 or 16 of them, network byte order. */
export function addressText(bytes: Uint8Array): string {
  return formatIp({ family: bytes.length === 4 ? 4 : 6, bytes } as Ip);
}
