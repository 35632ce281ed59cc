import { type Cidr, cidrContains, parseCidr } from "#base/ip.ts";
import { ROUTE_PROTOCOL_PODWIRE, type Rtnetlink } from "#kernel/netlink/index.ts";
import type { Entry, Place } from "./plan.ts";

/**
 * What the kernel holds of the pod network now: permanent neighbours and forwarding entries of the tunnel devices,
 * and routes of ours into the pod networks. Other routes of ours (a node's default route) are no concern of it.
 */
export function readEntries(rtnl: Rtnetlink, place: Place, networks: readonly Cidr[]): Entry[] {
  const entries: Entry[] = [];
  const devices = Object.values(place.devices);
  for (const index of devices) {
    for (const { ip, mac, state } of rtnl.neighbours(index)) {
      if (state === "permanent" && mac !== undefined) entries.push({ op: "add-neighbour", index, ip, mac });
    }
    for (const { mac, dst } of rtnl.fdb(index)) {
      if (dst !== undefined) entries.push({ op: "add-fdb", index, mac, dst });
    }
  }
  for (const { dst, via, index, onlink } of rtnl.routes({ protocol: ROUTE_PROTOCOL_PODWIRE })) {
    const ours = index !== undefined && (devices.includes(index) || index === place.external);
    if (!ours || via === undefined || !networks.some((network) => cidrContains(network, parseCidr(dst)))) continue;
    entries.push({ op: "add-route", dst, via, index, ...(onlink ? { onlink } : {}) });
  }
  return entries;
}
