import { formatIp, parseCidr } from "#base/ip.ts";
import type { Link, Operation, Rtnetlink } from "#kernel/netlink/index.ts";
import type { ResultIp } from "../../result.ts";
import type { BridgeConfig } from "./config.ts";

/** The two ends that talk to each other: the node's bridge and the container's interface. */
interface Ends {
  readonly bridge: Link;
  readonly own: Link;
  readonly ips: readonly ResultIp[];
}

const bare = (cidr: string): string => formatIp(parseCidr(cidr).ip);

/**
 * Tells node and container each other's MAC address, which are known, so that neither has to ask.
 *
 * The kernel has one table of learnt neighbours for all namespaces of a machine, of 1,024 entries by default
 * (net.ipv4.neigh.default.gc_thresh3, not to be set inside of a namespace). Each container takes two of them, so that from
 * some 500 on, packets are lost until entries of others are old enough to go. Those that a program made do not count.
 * They are `extern_learn` and stale, not permanent: used at once, probed soon after, and replaced like any other, so that
 * a container whose MAC address changes is found.
 */
export function neighbourOperations(
  { isGateway }: Pick<BridgeConfig, "isGateway">,
  { bridge, own, ips }: Ends,
): { node: Operation[]; inside: Operation[] } {
  // Without an address on the bridge, the node and the container do not talk to each other there.
  if (!isGateway) return { node: [], inside: [] };
  const entry = (index: number, ip: string, mac = ""): Operation => ({
    op: "add-neighbour",
    index,
    ip,
    mac,
    state: "stale",
    externLearned: true,
  });
  return {
    node: ips.map((ip) => entry(bridge.index, bare(ip.address), own.mac)),
    inside: ips.flatMap(({ gateway }) => (gateway === undefined ? [] : [entry(own.index, gateway, bridge.mac)])),
  };
}

/** Removes the node's entries of a container; the kernel would keep them for as long as there is the bridge. */
export function forgetNeighbours(node: Rtnetlink, bridge: number, ips: readonly Pick<ResultIp, "address">[]): void {
  for (const { address } of ips) {
    try {
      node.apply([{ op: "delete-neighbour", index: bridge, ip: bare(address) }]);
    } catch {
      // Gone already, or the kernel refuses: the next container with the address replaces it.
    }
  }
}
