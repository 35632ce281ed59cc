import { hasCode } from "#base/errors.ts";
import { cidrNth, formatIp, parseCidr } from "#base/ip.ts";
import type { Link } from "#kernel/netlink/index.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";
import type { CniPlugin, PluginCall, PluginDeps } from "../../plugin.ts";
import type { CniResult, ResultIp, ResultRoute } from "../../result.ts";
import { inSandbox, isNetnsGone } from "../sandbox.ts";
import { type BridgeConfig, parseBridgeConfig } from "./config.ts";
import { containerOperations, makePair, portOperations } from "./container.ts";
import { ensureBridge, ensureGateways } from "./node.ts";

/**
 * The plugin `bridge`: a veth pair from the container to a bridge of the node, addresses by IPAM.
 *
 * ```
 *   container                    node
 *   eth0 10.244.1.5/24 ──veth── veth1a2b3c4d ─┐
 *                                             cni0 10.244.1.1/24 (gateway)
 *   another            ──veth── veth5e6f7a8b ─┘
 * ```
 * What fails halfway is undone before the error goes up.
 */
export function bridgePlugin(deps: PluginDeps): CniPlugin {
  const ipam = (command: "ADD" | "DEL" | "CHECK" | "STATUS" | "GC", call: PluginCall, config: BridgeConfig) =>
    config.ipam ? deps.delegate(command, config.ipam.type, call) : Promise.resolve(undefined);
  return {
    add: (call) => add(deps, call),
    async del(call) {
      const config = parseBridgeConfig(call.config);
      await ipam("DEL", call, config);
      removeInterface(deps, call);
      if (config.ipMasq) await deps.masquerade.remove(call.networkName, call.containerId);
    },
    async check(call) {
      await ipam("CHECK", call, parseBridgeConfig(call.config));
      checkContainer(deps, call);
    },
    async status(call) {
      await ipam("STATUS", call, parseBridgeConfig(call.config));
    },
    async gc(call) {
      await ipam("GC", call, parseBridgeConfig(call.config));
    },
  };
}

async function add(deps: PluginDeps, call: PluginCall): Promise<CniResult> {
  const config = parseBridgeConfig(call.config);
  const assigned = config.ipam ? await deps.delegate("ADD", config.ipam.type, call) : undefined;
  try {
    if (config.ipam && !assigned?.ips.length) {
      throw new CniError(CNI_ERROR.INVALID_CONFIG, "IPAM plugin returned missing IP config");
    }
    const ips = (assigned?.ips ?? []).map(withGateway);
    const routes = withDefaultRoutes(config, ips, assigned?.routes ?? []);
    const interfaces = attach(deps, call, config, { ips, routes });
    if (config.ipMasq) await masquerade(deps, call, ips);
    return { interfaces, ips: ips.map((ip) => ({ ...ip, interface: 2 })), routes, dns: assigned?.dns ?? {} };
  } catch (error) {
    if (config.ipam) await deps.delegate("DEL", config.ipam.type, call).catch(() => undefined);
    throw error;
  }
}

async function masquerade(deps: PluginDeps, call: PluginCall, ips: readonly ResultIp[]): Promise<void> {
  try {
    await deps.masquerade.add(
      call.networkName,
      call.containerId,
      ips.map((ip) => ip.address),
    );
  } catch (error) {
    removeInterface(deps, call);
    throw error;
  }
}

/** IPAM plugins may leave the gateway out: it is the first address of the subnet. */
function withGateway(ip: ResultIp): ResultIp {
  return ip.gateway === undefined ? { ...ip, gateway: formatIp(cidrNth(parseCidr(ip.address), 1)) } : ip;
}

function withDefaultRoutes(
  config: BridgeConfig,
  ips: readonly ResultIp[],
  routes: readonly ResultRoute[],
): ResultRoute[] {
  const all = [...routes];
  if (!config.isDefaultGateway) return all;
  for (const ip of ips) {
    const dst = parseCidr(ip.address).ip.family === 4 ? "0.0.0.0/0" : "::/0";
    if (ip.gateway !== undefined && !all.some((route) => route.dst === dst)) all.push({ dst, gw: ip.gateway });
  }
  return all;
}

/** All changes to the kernel, synchronous: no other call of this process comes in between. */
function attach(
  deps: PluginDeps,
  call: PluginCall,
  config: BridgeConfig,
  wanted: Pick<CniResult, "ips" | "routes">,
): CniResult["interfaces"] {
  const rtnl = deps.openRtnetlink();
  let pair: Link | undefined;
  try {
    const bridge = ensureBridge(rtnl, config, (name) => prepareIpv6(deps, name, wanted.ips));
    return inSandbox(deps, call, (inside, netns) => {
      const port = makePair(rtnl, bridge, config, { name: call.ifName, netns: netns.fd });
      pair = port;
      rtnl.apply(portOperations(port, config));
      if (config.isGateway) {
        ensureGateways(rtnl, bridge, config, wanted.ips);
        forward(deps, wanted.ips);
      }
      const own = inside.link({ name: call.ifName });
      if (!own) throw new CniError(CNI_ERROR.IO_FAILURE, `interface "${call.ifName}" vanished while it was set up`);
      prepareIpv6(deps, call.ifName, wanted.ips, netns);
      inside.apply(containerOperations(own.index, wanted));
      return [described(bridge), described(port), { ...described(own), sandbox: call.netns }];
    });
  } catch (error) {
    if (pair) removePair(rtnl, pair);
    throw error;
  } finally {
    rtnl.close();
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
function removePair(rtnl: ReturnType<PluginDeps["openRtnetlink"]>, pair: Link): void {
  try {
    rtnl.apply([{ op: "delete-link", index: pair.index }]);
  } catch {
    // Gone already, or the kernel refuses: the runtime calls DEL after a failed ADD.
  }
}

/** Removes the container's interface. A namespace or interface that is gone is what DEL wants. */
function removeInterface(deps: PluginDeps, call: PluginCall): void {
  if (call.netns === "" && call.netnsFd === undefined) return;
  try {
    inSandbox(deps, call, (rtnl) => {
      const link = rtnl.link({ name: call.ifName });
      if (link) rtnl.apply([{ op: "delete-link", index: link.index }]);
    });
  } catch (error) {
    if (!isNetnsGone(error) && !hasCode(error, "ENODEV")) throw error;
  }
}

/** The interface is there and up with all addresses and routes of the previous result. */
function checkContainer(deps: PluginDeps, call: PluginCall): void {
  const expected = call.prevResult;
  if (!expected) throw new CniError(CNI_ERROR.INVALID_CONFIG, "required prevResult missing");
  inSandbox(deps, call, (rtnl) => {
    const fail = (what: string) => new CniError(CNI_ERROR.INTERNAL, `check of ${call.ifName}: ${what}`);
    const link = rtnl.link({ name: call.ifName });
    if (!link) throw fail("interface not found");
    if (!link.up) throw fail("interface is down");
    const addresses = rtnl.addresses(link.index).map((address) => address.address);
    for (const ip of expected.ips) {
      if (!addresses.includes(ip.address)) throw fail(`address ${ip.address} is missing`);
    }
    const routes = rtnl.routes().map((route) => route.dst);
    for (const route of expected.routes) {
      if (!routes.includes(route.dst)) throw fail(`route to ${route.dst} is missing`);
    }
  });
}
