import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { isMap, parseDocument } from "yaml";
import { defaultEventRate, type EventRate, type Taint } from "#api/index.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { SOCKET_NAME } from "#images/index.ts";
import { defaultLogLimits, type LogLimits } from "./logs/index.ts";
import { RUNTIMES, type RuntimeName } from "./runtime/index.ts";

/** How a node agent runs. */
export interface AgentOptions {
  readonly nodeName: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly kubeconfig: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly resolvConf: string;
  readonly maxPods: number;
  /** Most processes and threads of a pod, where control groups are delegated. Absent: any number. */
  readonly podPidsLimit?: number;
  /** Default: upstream's. */
  readonly containerLogs?: LogLimits;
  /** Default: upstream's. */
  readonly eventRate?: EventRate;
  /** What starts the containers of pods that name no RuntimeClass. Default: podwire. */
  readonly runtime?: RuntimeName;
  /** Folder of manifests that describe what runs in processes of this node. */
  readonly staticPodPath?: string;
  readonly server: {
    readonly address: string;
    readonly port: number;
    readonly healthzAddress: string;
    readonly healthzPort: number;
    readonly certFile: string;
    readonly keyFile: string;
    readonly clientCaFile: string;
  };
  readonly cniConfDir: string;
  readonly cniBinDirs: readonly string[];
  readonly folders: AgentFolders;
  /** Where images come from that somebody pulls for this node. */
  readonly images?: { readonly socket: string; readonly layers: string };
}

/** Where the agent keeps things. */
export interface AgentFolders {
  /** In memory: what must not outlive the machine. */
  readonly run: string;
  readonly netns: string;
  /** Volumes of pods. */
  readonly kubelet: string;
  readonly podLogs: string;
  readonly containerLogs: string;
  /** CNI's cache. */
  readonly cni: string;
  /** Logs of the node's processes and modules. */
  readonly log: string;
}

/** The folders of a node. */
export const defaultFolders: AgentFolders = {
  run: "/run/podwire",
  netns: "/run/netns",
  kubelet: "/var/lib/kubelet",
  podLogs: "/var/log/pods",
  containerLogs: "/var/log/containers",
  cni: "/var/lib/cni",
  log: "/var/log",
};

/** What is used of a KubeletConfiguration (kubelet.config.k8s.io/v1beta1). */
interface KubeletConfig {
  readonly address?: string;
  readonly port?: number;
  readonly healthzBindAddress?: string;
  readonly healthzPort?: number;
  readonly clusterDNS?: readonly string[];
  readonly clusterDomain?: string;
  readonly resolvConf?: string;
  readonly maxPods?: number;
  readonly podPidsLimit?: number;
  readonly imageGCHighThresholdPercent?: number;
  readonly imageGCLowThresholdPercent?: number;
  readonly imageMaximumGCAge?: string;
  readonly containerLogMaxSize?: string;
  readonly containerLogMaxFiles?: number;
  readonly eventRecordQPS?: number;
  readonly eventBurst?: number;
  readonly staticPodPath?: string;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly registerWithTaints?: readonly Taint[];
  readonly authentication?: { readonly x509?: { readonly clientCAFile?: string } };
}

/** Keys that are read, and those of upstream's that change nothing here. */
const KEYS = new Set([
  ...["apiVersion", "kind", "address", "port", "healthzBindAddress", "healthzPort", "clusterDNS", "clusterDomain"],
  ...["resolvConf", "maxPods", "tlsCertFile", "tlsPrivateKeyFile", "registerWithTaints", "authentication"],
  ...["authorization", "cgroupDriver", "cgroupRoot", "containerRuntimeEndpoint", "staticPodPath", "rotateCertificates"],
  ...["cpuManagerReconcilePeriod", "evictionPressureTransitionPeriod", "fileCheckFrequency", "httpCheckFrequency"],
  ...["imageMaximumGCAge", "imageMinimumGCAge", "logging", "memorySwap", "nodeStatusReportFrequency"],
  ...["nodeStatusUpdateFrequency", "runtimeRequestTimeout", "shutdownGracePeriod", "shutdownGracePeriodCriticalPods"],
  ...["streamingConnectionIdleTimeout", "syncFrequency", "volumeStatsAggPeriod", "failSwapOn", "featureGates"],
  ...["crashLoopBackOff", "serverTLSBootstrap", "readOnlyPort"],
  ...["containerLogMaxSize", "containerLogMaxFiles", "containerLogMaxWorkers", "containerLogMonitorInterval"],
  ...["podPidsLimit", "imageGCHighThresholdPercent", "imageGCLowThresholdPercent"],
  ...["eventRecordQPS", "eventBurst"],
]);

/** A wrong flag or configuration file. */
export class AgentConfigError extends PodwireError {
  constructor(message: string) {
    super("ERR_KUBELET_CONFIG", message);
  }
}

/**
 * Reads a KubeletConfiguration.
 * @throws AgentConfigError with file and line for a key that does not exist
 */
export function parseKubeletConfig(text: string, file: string): KubeletConfig {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw new AgentConfigError(`${file}: ${error.message}`);
  if (!isMap(document.contents)) throw new AgentConfigError(`${file}: wanted a KubeletConfiguration`);
  for (const { key } of document.contents.items) {
    const { value, range } = key as { value: unknown; range?: readonly number[] };
    if (KEYS.has(String(value))) continue;
    const line = text.slice(0, range?.[0] ?? 0).split("\n").length;
    throw new AgentConfigError(`${file}:${line}: unknown field ${JSON.stringify(value)}`);
  }
  return (document.toJS() ?? {}) as KubeletConfig;
}

const FLAGS = {
  config: { type: "string" },
  kubeconfig: { type: "string", default: "/etc/kubernetes/kubelet.conf" },
  "hostname-override": { type: "string" },
  "node-ip": { type: "string" },
  "node-labels": { type: "string", default: "" },
  "cni-conf-dir": { type: "string", default: "/etc/cni/net.d" },
  "cni-bin-dir": { type: "string", default: "/opt/cni/bin" },
  "network-plugin": { type: "string" },
  "image-folder": { type: "string" },
  runtime: { type: "string", default: "podwire" },
} as const;

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, strict: true }).values;
  } catch (error) {
    const names = Object.keys(FLAGS).map((name) => `--${name}`);
    throw new AgentConfigError(`${(error as Error).message}; there are ${names.join(", ")}`);
  }
}

/** `a=b,c=` as a map. */
function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(",").filter((pair) => pair !== "");
  return Object.fromEntries(pairs.map((pair) => [pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1)]));
}

/** @throws AgentConfigError */
function bytesOf(text: string, field: string): number {
  try {
    return Number(scaledQuantity(parseQuantity(String(text)), 0));
  } catch (error) {
    throw new AgentConfigError(
      `${field}: ${JSON.stringify(text)}: ${errorMessage(error)}; such as 10Mi, below 0: no limit`,
    );
  }
}

/** @throws AgentConfigError */
function runtimeOf(name: string): RuntimeName {
  const found = RUNTIMES.find((known) => known === name);
  if (found === undefined) throw new AgentConfigError(`--runtime=${name}: there are ${RUNTIMES.join(", ")}`);
  return found;
}

/** @throws AgentConfigError */
function maxPods({ maxPods: pods = 110 }: KubeletConfig, file: string): number {
  if (!Number.isInteger(pods))
    throw new AgentConfigError(`${file}: maxPods: ${JSON.stringify(pods)}: must be an integer`);
  if (pods < 0)
    throw new AgentConfigError(
      `${file}: invalid configuration: maxPods (--max-pods) ${pods} must not be a negative number`,
    );
  return pods;
}

/**
 * Images are never removed by a node: their store is of all clusters of a user, and on a disk of the machine's, whose
 * filling says nothing about images. 100 is what turns it off in Kubernetes, and what kind sets for the same reason.
 * @throws AgentConfigError
 */
function checkImageGc(config: KubeletConfig, file: string): void {
  const { imageGCHighThresholdPercent: high = 100, imageMaximumGCAge: age = "0s" } = config;
  const why = "images of all nodes and clusters are in one store, and only `podwire images prune` removes them";
  if (high !== 100)
    throw new AgentConfigError(
      `${file}: imageGCHighThresholdPercent: ${JSON.stringify(high)}: there is only 100: ${why}`,
    );
  if (!/^(0[a-z]*)?$/.test(age))
    throw new AgentConfigError(`${file}: imageMaximumGCAge: ${age}: there is only 0s: ${why}`);
}

/** Below 1: any number, as upstream. @throws AgentConfigError */
function pidsLimit({ podPidsLimit = -1 }: KubeletConfig, file: string): { podPidsLimit?: number } {
  if (!Number.isInteger(podPidsLimit))
    throw new AgentConfigError(`${file}: podPidsLimit: ${JSON.stringify(podPidsLimit)}: must be an integer`);
  return podPidsLimit > 0 ? { podPidsLimit } : {};
}

/** @throws AgentConfigError */
function logLimits({ containerLogMaxSize, containerLogMaxFiles }: KubeletConfig, file: string): LogLimits {
  const maxFiles = containerLogMaxFiles ?? defaultLogLimits.maxFiles;
  if (!Number.isInteger(maxFiles) || maxFiles < 2)
    throw new AgentConfigError(`${file}: containerLogMaxFiles: ${maxFiles}: must be an integer greater than 1`);
  if (containerLogMaxSize === undefined) return { ...defaultLogLimits, maxFiles };
  return { maxBytes: bytesOf(containerLogMaxSize, `${file}: containerLogMaxSize`), maxFiles };
}

/** @throws AgentConfigError */
function eventRate({ eventRecordQPS, eventBurst }: KubeletConfig, file: string): EventRate {
  const rate = { perSecond: eventRecordQPS ?? defaultEventRate.perSecond, burst: eventBurst ?? defaultEventRate.burst };
  const named = { "eventBurst (--event-burst)": rate.burst, "eventRecordQPS (--event-qps)": rate.perSecond };
  for (const [field, value] of Object.entries(named)) {
    if (!Number.isInteger(value))
      throw new AgentConfigError(`${file}: ${field}: ${JSON.stringify(value)}: must be an integer`);
    if (value < 0)
      throw new AgentConfigError(`${file}: invalid configuration: ${field} ${value} must not be a negative number`);
  }
  return rate;
}

/**
 * Options from a kubelet's command line and the configuration file that it names.
 * @throws AgentConfigError
 */
export function agentOptions(args: readonly string[]): AgentOptions {
  const flags = parseFlags(args);
  const config = flags.config === undefined ? {} : parseKubeletConfig(readFileSync(flags.config, "utf8"), flags.config);
  checkImageGc(config, flags.config ?? "");
  const plugin = flags["network-plugin"];
  if (plugin !== undefined && plugin !== "cni")
    throw new AgentConfigError(`--network-plugin=${plugin}: there is only cni`);
  const addresses = (flags["node-ip"] ?? "").split(",").filter((a) => a !== "");
  if (addresses.length === 0) throw new AgentConfigError("--node-ip is needed: the node's address in the cluster");
  const pki = `${defaultFolders.kubelet}/pki`;
  const images = flags["image-folder"];
  return {
    nodeName: flags["hostname-override"] ?? hostname(),
    addresses,
    labels: labelsOf(flags["node-labels"]),
    taints: config.registerWithTaints ?? [],
    kubeconfig: flags.kubeconfig,
    clusterDns: config.clusterDNS ?? [],
    clusterDomain: config.clusterDomain ?? "cluster.local",
    resolvConf: config.resolvConf ?? "/etc/resolv.conf",
    maxPods: maxPods(config, flags.config ?? ""),
    ...pidsLimit(config, flags.config ?? ""),
    containerLogs: logLimits(config, flags.config ?? ""),
    eventRate: eventRate(config, flags.config ?? ""),
    runtime: runtimeOf(flags.runtime),
    ...(config.staticPodPath ? { staticPodPath: config.staticPodPath } : {}),
    server: {
      address: config.address ?? "0.0.0.0",
      port: config.port ?? 10250,
      healthzAddress: config.healthzBindAddress ?? "127.0.0.1",
      healthzPort: config.healthzPort ?? 10248,
      certFile: config.tlsCertFile ?? `${pki}/kubelet.crt`,
      keyFile: config.tlsPrivateKeyFile ?? `${pki}/kubelet.key`,
      clientCaFile: config.authentication?.x509?.clientCAFile ?? "/etc/kubernetes/pki/ca.crt",
    },
    cniConfDir: flags["cni-conf-dir"],
    cniBinDirs: flags["cni-bin-dir"].split(","),
    folders: defaultFolders,
    ...(images === undefined
      ? {}
      : { images: { socket: `${images}/socket/${SOCKET_NAME}`, layers: `${images}/layers` } }),
  };
}
