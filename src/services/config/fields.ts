import { proxyModes } from "../backends/index.ts";
import * as check from "./checks.ts";

/** What a field holds. Durations are in ms; `gates` maps names to true or false; `any` is not looked into. */
interface ValueTypes {
  readonly string: string;
  readonly bool: boolean;
  readonly int: number;
  readonly number: number;
  readonly duration: number;
  readonly strings: readonly string[];
  readonly gates: Readonly<Record<string, boolean>>;
  readonly any: unknown;
}

/** A type of field. */
export type FieldType = keyof ValueTypes;

/** One field of a KubeProxyConfiguration. */
interface FieldRule<T extends FieldType = FieldType> {
  readonly type: T;
  /** What counts where nothing is given, and where upstream's zero value is. */
  readonly value: ValueTypes[T];
  readonly check?: (value: ValueTypes[T]) => string | undefined;
  /** Why it changes nothing. Absent: it has its effect. */
  readonly note?: string;
  /** Upstream knows it no more: it is written only where it says something. */
  readonly isFormer?: true;
}

type More<T extends FieldType> = Omit<FieldRule<T>, "type" | "value">;
const field = <T extends FieldType>(type: T, value: ValueTypes[T], more: More<T> = {}): FieldRule<T> => ({
  type,
  value,
  ...more,
});

const windows = "it is for Windows";
const json = "this client speaks JSON, in which every server answers";
const unlimited = "this client lists and watches, and has nothing to hold back";

/** Modes by which traffic of the node's pods is told from other traffic (v1alpha1 LocalMode). */
const localModes = ["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"] as const;

/**
 * Every field of kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration of Kubernetes 1.36, by its path, with
 * upstream's defaults (pkg/proxy/apis/config/v1alpha1/defaults.go), and one of 1.25. Where ours differ the comment says
 * so.
 */
export const configFields = {
  featureGates: field("gates", {}, { note: "there are no feature gates here" }),
  "clientConnection.kubeconfig": field("string", ""),
  "clientConnection.acceptContentTypes": field("string", "", { note: json }),
  "clientConnection.contentType": field("string", "application/vnd.kubernetes.protobuf", { note: json }),
  "clientConnection.qps": field("number", 5, { note: unlimited }),
  "clientConnection.burst": field("int", 10, { check: check.notNegative, note: unlimited }),
  "logging.format": field("string", "text", { check: check.oneOf(["text"], "text") }),
  "logging.flushFrequency": field("any", 0, { note: "each line is written at once" }),
  "logging.verbosity": field("int", 0, { check: check.notNegative }),
  "logging.vmodule": field("any", null, { note: "the verbosity is one for the whole program" }),
  "logging.options": field("any", null, { note: "each line is written at once, to standard error" }),
  hostnameOverride: field("string", ""),
  bindAddress: field("string", "0.0.0.0", { check: check.address }),
  // Upstream: 0.0.0.0. Here nothing is reached from outside unless bindAddress or this field asks for it.
  healthzBindAddress: field("string", "127.0.0.1:10256", { check: check.bindAddress }),
  metricsBindAddress: field("string", "127.0.0.1:10249", { check: check.bindAddress }),
  bindAddressHardFail: field("bool", false),
  enableProfiling: field("bool", false, { note: "there is nothing of Go's to profile" }),
  showHiddenMetricsForVersion: field("string", "", { check: check.minorVersion, note: "no metrics are hidden" }),
  // Upstream: iptables where none is given.
  mode: field("string", "", { check: check.oneOf(proxyModes, "nftables") }),
  "iptables.masqueradeBit": field("int", 14, { check: check.within(0, 31) }),
  "iptables.masqueradeAll": field("bool", false),
  "iptables.localhostNodePorts": field("bool", true),
  "iptables.syncPeriod": field("duration", 30_000),
  "iptables.minSyncPeriod": field("duration", 1000),
  "ipvs.syncPeriod": field("duration", 30_000),
  "ipvs.minSyncPeriod": field("duration", 0),
  "ipvs.scheduler": field("string", ""),
  "ipvs.excludeCIDRs": field("strings", [], { check: check.cidrList }),
  "ipvs.strictARP": field("bool", false),
  "ipvs.tcpTimeout": field("duration", 0, { check: check.notNegative }),
  "ipvs.tcpFinTimeout": field("duration", 0, { check: check.notNegative }),
  "ipvs.udpTimeout": field("duration", 0, { check: check.notNegative }),
  "nftables.masqueradeBit": field("int", 14, { check: check.within(0, 31) }),
  "nftables.masqueradeAll": field("bool", false),
  "nftables.syncPeriod": field("duration", 30_000),
  // Upstream: 1s. A change of ours costs microseconds, so that there is no reason to wait.
  "nftables.minSyncPeriod": field("duration", 10),
  "winkernel.networkName": field("string", "", { note: windows }),
  "winkernel.sourceVip": field("string", "", { note: windows }),
  "winkernel.enableDSR": field("bool", false, { note: windows }),
  "winkernel.rootHnsEndpointName": field("string", "", { note: windows }),
  "winkernel.forwardHealthCheckVip": field("bool", false, { note: windows }),
  detectLocalMode: field("string", "", { check: check.oneOf(localModes, "ClusterCIDR") }),
  "detectLocal.bridgeInterface": field("string", "", { check: check.interfaceName }),
  "detectLocal.interfaceNamePrefix": field("string", "", { check: check.interfaceName }),
  clusterCIDR: field("string", "", { check: check.clusterCidrs }),
  nodePortAddresses: field("strings", [], { check: check.nodePortCidrs }),
  oomScoreAdj: field("int", -999, { check: check.within(-1000, 1000) }),
  "conntrack.maxPerCore": field("int", 32 * 1024, { check: check.notNegative }),
  "conntrack.min": field("int", 128 * 1024, { check: check.notNegative }),
  "conntrack.tcpEstablishedTimeout": field("duration", 86_400_000, { check: check.notNegative }),
  "conntrack.tcpCloseWaitTimeout": field("duration", 3_600_000, { check: check.notNegative }),
  "conntrack.tcpBeLiberal": field("bool", false),
  "conntrack.udpTimeout": field("duration", 0, { check: check.notNegative }),
  "conntrack.udpStreamTimeout": field("duration", 0, { check: check.notNegative }),
  configSyncPeriod: field("duration", 900_000, { note: "changes are watched; nothing is refreshed by the clock" }),
  // Kubernetes 1.26 removed it, with the userspace mode.
  udpIdleTimeout: field("duration", 250, { check: check.positive, isFormer: true }),
  portRange: field("string", "", { check: check.portRange }),
  windowsRunAsService: field("bool", false, { note: windows }),
} as const;

/** Path of a field, such as `iptables.masqueradeBit`. */
export type FieldPath = keyof typeof configFields;

/** A KubeProxyConfiguration, whole: each field by its path. Durations in ms. */
export type ProxyConfig = {
  readonly [P in FieldPath]: ValueTypes[(typeof configFields)[P]["type"]];
};

/** The rule of a field; undefined when there is no such field. */
export function ruleOf(path: string): FieldRule | undefined {
  return Object.hasOwn(configFields, path) ? (configFields[path as FieldPath] as FieldRule) : undefined;
}

/** All paths, in the order of the documentation. */
export const fieldPaths = Object.keys(configFields) as FieldPath[];
