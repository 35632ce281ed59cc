import type { FlagReader } from "./flagReader.ts";
import { FlagError } from "./flagReader.ts";

/** Prefix lengths of a node's pod subnets by family; absent: the default. */
export interface NodeMaskSizes {
  readonly ipv4?: number;
  readonly ipv6?: number;
}

const GENERAL = "node-cidr-mask-size";

/**
 * --node-cidr-mask-size and its two of one family each, as kube-controller-manager combines them
 * (cmd/kube-controller-manager/app/core.go, setNodeCIDRMaskSizes); 0 is not given.
 * @throws FlagError in upstream's words
 */
export function nodeMaskSizes(flags: FlagReader, clusterCidr: readonly string[]): NodeMaskSizes {
  const read = (name: string): number | undefined => flags.number(name) || undefined;
  const [general, ipv4, ipv6] = [read(GENERAL), read(`${GENERAL}-ipv4`), read(`${GENERAL}-ipv6`)];
  const isDual = clusterCidr.length > 1;
  const isIpv6 = clusterCidr[0]?.includes(":") ?? false;
  if (general !== undefined && isDual)
    throw new FlagError("usage of --node-cidr-mask-size is not allowed with dual-stack clusters");
  if (general !== undefined && (ipv4 !== undefined || ipv6 !== undefined))
    throw new FlagError(
      "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if --node-cidr-mask-size is set. For dual-stack clusters please unset it and use IPFamily specific flags",
    );
  if (general !== undefined) return { ipv4: general, ipv6: general };
  if (ipv4 !== undefined && !isDual && isIpv6)
    throw new FlagError("usage of --node-cidr-mask-size-ipv4 is not allowed for a single-stack IPv6 cluster");
  if (ipv6 !== undefined && !isDual && !isIpv6)
    throw new FlagError("usage of --node-cidr-mask-size-ipv6 is not allowed for a single-stack IPv4 cluster");
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}
