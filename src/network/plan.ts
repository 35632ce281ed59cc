import { type Cidr, cidrBase, cidrContains, formatCidr, formatIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import type { AddFdb, AddNeighbour, AddRoute, Operation } from "#kernel/netlink/index.ts";
import type { Lease } from "./model.ts";

/** What the kernel holds for another node. */
export type Entry = AddNeighbour | AddFdb | AddRoute;

/** What a node's own side of the plan depends on. */
export interface Place {
  readonly nodeName: string;
  /** Index of the tunnel device of each family; a family without one is left out. */
  readonly devices: Readonly<Partial<Record<4 | 6, number>>>;
  /** Index of the interface towards the other nodes. */
  readonly external: number;
  /** Networks that are reached without a router, when direct routing is wanted. */
  readonly direct: readonly Cidr[];
}

/**
 * What the kernel should hold so that pods here reach the pods of other nodes: for each node a neighbour, where its
 * tunnel device has its MAC address, a forwarding entry from that to the node's address, and a route to its subnet.
 *
 * ```
 * 10.244.2.5 ─route→ via 10.244.2.0 dev flannel.1 onlink ─neighbour→ aa:bb:… ─fdb→ 192.168.1.12
 * ```
 */
export function planEntries(leases: readonly Lease[], place: Place): Entry[] {
  return leases.flatMap((lease): Entry[] => {
    const index = place.devices[lease.family];
    if (lease.node === place.nodeName || index === undefined) return [];
    const origin: Origin = { kind: "Node", name: lease.node, field: "spec.podCIDR" };
    const dst = formatCidr(lease.subnet);
    const publicIp = formatIp(lease.publicIp);
    if (place.direct.some((network) => cidrContains(network, lease.publicIp))) {
      return [{ op: "add-route", dst, via: publicIp, index: place.external, replace: true, origin }];
    }
    const via = formatIp(cidrBase(lease.subnet));
    return [
      { op: "add-neighbour", index, ip: via, mac: lease.vtepMac, origin },
      { op: "add-fdb", index, mac: lease.vtepMac, dst: publicIp, origin },
      { op: "add-route", dst, via, index, onlink: true, replace: true, origin },
    ];
  });
}

/** What an entry is about; two entries of the same key cannot both be in the kernel. */
export function entryKey(entry: Entry): string {
  switch (entry.op) {
    case "add-neighbour":
      return `neighbour ${entry.index} ${entry.ip}`;
    case "add-fdb":
      return `fdb ${entry.index} ${entry.mac}`;
    case "add-route":
      return `route ${entry.dst}`;
  }
}

/** Whether the kernel's side of two entries is the same; origins are not compared. */
export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.op === "add-neighbour" && b.op === "add-neighbour") return a.mac === b.mac;
  if (a.op === "add-fdb" && b.op === "add-fdb") return a.dst === b.dst;
  if (a.op === "add-route" && b.op === "add-route") {
    return a.via === b.via && a.index === b.index && (a.onlink ?? false) === (b.onlink ?? false);
  }
  return false;
}

const order = { "add-neighbour": 0, "add-fdb": 1, "add-route": 2 } as const;

/**
 * Operations in an order in which no packet gets lost: first what routes rely on, then routes; removals the other way
 * round, after the additions.
 */
export function orderedOperations(put: readonly Entry[], remove: readonly Entry[]): Operation[] {
  const additions = put.toSorted((a, b) => order[a.op] - order[b.op]);
  const removals = remove.toSorted((a, b) => order[b.op] - order[a.op]);
  return [...additions, ...removals.map(removal)];
}

function removal(entry: Entry): Operation {
  switch (entry.op) {
    case "add-neighbour":
      return { op: "delete-neighbour", index: entry.index, ip: entry.ip };
    case "add-fdb":
      return { op: "delete-fdb", index: entry.index, mac: entry.mac, dst: entry.dst };
    case "add-route": {
      const { dst, via, index } = entry;
      return {
        op: "delete-route",
        dst,
        ...(via === undefined ? {} : { via }),
        ...(index === undefined ? {} : { index }),
      };
    }
  }
}
