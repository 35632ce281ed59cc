import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Client, Informer, type Node, resources } from "#api/index.ts";
import type { Logger } from "#base/log.ts";

/** Bytes that vxlan puts before a packet (outer IPv4, UDP and VXLAN headers, inner Ethernet). */
const VXLAN_OVERHEAD = 50;

/** What the default CNI configuration is made from. */
export interface PodNetworkFacts {
  readonly podCidrs: readonly string[];
  /** In bytes. */
  readonly mtu: number;
}

/** MTU of the interface that has the address; Ethernet's when none has it. */
function underlayMtu(address: string | undefined): number {
  const [name] = Object.entries(networkInterfaces()).find(([, list]) => list?.some((a) => a.address === address)) ?? [];
  return name === undefined ? 1500 : Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8"));
}

/** Waits until the node's object has subnets; the MTU leaves room for vxlan. */
export function ownSubnets(
  node: { readonly name: string; readonly addresses: readonly string[] },
  client: Client,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<PodNetworkFacts> {
  const selector = { fieldSelector: `metadata.name=${node.name}` };
  const informer = new Informer<Node>(client, resources.nodes, selector, deps);
  const mtu = underlayMtu(node.addresses[0]) - VXLAN_OVERHEAD;
  return new Promise((resolve) => {
    informer.onChange(({ object }) => {
      const podCidrs = object.spec?.podCIDRs ?? (object.spec?.podCIDR === undefined ? [] : [object.spec.podCIDR]);
      if (podCidrs.length > 0) resolve({ podCidrs, mtu });
    });
    informer.start();
  });
}
