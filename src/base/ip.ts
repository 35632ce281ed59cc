/** An IPv4 or IPv6 address: 4 or 16 bytes in network byte order. */
export interface Ip {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** An address with a prefix length. `ip` keeps its host bits; {@link cidrBase} clears them. */
export interface Cidr {
  readonly ip: Ip;
  readonly prefix: number;
}

/** Text that is no address or CIDR. `text` is the input, the message says what is wrong with it. */
export class AddressError extends Error {
  readonly code = "ERR_ADDRESS";
  readonly text: string;
  constructor(text: string, reason: string) {
    super(`${JSON.stringify(text)}: ${reason}`);
    this.name = "AddressError";
    this.text = text;
  }
}

/** Number of bits of an address of the family: 32 or 128. */
export function familyBits(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/**
 * Reads a dotted IPv4 or an IPv6 address (RFC 4291 section 2.2, with `::` and a dotted tail).
 * Leading zeros in IPv4 are refused, since readers disagree whether they are octal; so are zones (`%eth0`).
 * @throws AddressError
 */
export function parseIp(text: string): Ip {
  if (text.includes(":")) return { family: 6, bytes: parse6(text) };
  return { family: 4, bytes: parse4(text, text) };
}

/** Like {@link parseIp}, but undefined for text that is no address. */
export function tryParseIp(text: string): Ip | undefined {
  try {
    return parseIp(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

function parse4(text: string, whole: string): Uint8Array {
  const number = ip4Number(text);
  if (number !== undefined) return ip4OfNumber(number).bytes;
  const parts = text.split(".");
  if (parts.length !== 4) throw new AddressError(whole, "not an IP address (wanted four numbers, such as 10.244.1.2)");
  return Uint8Array.from(parts, (part) => octet(part, whole));
}

/** A dotted IPv4 address as a number of 32 bits, undefined for all else. Nothing is made: for very many of them. */
export function ip4Number(text: string): number | undefined {
  let number = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (digits === 0 || octet > 255 || ++dots > 3) return undefined;
      number = number * 256 + octet;
      octet = digits = 0;
    } else {
      if (code < 48 || code > 57 || digits === 3 || (digits > 0 && octet === 0)) return undefined;
      octet = octet * 10 + code - 48;
      digits++;
    }
  }
  return dots === 3 && digits > 0 && octet <= 255 ? number * 256 + octet : undefined;
}

/** The address of an {@link ip4Number}. */
export function ip4OfNumber(number: number): Ip {
  const bytes = new Uint8Array(4);
  bytes[0] = number >>> 24;
  bytes[1] = number >>> 16;
  bytes[2] = number >>> 8;
  bytes[3] = number;
  return { family: 4, bytes };
}

function octet(part: string, whole: string): number {
  if (!/^\d{1,3}$/.test(part)) throw new AddressError(whole, `not an IP address ("${part}" is not a number 0-255)`);
  if (part.length > 1 && part.startsWith("0")) throw new AddressError(whole, `number "${part}" has a leading zero`);
  const value = Number(part);
  if (value > 255) throw new AddressError(whole, `number ${part} is above 255`);
  return value;
}

function parse6(text: string): Uint8Array {
  if (text.includes("%")) throw new AddressError(text, "an address with a zone is not accepted here");
  const halves = text.split("::");
  if (halves.length > 2) throw new AddressError(text, 'more than one "::"');
  const head = groups6(halves[0] ?? "", text, halves.length === 1);
  const tail = halves.length === 2 ? groups6(halves[1] ?? "", text, true) : [];
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) {
    throw new AddressError(text, "not an IPv6 address (wanted eight groups of hexadecimal digits)");
  }
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function groups6(text: string, whole: string, isTail: boolean): number[] {
  if (text === "") return [];
  const parts = text.split(":");
  return parts.flatMap((part, at) => {
    if (isTail && at === parts.length - 1 && part.includes(".")) return [...parse4(part, whole)];
    if (!/^[0-9a-fA-F]{1,4}$/.test(part))
      throw new AddressError(whole, `group "${part}" is not 1-4 hexadecimal digits`);
    const value = Number.parseInt(part, 16);
    return [value >> 8, value & 0xff];
  });
}

/** Canonical text of an address; IPv6 as RFC 5952 (lower case, longest run of zeros as `::`). */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) return ip.bytes.join(".");
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((ip.bytes[i] ?? 0) << 8) | (ip.bytes[i + 1] ?? 0));
  const mapped = groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff;
  if (mapped) return `::ffff:${ip.bytes.subarray(12).join(".")}`;
  const run = longestZeroRun(groups);
  const hex = (from: number, to?: number) =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(":");
  return run.length < 2 ? hex(0) : `${hex(0, run.start)}::${hex(run.start + run.length)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/**
 * Reads `address/prefix`. Host bits may be set (an interface address); see {@link parseNetwork}.
 * @throws AddressError
 */
export function parseCidr(text: string): Cidr {
  const slash = text.indexOf("/");
  if (slash < 0) throw new AddressError(text, "no prefix length (wanted address/prefix, such as 10.244.0.0/16)");
  const length = text.slice(slash + 1);
  let ip: Ip;
  try {
    ip = parseIp(text.slice(0, slash));
  } catch (error) {
    throw error instanceof AddressError ? new AddressError(text, error.message) : error;
  }
  const max = familyBits(ip.family);
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > max) {
    throw new AddressError(text, `prefix length "${length}" is not a number 0-${max}`);
  }
  return { ip, prefix: Number(length) };
}

/**
 * Reads a CIDR that names a network: host bits must be zero.
 * @throws AddressError naming the network that was probably meant
 */
export function parseNetwork(text: string): Cidr {
  const cidr = parseCidr(text);
  const base = cidrBase(cidr);
  if (!ipEquals(base, cidr.ip)) {
    throw new AddressError(text, `host bits are set; the network is ${formatIp(base)}/${cidr.prefix}`);
  }
  return cidr;
}

/** `address/prefix` with the address as it stands (host bits kept). */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.ip)}/${cidr.prefix}`;
}

/** The address as an unsigned number. */
export function ipToBigInt(ip: Ip): bigint {
  let value = 0n;
  for (const byte of ip.bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/** The address of a number; the number is taken modulo the family's size. */
export function ipFromBigInt(family: 4 | 6, value: bigint): Ip {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = BigInt.asUintN(familyBits(family), value);
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { family, bytes };
}

/** Same family and bytes. */
export function ipEquals(a: Ip, b: Ip): boolean {
  return compareIp(a, b) === 0;
}

/** Order for sorting: IPv4 before IPv6, then by number. */
export function compareIp(a: Ip, b: Ip): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.bytes.length; i++) {
    const difference = (a.bytes[i] ?? 0) - (b.bytes[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The address `count` (may be negative) after this one, wrapping at the end of the family. */
export function ipAdd(ip: Ip, count: number | bigint): Ip {
  return ipFromBigInt(ip.family, ipToBigInt(ip) + BigInt(count));
}

/** First address of a network: all host bits zero. */
export function cidrBase(cidr: Cidr): Ip {
  const bytes = Uint8Array.from(cidr.ip.bytes, (byte, i) => byte & byteMask(cidr.prefix, i));
  return { family: cidr.ip.family, bytes };
}

/** Last address of a network: all host bits one (the broadcast address in IPv4). */
export function cidrLast(cidr: Cidr): Ip {
  const bytes = Uint8Array.from(cidr.ip.bytes, (byte, i) => byte | (~byteMask(cidr.prefix, i) & 0xff));
  return { family: cidr.ip.family, bytes };
}

/** The network itself: the CIDR with host bits cleared. */
export function cidrNetwork(cidr: Cidr): Cidr {
  return { ip: cidrBase(cidr), prefix: cidr.prefix };
}

/** Number of addresses, first and last included. */
export function cidrSize(cidr: Cidr): bigint {
  return 1n << BigInt(familyBits(cidr.ip.family) - cidr.prefix);
}

/** Netmask as an address, such as 255.255.255.0. */
export function cidrMask(cidr: Cidr): Ip {
  const bytes = Uint8Array.from(cidr.ip.bytes, (_, i) => byteMask(cidr.prefix, i));
  return { family: cidr.ip.family, bytes };
}

function byteMask(prefix: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefix - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}

/** Whether the address, or every address of the network `inner`, lies in `outer`. False across families. */
export function cidrContains(outer: Cidr, inner: Ip | Cidr): boolean {
  const ip = "ip" in inner ? inner.ip : inner;
  const prefix = "ip" in inner ? inner.prefix : familyBits(inner.family);
  if (ip.family !== outer.ip.family || prefix < outer.prefix) return false;
  return ip.bytes.every((byte, i) => ((byte ^ (outer.ip.bytes[i] ?? 0)) & byteMask(outer.prefix, i)) === 0);
}

/** Whether two networks share an address. Networks overlap only when one contains the other. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.prefix <= b.prefix ? cidrContains(a, b) : cidrContains(b, a);
}

/**
 * The `n`-th address of a network (0 = base); negative counts from the end (−1 = last).
 * @throws RangeError when the network has no such address
 */
export function cidrNth(cidr: Cidr, n: number | bigint): Ip {
  const size = cidrSize(cidr);
  const index = BigInt(n) < 0n ? size + BigInt(n) : BigInt(n);
  if (index < 0n || index >= size) throw new RangeError(`${formatCidr(cidr)} has no address number ${n}`);
  return ipAdd(cidrBase(cidr), index);
}

/**
 * The `n`-th network of length `prefix` in `cidr`, as used for handing node subnets out of a pod CIDR.
 * @throws RangeError when `prefix` is too short or there is no such subnet
 */
export function cidrSubnet(cidr: Cidr, prefix: number, n: number): Cidr {
  const bits = familyBits(cidr.ip.family);
  const count = 1n << BigInt(Math.max(0, prefix - cidr.prefix));
  if (prefix < cidr.prefix || prefix > bits || n < 0 || BigInt(n) >= count) {
    throw new RangeError(`${formatCidr(cidr)} has no /${prefix} number ${n}`);
  }
  return { ip: ipAdd(cidrBase(cidr), BigInt(n) << BigInt(bits - prefix)), prefix };
}

/** Whether an address's text is one of loopback: 127.0.0.0/8, ::1. Throws as parseIp. */
export function isLoopback(text: string): boolean {
  const { bytes } = parseIp(text);
  return bytes.length === 4 ? bytes[0] === 127 : formatIp(parseIp(text)) === "::1";
}
