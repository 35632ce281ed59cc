import {
  type Cidr,
  cidrNth,
  cidrSize,
  cidrsOverlap,
  familyBits,
  formatCidr,
  formatIp,
  parseNetwork,
} from "#base/ip.ts";
import { refuse } from "./checks.ts";

/** Prefix lengths by family of what a node's pods get of the pod range. */
export interface MaskSizes {
  readonly 4: number;
  readonly 6: number;
}

/** kube-controller-manager's defaults of --node-cidr-mask-size-ipv4 and -ipv6. */
const NODE_PREFIX: MaskSizes = { 4: 24, 6: 64 };
/** Keys of the configuration by family. */
const MASK_KEYS = { 4: "nodeCidrMaskSizeIpv4", 6: "nodeCidrMaskSizeIpv6" } as const;
/** The smallest part with room for a pod beside the bridge's address and the two that are nobody's. */
const SMALLEST_PART = { 4: 30, 6: 126 } as const;
/** A range is split into at most 2^16 parts (kube-controller-manager's cidr_set.go: clusterSubnetMaxDiff). */
const MOST_PART_BITS = 16;
/** A Linux bridge has 1024 ports, of which it gives away 1023 (net/bridge/br_private.h: BR_PORT_BITS). */
const BRIDGE_PORTS = 1023;
/** Addresses of a part that no pod gets: the network's, the bridge's, in IPv4 the broadcast's. */
const TAKEN_ADDRESSES = 3n;
/** The range of Services holds `kubernetes` as its first address and `kube-dns` as its tenth. */
const SERVICES = 16n;
/** Ranges that hosts cannot use as they like (RFC 6890, RFC 4291). */
const RESERVED: Readonly<Record<string, string>> = {
  "0.0.0.0/8": "this network",
  "127.0.0.0/8": "loopback",
  "169.254.0.0/16": "link-local",
  "224.0.0.0/4": "multicast",
  "240.0.0.0/4": "reserved",
  "::/128": "no address",
  "::1/128": "loopback",
  "fe80::/10": "link-local",
  "ff00::/8": "multicast",
};

/** The ranges of a cluster, one per family. */
interface Ranges {
  readonly podCidrs: readonly string[];
  readonly serviceCidrs: readonly string[];
  readonly nodeCidrs: readonly string[];
}

/** Ranges of one field: "v4", "v6" or "v4,v6". @throws PodwireError "InvalidConfig" */
export function ranges(field: string, text: string): string[] {
  const cidrs = text.split(",").map((part) => {
    try {
      return parseNetwork(part.trim());
    } catch (error) {
      throw refuse(`${field}: ${(error as Error).message}`, field);
    }
  });
  if (cidrs.length > 2 || (cidrs[1] && cidrs[0]?.ip.family === cidrs[1].ip.family))
    throw refuse(`${field}: found ${text}; allowed is one range, or one of IPv4 and one of IPv6`, field);
  return cidrs.map(formatCidr);
}

/** Host `n` of each range of a field. @throws PodwireError "InvalidConfig" when one is too small */
export function hostAddresses(field: string, cidrs: readonly string[], n: number): string[] {
  return cidrs.map((text) => {
    const cidr = parseNetwork(text);
    // The last address of an IPv4 network is its broadcast address.
    if (cidrSize(cidr) <= BigInt(n) + 1n)
      throw refuse(`${field}: found ${text}, which has no host number ${n}; allowed is a larger range`, field);
    return formatIp(cidrNth(cidr, n));
  });
}

/** Refuses ranges that clash, are reserved or do not go together (INVENTORY I03). @throws PodwireError "InvalidConfig" */
export function checkRanges({ podCidrs, serviceCidrs, nodeCidrs }: Ranges): void {
  const named = [
    ["podCidr", podCidrs],
    ["serviceCidr", serviceCidrs],
    ["nodeCidr", nodeCidrs],
  ] as const;
  const all = named.flatMap(([field, cidrs]) => cidrs.map((text) => ({ field, text, cidr: parseNetwork(text) })));
  checkOverlap(all);
  for (const range of all) checkReserved(range);
  for (const { field, text, cidr } of all)
    if (field === "serviceCidr" && cidrSize(cidr) < SERVICES)
      throw refuse(
        `serviceCidr: found ${text}; allowed is /${familyBits(cidr.ip.family) - 4} or larger, as DNS has the tenth address`,
        field,
      );
  checkFamilies(["podCidr", podCidrs], ["nodeCidr", nodeCidrs]);
  checkFamilies(["serviceCidr", serviceCidrs], ["podCidr", podCidrs]);
}

interface NamedRange {
  readonly field: string;
  readonly text: string;
  readonly cidr: Cidr;
}

function checkOverlap(all: readonly NamedRange[]): void {
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      if (a.cidr.ip.family === b.cidr.ip.family && cidrsOverlap(a.cidr, b.cidr)) {
        throw refuse(
          `${a.field} ${a.text} and ${b.field} ${b.text} overlap; nodes, pods and Services need ranges of their own`,
          a.field,
          b.field,
        );
      }
    }
  }
}

function checkReserved({ field, text, cidr }: NamedRange): void {
  for (const [reserved, use] of Object.entries(RESERVED)) {
    const other = parseNetwork(reserved);
    if (other.ip.family === cidr.ip.family && cidrsOverlap(cidr, other))
      throw refuse(`${field}: found ${text}, which overlaps ${reserved} (${use}); allowed are other ranges`, field);
  }
}

type Field = readonly [name: string, cidrs: readonly string[]];

/** What one field has, the other needs too; the first family is the cluster's own and the same everywhere. */
function checkFamilies([field, cidrs]: Field, [other, others]: Field): void {
  const families = (list: readonly string[]): string[] => list.map((text) => `IPv${parseNetwork(text).ip.family}`);
  const [own, theirs] = [families(cidrs), families(others)];
  const missing = own.find((family) => !theirs.includes(family));
  if (missing !== undefined)
    throw refuse(
      `${field} ${cidrs.join(",")} and ${other} ${others.join(",")} clash: only ${field} has ${missing}`,
      field,
      other,
    );
  if (own[0] !== theirs[0])
    throw refuse(
      `${field} ${cidrs.join(",")} and ${other} ${others.join(",")} clash: the first of each has to be of one family`,
      field,
      other,
    );
}

/** The prefix lengths of nodes' parts from what the user gave. @throws PodwireError "InvalidConfig" */
export function maskSizes(podCidrs: readonly string[], ipv4: number | undefined, ipv6: number | undefined): MaskSizes {
  const given = { 4: ipv4, 6: ipv6 };
  for (const family of [4, 6] as const) {
    const [size, field] = [given[family], MASK_KEYS[family]];
    if (size === undefined) continue;
    const text = podCidrs.find((cidr) => parseNetwork(cidr).ip.family === family);
    if (text === undefined)
      throw refuse(`${field}: found ${size}, but podCidr ${podCidrs.join(",")} has no IPv${family}`, field, "podCidr");
    const least = parseNetwork(text).prefix;
    const most = Math.min(SMALLEST_PART[family], least + MOST_PART_BITS);
    if (!Number.isInteger(size) || size < least || size > most)
      throw refuse(`${field}: found ${size}; allowed is ${least} to ${most}, as podCidr is ${text}`, field, "podCidr");
  }
  return { 4: ipv4 ?? NODE_PREFIX[4], 6: ipv6 ?? NODE_PREFIX[6] };
}

/** Refuses more pods than a node can have. @param maxPods what the user gave @throws PodwireError "InvalidConfig" */
export function checkMaxPods(maxPods: number | undefined, podCidrs: readonly string[], sizes: MaskSizes): void {
  if (maxPods === undefined) return;
  if (!Number.isInteger(maxPods) || maxPods < 1 || maxPods > BRIDGE_PORTS)
    throw refuse(`maxPods: found ${maxPods}; allowed is 1 to ${BRIDGE_PORTS}, the ports of a node's bridge`, "maxPods");
  for (const text of podCidrs) {
    const { family } = parseNetwork(text).ip;
    const room = (1n << BigInt(familyBits(family) - sizes[family])) - TAKEN_ADDRESSES;
    if (BigInt(maxPods) > room)
      throw refuse(
        `maxPods: found ${maxPods}, but a node's /${sizes[family]} has addresses for ${room} pods; allowed are fewer, or a smaller ${MASK_KEYS[family]}`,
        "maxPods",
        MASK_KEYS[family],
      );
  }
}

/** Refuses pod ranges that cannot give every node its part. @throws PodwireError "InvalidConfig" */
export function checkRoom(podCidrs: readonly string[], sizes: MaskSizes, nodes: number): void {
  for (const text of podCidrs) {
    const { prefix, ip } = parseNetwork(text);
    const part = sizes[ip.family];
    const allowed = part - Math.ceil(Math.log2(nodes));
    if (prefix > allowed)
      throw refuse(
        `podCidr: found ${text} for ${nodes === 1 ? "1 node" : `${nodes} nodes`}; allowed is /${allowed} or larger, as each node takes a /${part}`,
        "podCidr",
        "nodes",
      );
  }
}
