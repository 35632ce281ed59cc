import type { Node } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { type Cidr, cidrContains, cidrNetwork, cidrSubnet, formatCidr, parseCidr } from "#base/ip.ts";

/** A pod network and the size of a node's part of it. */
export interface SubnetPool {
  readonly network: Cidr;
  readonly prefix: number;
}

/** Pools of the cluster's pod networks. Throws PodwireError `InvalidPodCidr` when a node's part does not fit in. */
export function subnetPools(
  podCidrs: readonly string[],
  sizes: { readonly ipv4?: number; readonly ipv6?: number } = {},
): SubnetPool[] {
  return podCidrs.map((text) => {
    const network = cidrNetwork(parseCidr(text));
    const prefix = network.ip.family === 4 ? (sizes.ipv4 ?? 24) : (sizes.ipv6 ?? 64);
    if (prefix < network.prefix) {
      throw new PodwireError(
        "InvalidPodCidr",
        `a node's subnet of /${prefix} does not fit into the pod network ${text}`,
      );
    }
    return { network, prefix };
  });
}

/**
 * The subnets for a node: the same number in every pool, the wish if that is free, else the lowest that is.
 * Undefined when the pools are exhausted.
 */
export function allocateSubnets(
  pools: readonly SubnetPool[],
  nodes: readonly Node[],
  wish?: number,
): string[] | undefined {
  const taken = nodes.flatMap(podCidrsOf).map((text) => parseCidr(text));
  const size = Math.min(...pools.map(({ network, prefix }) => 2 ** Math.min(30, prefix - network.prefix)));
  const at = (n: number) => pools.map(({ network, prefix }) => cidrSubnet(network, prefix, n));
  const free = (subnets: readonly Cidr[]) =>
    subnets.every((subnet) => !taken.some((other) => cidrContains(subnet, other) || cidrContains(other, subnet)));
  if (wish !== undefined && wish >= 0 && wish < size && free(at(wish))) return at(wish).map(formatCidr);
  for (let n = 0; n < size; n++) if (free(at(n))) return at(n).map(formatCidr);
  return undefined;
}

/** The subnets that a node has. */
export function podCidrsOf(node: Node): readonly string[] {
  return node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : []);
}
