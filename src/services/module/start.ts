import { type Client, kubernetesVersion } from "#api/index.ts";
import { errorMessage, hasCode } from "#base/errors.ts";
import { formatIp, type Ip } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import type { Nftables, OriginIndex } from "#kernel/nft/index.ts";
import type { Iptables, ProxyMode, ServiceBackend } from "../backends/index.ts";
import { type ProxyConfig, ProxyConfigError } from "../config/index.ts";
import { nodePortAddresses } from "../model/index.ts";
import { type ServiceProxy, startServiceProxy } from "../proxy.ts";
import { ProxyHealth, ServiceHealthServers } from "../serving/index.ts";
import { syncLog } from "../syncLog.ts";
import {
  availableModes,
  type BackendDeps,
  type BackendSettings,
  backendOf,
  localTraffic,
  modeOf,
  modeSettings,
  needsPodCidrs,
  nodePortCidrs,
} from "./modes.ts";
import { factsOf, interfaceAddresses, primaryAddresses, sameAddresses, waitForNode } from "./node.ts";
import { type Served, serve } from "./serve.ts";

/** What a kube-proxy needs. */
export interface KubeProxyDeps {
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly nft: Nftables;
  /** Programs of iptables that work on the node. Absent: those in PATH, on the process's network namespace. */
  readonly iptables?: Iptables;
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
  readonly origins: OriginIndex | undefined;
  /** Resolves when the first complete set of rules is in the kernel and those of other modes are gone. */
  readonly synced: Promise<void>;
  readonly served: Served;
  status(): ReturnType<ServiceProxy["status"]>;
  /** Ends it and waits; the rules stay. */
  stop(): Promise<void>;
}

/**
 * Starts what a configuration describes.
 * @throws ProxyConfigError when it asks for something that is not there; the signal's reason
 */
export async function startKubeProxy(config: ProxyConfig, nodeName: string, deps: KubeProxyDeps): Promise<KubeProxy> {
  const { log, client, metrics } = deps;
  const mode = modeOf(config);
  announce(config, mode, log);
  const known =
    deps.nodeAddresses && !needsPodCidrs(config) ? { addresses: deps.nodeAddresses, podCidrs: [] } : undefined;
  const facts = known ?? (await waitForNode(nodeName, needsPodCidrs(config), deps));
  const own = deps.nodeAddresses ?? facts.addresses;
  if (own.length) log.info("Successfully retrieved NodeIPs", { NodeIPs: own.map(formatIp) });
  else
    log.info(
      "Can't determine this node's IP, assuming loopback; if this is incorrect, please set the --bind-address flag",
    );
  const { syncPeriodMs, minSyncPeriodMs, ...masquerade } = modeSettings(config, mode);
  const settings = {
    ...{ nodeName, localTraffic: localTraffic(config, facts.podCidrs), ...masquerade, syncPeriodMs },
    localhostNodePorts: config["iptables.localhostNodePorts"],
    nodePortsEverywhere: nodePortCidrs(config, mode).length === 0,
  };
  if (settings.localTraffic.kind === "none")
    log.warn("Detect-local-mode set to ClusterCIDR, but no cluster CIDR defined", { detectLocalMode: "ClusterCIDR" });
  const places = new NodePlaces(config, mode, own);
  const health = new ProxyHealth(2 * syncPeriodMs);
  const services = new ServiceHealthServers({
    nodeName,
    log,
    addresses: () => (config.nodePortAddresses.length ? places.nodePorts().map(formatIp) : []),
    isHealthy: () => health.healthy,
    failed: deps.healthCheckFailed ?? (() => {}),
  });
  const syncs = syncLog(log);
  const proxy = startServiceProxy({
    client,
    nodeName,
    nodeAddresses: places.primary,
    nodePortAddresses: places.nodePorts(),
    backend: backendOf(mode, settings, deps),
    ...(deps.conntrack && { conntrack: deps.conntrack }),
    log,
    signal: deps.signal,
    metrics,
    observers: [
      health,
      services,
      syncs.observer,
      { node: (node) => deps.nodeAddresses ?? follow(factsOf(node).addresses) },
    ],
    syncPeriodMs,
    minSyncPeriodMs,
  });
  const follow = (addresses: readonly Ip[]) => {
    if (places.change(addresses)) proxy.setNodeAddresses(places.primary, places.nodePorts());
  };
  const looking = setInterval(() => follow(places.own), syncPeriodMs).unref();
  const served = serve(config, mode, { health, metrics, log, fatal: deps.fatal });
  const synced = proxy.synced.then(() => cleanOthers(mode, settings, deps));
  synced.catch(() => {}); // nobody has to wait for it
  return {
    mode,
    origins: proxy.origins,
    synced,
    served,
    status: () => proxy.status(),
    async stop() {
      clearInterval(looking);
      await Promise.all([proxy.stop(), served.stop(), services.stop()]);
      syncs.stop();
    },
  };
}

function announce(config: ProxyConfig, mode: ProxyMode, log: Logger): void {
  log.info("Version info", { version: kubernetesVersion });
  if (config.mode === "")
    log.info("No proxy mode is given; upstream's default is iptables, this one's nftables", { proxyMode: mode });
  if (nodePortCidrs(config, mode).length === 0)
    log.warn("Kube-proxy configuration may be incomplete or incorrect", {
      err: "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. Consider using `--nodeport-addresses primary`",
    });
}

/** Where the node is reached, which may change while it runs. */
class NodePlaces {
  own: readonly Ip[];
  readonly #config: ProxyConfig;
  readonly #mode: ProxyMode;
  #last: readonly Ip[] = [];

  constructor(config: ProxyConfig, mode: ProxyMode, own: readonly Ip[]) {
    this.#config = config;
    this.#mode = mode;
    this.own = own;
    this.#last = this.nodePorts();
  }

  get primary(): Ip[] {
    return primaryAddresses(this.own, this.#config.bindAddress);
  }

  nodePorts(): Ip[] {
    const limits = {
      cidrs: nodePortCidrs(this.#config, this.#mode),
      localhost: this.#mode === "iptables" && this.#config["iptables.localhostNodePorts"],
    };
    return nodePortAddresses(limits, { primary: this.primary, all: [...interfaceAddresses(), ...this.primary] });
  }

  /** @param own the node's addresses now; empty: as before @returns whether anything is different */
  change(own: readonly Ip[]): boolean {
    const isSame = own.length === 0 || sameAddresses(own, this.own);
    if (!isSame) this.own = own;
    const now = this.nodePorts();
    const hasMoved = !isSame || !sameAddresses(now, this.#last);
    this.#last = now;
    return hasMoved;
  }
}

/** Removes what other modes left on this node, as well as it can: after ours are there, so that nothing is missed. */
async function cleanOthers(mode: ProxyMode, settings: BackendSettings, deps: KubeProxyDeps): Promise<void> {
  for (const other of availableModes.filter((name) => name !== mode)) {
    try {
      await cleanUpMode(other, settings, deps);
    } catch (error) {
      deps.log.warn("Rules of another mode were not removed", { proxyMode: other, err: errorMessage(error) });
    }
  }
}

async function cleanUpMode(
  mode: ProxyMode,
  settings: BackendSettings,
  deps: Pick<KubeProxyDeps, "nft" | "iptables">,
): Promise<void> {
  const { nft, iptables } = deps;
  const backend = madeFor(mode, settings, { nft, ...(iptables && { iptables }) });
  try {
    await backend?.cleanup();
  } finally {
    await backend?.close();
  }
}

/** The backend of a mode; undefined where its programs are not there, and so left nothing. */
function madeFor(mode: ProxyMode, settings: BackendSettings, deps: BackendDeps): ServiceBackend | undefined {
  try {
    return backendOf(mode, settings, deps);
  } catch (error) {
    if (hasCode(error, "NoIptables")) return undefined;
    throw error;
  }
}

/**
 * Removes the rules of every mode.
 * @throws ProxyConfigError that names what stayed
 */
export async function cleanUpAll(deps: Pick<KubeProxyDeps, "nft" | "iptables" | "log">): Promise<void> {
  const settings: BackendSettings = { nodeName: "", localTraffic: { kind: "none" } };
  const failed: string[] = [];
  for (const mode of availableModes) {
    try {
      await cleanUpMode(mode, settings, deps);
      deps.log.info("Rules are removed", { proxyMode: mode });
    } catch (error) {
      failed.push(`${mode}: ${errorMessage(error)}`);
    }
  }
  if (failed.length) throw new ProxyConfigError(`encountered an error while tearing down rules: ${failed.join("; ")}`);
}
