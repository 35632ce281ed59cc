import { cidrNth, formatIp, parseNetwork } from "#base/ip.ts";
import { defaultImageSettings, type ImageSettings } from "#images/index.ts";
import { checkDomain, checkName, checkPort, refuse } from "./checks.ts";
import { checkNodes, nodesOf, ROUTER } from "./nodes.ts";
import { checkMaxPods, checkRanges, checkRoom, hostAddresses, type MaskSizes, maskSizes, ranges } from "./ranges.ts";

/** What a node does. */
export type NodeRole = "control-plane" | "worker";

/** A program that starts containers; the value of a kubelet's `--runtime`. */
export type ContainerRuntime = "podwire" | "crun";

/** A mode of the nodes' kube-proxy. */
export type LabProxyMode = (typeof labProxyModes)[number];
export const labProxyModes = ["nftables", "iptables", "ipvs", "userspace", "ebpf"] as const;

/** One node as a cluster's configuration names it. */
export interface NodeConfig {
  readonly name: string;
  readonly role: NodeRole;
  /** Addresses on the node network, one per family, the cluster's first family first. */
  readonly addresses: readonly string[];
  /** Its place among the cluster's nodes, from 0, which no other has: its MAC and its address on the host follow it. */
  readonly slot: number;
}

/** Everything a cluster is made from. Ranges hold one entry, or two (IPv4 and IPv6) for dual stack. */
export interface ClusterConfig {
  readonly name: string;
  readonly nodes: readonly NodeConfig[];
  readonly podCidrs: readonly string[];
  readonly serviceCidrs: readonly string[];
  readonly nodeCidrs: readonly string[];
  /** Prefix length of a node's part of each pod range. */
  readonly nodeCidrMaskSizes: MaskSizes;
  /** Pods that a node takes at most. */
  readonly maxPods: number;
  readonly clusterDomain: string;
  readonly ingress: "nginx" | "none";
  readonly example: "online-store" | "none";
  /** Pods and nodes reach what the host reaches. */
  readonly outside: boolean;
  /** Additional echo pods for measurements. */
  readonly pods: number;
  /** What starts the containers of pods that name no RuntimeClass. */
  readonly runtime: ContainerRuntime;
  /** Without a user namespace: root on its nodes is root of the machine. */
  readonly privileged: boolean;
  /** How the nodes put Services into effect, as the ConfigMap kube-proxy has it; empty: the default. */
  readonly proxyMode: string;
  /** Where images come from. */
  readonly images: ImageSettings;
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
  readonly nodeCidrMaskSizeIpv4?: number;
  readonly nodeCidrMaskSizeIpv6?: number;
  readonly maxPods?: number;
  readonly clusterDomain?: string;
  readonly ingress?: "nginx" | "none";
  readonly example?: "online-store" | "none";
  readonly outside?: "on" | "off";
  readonly pods?: number;
  readonly runtime?: ContainerRuntime;
  readonly privileged?: boolean;
  readonly proxyMode?: LabProxyMode;
  readonly images?: ImageInput;
  readonly apiPort?: number;
  readonly ingressPort?: number;
}

/** What is said of images: `strict`, or parts of the settings. */
export type ImageInput = "strict" | Partial<ImageSettings>;

/** The whole settings from what was given. */
export function imageSettings(input: ImageInput | undefined): ImageSettings {
  return { ...defaultImageSettings, ...(input === "strict" ? { strict: true } : input) };
}

/** The cluster of the notes (INVENTORY P01, V01, X02). */
export const defaults = {
  name: "podwire",
  nodes: 3,
  podCidr: "10.244.0.0/16",
  serviceCidr: "10.96.0.0/12",
  nodeCidr: "192.168.1.0/24",
  maxPods: 110,
  clusterDomain: "cluster.local",
} as const;

const DNS_SERVICE = 10;
const MAX_PODS = 1000;

/** The router's addresses: every node's default gateway and resolver. */
export function routerAddresses(config: ClusterConfig): string[] {
  return hostAddresses("nodeCidr", config.nodeCidrs, ROUTER);
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
  if (!node) throw refuse("a cluster needs one node with role control-plane", "nodes");
  return node;
}

/**
 * The whole configuration from what the user gave.
 * @throws PodwireError "InvalidConfig" naming the field, what was found and what is allowed, or the two things that clash
 */
export function resolveConfig(input: ClusterInput): ClusterConfig {
  const name = input.name ?? defaults.name;
  checkName(name);
  const podCidrs = ranges("podCidr", input.podCidr ?? defaults.podCidr);
  const serviceCidrs = ranges("serviceCidr", input.serviceCidr ?? defaults.serviceCidr);
  const nodeCidrs = ranges(
    "nodeCidr",
    input.nodeCidr ?? (podCidrs.length === 2 ? `${defaults.nodeCidr},fd00:192:168:1::/64` : defaults.nodeCidr),
  );
  checkRanges({ podCidrs, serviceCidrs, nodeCidrs });
  const nodes = nodesOf(input.nodes ?? defaults.nodes, nodeCidrs);
  checkNodes(nodes, nodeCidrs);
  const nodeCidrMaskSizes = maskSizes(podCidrs, input.nodeCidrMaskSizeIpv4, input.nodeCidrMaskSizeIpv6);
  checkRoom(podCidrs, nodeCidrMaskSizes, nodes.length);
  checkMaxPods(input.maxPods, podCidrs, nodeCidrMaskSizes);
  const ingress = input.ingress ?? "nginx";
  const pods = input.pods ?? 0;
  const privileged = input.privileged ?? false;
  if (input.proxyMode === "ebpf" && !privileged)
    throw refuse(
      "proxyMode ebpf needs a privileged cluster (as root, flag --privileged): its programs are loaded into the kernel by root of the machine alone",
      "proxyMode",
      "privileged",
    );
  const clusterDomain = input.clusterDomain ?? defaults.clusterDomain;
  checkDomain(clusterDomain);
  checkPort("apiPort", input.apiPort);
  checkPort("ingressPort", input.ingressPort);
  if (ingress === "none" && input.ingressPort !== undefined)
    throw refuse(
      `ingressPort ${input.ingressPort} and ingress none clash; a port needs an ingress controller`,
      "ingressPort",
      "ingress",
    );
  if (!Number.isInteger(pods) || pods < 0 || pods > MAX_PODS)
    throw refuse(`pods: found ${pods}; allowed is 0 to ${MAX_PODS}`, "pods");
  return {
    name,
    nodes,
    podCidrs,
    serviceCidrs,
    nodeCidrs,
    nodeCidrMaskSizes,
    maxPods: input.maxPods ?? defaults.maxPods,
    clusterDomain,
    ingress,
    example: ingress === "none" ? "none" : (input.example ?? "online-store"),
    outside: input.outside === "on",
    pods,
    runtime: input.runtime ?? "podwire",
    privileged,
    proxyMode: input.proxyMode ?? "",
    images: imageSettings(input.images),
    ...(input.apiPort === undefined ? {} : { apiPort: input.apiPort }),
    ...(input.ingressPort === undefined ? {} : { ingressPort: input.ingressPort }),
  };
}
