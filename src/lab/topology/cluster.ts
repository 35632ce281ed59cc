import { parseNetwork } from "#base/ip.ts";
import { type ClusterConfig, routerAddresses } from "#lab/config/index.ts";
import { baseSysctls, forwardingSysctls, type MachineModel, macAddress, type Topology } from "./model.ts";

const SEGMENT = "underlay";
const MTU = 1500;

/** Sysctls of a Kubernetes node: it forwards, and bridged packets pass its firewall. */
const nodeSysctls: Readonly<Record<string, string>> = {
  ...baseSysctls,
  ...forwardingSysctls,
  // Without these a reply between two pods of one node would be bridged past connection tracking and keep the
  // endpoint's address where the client expects the Service's. Absent when br_netfilter is not loaded.
  "net.bridge.bridge-nf-call-iptables": "1",
  "net.bridge.bridge-nf-call-ip6tables": "1",
};

function withPrefix(addresses: readonly string[], cidrs: readonly string[]): string[] {
  return addresses.map((address) => {
    const family = address.includes(":") ? 6 : 4;
    const cidr = cidrs.map(parseNetwork).find((c) => c.ip.family === family);
    return `${address}/${cidr?.prefix ?? (family === 4 ? 24 : 64)}`;
  });
}

/**
 * The machines of a cluster: a router, which is every node's default gateway and resolver, and the nodes,
 * all on one segment.
 */
export function clusterTopology(config: ClusterConfig): Topology {
  const gateways = routerAddresses(config);
  const router: MachineModel = {
    name: "router",
    interfaces: [
      {
        name: "eth0",
        altnames: [],
        segment: SEGMENT,
        mac: macAddress(1, 1),
        addresses: withPrefix(gateways, config.nodeCidrs),
      },
    ],
    routes: [],
    sysctls: { ...baseSysctls, ...forwardingSysctls },
  };
  const nodes = config.nodes.map(
    (node): MachineModel => ({
      name: node.name,
      interfaces: [
        {
          name: "eth0",
          altnames: ["ens3"],
          segment: SEGMENT,
          mac: macAddress(1, 10 + node.slot),
          addresses: withPrefix(node.addresses, config.nodeCidrs),
        },
      ],
      routes: gateways.map((via) => ({ to: "default", via })),
      sysctls: nodeSysctls,
    }),
  );
  return { segments: [{ name: SEGMENT, mtu: MTU }], machines: [router, ...nodes] };
}
