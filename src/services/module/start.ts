import { type Client, kubernetesVersion } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { formatIp, type Ip } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import type { ProxyMode } from "../backends/index.ts";
import { type ProxyConfig, parsePortRange } from "../config/index.ts";
import type { ProxyObserver } from "../observer.ts";
import { type ServiceProxy, startServiceProxy } from "../proxy.ts";
import { ProxyHealth, ServiceHealthServers } from "../serving/index.ts";
import { syncLog } from "../syncLog.ts";
import { cleanOthers } from "./cleanup.ts";
import {
  backendOf,
  checkConfig,
  ipvsSettings,
  localTraffic,
  modeOf,
  modeSettings,
  needsPodCidrs,
  nodePortCidrs,
} from "./modes.ts";
import { factsOf, waitForNode } from "./node.ts";
import { NodePlaces } from "./places.ts";
import { serve } from "./serve.ts";

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
  /** A failure after which the program cannot go on; the configuration asks for it (bindAddressHardFail). */
  readonly fatal: (message: string) => void;
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

/**
 * Starts what a configuration describes.
 * @throws ProxyConfigError when it asks for something that is not there; PodwireError when the node lacks what the mode
 * needs; the signal's reason
 */
export async function startKubeProxy(config: ProxyConfig, nodeName: string, deps: KubeProxyDeps): Promise<KubeProxy> {
  checkConfig(config);
  const mode = modeOf(config);
  announce(config, mode, deps.log);
  const { own, podCidrs } = await nodeOf(config, nodeName, deps);
  const { syncPeriodMs, minSyncPeriodMs, ...masquerade } = modeSettings(config, mode);
  const local = localTraffic(config, podCidrs);
  const localhostNodePorts = config["iptables.localhostNodePorts"];
  const nodePortsEverywhere = nodePortCidrs(config, mode).length === 0;
  const ports = { localhostNodePorts, nodePortsEverywhere };
  const periods = { syncPeriodMs, udpIdleTimeoutMs: config.udpIdleTimeout };
  const range = parsePortRange(config.portRange);
  const ofModes = { ipvs: ipvsSettings(config), ...(range && { ports: range }) };
  const settings = { nodeName, localTraffic: local, ...ports, ...periods, ...masquerade, ...ofModes };
  if (local.kind === "none") deps.log.warn("Detect-local-mode set to ClusterCIDR, but no cluster CIDR defined");
  const places = new NodePlaces(config, mode, own);
  const health = new ProxyHealth(2 * syncPeriodMs);
  const services = serviceHealth(config, nodeName, { places, health, deps });
  const syncs = syncLog(deps.log);
  const follow = (addresses: readonly Ip[]): void => {
    if (places.change(addresses)) proxy.setNodeAddresses(places.primary, places.nodePorts());
  };
  const moves: ProxyObserver = { node: (node) => deps.nodeAddresses ?? follow(factsOf(node).addresses) };
  const proxy = startServiceProxy({
    ...deps,
    nodeName,
    nodeAddresses: places.primary,
    nodePortAddresses: places.nodePorts(),
    backend: backendOf(mode, settings, deps),
    observers: [health, services, syncs.observer, moves],
    syncPeriodMs,
    minSyncPeriodMs,
  });
  const looking = setInterval(() => follow(places.own), syncPeriodMs).unref();
  const served = serve(config, mode, { ...deps, health });
  const synced = proxy.synced.then(async () => {
    try {
      await cleanOthers(mode, settings, deps);
    } catch (error) {
      deps.log.error("Rules of other modes may be left", { error: errorMessage(error) });
      throw error;
    }
  });
  synced.catch(() => {}); // nobody has to wait for it; what failed is in the log
  return {
    mode,
    synced,
    status: () => proxy.status(),
    async stop() {
      clearInterval(looking);
      await Promise.all([proxy.stop(), served.stop(), services.stop()]);
      syncs.stop();
    },
  };
}

/** What is known of the node, or waited for. */
async function nodeOf(
  config: ProxyConfig,
  nodeName: string,
  deps: KubeProxyDeps,
): Promise<{ readonly own: readonly Ip[]; readonly podCidrs: readonly string[] }> {
  const { log, nodeAddresses } = deps;
  const wantsPodCidrs = needsPodCidrs(config);
  const facts = nodeAddresses && !wantsPodCidrs ? undefined : await waitForNode(nodeName, wantsPodCidrs, deps);
  const own = nodeAddresses ?? facts?.addresses ?? [];
  if (own.length) log.info("Successfully retrieved NodeIPs", { NodeIPs: own.map(formatIp) });
  else
    log.info(
      "Can't determine this node's IP, assuming loopback; if this is incorrect, please set the --bind-address flag",
    );
  return { own, podCidrs: facts?.podCidrs ?? [] };
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
  if (nodePortCidrs(config, mode).length === 0)
    log.warn("Kube-proxy configuration may be incomplete or incorrect", {
      err: "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. Consider using `--nodeport-addresses primary`",
    });
}
