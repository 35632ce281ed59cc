import type { EndpointSlice, Node, Pod, Service } from "#api/index.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { formatIp, type Ip, ipEquals, isLoopback, parseIp, tryParseIp } from "#base/ip.ts";
import { nearest } from "#base/nearest.ts";
import type { Origin } from "#base/origin.ts";
import type { ProxyMode } from "../backends/backend.ts";
import { type ProxyConfig, readConfigFile, settleConfig } from "../config/index.ts";
import { type ClientKind, type NodeView, nodePortAddresses, zoneOf } from "../model/index.ts";
import { localTraffic, modeOf, modeSettings, nodePortCidrs } from "../module/modes.ts";
import { factsOf, primaryAddresses } from "../module/node.ts";
import type { Question } from "./question.ts";

/** What a node's service proxy goes by. */
export interface ProxyFacts {
  /** Of the node's interfaces. */
  readonly addresses: readonly string[];
  /** The mode that runs; absent: none yet. */
  readonly mode?: ProxyMode;
  /** Why the configuration has no effect. */
  readonly error?: string;
}

/** What of a cluster is looked at. */
export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** What the nodes' service proxies say of themselves, by node, where they can be asked. */
  readonly proxies?: ReadonlyMap<string, ProxyFacts>;
  /** The KubeProxyConfiguration of the ConfigMap kube-proxy; absent: there is none, and defaults count. */
  readonly proxyConfig?: string;
}

/** For whom is asked, and on which node. */
export interface Viewpoint {
  /** Of a pod without one. */
  readonly namespace: string;
  /** A pod: `name` or `namespace/name`. */
  readonly from?: string;
  readonly node?: string;
}

/** A client that is known by name. */
export interface KnownClient {
  readonly kind: ClientKind;
  /** `pod shop/client (10.244.1.9)` */
  readonly words: string;
  readonly addresses: readonly Ip[];
}

/** The node whose rules are asked, and who asks. */
export interface Situation {
  readonly view: NodeView;
  readonly mode: ProxyMode;
  readonly tells: { readonly pods: boolean; readonly masqueradeAll: boolean };
  /** What says how pods' traffic is told, that all of it is masqueraded, and the mode. */
  readonly toldBy: { readonly pods: Origin; readonly masqueradeAll: Origin; readonly mode: Origin };
  readonly client?: KnownClient;
}

const LOCALHOST = parseIp("127.0.0.1");
const CONTROL_PLANE = "node-role.kubernetes.io/control-plane";

/**
 * The node that is meant, as the model sees it: that whose own address is asked about, else the one that is named, else
 * that of the client, else the control plane's. Of the node's addresses those of its status are known, and those of its
 * interfaces where they were asked for.
 * @throws PodwireError "NotFound" with the nearest names, "InvalidConfig" for a client that is elsewhere
 */
export function situationOf(objects: ClusterObjects, question: Question, viewpoint: Viewpoint): Situation {
  const pod = viewpoint.from === undefined ? undefined : findPod(objects, viewpoint.from, viewpoint.namespace);
  const ofAddress = viewpoint.node === undefined ? nodeWithAddress(objects, question.ip) : undefined;
  const node = ofAddress ?? findNode(objects, viewpoint.node ?? pod?.spec?.nodeName);
  const nodeName = node.metadata.name;
  checkEffect(objects, nodeName);
  const podNode = pod?.spec?.nodeName;
  if (pod && podNode !== nodeName && !ofAddress) {
    const where = `pod ${nameOf(pod)} runs on ${podNode}, where its packets are translated`;
    throw new PodwireError("InvalidConfig", `${where}: leave out --node ${nodeName}`);
  }
  const config = configOf(objects);
  const mode = modeOf(config);
  const { addresses, podCidrs } = factsOf(node);
  const primary = primaryAddresses(addresses, config.bindAddress);
  const zone = zoneOf(node);
  const cidrs = nodePortCidrs(config, mode);
  const all = [...primary, LOCALHOST, ...interfacesOf(objects, nodeName)];
  const localhost = mode === "iptables" && config["iptables.localhostNodePorts"];
  return {
    view: {
      name: nodeName,
      addresses: primary,
      nodePortAddresses: nodePortAddresses({ cidrs, localhost }, { primary, all }),
      ...(zone !== undefined && { zone }),
    },
    mode,
    tells: {
      pods: localTraffic(config, podCidrs).kind !== "none",
      masqueradeAll: modeSettings(config, mode).masqueradeAll,
    },
    toldBy: toldBy(objects, config, mode, nodeName),
    ...(pod && { client: clientOf(pod, nodeName) }),
  };
}

/** @throws PodwireError "WrongConfig" when the node goes by something else than what the ConfigMap says */
function checkEffect({ proxies }: Pick<ClusterObjects, "proxies">, node: string): void {
  const { mode, error } = proxies?.get(node) ?? {};
  if (error === undefined) return;
  const rest = mode === undefined ? `${node} has no rules` : `${node} goes on in the mode ${mode}`;
  throw new PodwireError("WrongConfig", `configmap kube-system/kube-proxy config.conf: ${error}; ${rest}`);
}

function interfacesOf({ proxies }: Pick<ClusterObjects, "proxies">, node: string): Ip[] {
  return (proxies?.get(node)?.addresses ?? []).flatMap((text) => tryParseIp(text) ?? []);
}

function configOf({ proxyConfig }: Pick<ClusterObjects, "proxyConfig">): ProxyConfig {
  if (proxyConfig === undefined) return settleConfig({ clusterCIDR: "0.0.0.0/0,::/0" });
  try {
    const file = readConfigFile(proxyConfig, "configmap kube-system/kube-proxy config.conf");
    return settleConfig(file.given, file.at);
  } catch (error) {
    throw new PodwireError("WrongConfig", `${errorMessage(error)}; the nodes go on with what they had before`);
  }
}

function toldBy({ proxyConfig }: ClusterObjects, config: ProxyConfig, mode: ProxyMode, node: string) {
  const origin = (field: string): Origin =>
    proxyConfig === undefined
      ? { kind: "ServiceProxy", name: node, field }
      : { kind: "ConfigMap", namespace: "kube-system", name: "kube-proxy", field };
  const section = mode === "nftables" || mode === "ebpf" ? "nftables" : "iptables";
  const rest = { masqueradeAll: origin(`${section}.masqueradeAll`), mode: origin("mode") };
  switch (config.detectLocalMode) {
    case "NodeCIDR":
      return { pods: { kind: "Node", name: node, field: "spec.podCIDRs" }, ...rest };
    case "BridgeInterface":
      return { pods: origin("detectLocal.bridgeInterface"), ...rest };
    case "InterfaceNamePrefix":
      return { pods: origin("detectLocal.interfaceNamePrefix"), ...rest };
    default:
      return { pods: origin("clusterCIDR"), ...rest };
  }
}

/** The node that has the address, unless a Service has it as its own. */
function nodeWithAddress(objects: ClusterObjects, ip: Ip | undefined): Node | undefined {
  if (!ip) return undefined;
  const { nodes, services } = objects;
  const text = formatIp(ip);
  const isServices = services.some(
    ({ spec, status }) =>
      spec.externalIPs?.includes(text) || status?.loadBalancer?.ingress?.some((one) => one.ip === text),
  );
  if (isServices || isLoopback(text)) return undefined;
  const addressesOf = (node: Node) => [...factsOf(node).addresses, ...interfacesOf(objects, node.metadata.name)];
  return nodes.find((node) => addressesOf(node).some((one) => ipEquals(one, ip)));
}

function findNode({ nodes }: ClusterObjects, name: string | undefined): Node {
  const sorted = [...nodes].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const names = sorted.map(({ metadata }) => metadata.name);
  const found =
    name === undefined
      ? (sorted.find(({ metadata }) => metadata.labels?.[CONTROL_PLANE] !== undefined) ?? sorted[0])
      : sorted.find(({ metadata }) => metadata.name === name);
  if (found) return found;
  throw new PodwireError("NotFound", `no node ${JSON.stringify(name ?? "")}; there are ${names.join(", ") || "none"}`);
}

function findPod({ pods }: ClusterObjects, from: string, inNamespace: string): Pod {
  const [namespace = "", name = ""] = from.includes("/") ? from.split("/", 2) : [inNamespace, from];
  const pod = pods.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  if (!pod) {
    const near = nearest(name, [...new Set(pods.map(({ metadata }) => metadata.name))]);
    const meant = pods.filter(({ metadata }) => near.includes(metadata.name)).map(nameOf);
    throw new PodwireError(
      "NotFound",
      `no pod ${namespace}/${name}${near.length ? `; near are ${meant.join(", ")}` : ""}`,
    );
  }
  if (!pod.spec?.nodeName) throw new PodwireError("NotFound", `pod ${nameOf(pod)} is on no node yet`);
  return pod;
}

function clientOf(pod: Pod, nodeName: string): KnownClient {
  const addresses = (pod.status?.podIPs ?? []).flatMap(({ ip }) => tryParseIp(ip) ?? []);
  const words = `pod ${nameOf(pod)} (${addresses.map(formatIp).join(", ") || "no address yet"})`;
  if (pod.spec?.nodeName !== nodeName)
    return { kind: "outside", words: `${words} of ${pod.spec?.nodeName}, which comes as from outside`, addresses: [] };
  if (pod.spec?.hostNetwork) return { kind: "node", words: `${words} on the network of its node`, addresses };
  return { kind: "pod", words, addresses };
}

function nameOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
