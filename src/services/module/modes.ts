import { readFileSync } from "node:fs";
import { PodwireError } from "#base/errors.ts";
import { type Cidr, parseCidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import { sysctlPath } from "#kernel/namespaces/index.ts";
import type { Nftables, Table } from "#kernel/nft/index.ts";
import {
  checkEbpf,
  checkIpvs,
  EBPF_TABLE,
  ebpfBackend,
  hasEbpfPrograms,
  IPVS_DEVICE,
  IPVS_TABLE,
  type IpvsSettings,
  iptablesBackend,
  ipvsBackend,
  isProxyChain,
  type LocalTraffic,
  nftablesBackend,
  openIptables,
  openIpvsNode,
  type ProxyMode,
  proxyModes,
  type ServiceBackend,
  type TrafficSettings,
  userspaceBackend,
} from "../backends/index.ts";
import { type PortRange, type ProxyConfig, ProxyConfigError } from "../config/index.ts";

/** What backends are made with. */
export interface BackendDeps {
  /** nftables of the node's network namespace, which is this process's. */
  readonly nft: Nftables;
  readonly log: Logger;
  readonly metrics?: Metrics;
}

/** Settings of all modes. */
export interface BackendSettings extends TrafficSettings {
  /** Of the iptables mode: NodePorts answer at 127.0.0.1 too. */
  readonly localhostNodePorts: boolean;
  /** Of the iptables mode: NodePorts answer at every address of the node; nodePortAddresses are empty. */
  readonly nodePortsEverywhere: boolean;
  readonly syncPeriodMs: number;
  /** Of the userspace mode: after this silence a UDP client is forgotten. */
  readonly udpIdleTimeoutMs: number;
  /** Of the userspace mode: where its ports are. */
  readonly ports?: PortRange;
  /** Of the ipvs mode. */
  readonly ipvs?: IpvsSettings;
}

interface Mode {
  /** Absent: every node can. @throws PodwireError saying what the node lacks */
  check?(config: ProxyConfig): void;
  make(settings: BackendSettings, deps: BackendDeps): ServiceBackend;
  /** Whether the mode may have left something, found out without starting programs. Absent: ask the backend. */
  mayHaveLeft?(nft: Nftables): Promise<boolean>;
}

/** The modes that are there. */
const modes: { readonly [Name in ProxyMode]?: Mode } = {
  nftables: {
    make: (settings, { nft, metrics }) => nftablesBackend({ ...settings, nft, ...(metrics && { metrics }) }),
  },
  iptables: {
    check: () => void openIptables(),
    make: (settings, { log, metrics }) =>
      iptablesBackend({
        ...{ ...settings, isTcpLiberal: isTcpLiberal(log), iptables: openIptables(), log },
        ...(metrics && { metrics }),
      }),
    mayHaveLeft: hasIptables,
  },
  ipvs: {
    check: (config) => checkIpvs(config["ipvs.scheduler"]),
    make: ({ ipvs, ...settings }, { nft, log, metrics }) =>
      ipvsBackend({ ...settings, ...ipvs, node: openIpvsNode(), nft, log, ...(metrics && { metrics }) }),
    mayHaveLeft: async (nft) =>
      (await nft.listTables()).some(({ name }) => name === IPVS_TABLE) ||
      readFileSync("/proc/self/net/dev", "utf8").includes(`${IPVS_DEVICE}:`),
  },
  userspace: {
    make: (settings, { nft, log, metrics }) => userspaceBackend({ ...settings, nft, log, ...(metrics && { metrics }) }),
  },
  ebpf: {
    make: (settings, { nft, log, metrics }) => ebpfBackend({ ...settings, nft, log, ...(metrics && { metrics }) }),
    mayHaveLeft: async (nft) => (await nft.listTables()).some(({ name }) => name === EBPF_TABLE) || hasEbpfPrograms(),
    check: () => checkEbpf(),
  },
};

/** Whether connection tracking of this network namespace takes packets outside of the window; upstream asks it, too. */
function isTcpLiberal(log: Logger): boolean {
  const entry = "net/netfilter/nf_conntrack_tcp_be_liberal";
  try {
    if (Number(readFileSync(sysctlPath(entry), "utf8")) === 0) return false;
  } catch {
    return false; // No connection tracking yet: the kernel's default is not liberal.
  }
  log.info("nf_conntrack_tcp_be_liberal set, not installing DROP rules for INVALID packets");
  return true;
}

/** iptables' tables have fixed names in nftables; those of its older form are listed by the kernel. */
async function hasIptables(nft: Nftables): Promise<boolean> {
  const own = new Set(["nat", "filter", "mangle"]);
  for (const table of await tablesOf(nft)) {
    const isOwn = own.has(table.name) && (table.family === "ip" || table.family === "ip6");
    if (isOwn && (await hasProxyChain(nft, table))) return true;
  }
  return ["ip_tables_names", "ip6_tables_names"].some((file) => {
    try {
      return readFileSync(`/proc/self/net/${file}`, "utf8") !== "";
    } catch {
      // The kernel has no such tables, or lets only root of its own see them.
      return false;
    }
  });
}

/** None where the kernel has no nf_tables, which iptables' older form does without. */
async function tablesOf(nft: Nftables): Promise<readonly Table[]> {
  try {
    return await nft.listTables();
  } catch {
    return [];
  }
}

/** Anybody may have such a table: only chains of a proxy ask for the programs of iptables. */
async function hasProxyChain(nft: Nftables, table: Table): Promise<boolean> {
  try {
    return (await nft.readTable(table))?.chains.some(({ name }) => isProxyChain(name)) ?? false;
  } catch {
    return true; // It cannot be read this way: iptables-save can.
  }
}

/** Whether a mode may have left rules on this node. */
export async function mayHaveLeft(mode: ProxyMode, nft: Nftables): Promise<boolean> {
  return (await modes[mode]?.mayHaveLeft?.(nft)) ?? true;
}

/** The mode where none is given. Upstream's is iptables; ours is the one that was made for large clusters. */
export const DEFAULT_MODE: ProxyMode = "nftables";

/** Modes that can be chosen. */
export const availableModes: readonly ProxyMode[] = proxyModes.filter((mode) => modes[mode] !== undefined);

/** The mode of a configuration. @throws ProxyConfigError when it is not there */
export function modeOf(config: ProxyConfig): ProxyMode {
  const mode = (config.mode || DEFAULT_MODE) as ProxyMode;
  if (modes[mode]) return mode;
  throw new ProxyConfigError(`mode: ${JSON.stringify(mode)} is not there; available are ${availableModes.join(", ")}`);
}

/** The backend of a mode. @throws ProxyConfigError when it is not there; PodwireError when the node lacks what it needs */
export function backendOf(mode: ProxyMode, settings: BackendSettings, deps: BackendDeps): ServiceBackend {
  const found = modes[mode];
  if (!found) throw new ProxyConfigError(`there is no mode ${mode}; available are ${availableModes.join(", ")}`);
  return found.make(settings, deps);
}

/** Settings that have a section for each mode. */
export interface ModeSettings {
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly syncPeriodMs: number;
  readonly minSyncPeriodMs: number;
}

/** What the section of a mode says; iptables' counts for the modes that use its rules. */
export function modeSettings(config: ProxyConfig, mode: ProxyMode): ModeSettings {
  const rules = mode === "nftables" || mode === "ebpf" ? "nftables" : "iptables";
  const times = mode === "ipvs" ? "ipvs" : rules;
  return {
    masqueradeBit: config[`${rules}.masqueradeBit`],
    masqueradeAll: config[`${rules}.masqueradeAll`],
    syncPeriodMs: config[`${times}.syncPeriod`],
    minSyncPeriodMs: config[`${times}.minSyncPeriod`],
  };
}

/** Whether the node's own pod CIDRs have to be known. */
export function needsPodCidrs({ detectLocalMode }: ProxyConfig): boolean {
  return detectLocalMode === "NodeCIDR";
}

/**
 * How traffic of this node's pods is told from other traffic.
 * @param podCidrs those of the node
 * @throws ProxyConfigError when the mode's own field is missing
 */
export function localTraffic(config: ProxyConfig, podCidrs: readonly string[]): LocalTraffic {
  const cidrs = (list: readonly string[]): LocalTraffic =>
    list.length ? { kind: "cidrs", cidrs: list.map((text): Cidr => parseCidr(text)) } : { kind: "none" };
  switch (config.detectLocalMode || "ClusterCIDR") {
    case "NodeCIDR":
      return cidrs(podCidrs);
    case "BridgeInterface":
      return { kind: "interface", name: config["detectLocal.bridgeInterface"] };
    case "InterfaceNamePrefix":
      return { kind: "interface-prefix", prefix: config["detectLocal.interfaceNamePrefix"] };
    default:
      return cidrs(config.clusterCIDR === "" ? [] : config.clusterCIDR.split(","));
  }
}

/**
 * Finds what cannot be before anything is started.
 * @throws ProxyConfigError; PodwireError when the node lacks what the mode needs
 */
export function checkConfig(config: ProxyConfig): void {
  const mode = modeOf(config);
  localTraffic(config, []);
  modes[mode]?.check?.(config);
}

/**
 * Whatever else is wrong with nftables, a mode that needs them says: iptables' may not, on a kernel without nf_tables.
 * @throws PodwireError "Forbidden" when this process may not see and change rules of its network namespace
 */
export async function checkRights(nft: Nftables): Promise<void> {
  try {
    await nft.listTables();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return;
    throw new PodwireError("Forbidden", "rules of a network namespace need CAP_NET_ADMIN in it: run this as root");
  }
}

/** The section `ipvs`, for its mode. Upstream's time-outs are whole seconds. */
export function ipvsSettings(config: ProxyConfig): IpvsSettings {
  const seconds = (path: `ipvs.${"tcp" | "tcpFin" | "udp"}Timeout`) => Math.floor(config[path] / 1000);
  return {
    scheduler: config["ipvs.scheduler"],
    excludeCidrs: config["ipvs.excludeCIDRs"],
    strictArp: config["ipvs.strictARP"],
    timeouts: {
      tcp: seconds("ipvs.tcpTimeout"),
      tcpFin: seconds("ipvs.tcpFinTimeout"),
      udp: seconds("ipvs.udpTimeout"),
    },
  };
}

/** Where NodePorts answer: what is given, else the mode's default (upstream's: nftables "primary", others everywhere). */
export function nodePortCidrs(config: ProxyConfig, mode: ProxyMode): readonly string[] {
  if (config.nodePortAddresses.length > 0) return config.nodePortAddresses;
  return mode === "nftables" || mode === "ebpf" ? ["primary"] : [];
}
