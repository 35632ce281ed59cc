import { PodwireError } from "#base/errors.ts";
import {
  type Cidr,
  cidrContains,
  cidrNth,
  cidrsOverlap,
  formatCidr,
  formatIp,
  parseIp,
  parseNetwork,
} from "#base/ip.ts";

/** What a node does. */
export type NodeRole = "control-plane" | "worker";

/** One node as a cluster's configuration names it. */
export interface NodeConfig {
  readonly name: string;
  readonly role: NodeRole;
  /** Addresses on the node network, one per family, the cluster's first family first. */
  readonly addresses: readonly string[];
}

/** Everything a cluster is made from. Ranges hold one entry, or two (IPv4 and IPv6) for dual stack. */
export interface ClusterConfig {
  readonly name: string;
  readonly nodes: readonly NodeConfig[];
  readonly podCidrs: readonly string[];
  readonly serviceCidrs: readonly string[];
  readonly nodeCidrs: readonly string[];
  readonly clusterDomain: string;
  readonly ingress: "nginx" | "none";
  readonly example: "online-store" | "none";
  /** Additional echo pods for measurements. */
  readonly pods: number;
  /** Ports on the host that were asked for; absent = any free one. */
  readonly apiPort?: number;
  readonly ingressPort?: number;
}

/** What a user may give, by flags or in a file; the rest has defaults. */
export interface ClusterInput {
  readonly name?: string;
  readonly nodes?: number | readonly { readonly name: string; readonly role?: NodeRole; readonly address?: string }[];
  readonly podCidr?: string;
  readonly serviceCidr?: string;
  readonly nodeCidr?: string;
  readonly clusterDomain?: string;
  readonly ingress?: "nginx" | "none";
  readonly example?: "online-store" | "none";
  readonly pods?: number;
  readonly apiPort?: number;
  readonly ingressPort?: number;
}

/** The cluster of the notes (INVENTORY P01, V01, X02). */
export const defaults = {
  name: "podwire",
  nodes: 3,
  podCidr: "10.244.0.0/16",
  serviceCidr: "10.96.0.0/12",
  nodeCidr: "192.168.1.0/24",
  clusterDomain: "cluster.local",
} as const;

const FIRST_NODE = 10;
const ROUTER = 1;
const DNS_SERVICE = 10;
const MAX_NODES = 200;
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Host `n` of each node network, e.g. 1 → the router's addresses. */
function hostAddresses(nodeCidrs: readonly string[], n: number): string[] {
  return nodeCidrs.map((text) => formatIp(cidrNth(parseNetwork(text), n)));
}

/** The router's addresses: every node's default gateway and resolver. */
export function routerAddresses(config: ClusterConfig): string[] {
  return hostAddresses(config.nodeCidrs, ROUTER);
}

/** The address of the Service `kubernetes`: the first of the Service range. */
export function apiServiceAddresses(config: ClusterConfig): string[] {
  return config.serviceCidrs.map((text) => formatIp(cidrNth(parseNetwork(text), 1)));
}

/** The address of the Service `kube-dns`: the tenth of the Service range. */
export function dnsServiceAddress(config: ClusterConfig): string {
  return formatIp(cidrNth(parseNetwork(config.serviceCidrs[0] ?? defaults.serviceCidr), DNS_SERVICE));
}

/** The first control-plane node, where the API server runs. */
export function controlPlane(config: ClusterConfig): NodeConfig {
  const node = config.nodes.find((n) => n.role === "control-plane");
  if (!node) throw refuse("a cluster needs one node with role control-plane");
  return node;
}

function refuse(message: string): PodwireError {
  return new PodwireError("InvalidConfig", message);
}

/** Ranges of one field: "v4", "v6" or "v4,v6", each with its host bits zero. */
function ranges(field: string, text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  const cidrs = parts.map((part) => {
    try {
      return parseNetwork(part);
    } catch (error) {
      throw refuse(`${field}: ${(error as Error).message}`);
    }
  });
  if (cidrs.length > 2 || (cidrs[1] && cidrs[0]?.ip.family === cidrs[1].ip.family)) {
    throw refuse(`${field}: found ${text}; allowed is one range, or one of IPv4 and one of IPv6`);
  }
  return cidrs.map(formatCidr);
}

function nodesOf(input: ClusterInput["nodes"], nodeCidrs: readonly string[]): NodeConfig[] {
  const wanted = input ?? defaults.nodes;
  if (typeof wanted !== "number") {
    return wanted.map((node, i) => ({
      name: node.name,
      role: node.role ?? (i === 0 ? "control-plane" : "worker"),
      addresses:
        node.address === undefined
          ? hostAddresses(nodeCidrs, FIRST_NODE + i)
          : node.address.split(",").map((a) => a.trim()),
    }));
  }
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_NODES) {
    throw refuse(`nodes: found ${wanted}; allowed is 1 to ${MAX_NODES}`);
  }
  return Array.from({ length: wanted }, (_, i) => ({
    name: i === 0 ? "controlplane" : `node${String(i).padStart(2, "0")}`,
    role: i === 0 ? "control-plane" : "worker",
    addresses: hostAddresses(nodeCidrs, FIRST_NODE + i),
  }));
}

function checkNodes(nodes: readonly NodeConfig[], nodeCidrs: readonly Cidr[]): void {
  const names = new Map<string, number>();
  const addresses = new Map<string, string>();
  for (const [i, node] of nodes.entries()) {
    if (!NAME.test(node.name))
      throw refuse(
        `nodes[${i}].name: found "${node.name}"; allowed are lower-case letters, digits and "-", at most 63`,
      );
    if (node.name === "router") throw refuse(`nodes[${i}].name: "router" is the name of the lab's router`);
    const other = names.get(node.name);
    if (other !== undefined)
      throw refuse(`nodes[${other}] and nodes[${i}] are both named "${node.name}"; node names must be unique`);
    names.set(node.name, i);
    for (const address of node.addresses) checkAddress(node.name, address, addresses, nodeCidrs);
  }
  const planes = nodes.filter((n) => n.role === "control-plane");
  if (planes.length !== 1)
    throw refuse(`nodes: found ${planes.length} nodes with role control-plane; allowed is exactly one`);
}

function checkAddress(node: string, address: string, taken: Map<string, string>, cidrs: readonly Cidr[]): void {
  const inside = cidrs.some((cidr) => cidrContains(cidr, parseIp(address)));
  if (!inside)
    throw refuse(`node ${node}: address ${address} is not in the node network ${cidrs.map(formatCidr).join(", ")}`);
  if (hostAddresses(cidrs.map(formatCidr), ROUTER).includes(address))
    throw refuse(`node ${node}: address ${address} is the router's`);
  const other = taken.get(address);
  if (other !== undefined) throw refuse(`nodes ${other} and ${node} both have the address ${address}`);
  taken.set(address, node);
}

/** Refuses ranges that overlap (INVENTORY I03), naming both. */
function checkOverlap(named: readonly (readonly [string, readonly string[]])[]): void {
  const all = named.flatMap(([field, cidrs]) => cidrs.map((text) => ({ field, text, cidr: parseNetwork(text) })));
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      if (a.cidr.ip.family === b.cidr.ip.family && cidrsOverlap(a.cidr, b.cidr)) {
        throw refuse(
          `${a.field} ${a.text} and ${b.field} ${b.text} overlap; nodes, pods and Services need ranges of their own`,
        );
      }
    }
  }
}

function checkPort(field: string, port: number | undefined): void {
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535))
    throw refuse(`${field}: found ${port}; allowed is 1 to 65535`);
}

/**
 * The whole configuration from what the user gave.
 * @throws PodwireError "InvalidConfig" naming the field, what was found and what is allowed, or the two things that clash
 */
export function resolveConfig(input: ClusterInput): ClusterConfig {
  const name = input.name ?? defaults.name;
  if (!NAME.test(name))
    throw refuse(`name: found "${name}"; allowed are lower-case letters, digits and "-", at most 63`);
  const podCidrs = ranges("podCidr", input.podCidr ?? defaults.podCidr);
  const serviceCidrs = ranges("serviceCidr", input.serviceCidr ?? defaults.serviceCidr);
  const nodeCidrs = ranges(
    "nodeCidr",
    input.nodeCidr ?? (podCidrs.length === 2 ? `${defaults.nodeCidr},fd00:192:168:1::/64` : defaults.nodeCidr),
  );
  checkOverlap([
    ["podCidr", podCidrs],
    ["serviceCidr", serviceCidrs],
    ["nodeCidr", nodeCidrs],
  ]);
  const nodes = nodesOf(input.nodes, nodeCidrs);
  checkNodes(nodes, nodeCidrs.map(parseNetwork));
  const ingress = input.ingress ?? "nginx";
  const pods = input.pods ?? 0;
  checkPort("apiPort", input.apiPort);
  checkPort("ingressPort", input.ingressPort);
  if (!Number.isInteger(pods) || pods < 0 || pods > 1000) throw refuse(`pods: found ${pods}; allowed is 0 to 1000`);
  return {
    name,
    nodes,
    podCidrs,
    serviceCidrs,
    nodeCidrs,
    clusterDomain: input.clusterDomain ?? defaults.clusterDomain,
    ingress,
    example: ingress === "none" ? "none" : (input.example ?? "online-store"),
    pods,
    ...(input.apiPort === undefined ? {} : { apiPort: input.apiPort }),
    ...(input.ingressPort === undefined ? {} : { ingressPort: input.ingressPort }),
  };
}
