import { cidrNetwork, cidrsOverlap, formatIp, parseCidr } from "#base/ip.ts";
import { type Link, type Operation, type Rtnetlink, randomMac } from "#kernel/netlink/index.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";
import type { ResultIp } from "../../result.ts";
import type { BridgeConfig } from "./config.ts";

/**
 * Finds or makes the bridge. It has a MAC address of its own: otherwise it would take that of its lowest port, and
 * change it under the containers' ARP entries.
 * @param prepare called while the bridge is down
 * @throws CniError when a device of that name is no bridge
 */
export function ensureBridge(rtnl: Rtnetlink, config: BridgeConfig, prepare: (name: string) => void): Link {
  const found = rtnl.link({ name: config.bridge }) ?? makeBridge(rtnl, config);
  if (found.kind.type !== "bridge") {
    throw new CniError(CNI_ERROR.INVALID_CONFIG, `"${config.bridge}" already exists but is not a bridge`);
  }
  if (!found.up) prepare(found.name);
  const promiscuous = config.promiscMode && !found.promiscuous;
  if (!found.up || promiscuous) {
    rtnl.apply([{ op: "set-link", index: found.index, up: true, ...(promiscuous ? { promiscuous } : {}) }]);
  }
  return found;
}

function makeBridge(rtnl: Rtnetlink, config: BridgeConfig): Link {
  rtnl.apply([{ op: "add-link", name: config.bridge, kind: { type: "bridge" }, mac: randomMac() }]);
  const made = rtnl.link({ name: config.bridge });
  if (!made) throw new CniError(CNI_ERROR.IO_FAILURE, `bridge "${config.bridge}" vanished while it was set up`);
  return made;
}

/**
 * Puts the gateways' addresses on the bridge. Addresses of other subnets stay beside them, so that two networks may
 * share a bridge; another address of the same subnet is an error unless `forceAddress`.
 * @throws CniError
 */
export function ensureGateways(
  rtnl: Rtnetlink,
  bridge: Link,
  config: BridgeConfig,
  ips: readonly ResultIp[],
): string[] {
  const present = rtnl.addresses(bridge.index).map((address) => address.address);
  const operations: Operation[] = [];
  const gateways: string[] = [];
  for (const ip of ips) {
    if (ip.gateway === undefined) continue;
    const wanted = `${formatIp(parseCidr(`${ip.gateway}/32`).ip)}/${parseCidr(ip.address).prefix}`;
    gateways.push(wanted);
    if (present.includes(wanted)) continue;
    for (const other of present.filter((address) => overlap(address, wanted))) {
      if (!config.forceAddress) {
        throw new CniError(
          CNI_ERROR.INVALID_CONFIG,
          `failed to set bridge addr: "${bridge.name}" already has an IP address different from ${wanted}`,
          `it has ${other}`,
        );
      }
      operations.push({ op: "delete-address", index: bridge.index, address: other });
    }
    operations.push({ op: "add-address", index: bridge.index, address: wanted });
  }
  rtnl.apply(operations);
  return gateways;
}

function overlap(a: string, b: string): boolean {
  return cidrsOverlap(cidrNetwork(parseCidr(a)), cidrNetwork(parseCidr(b)));
}
