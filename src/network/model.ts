import type { Node } from "#api/index.ts";
import { type Cidr, cidrContains, cidrNetwork, type Ip, parseCidr, tryParseIp } from "#base/ip.ts";

/** Prefix of flannel's annotations on nodes. */
export const ANNOTATION_PREFIX = "flannel.alpha.coreos.com";

/** Short names of flannel's annotations, v4 and v6 apart where they are. */
export const annotationNames = {
  manager: `${ANNOTATION_PREFIX}/kube-subnet-manager`,
  backendType: `${ANNOTATION_PREFIX}/backend-type`,
  4: {
    data: `${ANNOTATION_PREFIX}/backend-data`,
    publicIp: `${ANNOTATION_PREFIX}/public-ip`,
    overwrite: `${ANNOTATION_PREFIX}/public-ip-overwrite`,
  },
  6: {
    data: `${ANNOTATION_PREFIX}/backend-v6-data`,
    publicIp: `${ANNOTATION_PREFIX}/public-ipv6`,
    overwrite: `${ANNOTATION_PREFIX}/public-ipv6-overwrite`,
  },
} as const;

/** A node's part of the pod network, in one address family. */
export interface Lease {
  readonly node: string;
  readonly family: 4 | 6;
  /** The node's pods. */
  readonly subnet: Cidr;
  /** Where its outer packets go. */
  readonly publicIp: Ip;
  /** MAC address of its tunnel device. */
  readonly vtepMac: string;
}

/** The leases of all nodes that take part, by name and family; what a node's annotations do not say well is left out. */
export function leasesOf(nodes: readonly Node[]): Lease[] {
  return nodes.flatMap((node) => ([4, 6] as const).flatMap((family) => leaseOf(node, family) ?? []));
}

/** One node's lease in a family; undefined for a node that takes no part (flannel's rules). */
export function leaseOf(node: Node, family: 4 | 6): Lease | undefined {
  const annotations = node.metadata.annotations ?? {};
  if (annotations[annotationNames.manager] !== "true" || annotations[annotationNames.backendType] !== "vxlan")
    return undefined;
  const names = annotationNames[family];
  const publicIp = tryParseIp(annotations[names.publicIp] ?? "");
  const subnet = podSubnet(node, family);
  const vtepMac = vtepMacOf(node, family);
  if (!publicIp || !subnet || vtepMac === undefined) return undefined;
  return { node: node.metadata.name ?? "", family, subnet, publicIp, vtepMac };
}

/** The node's pod subnet in a family. */
export function podSubnet(node: Node, family: 4 | 6): Cidr | undefined {
  const texts = node.spec?.podCIDRs ?? (node.spec?.podCIDR === undefined ? [] : [node.spec.podCIDR]);
  return texts.map((text) => cidrNetwork(parseCidr(text))).find((cidr) => cidr.ip.family === family);
}

/** MAC address in the node's backend data, undefined when there is none. */
export function vtepMacOf(node: Node, family: 4 | 6): string | undefined {
  try {
    const data = JSON.parse(node.metadata.annotations?.[annotationNames[family].data] ?? "{}") as {
      VtepMAC?: unknown;
    } | null;
    const mac = data?.VtepMAC;
    return typeof mac === "string" && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac) ? mac.toLowerCase() : undefined;
  } catch {
    return undefined;
  }
}

/** Own annotations as the node wants them; `overwrite` annotations of an administrator win over the address given. */
export function ownAnnotations(
  node: Node,
  vni: number,
  ends: readonly { readonly family: 4 | 6; readonly publicIp: string; readonly vtepMac: string }[],
): Record<string, string> {
  const present = node.metadata.annotations ?? {};
  const wanted: Record<string, string> = { [annotationNames.manager]: "true", [annotationNames.backendType]: "vxlan" };
  for (const end of ends) {
    const names = annotationNames[end.family];
    wanted[names.data] = JSON.stringify({ VNI: vni, VtepMAC: end.vtepMac });
    wanted[names.publicIp] = present[names.overwrite] ?? end.publicIp;
  }
  return wanted;
}

/** Whether every pod subnet of the node lies in the cluster's networks; it names the first that does not. */
export function strangerSubnet(node: Node, networks: readonly Cidr[]): Cidr | undefined {
  const subnets = ([4, 6] as const).flatMap((family) => podSubnet(node, family) ?? []);
  return subnets.find(
    (subnet) =>
      networks.some((network) => network.ip.family === subnet.ip.family) &&
      !networks.some((network) => cidrContains(network, subnet)),
  );
}
