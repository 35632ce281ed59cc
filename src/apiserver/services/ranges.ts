import { type Cidr, cidrContains, cidrNth, cidrSize, formatIp, type Ip, ipToBigInt, parseCidr } from "#base/ip.ts";

/** Names of address families in the API. */
export type Family = "IPv4" | "IPv6";

/** Addresses of one network that can be given to Services. */
export interface Range {
  readonly family: Family;
  readonly cidr: Cidr;
  readonly text: string;
  /** How many can be given out: all but the first and, in IPv4, the last. */
  readonly size: number;
  /** So many of the lowest are left for those who choose their own (KEP-3070). */
  readonly band: number;
}

/** Larger networks are used up to this many addresses. */
const largest = 2n ** 20n;

/** The addresses of a network. */
export function rangeOf(text: string): Range {
  const cidr = parseCidr(text);
  const family = cidr.ip.family === 4 ? "IPv4" : "IPv6";
  const total = Number(cidrSize(cidr) > largest ? largest : cidrSize(cidr));
  const size = Math.max(total - (family === "IPv4" ? 2 : 1), 0);
  const band = total <= 16 ? 0 : Math.min(Math.max(16, Math.floor(total / 16)), 256);
  return { family, cidr, text, size, band };
}

/** The n-th address that can be given out, from 0. */
export function addressAt(range: Range, n: number): string {
  return formatIp(cidrNth(range.cidr, n + 1));
}

/** Whether the network holds an address, be it usable or not. */
export function holds(range: Range, ip: Ip): boolean {
  return range.cidr.ip.family === ip.family && cidrContains(range.cidr, ip);
}

/** Whether an address is neither the network's own nor its broadcast address. */
export function isUsable(range: Range, ip: Ip): boolean {
  const offset = ipToBigInt(ip) - ipToBigInt(cidrNth(range.cidr, 0));
  const last = cidrSize(range.cidr) - (range.family === "IPv4" ? 2n : 1n);
  return offset >= 1n && offset <= last;
}

/** A free number in [from, to): a few random tries, then the first free one. */
export function pick(from: number, to: number, free: (n: number) => boolean): number | undefined {
  if (to <= from) return undefined;
  for (let attempt = 0; attempt < 16; attempt++) {
    const n = from + Math.floor(Math.random() * (to - from));
    if (free(n)) return n;
  }
  for (let n = from; n < to; n++) if (free(n)) return n;
  return undefined;
}
