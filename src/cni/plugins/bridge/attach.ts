import { parseCidr } from "#base/ip.ts";
import { type Link, type ReadinessWish, type Rtnetlink, waitUntilReady } from "#kernel/netlink/index.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";
import type { PluginCall, PluginDeps } from "../../plugin.ts";
import type { CniResult, ResultIp } from "../../result.ts";
import { openSandbox } from "../sandbox.ts";
import type { BridgeConfig } from "./config.ts";
import { containerOperations, makePair, portOperations } from "./container.ts";
import { forgetNeighbours, neighbourOperations } from "./neighbours.ts";
import { ensureBridge, ensureGateways } from "./node.ts";

/** Both sides of the work: the node's namespace and the container's. */
interface Sides {
  readonly node: Rtnetlink;
  readonly inside: Rtnetlink;
  readonly netns: { readonly fd: number };
}

/**
 * Connects the container: bridge, veth pair, addresses, routes. Returns when packets pass, since the first one lost
 * would cost its sender a second. What was made is removed when a step fails.
 * @returns the result's interfaces: bridge, node's end, container's end
 */
export async function attach(
  deps: PluginDeps,
  call: PluginCall,
  config: BridgeConfig,
  wanted: Pick<CniResult, "ips" | "routes">,
): Promise<CniResult["interfaces"]> {
  const netns = openSandbox(deps, call);
  const node = deps.openRtnetlink();
  const inside = deps.openRtnetlink(netns);
  try {
    const { interfaces, wishes } = connect(deps, call, config, wanted, { node, inside, netns });
    // A bridge that does not forward even after that (STP) is its owner's affair.
    await waitUntilReady(wishes);
    return interfaces;
  } finally {
    for (const thing of [inside, node, netns]) thing.close();
  }
}

/** All changes to the kernel, synchronous: no other call of this process comes in between. */
function connect(
  deps: PluginDeps,
  call: PluginCall,
  config: BridgeConfig,
  wanted: Pick<CniResult, "ips" | "routes">,
  { node, inside, netns }: Sides,
): { readonly interfaces: CniResult["interfaces"]; readonly wishes: readonly ReadinessWish[] } {
  const bridge = ensureBridge(node, config, (name) => prepareIpv6(deps, name, wanted.ips));
  const port = makePair(node, bridge, config, { name: call.ifName, netns: netns.fd });
  try {
    const gateways = config.isGateway ? ensureGateways(node, bridge, config, wanted.ips) : [];
    if (config.isGateway) forward(deps, wanted.ips);
    const own = inside.link({ name: call.ifName });
    if (!own) throw new CniError(CNI_ERROR.IO_FAILURE, `interface "${call.ifName}" vanished while it was set up`);
    prepareIpv6(deps, call.ifName, wanted.ips, netns);
    inside.apply(containerOperations(own.index, wanted));
    const known = neighbourOperations(config, { bridge, own, ips: wanted.ips });
    node.apply([...portOperations(port, config), ...known.node]);
    // After the port is up: a device that loses its carrier loses its neighbours too.
    inside.apply(known.inside);
    const addresses = (index: number, texts: readonly string[]) => texts.map((address) => ({ index, address }));
    const ips = wanted.ips.map((ip) => ip.address);
    return {
      interfaces: [described(bridge), described(port), { ...described(own), sandbox: call.netns }],
      wishes: [
        { rtnl: inside, links: [own.index], addresses: addresses(own.index, ips) },
        // The bridge each time: the last of its other ports may go meanwhile, and its carrier with it.
        { rtnl: node, links: [port.index, bridge.index], addresses: addresses(bridge.index, gateways) },
      ],
    };
  } catch (error) {
    removePair(node, port);
    forgetNeighbours(node, bridge.index, wanted.ips);
    throw error;
  }
}

function described(link: Link): { name: string; mac?: string; mtu: number } {
  return { name: link.name, ...(link.mac === undefined ? {} : { mac: link.mac }), mtu: link.mtu };
}

/** The node passes packets on between its interfaces. */
function forward(deps: PluginDeps, ips: readonly ResultIp[]): void {
  const has = (family: 4 | 6) => ips.some((ip) => parseCidr(ip.address).ip.family === family);
  deps.setSysctls({
    ...(has(4) ? { "net/ipv4/ip_forward": "1" } : {}),
    ...(has(6) ? { "net/ipv6/conf/all/forwarding": "1" } : {}),
  });
}

/**
 * For IPv6, on an interface that is still down. Without duplicate address detection for the link-local address too:
 * for its second the kernel would send no neighbour solicitations for packets that it forwards.
 */
function prepareIpv6(deps: PluginDeps, name: string, ips: readonly ResultIp[], netns?: { readonly fd: number }): void {
  if (!ips.some((ip) => parseCidr(ip.address).ip.family === 6)) return;
  const conf = `net/ipv6/conf/${name}`;
  deps.setSysctls({ [`${conf}/accept_dad`]: "0", [`${conf}/accept_ra`]: "0", [`${conf}/disable_ipv6`]: "0" }, netns);
}

/** Removing one end removes both. The first failure is what the caller wants to hear of, so this one is silent. */
function removePair(rtnl: Rtnetlink, pair: Link): void {
  try {
    rtnl.apply([{ op: "delete-link", index: pair.index }]);
  } catch {
    // Gone already, or the kernel refuses: the runtime calls DEL after a failed ADD.
  }
}
