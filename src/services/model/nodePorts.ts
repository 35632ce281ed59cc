import { type Cidr, cidrContains, familyBits, formatIp, type Ip, isLoopback, parseCidr } from "#base/ip.ts";

/** Addresses of a node, of all families. */
export interface NodeAddresses {
  /** Those of its status: the first of each family counts. */
  readonly primary: readonly Ip[];
  /** Those of all its interfaces. */
  readonly all: readonly Ip[];
}

/** How NodePorts are limited. */
export interface NodePortLimits {
  /**
   * kube-proxy's nodePortAddresses: CIDRs, or the one word "primary". A family of which no CIDR is given is not limited,
   * as with kube-proxy.
   */
  readonly cidrs: readonly string[];
  /** kube-proxy's iptables.localhostNodePorts: they answer at 127.0.0.1 too. IPv4 alone can. Default false. */
  readonly localhost?: boolean;
}

/**
 * The addresses at which NodePorts answer.
 * @throws AddressError for a CIDR that is none
 */
export function nodePortAddresses(limits: NodePortLimits, { primary, all }: NodeAddresses): Ip[] {
  const cidrs = limits.cidrs.length === 1 && limits.cidrs[0] === "primary" ? wholes(primary) : limits.cidrs.map(parse);
  const allowed = (ip: Ip) => {
    const ofFamily = cidrs.filter((cidr) => cidr.ip.family === ip.family);
    return ofFamily.length === 0 || ofFamily.some((cidr) => cidrContains(cidr, ip));
  };
  const byText = new Map(all.map((ip) => [formatIp(ip), ip]));
  return [...byText]
    .filter(([text, ip]) => (!isLoopback(text) || (limits.localhost && ip.family === 4)) && allowed(ip))
    .map(([, ip]) => ip);
}

function parse(text: string): Cidr {
  return parseCidr(text);
}

/** The first address of each family that is not a loopback one, as a CIDR of its own. */
function wholes(primary: readonly Ip[]): Cidr[] {
  const first = new Map<4 | 6, Ip>();
  for (const ip of primary) if (!isLoopback(formatIp(ip)) && !first.has(ip.family)) first.set(ip.family, ip);
  return [...first.values()].map((ip) => ({ ip, prefix: familyBits(ip.family) }));
}
