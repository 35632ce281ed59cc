import type { Origin } from "#base/origin.ts";
import type { Address, FdbEntry, KernelRoute, Link, Neighbour, Operation, Route } from "./model.ts";

/** Names a device for a query. */
export type LinkRef = { readonly name: string } | { readonly index: number };

/** Typed route netlink of one network namespace; all calls are synchronous. */
export interface Rtnetlink {
  /** Which API object each route, neighbour, FDB entry, address and device made here comes from. */
  readonly origins: OriginIndex;
  /**
   * Applies the operations in order, up to 256 in one send. A refused one does not stop the others.
   * @throws NetlinkError whose `index` is the first refused operation's
   */
  apply(operations: readonly Operation[]): void;
  /** Records the origins of what the kernel has already, as if it had been applied: for a process that begins anew. */
  adopt(operations: readonly Operation[]): void;
  /** All devices. */
  links(): Link[];
  /** One device by name (alternative names too) or index; undefined when there is none. */
  link(ref: LinkRef): Link | undefined;
  /** Addresses of one device, or of all. */
  addresses(index?: number): Address[];
  /** IPv6 multicast groups that a device listens to. */
  groups(index: number): string[];
  /** Routes, of all tables but the local one unless a table is asked for; the kernel's clones are left out. */
  routes(filter?: { readonly table?: number; readonly protocol?: number; readonly index?: number }): KernelRoute[];
  /** Neighbours of one device, or of all; entries without use (multicast, NOARP) included. */
  neighbours(index?: number): Neighbour[];
  /** Forwarding tables of one device, or of all. */
  fdb(index?: number): FdbEntry[];
  close(): void;
}

/** Gives back the origin of what was made; see {@link Rtnetlink.origins}. */
export interface OriginIndex {
  /** Origin of a route, by destination, table and metric. */
  route(route: Route): Origin | undefined;
  /** Origin of a neighbour, by device and address. */
  neighbour(entry: Pick<Neighbour, "index" | "ip">): Origin | undefined;
  /** Origin of a forwarding entry, by device and MAC address. */
  fdb(entry: Pick<FdbEntry, "index" | "mac">): Origin | undefined;
  /** Origin of an address. */
  address(address: Address): Origin | undefined;
  /** Origin of a device, by index. */
  link(index: number): Origin | undefined;
}
