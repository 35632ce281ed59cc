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

/** What a node's pods get of the pod range, as kube-controller-manager's --node-cidr-mask-size-ipv4 and -ipv6. */
const NODE_PREFIX = { 4: 24, 6: 64 } as const;
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

/** Refuses pod ranges that cannot give every node its part. @throws PodwireError "InvalidConfig" */
export function checkRoom(podCidrs: readonly string[], nodes: number): void {
  for (const text of podCidrs) {
    const { prefix, ip } = parseNetwork(text);
    const part = NODE_PREFIX[ip.family];
    const allowed = part - Math.ceil(Math.log2(nodes));
    if (prefix > allowed)
      throw refuse(
        `podCidr: found ${text} for ${nodes === 1 ? "1 node" : `${nodes} nodes`}; allowed is /${allowed} or larger, as each node takes a /${part}`,
        "podCidr",
        "nodes",
      );
  }
}
