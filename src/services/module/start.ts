import { type Client, kubernetesVersion } from "#api/index.ts";
import { cidrContains, formatIp, type Ip, parseCidr, parseIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import type { ProxyMode, ServiceBackend } from "../backends/index.ts";
import { type ProxyConfig, parsePortRange } from "../config/index.ts";
import type { ProxyObserver } from "../observer.ts";
import { type ServiceProxy, startServiceProxy } from "../proxy.ts";
import { ProxyHealth, ServiceHealthServers } from "../serving/index.ts";
import { syncLog } from "../syncLog.ts";
import { cleanOthers } from "./cleanup.ts";
import {
  type BackendSettings,
  backendOf,
  checkConfig,
  ipvsSettings,
  localTraffic,
  modeOf,
  modeSettings,
  needsPodCidrs,
  nodePortCidrs,
} from "./modes.ts";
import { factsOf, type NodeFacts, waitForNode } from "./node.ts";
import { NodePlaces } from "./places.ts";
import { serve } from "./serve.ts";

const LOCALHOST = parseIp("127.0.0.1");

/** What a kube-proxy needs. */
export interface KubeProxyDeps {
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly nft: Nftables;
  readonly conntrack?: Conntrack;
  readonly signal: AbortSignal;
  /** The node's own addresses. Absent: its object says them, and is waited for. */
  readonly nodeAddresses?: readonly Ip[];
  /** A failure after which the program cannot go on: a port where bindAddressHardFail asks for it, or the proxy's end. */
  readonly fatal: (message: string) => void;
  /**
   * What it was started with is no longer so: it has to be started anew, and follows the cluster with the old until then.
   * Told once. Default: {@link fatal}, as upstream ends then.
   */
  readonly outdated?: (message: string) => void;
  /** A Service's health check port could not be opened. @param service `namespace/name` */
  readonly healthCheckFailed?: (service: string, message: string) => void;
}

/** A running kube-proxy: rules, ports, logs. */
export interface KubeProxy {
  readonly mode: ProxyMode;
  /** Resolves when the first complete set of rules is in the kernel and those of other modes are gone. */
  readonly synced: Promise<void>;
  status(): ReturnType<ServiceProxy["status"]>;
  /** Ends it and waits; the rules stay. */
  stop(): Promise<void>;
}

/** {@link prepareKubeProxy} and start at once. @throws as that */
export async function startKubeProxy(config: ProxyConfig, nodeName: string, deps: KubeProxyDeps): Promise<KubeProxy> {
  return (await prepareKubeProxy(config, nodeName, deps))();
}

/**
 * Makes what a configuration describes, and touches nothing yet: a former proxy goes on until this one can start.
 * @returns starts it; call it once
 * @throws ProxyConfigError when it asks for something that is not there; PodwireError when the node lacks what the mode
 * needs; the signal's reason
 */
export async function prepareKubeProxy(
  config: ProxyConfig,
  nodeName: string,
  deps: KubeProxyDeps,
): Promise<() => KubeProxy> {
  checkConfig(config);
  const mode = modeOf(config);
  announce(config, mode, deps.log);
  const facts = await nodeOf(config, nodeName, deps);
  const { syncPeriodMs, minSyncPeriodMs, ...masquerade } = modeSettings(config, mode);
  const local = localTraffic(config, facts.podCidrs);
  const localhostNodePorts = config["iptables.localhostNodePorts"];
  const nodePortsEverywhere = nodePortCidrs(config, mode).length === 0;
  const ports = { localhostNodePorts, nodePortsEverywhere };
  const range = parsePortRange(config.portRange);
  const ofModes = {
    udpIdleTimeoutMs: config.udpIdleTimeout,
    ipvs: ipvsSettings(config),
    ...(range && { ports: range }),
  };
  const settings = { nodeName, localTraffic: local, syncPeriodMs, ...ports, ...masquerade, ...ofModes };
  if (local.kind === "none") deps.log.warn("Detect-local-mode set to ClusterCIDR, but no cluster CIDR defined");
  const backend = backendOf(mode, settings, deps);
  return () => run({ config, mode, facts, settings, backend, periods: { syncPeriodMs, minSyncPeriodMs } }, deps);
}

/** What a proxy is made of. */
interface Prepared {
  readonly config: ProxyConfig;
  readonly mode: ProxyMode;
  readonly facts: NodeFacts;
  readonly settings: BackendSettings;
  readonly backend: ServiceBackend;
  readonly periods: Readonly<Record<"syncPeriodMs" | "minSyncPeriodMs", number>>;
}

function run({ config, mode, facts, settings, backend, periods }: Prepared, deps: KubeProxyDeps): KubeProxy {
  const end = new AbortController();
  const signal = AbortSignal.any([deps.signal, end.signal]);
  const { nodeName } = settings;
  const { syncPeriodMs } = periods;
  const places = new NodePlaces(config, mode, facts.addresses);
  const health = new ProxyHealth(2 * syncPeriodMs);
  const services = serviceHealth(config, nodeName, { places, health, deps });
  const syncs = syncLog(deps.log);
  const addresses = addressWatch(places, syncPeriodMs, deps, () => {
    proxy.setNodeAddresses(places.primary, places.nodePorts());
  });
  const proxy = startServiceProxy({
    ...deps,
    ...periods,
    nodeName,
    nodeAddresses: places.primary,
    nodePortAddresses: places.nodePorts(),
    backend,
    observers: [health, services, syncs.observer, addresses, ...podCidrsWatch(config, nodeName, { facts, deps })],
    ended: (message) => {
      health.ended();
      deps.fatal(`the service proxy ended: ${message}`);
    },
  });
  const served = serve(config, mode, { ...deps, health });
  const synced = proxy.synced.then(() => cleanOthers(mode, settings, { ...deps, signal }));
  // Nobody has to wait for it; what failed is in the log.
  const cleaned = synced.catch(() => {});
  return {
    mode,
    synced,
    status: () => proxy.status(),
    async stop() {
      addresses.stop();
      end.abort(new Error("the service proxy is stopped"));
      await Promise.all([proxy.stop(), served.stop(), services.stop(), cleaned]);
      syncs.stop();
    },
  };
}

/** Follows the node's addresses: by its object, where it is not known otherwise, and by its interfaces. */
function addressWatch(
  places: NodePlaces,
  everyMs: number,
  { nodeAddresses }: KubeProxyDeps,
  changed: () => void,
): ProxyObserver & { stop(): void } {
  const follow = (addresses: readonly Ip[]): void => {
    if (places.change(addresses)) changed();
  };
  const looking = setInterval(() => follow(places.own), everyMs).unref();
  return {
    node: (node) => nodeAddresses ?? follow(factsOf(node).addresses),
    stop: () => clearInterval(looking),
  };
}

/** What is known of the node, or waited for. */
async function nodeOf(config: ProxyConfig, nodeName: string, deps: KubeProxyDeps): Promise<NodeFacts> {
  const { log, nodeAddresses } = deps;
  const wantsPodCidrs = needsPodCidrs(config);
  const facts = nodeAddresses && !wantsPodCidrs ? undefined : await waitForNode(nodeName, wantsPodCidrs, deps);
  const own = nodeAddresses ?? facts?.addresses ?? [];
  if (own.length) log.info("Successfully retrieved NodeIPs", { NodeIPs: own.map(formatIp) });
  else
    log.info(
      "Can't determine this node's IP, assuming loopback; if this is incorrect, please set the --bind-address flag",
    );
  return { addresses: own, podCidrs: facts?.podCidrs ?? [] };
}

/**
 * With detectLocalMode NodeCIDR the rules are made from the node's pod CIDRs, which may become others. Upstream's
 * NodeManager ends the program then; words are its own. A node that is gone, or has none yet, is no reason.
 */
function podCidrsWatch(
  config: ProxyConfig,
  nodeName: string,
  { facts, deps }: { readonly facts: NodeFacts; readonly deps: KubeProxyDeps },
): ProxyObserver[] {
  if (!needsPodCidrs(config)) return [];
  const { log, fatal, outdated = fatal } = deps;
  const message = "PodCIDRs changed for the node";
  let isTold = false;
  const node: ProxyObserver["node"] = (now) => {
    const { podCidrs } = factsOf(now);
    if (isTold || podCidrs.length === 0 || podCidrs.join() === facts.podCidrs.join()) return;
    isTold = true;
    log.info(message, { node: nodeName, newPodCIDRs: podCidrs, oldPodCIDRs: facts.podCidrs });
    outdated(message);
  };
  return [{ node }];
}

/** The ports that load balancers ask; where the configuration limits NodePorts, these are limited as well. */
function serviceHealth(
  config: ProxyConfig,
  nodeName: string,
  parts: { readonly places: NodePlaces; readonly health: ProxyHealth; readonly deps: KubeProxyDeps },
): ServiceHealthServers {
  const { places, health, deps } = parts;
  return new ServiceHealthServers({
    nodeName,
    log: deps.log,
    addresses: () => (config.nodePortAddresses.length ? places.nodePorts().map(formatIp) : []),
    isHealthy: () => health.healthy,
    failed: deps.healthCheckFailed ?? (() => {}),
  });
}

function announce(config: ProxyConfig, mode: ProxyMode, log: Logger): void {
  log.info("Version info", { version: kubernetesVersion });
  if (config.mode === "")
    log.info("No proxy mode is given; upstream's default is iptables, this one's nftables", { proxyMode: mode });
  // Upstream's words since 1.35 (KEP-5495).
  if (mode === "ipvs")
    log.warn(
      "The ipvs proxier is now deprecated and may be removed in a future release. Please use 'nftables' instead.",
    );
  if (
    mode !== "iptables" &&
    config.nodePortAddresses.some((text) => text !== "primary" && cidrContains(parseCidr(text), LOCALHOST))
  )
    log.error("--nodeport-addresses includes localhost but localhost NodePorts are not supported", {
      address: formatIp(LOCALHOST),
    });
  if (nodePortCidrs(config, mode).length === 0)
    log.warn("Kube-proxy configuration may be incomplete or incorrect", {
      err: "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. Consider using `--nodeport-addresses primary`",
    });
}
