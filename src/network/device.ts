import { type Cidr, cidrBase, formatIp } from "#base/ip.ts";
import { type Link, type Operation, type Rtnetlink, randomMac, type VxlanKind } from "#kernel/netlink/index.ts";
import type { NetworkConfig } from "./config.ts";

/** Bytes that vxlan adds: Ethernet 14, VXLAN 8, UDP 8, and IPv4's 20 or IPv6's 40. */
const OVERHEAD = { 4: 50, 6: 70 } as const;

/** The tunnel device of one address family. */
export interface DeviceWish {
  readonly family: 4 | 6;
  readonly kind: VxlanKind;
  readonly name: string;
  /** Bytes. */
  readonly mtu: number;
  /** MAC address for a new device; one that is there keeps its own. */
  readonly mac: string;
  /** First address of the node's subnet, as a single host. */
  readonly address: string;
}

/** The device that a node should have in a family, by flannel's rules. */
export function deviceWish(
  config: NetworkConfig,
  family: 4 | 6,
  node: { readonly subnet: Cidr; readonly local: string; readonly external: Link; readonly mac?: string },
): DeviceWish {
  return {
    family,
    name: `flannel${family === 6 ? "-v6" : ""}.${config.vni}`,
    kind: {
      type: "vxlan",
      id: config.vni,
      link: node.external.index,
      local: node.local,
      port: config.port,
      learning: config.learning,
    },
    mtu: (config.mtu ?? node.external.mtu) - OVERHEAD[family],
    mac: node.mac ?? randomMac(),
    address: `${formatIp(cidrBase(node.subnet))}/${family === 4 ? 32 : 128}`,
  };
}

/**
 * Makes the device, or changes what of it is not as wished. One of the same name with another identifier, parent,
 * source or port cannot be changed: it is made again.
 * @param prepare called for a device that exists and is still down, for its sysctls
 */
export function ensureDevice(rtnl: Rtnetlink, wish: DeviceWish, prepare: (name: string) => void): Link {
  let link = rtnl.link({ name: wish.name });
  if (link && !sameTunnel(link, wish)) {
    rtnl.apply([{ op: "delete-link", index: link.index }]);
    link = undefined;
  }
  if (!link) {
    rtnl.apply([{ op: "add-link", name: wish.name, mtu: wish.mtu, mac: wish.mac, kind: wish.kind }]);
    link = rtnl.link({ name: wish.name });
    if (!link) throw new Error(`device ${wish.name} vanished while it was set up`);
  }
  if (!link.up) prepare(wish.name);
  rtnl.apply(adjustments(rtnl, link, wish));
  return rtnl.link({ index: link.index }) ?? link;
}

function sameTunnel({ kind }: Link, wish: DeviceWish): boolean {
  if (kind.type !== "vxlan") return false;
  const { id, link, local, port } = wish.kind;
  return (
    kind.id === id &&
    kind.link === link &&
    kind.local === local &&
    kind.port === port &&
    kind.learning === wish.kind.learning
  );
}

/** Address first, then up: a device that is up answers with whatever it has. */
function adjustments(rtnl: Rtnetlink, link: Link, wish: DeviceWish): Operation[] {
  const { index } = link;
  const isV6 = (address: string) => address.includes(":");
  const present = rtnl
    .addresses(index)
    .map((item) => item.address)
    .filter((address) => isV6(address) === (wish.family === 6) && !address.startsWith("fe80:"));
  const operations: Operation[] = [];
  if (!present.includes(wish.address)) operations.push({ op: "add-address", index, address: wish.address });
  for (const address of present) {
    if (address !== wish.address) operations.push({ op: "delete-address", index, address });
  }
  if (link.mtu !== wish.mtu) operations.push({ op: "set-link", index, mtu: wish.mtu });
  if (!link.up) operations.push({ op: "set-link", index, up: true });
  return operations;
}
