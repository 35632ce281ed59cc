import { formatIp, tryParseIp } from "#base/ip.ts";
import { internal } from "../errors.ts";
import type { ServiceAllocator } from "../kinds/definition.ts";
import type { Store } from "../store/index.ts";
import { addressesOf, Held, nodePortsOf, parentOf } from "./held.ts";
import { addressAt, type Family, holds, isUsable, pick, type Range, rangeOf } from "./ranges.ts";

/** The ranges that Services get addresses and ports from. */
export interface ServiceRanges {
  /** One range, or two of different families; the first family is the default. ServiceCIDRs may add further ones. */
  readonly cidrs: readonly string[];
  /** First and last node port. */
  readonly nodePorts: readonly [number, number];
}

const serviceCidrs = "servicecidrs.networking.k8s.io";
const ipAddresses = "ipaddresses.networking.k8s.io";
const protocols = ["TCP", "UDP", "SCTP"] as const;

/**
 * Gives out Service addresses, from the ServiceCIDRs that are ready, and node ports. What is taken is read off the
 * stored Services and IPAddresses. The lower bands are left for those who choose their own (KEP-3070, KEP-3668).
 */
export class StoreAllocator implements ServiceAllocator {
  readonly families: readonly Family[];
  readonly #ports: readonly [number, number];
  readonly #store: Store;
  readonly #ips: Held;
  readonly #reserved: Held;
  readonly #portOwners: Held;
  #ranges: { readonly revision: number; readonly ready: readonly Range[] } = { revision: -1, ready: [] };

  constructor(store: Store, ranges: ServiceRanges) {
    this.#store = store;
    this.#ports = ranges.nodePorts;
    this.families = ranges.cidrs.map((text) => rangeOf(text).family);
    this.#ips = new Held(store, "services", ({ key, object }) => addressesOf(object).map((ip) => [ip, key]));
    this.#portOwners = new Held(store, "services", ({ key, object }) => nodePortsOf(object).map((port) => [port, key]));
    this.#reserved = new Held(store, ipAddresses, ({ key, object }) => [[key, parentOf(object)]]);
  }

  allocateIp(family: Family): string {
    const ranges = this.#ready().filter((range) => range.family === family);
    for (const range of ranges) {
      const free = (n: number) => {
        const text = addressAt(range, n);
        return !this.#ips.has(text) && !this.#reserved.has(text);
      };
      const n = pick(range.band, range.size, free) ?? pick(0, range.band, free);
      if (n !== undefined) return addressAt(range, n);
    }
    throw internal("failed to allocate a serviceIP: range is full");
  }

  ipProblem(text: string, owner: string): string | undefined {
    const ip = tryParseIp(text);
    const range = ip && this.#ready().find((one) => holds(one, ip));
    if (!ip || !range) return "the provided network does not match the current range";
    if (!isUsable(range, ip))
      return `the provided IP (${text}) is not in the valid range. The range of valid IPs is ${range.text}`;
    const name = formatIp(ip);
    const taken = this.#ips.byOther(name, owner) || this.#reserved.byOther(name, owner);
    return taken ? "provided IP is already allocated" : undefined;
  }

  allocatePort(taken: ReadonlySet<number>): number {
    const [first, last] = this.#ports;
    const size = last - first + 1;
    const band = size > 16 ? Math.min(Math.max(16, Math.floor(size / 32)), 128) : 0;
    const free = (n: number) =>
      !taken.has(first + n) && !protocols.some((protocol) => this.#portOwners.has(`${protocol}/${first + n}`));
    const offset = pick(band, size, free) ?? pick(0, band, free);
    if (offset === undefined) throw internal("failed to allocate a nodePort: range is full");
    return first + offset;
  }

  portProblem(port: number, protocol: string, owner: string): string | undefined {
    const [first, last] = this.#ports;
    if (port < first || port > last)
      return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    return this.#portOwners.byOther(`${protocol}/${port}`, owner) ? "provided port is already allocated" : undefined;
  }

  /** The ranges that addresses are given out from; read again when a ServiceCIDR has changed. */
  #ready(): readonly Range[] {
    const revision = this.#store.collectionRevision(serviceCidrs);
    if (revision === this.#ranges.revision) return this.#ranges.ready;
    const ready = this.#store.list(serviceCidrs).flatMap(({ object }) => {
      const { cidrs = [] } = (object.spec ?? {}) as { cidrs?: readonly string[] };
      return isReady(object) ? cidrs.map(rangeOf) : [];
    });
    this.#ranges = { revision, ready };
    return ready;
  }
}

/** A ServiceCIDR that says nothing of itself is ready: its controller may not be running. */
function isReady({ metadata, status }: { metadata: { deletionTimestamp?: string }; status?: unknown }): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly { type: string; status: string }[] };
  return conditions.find(({ type }) => type === "Ready")?.status !== "False";
}
