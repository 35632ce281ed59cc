import {
  type Cidr,
  cidrContains,
  cidrNth,
  cidrSize,
  formatIp,
  type Ip,
  ipToBigInt,
  parseCidr,
  parseIp,
} from "#base/ip.ts";
import { unavailable } from "./errors.ts";
import type { ServiceAllocator } from "./kinds/definition.ts";
import type { Entry, Store } from "./store/index.ts";

/** The ranges that Services get addresses and ports from. */
export interface ServiceRanges {
  /** One range, or two of different families; the first family is the default. */
  readonly cidrs: readonly string[];
  /** First and last node port. */
  readonly nodePorts: readonly [number, number];
}

interface Range {
  readonly family: "IPv4" | "IPv6";
  readonly cidr: Cidr;
  readonly text: string;
  /** Addresses that can be given out: all but the first and, in IPv4, the last. */
  readonly size: number;
}

/**
 * Gives out Service addresses and node ports. What is taken is read off the stored Services as they change, so a
 * refused or dry-run write leaves nothing to give back. Addresses from the lower band are left for those who choose
 * their own (KEP-3070, KEP-3668).
 */
export class StoreAllocator implements ServiceAllocator {
  readonly families: readonly ("IPv4" | "IPv6")[];
  readonly #ranges: readonly Range[];
  readonly #ports: readonly [number, number];
  readonly #store: Store;
  #seen = -1;
  #ips = new Map<string, string>();
  #portOwners = new Map<string, string>();

  constructor(store: Store, ranges: ServiceRanges) {
    this.#store = store;
    this.#ports = ranges.nodePorts;
    this.#ranges = ranges.cidrs.map(rangeOf);
    this.families = this.#ranges.map((r) => r.family);
  }

  allocateIp(family: "IPv4" | "IPv6"): string {
    this.#refresh();
    const range = this.#ranges.find((r) => r.family === family);
    if (!range) throw unavailable(`failed to allocate a serviceIP: no ${family} range is configured`);
    const reserved = Math.min(Math.max(16, Math.floor(range.size / 16)), 256);
    const band = range.size > reserved ? reserved : 0;
    const offset =
      pick(band, range.size, (n) => !this.#ips.has(formatIp(cidrNth(range.cidr, n + 1)))) ??
      pick(0, band, (n) => !this.#ips.has(formatIp(cidrNth(range.cidr, n + 1))));
    if (offset === undefined) throw unavailable("failed to allocate a serviceIP: range is full");
    return formatIp(cidrNth(range.cidr, offset + 1));
  }

  ipProblem(text: string, owner: string): string | undefined {
    this.#refresh();
    const ip = parseIp(text);
    const range = this.#ranges.find((r) => r.cidr.ip.family === ip.family);
    if (!range || !this.#inRange(range, ip)) {
      return `the provided IP (${text}) is not in the valid range. The range of valid IPs is ${range?.text ?? this.#ranges[0]?.text}`;
    }
    const holder = this.#ips.get(formatIp(ip));
    return holder === undefined || holder === owner ? undefined : "provided IP is already allocated";
  }

  allocatePort(taken: ReadonlySet<number>): number {
    this.#refresh();
    const [first, last] = this.#ports;
    const size = last - first + 1;
    const band = size > 16 ? Math.min(Math.max(16, Math.floor(size / 32)), 128) : 0;
    const free = (n: number) =>
      !taken.has(first + n) && !["TCP", "UDP", "SCTP"].some((p) => this.#portOwners.has(`${p}/${first + n}`));
    const offset = pick(band, size, free) ?? pick(0, band, free);
    if (offset === undefined) throw unavailable("failed to allocate a nodePort: range is full");
    return first + offset;
  }

  portProblem(port: number, protocol: string, owner: string): string | undefined {
    this.#refresh();
    const [first, last] = this.#ports;
    if (port < first || port > last)
      return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    const holder = this.#portOwners.get(`${protocol}/${port}`);
    return holder === undefined || holder === owner ? undefined : "provided port is already allocated";
  }

  #inRange(range: Range, ip: Ip): boolean {
    if (!cidrContains(range.cidr, ip)) return false;
    const offset = ipToBigInt(ip) - ipToBigInt(cidrNth(range.cidr, 0));
    return offset >= 1n && offset <= BigInt(range.size);
  }

  /** Reads the Services again when one of them changed. */
  #refresh(): void {
    const revision = this.#store.collectionRevision("services");
    if (revision === this.#seen) return;
    const changes = this.#seen < 0 ? undefined : this.#store.changesSince("services", this.#seen);
    this.#seen = revision;
    if (!changes) {
      this.#ips = new Map();
      this.#portOwners = new Map();
      for (const entry of this.#store.list("services")) this.#take(entry);
      return;
    }
    for (const change of changes) {
      if (change.previous) this.#giveBack(change.previous);
      if (change.type !== "DELETED") this.#take(change.entry);
    }
  }

  #take(entry: Entry): void {
    const { ips, ports } = heldBy(entry);
    for (const ip of ips) this.#ips.set(ip, entry.key);
    for (const port of ports) this.#portOwners.set(port, entry.key);
  }

  #giveBack(entry: Entry): void {
    const { ips, ports } = heldBy(entry);
    for (const ip of ips) this.#ips.delete(ip);
    for (const port of ports) this.#portOwners.delete(port);
  }
}

function heldBy(entry: Entry): { ips: string[]; ports: string[] } {
  const spec = (entry.object.spec ?? {}) as {
    clusterIPs?: string[];
    ports?: { nodePort?: number; protocol?: string }[];
  };
  return {
    ips: (spec.clusterIPs ?? []).filter((ip) => ip !== "None"),
    ports: (spec.ports ?? []).flatMap((p) => (p.nodePort ? [`${p.protocol ?? "TCP"}/${p.nodePort}`] : [])),
  };
}

function rangeOf(text: string): Range {
  const cidr = parseCidr(text);
  const family = cidr.ip.family === 4 ? "IPv4" : "IPv6";
  // Larger ranges are used up to this many addresses, as upstream's bitmaps were.
  const total = cidrSize(cidr);
  const usable = Number(total > 2n ** 20n ? 2n ** 20n : total) - (family === "IPv4" ? 2 : 1);
  return { family, cidr, text, size: Math.max(usable, 0) };
}

/** A free number in [from, to): a few random tries, then the first free one. */
function pick(from: number, to: number, free: (n: number) => boolean): number | undefined {
  if (to <= from) return undefined;
  for (let attempt = 0; attempt < 16; attempt++) {
    const n = from + Math.floor(Math.random() * (to - from));
    if (free(n)) return n;
  }
  for (let n = from; n < to; n++) if (free(n)) return n;
  return undefined;
}
