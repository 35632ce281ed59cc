import { randomBytes } from "node:crypto";
import { parseCidr } from "#base/ip.ts";
import { type Link, NetlinkError, type Operation, type Rtnetlink } from "#kernel/netlink/index.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";
import type { CniResult, ResultIp, ResultRoute } from "../../result.ts";
import type { BridgeConfig } from "./config.ts";

/** Protocol of routes made by set-up tools (RTPROT_BOOT), which `ip route` does not mention: a container's own. */
const BOOT = 3;
/** Attempts to find a free name for the node's end of the pair. */
const NAME_ATTEMPTS = 5;

/**
 * Makes the veth pair in one message: our end in the bridge, the other born in the container's namespace. Both are down:
 * the container's end comes up first, so that ours has a carrier from the start and its port forwards at once.
 * @returns the node's end
 * @throws CniError when the container has a device of that name
 */
export function makePair(
  rtnl: Rtnetlink,
  bridge: Link,
  config: BridgeConfig,
  peer: { readonly name: string; readonly netns: number },
): Link {
  const mtu = config.mtu === undefined ? {} : { mtu: config.mtu };
  const mac = config.mac === undefined ? {} : { mac: config.mac };
  for (let attempt = 1; ; attempt++) {
    const name = `veth${randomBytes(4).toString("hex")}`;
    try {
      rtnl.apply([
        {
          op: "add-link",
          name,
          ...mtu,
          master: bridge.index,
          kind: { type: "veth", peer: { ...peer, ...mtu, ...mac } },
        },
      ]);
    } catch (error) {
      const taken = error instanceof NetlinkError && error.code === "EEXIST";
      if (taken && attempt < NAME_ATTEMPTS && rtnl.link({ name })) continue;
      if (taken)
        throw new CniError(CNI_ERROR.INTERNAL, `container veth name ("${peer.name}") already exists`, "", error);
      throw error;
    }
    const made = rtnl.link({ name });
    if (!made) throw new CniError(CNI_ERROR.IO_FAILURE, `device "${name}" vanished while it was set up`);
    return made;
  }
}

/** Brings the port up with its settings. */
export function portOperations(port: Link, config: BridgeConfig): Operation[] {
  const { index } = port;
  const settings = {
    ...(config.hairpinMode ? { hairpin: true } : {}),
    ...(config.portIsolation ? { isolated: true } : {}),
  };
  const up: Operation = { op: "set-link", index, up: true };
  return Object.keys(settings).length ? [{ op: "set-bridge-port", index, ...settings }, up] : [up];
}

/** What the container's interface gets: up, addresses, routes; one send. */
export function containerOperations(index: number, result: Pick<CniResult, "ips" | "routes">): Operation[] {
  return [
    { op: "set-link", index, up: true },
    ...result.ips.map((ip): Operation => ({ op: "add-address", index, address: ip.address })),
    ...result.routes.map((route) => routeOperation(index, route, result.ips)),
  ];
}

/** A route without gateway goes by the gateway of its family, if there is one. */
function routeOperation(index: number, route: ResultRoute, ips: readonly ResultIp[]): Operation {
  const family = parseCidr(route.dst).ip.family;
  const via = route.gw ?? ips.find((ip) => parseCidr(ip.address).ip.family === family)?.gateway;
  return {
    op: "add-route",
    dst: route.dst,
    index,
    protocol: BOOT,
    ...(via === undefined ? {} : { via }),
    ...(route.priority === undefined ? {} : { metric: route.priority }),
    ...(route.table === undefined ? {} : { table: route.table }),
  };
}
