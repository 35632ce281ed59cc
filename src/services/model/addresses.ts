import type { Service, ServicePort } from "#api/index.ts";
import { AddressError, type Cidr, cidrContains, familyBits, type Ip, parseCidr, tryParseIp } from "#base/ip.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { FrontendKind, NodeView, ServiceAddress } from "./frontend.ts";

/** An address at which a Service can be reached on a node. */
export interface VirtualAddress {
  readonly kind: FrontendKind;
  readonly ip: Ip;
  /** Where it says so: `spec.clusterIPs[0]`, `status.loadBalancer.ingress[0].ip`; of a NodePort `spec.ports`. */
  readonly field: string;
  /** Who may use it; absent: everybody. */
  readonly sources?: readonly Cidr[];
}

/**
 * Every address of a Service on a node, of the families that it has a cluster IP of. An address that stands twice (a
 * load balancer's that is also an external one) comes first as what limits it.
 */
export function virtualAddresses(service: Service, node: NodeView): VirtualAddress[] {
  const { spec } = service;
  const clusterIps = clusterIpsOf(service);
  // Of most Services that is all.
  if ((spec.type ?? "ClusterIP") === "ClusterIP" && !spec.externalIPs?.length && !service.status?.loadBalancer)
    return clusterIps;
  const families = new Set(clusterIps.map(({ ip }) => ip.family));
  const external = addresses("ExternalIP", spec.externalIPs ?? [], (i) => `spec.externalIPs[${i}]`);
  const nodePorts = (node.nodePortAddresses ?? node.addresses).map(
    (ip): VirtualAddress => ({ kind: "NodePort", ip, field: "spec.ports" }),
  );
  const all = [...clusterIps, ...loadBalancerAddresses(service, node), ...external, ...nodePorts];
  return all.filter(({ ip }) => families.has(ip.family));
}

/** The cluster IPs of a Service with its ports, whoever proxies it. */
export function clusterAddresses(service: Service): ServiceAddress[] {
  const ports = service.spec.ports ?? [];
  return clusterIpsOf(service).flatMap(({ ip }) =>
    ports.map(({ protocol = "TCP", port }) => ({ ip, protocol: protocols[protocol], port })),
  );
}

function clusterIpsOf({ spec }: Service): VirtualAddress[] {
  const all = spec.clusterIPs?.length ? spec.clusterIPs : undefined;
  return addresses("ClusterIP", all ?? [spec.clusterIP], (i) => (all ? `spec.clusterIPs[${i}]` : "spec.clusterIP"));
}

/** The port at which a kind of address answers; undefined when the Service port has none. */
export function portOf(kind: FrontendKind, port: ServicePort): number | undefined {
  return (kind === "NodePort" ? port.nodePort : port.port) || undefined;
}

/** Balancers that deliver packets as they are; one with ipMode Proxy makes connections of its own. */
function loadBalancerAddresses(service: Service, node: NodeView): VirtualAddress[] {
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const vips = addresses(
    "LoadBalancer",
    ingress.map(({ ip, ipMode }) => (ipMode === "Proxy" ? undefined : ip)),
    (i) => `status.loadBalancer.ingress[${i}].ip`,
  );
  const limits = { 4: sources(service, vips, node, 4), 6: sources(service, vips, node, 6) };
  return vips.map((vip) => {
    const limit = limits[vip.ip.family];
    return limit ? { ...vip, sources: limit } : vip;
  });
}

/**
 * Who may use a load balancer's address: spec.loadBalancerSourceRanges of its family; no limit where there are none of
 * that family. Where the node's own address is allowed, so are the balancer's addresses: the node may have them itself,
 * and its connections then come from there. Source: kube-proxy's firewall chains.
 */
function sources(
  { spec }: Service,
  vips: readonly VirtualAddress[],
  node: NodeView,
  family: 4 | 6,
): readonly Cidr[] | undefined {
  const ranges = (spec.loadBalancerSourceRanges ?? [])
    .map((text) => tryParseCidr(text.trim()))
    .filter((cidr) => cidr?.ip.family === family) as Cidr[];
  if (ranges.length === 0) return undefined;
  const fromNode = node.addresses.some((ip) => ranges.some((range) => ip.family === family && cidrContains(range, ip)));
  const own = fromNode ? vips.filter(({ ip }) => ip.family === family) : [];
  return [...ranges, ...own.map(({ ip }) => ({ ip, prefix: familyBits(family) }))];
}

function addresses(
  kind: FrontendKind,
  texts: readonly (string | undefined)[],
  fieldOf: (index: number) => string,
): VirtualAddress[] {
  return texts.flatMap((text, index) => {
    const ip = text ? tryParseIp(text) : undefined;
    return ip ? [{ kind, ip, field: fieldOf(index) }] : [];
  });
}

function tryParseCidr(text: string): Cidr | undefined {
  try {
    return parseCidr(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}
