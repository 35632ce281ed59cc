import {
  type Cidr,
  cidrBase,
  cidrContains,
  cidrLast,
  cidrNth,
  cidrSize,
  cidrsOverlap,
  compareIp,
  formatCidr,
  formatIp,
  type Ip,
  ipAdd,
  ipEquals,
  parseIp,
  parseNetwork,
} from "#base/ip.ts";
import { isObject, type Json, type JsonObject } from "../../config/json.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";

/** Addresses from `first` to `last` of a subnet, both included; the gateway is never given out. */
export interface Range {
  readonly subnet: Cidr;
  readonly first: Ip;
  readonly last: Ip;
  readonly gateway: Ip;
}

/** Ranges of one family; one address is taken from each set. */
export type RangeSet = readonly [Range, ...Range[]];

/**
 * The range sets of an `ipam` section: `ranges`, and the older `subnet`, `rangeStart`, `rangeEnd`, `gateway` before it.
 * @throws CniError INVALID_CONFIG
 */
export function parseRangeSets(ipam: JsonObject): RangeSet[] {
  const sets: RangeSet[] = [];
  if (ipam.subnet !== undefined) sets.push([parseRange(ipam)]);
  if (ipam.ranges !== undefined) {
    if (!Array.isArray(ipam.ranges)) throw invalid("ranges is not a list of lists");
    for (const set of ipam.ranges as Json[]) sets.push(parseSet(set));
  }
  if (sets.length === 0) throw invalid("no IP ranges specified");
  refuseOverlaps(sets);
  return sets;
}

function invalid(reason: string): CniError {
  return new CniError(CNI_ERROR.INVALID_CONFIG, `ipam: ${reason}`);
}

function parseSet(value: Json): RangeSet {
  const [first, ...rest] = Array.isArray(value) ? (value as Json[]).map(parseRange) : [];
  if (!first) throw invalid("a range set is not a list of at least one range");
  if (rest.some((range) => range.subnet.ip.family !== first.subnet.ip.family)) {
    throw invalid("mixed address families in one range set");
  }
  return [first, ...rest];
}

function parseRange(value: Json): Range {
  if (!isObject(value) || typeof value.subnet !== "string") throw invalid("a range has no subnet");
  const subnet = parsed(value.subnet, parseNetwork);
  if (cidrSize(subnet) < 4n) throw invalid(`network ${formatCidr(subnet)} is too small to allocate from`);
  const inside = (key: string, fallback: Ip): Ip => {
    const text = value[key];
    if (text === undefined || text === "") return fallback;
    const ip = parsed(String(text), parseIp);
    if (!cidrContains(subnet, ip)) throw invalid(`${key} ${formatIp(ip)} is not in ${formatCidr(subnet)}`);
    return ip;
  };
  // IPv4's last address is the broadcast one.
  const end = subnet.ip.family === 4 ? cidrNth(subnet, -2) : cidrLast(subnet);
  const gateway = value.gateway ? parsed(String(value.gateway), parseIp) : cidrNth(subnet, 1);
  const range: Range = {
    subnet,
    first: inside("rangeStart", cidrNth(subnet, 1)),
    last: inside("rangeEnd", end),
    gateway,
  };
  if (compareIp(range.first, range.last) > 0) throw invalid(`rangeStart is after rangeEnd in ${formatCidr(subnet)}`);
  if (ipEquals(range.first, cidrBase(subnet)))
    throw invalid(`rangeStart is the network address of ${formatCidr(subnet)}`);
  return range;
}

function parsed<T>(text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function refuseOverlaps(sets: readonly RangeSet[]): void {
  const all = sets.flat();
  all.forEach((a, i) => {
    for (const b of all.slice(i + 1)) {
      const apart = compareIp(a.last, b.first) < 0 || compareIp(b.last, a.first) < 0;
      if (cidrsOverlap(a.subnet, b.subnet) && !apart) {
        throw invalid(`ranges ${rangeText(a)} and ${rangeText(b)} overlap`);
      }
    }
  });
}

/** `10.244.1.1-10.244.1.254`. */
export function rangeText(range: Range): string {
  return `${formatIp(range.first)}-${formatIp(range.last)}`;
}

/** Whether the range may give the address out. */
export function rangeHas(range: Range, ip: Ip): boolean {
  return (
    ip.family === range.first.family &&
    compareIp(ip, range.first) >= 0 &&
    compareIp(ip, range.last) <= 0 &&
    !ipEquals(ip, range.gateway)
  );
}

/**
 * All addresses of a set, beginning after `last` (the one given out last) and going round once. Addresses come back
 * into use as late as possible, so that a peer's stale state does not meet a new container.
 */
export function* candidates(set: RangeSet, last: Ip | undefined): Generator<{ ip: Ip; range: Range }> {
  const start = last === undefined ? -1 : set.findIndex((range) => rangeHas(range, last));
  const from = set[Math.max(0, start)] ?? set[0];
  const begin = start >= 0 && last ? ipAdd(last, 1) : from.first;
  yield* between(from, begin, from.last);
  for (let i = 1; i < set.length; i++) {
    const range = set[(Math.max(0, start) + i) % set.length] ?? set[0];
    yield* between(range, range.first, range.last);
  }
  if (start >= 0 && last) yield* between(from, from.first, last);
}

function* between(range: Range, first: Ip, last: Ip): Generator<{ ip: Ip; range: Range }> {
  for (let ip = first; compareIp(ip, last) <= 0; ip = ipAdd(ip, 1)) {
    if (rangeHas(range, ip)) yield { ip, range };
    if (ipEquals(ip, last)) return;
  }
}
