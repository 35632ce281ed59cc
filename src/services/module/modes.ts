import { type Cidr, parseCidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import {
  type Iptables,
  type IptablesSettings,
  iptablesBackend,
  type LocalTraffic,
  nftablesBackend,
  openIptables,
  type ProxyMode,
  proxyModes,
  type ServiceBackend,
} from "../backends/index.ts";
import { type ProxyConfig, ProxyConfigError } from "../config/index.ts";

/** What backends are made with. */
export interface BackendDeps {
  /** nftables of the node's network namespace. */
  readonly nft: Nftables;
  /** Programs of iptables that work on it. Absent: those in PATH, on the process's namespace. */
  readonly iptables?: Iptables;
  readonly metrics?: Metrics;
  readonly log?: Logger;
}

/** What backends are told; each takes what is for it. */
export type BackendSettings = IptablesSettings;

type Maker = (settings: BackendSettings, deps: BackendDeps) => ServiceBackend;

/** The modes that are there. */
const makers: { readonly [Mode in ProxyMode]?: Maker } = {
  nftables: (settings, deps) => nftablesBackend({ ...settings, ...deps }),
  iptables: (settings, deps) => {
    const iptables = deps.iptables ?? openIptables();
    deps.log?.info("Using iptables", { version: iptables.version });
    return iptablesBackend({ ...settings, ...deps, iptables });
  },
};

/** The mode where none is given. Upstream's is iptables; ours is the one that was made for large clusters. */
export const DEFAULT_MODE: ProxyMode = "nftables";

/** Modes that can be chosen. */
export const availableModes: readonly ProxyMode[] = proxyModes.filter((mode) => makers[mode] !== undefined);

/** The mode of a configuration. @throws ProxyConfigError when it is not there */
export function modeOf(config: ProxyConfig): ProxyMode {
  const mode = (config.mode || DEFAULT_MODE) as ProxyMode;
  if (makers[mode]) return mode;
  throw new ProxyConfigError(`mode: ${JSON.stringify(mode)} is not there; available are ${availableModes.join(", ")}`);
}

/**
 * The backend of a mode.
 * @throws ProxyConfigError when it is not there; PodwireError "NoIptables" when its programs are not
 */
export function backendOf(mode: ProxyMode, settings: BackendSettings, deps: BackendDeps): ServiceBackend {
  const maker = makers[mode];
  if (!maker) throw new ProxyConfigError(`there is no mode ${mode}; available are ${availableModes.join(", ")}`);
  return maker(settings, deps);
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
      return { kind: "interface", name: named(config, "detectLocal.bridgeInterface") };
    case "InterfaceNamePrefix":
      return { kind: "interface-prefix", prefix: named(config, "detectLocal.interfaceNamePrefix") };
    default:
      return cidrs(config.clusterCIDR === "" ? [] : config.clusterCIDR.split(","));
  }
}

function named(config: ProxyConfig, path: "detectLocal.bridgeInterface" | "detectLocal.interfaceNamePrefix"): string {
  const value = config[path];
  if (value !== "") return value;
  throw new ProxyConfigError(`${path}: needed with detectLocalMode ${config.detectLocalMode}`);
}

/** Where NodePorts answer: what is given, else the mode's default (upstream's: nftables "primary", others everywhere). */
export function nodePortCidrs(config: ProxyConfig, mode: ProxyMode): readonly string[] {
  if (config.nodePortAddresses.length > 0) return config.nodePortAddresses;
  return mode === "nftables" || mode === "ebpf" ? ["primary"] : [];
}
