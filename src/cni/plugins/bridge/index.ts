import { errorMessage, hasCode } from "#base/errors.ts";
import { cidrNth, formatIp, parseCidr } from "#base/ip.ts";
import { CNI_ERROR, CniError, toCniError } from "../../errors.ts";
import type { CniPlugin, PluginCall, PluginDeps } from "../../plugin.ts";
import type { CniResult, ResultIp, ResultRoute } from "../../result.ts";
import { inSandbox, isNetnsGone } from "../sandbox.ts";
import { attach } from "./attach.ts";
import { type BridgeConfig, parseBridgeConfig } from "./config.ts";
import { forgetNeighbours } from "./neighbours.ts";

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
      // Before another container can get the addresses.
      if (config.isGateway) forget(deps, config, call.prevResult?.ips ?? []);
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
    const interfaces = await attach(deps, call, config, { ips, routes });
    if (config.ipMasq) await masquerade(deps, call, ips);
    return { interfaces, ips: ips.map((ip) => ({ ...ip, interface: 2 })), routes, dns: assigned?.dns ?? {} };
  } catch (error) {
    if (config.ipam) await giveBack(deps, call, config.ipam.type, error);
    throw error;
  }
}

/** Gives back what IPAM has assigned. When that fails too, the error that it is done for says both. */
async function giveBack(deps: PluginDeps, call: PluginCall, ipam: string, reason: unknown): Promise<void> {
  try {
    await deps.delegate("DEL", ipam, call);
  } catch (error) {
    const { code, message, details } = toCniError(reason);
    const both = `${message}; its addresses were not given back: ${errorMessage(error)}`;
    throw new CniError(code, both, details, reason);
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
    forget(deps, parseBridgeConfig(call.config), ips);
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

/** The node forgets where a container's addresses were. */
function forget(deps: PluginDeps, config: BridgeConfig, ips: readonly ResultIp[]): void {
  if (ips.length === 0) return;
  const node = deps.openRtnetlink();
  try {
    const bridge = node.link({ name: config.bridge });
    if (bridge) forgetNeighbours(node, bridge.index, ips);
  } finally {
    node.close();
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
