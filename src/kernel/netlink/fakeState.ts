import { cidrContains, cidrNetwork, formatCidr, parseCidr, parseIp } from "#base/ip.ts";
import { RT } from "./constants.ts";
import type { LinkRef } from "./driver.ts";
import type { Address, FdbEntry, KernelRoute, Link, Neighbour, Route } from "./model.ts";

/** A device of a fake namespace, with what hangs on it. */
export interface FakeLink {
  link: Link;
  readonly addresses: string[];
  readonly neighbours: Map<string, Neighbour>;
  readonly fdb: Map<string, FdbEntry>;
  /** The other end of a veth pair. */
  peer?: { readonly namespace: FakeNamespace; readonly index: number };
}

/** Errno values that the kernel answers with (include/uapi/asm-generic/errno-base.h). */
export const ERRNO = {
  ENOENT: 2,
  ESRCH: 3,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  EHOSTUNREACH: 113,
  EADDRNOTAVAIL: 99,
} as const;

/** A refused operation of the fake. */
export class Refusal extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** The state of one fake namespace. It holds what operations made; routes that a kernel adds by itself are not kept. */
export class FakeNamespace {
  readonly links = new Map<number, FakeLink>();
  readonly routes: KernelRoute[] = [];
  /** The descriptor that stands for it. */
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
    this.add({ index: 1, name: "lo", mtu: 65_536, mac: "00:00:00:00:00:00", kind: { type: "other", name: "" } });
  }

  /** Puts a device in; the index is the next free one when it is 0. @throws Refusal EEXIST */
  add(settings: Pick<Link, "index" | "name" | "mtu" | "kind"> & Partial<Link>): FakeLink {
    const index = settings.index || Math.max(0, ...this.links.keys()) + 1;
    if (this.links.has(index) || this.find({ name: settings.name })) throw new Refusal(ERRNO.EEXIST);
    const defaults = {
      altNames: [],
      up: false,
      carrier: false,
      operState: "down" as const,
      promiscuous: false,
      master: 0,
      group: 0,
      lower: 0,
    };
    const made: FakeLink = {
      link: { ...defaults, ...settings, index },
      addresses: [],
      neighbours: new Map(),
      fdb: new Map(),
    };
    this.links.set(index, made);
    return made;
  }

  find(ref: LinkRef): FakeLink | undefined {
    if ("index" in ref) return this.links.get(ref.index);
    return [...this.links.values()].find(({ link }) => link.name === ref.name || link.altNames.includes(ref.name));
  }

  /** @throws Refusal ENODEV */
  get(index: number): FakeLink {
    const found = this.links.get(index);
    if (!found) throw new Refusal(ERRNO.ENODEV);
    return found;
  }

  update(index: number, changes: Partial<Link>): void {
    const found = this.get(index);
    found.link = { ...found.link, ...changes };
  }

  /** Removes a device with all that hangs on it, and the other end of its pair. */
  remove(index: number): void {
    const { peer } = this.get(index);
    this.links.delete(index);
    this.dropRoutes(index);
    for (const { link } of this.links.values()) if (link.master === index) this.update(link.index, { master: 0 });
    if (peer?.namespace.links.has(peer.index)) peer.namespace.remove(peer.index);
  }

  /** Routes by a device go with it, and when it goes down. */
  dropRoutes(index: number): void {
    const kept = this.routes.filter((route) => route.index !== index);
    this.routes.splice(0, this.routes.length, ...kept);
  }

  addAddress({ index, address }: Address): void {
    const { addresses } = this.get(index);
    const canonical = formatCidr(parseCidr(address));
    if (addresses.includes(canonical)) throw new Refusal(ERRNO.EEXIST);
    addresses.push(canonical);
  }

  removeAddress({ index, address }: Address): void {
    const { addresses } = this.get(index);
    const at = addresses.indexOf(formatCidr(parseCidr(address)));
    if (at < 0) throw new Refusal(ERRNO.EADDRNOTAVAIL);
    addresses.splice(at, 1);
  }

  addRoute(route: Route, replace: boolean): void {
    const index = this.#checkedDevice(route);
    const v6 = route.dst.includes(":");
    const made: KernelRoute = {
      dst: route.dst,
      ...(route.via === undefined ? {} : { via: route.via }),
      ...(index === undefined ? {} : { index }),
      ...(route.onlink ? { onlink: true } : {}),
      ...(route.source === undefined ? {} : { source: route.source }),
      metric: route.metric ?? (v6 ? 1024 : 0),
      table: route.table ?? RT.TABLE_MAIN,
      protocol: route.protocol ?? 0x70,
      type: route.type ?? "unicast",
    };
    const at = this.routes.findIndex((other) => sameRoute(other, made));
    if (at >= 0 && !replace) throw new Refusal(ERRNO.EEXIST);
    if (at >= 0) this.routes[at] = made;
    else this.routes.push(made);
  }

  removeRoute(route: Route): void {
    const at = this.routes.findIndex(
      (other) =>
        other.dst === route.dst &&
        other.table === (route.table ?? RT.TABLE_MAIN) &&
        (route.via === undefined || other.via === route.via) &&
        (route.index === undefined || other.index === route.index) &&
        (route.metric === undefined || other.metric === route.metric),
    );
    if (at < 0) throw new Refusal(ERRNO.ESRCH);
    this.routes.splice(at, 1);
  }

  /** The device of a route: the one given, which must be up, else the one whose address's network has the gateway. */
  #checkedDevice(route: Route): number | undefined {
    if (route.index !== undefined) {
      const { link } = this.get(route.index);
      if (!link.up) throw new Refusal(ERRNO.ENETDOWN);
    }
    if (route.via === undefined || (route.onlink && route.index !== undefined)) return route.index;
    const via = parseIp(route.via);
    const reached = [...this.links.values()].find(
      ({ link, addresses }) =>
        link.up &&
        (route.index === undefined || route.index === link.index) &&
        addresses.some((address) => cidrContains(cidrNetwork(parseCidr(address)), via)),
    );
    if (!reached) throw new Refusal(via.family === 4 ? ERRNO.ENETUNREACH : ERRNO.EHOSTUNREACH);
    return reached.link.index;
  }
}

/** The kernel holds one route for a destination, metric and table. */
function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return a.dst === b.dst && a.metric === b.metric && a.table === b.table;
}
