import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { sysctlPath } from "#kernel/namespaces/index.ts";
import type { ProxyConfig } from "../config/index.ts";

/** A file of the kernel's and what it is to hold. */
export interface KernelSetting {
  /** Upstream's name of it in logs. */
  readonly entry: string;
  readonly path: string;
  readonly value: number;
  /** A larger value that is there already is left. */
  readonly atLeast?: boolean;
}

const HASH_SIZE = "/sys/module/nf_conntrack/parameters/hashsize";

/** The most connections that are tracked; 0: as it is. @param cores of the machine */
export function conntrackMax(config: ProxyConfig, cores: number): number {
  const perCore = config["conntrack.maxPerCore"];
  return perCore > 0 ? Math.max(perCore * cores, config["conntrack.min"]) : 0;
}

/** What connection tracking is to be set to. Pure. */
export function conntrackSettings(config: ProxyConfig, cores: number): KernelSetting[] {
  const max = conntrackMax(config, cores);
  const seconds = (path: `conntrack.${"tcpEstablished" | "tcpCloseWait" | "udp" | "udpStream"}Timeout`) =>
    Math.floor(config[path] / 1000);
  const sysctl = (name: string, value: number): KernelSetting[] => {
    const entry = `net/netfilter/${name}`;
    return value > 0 ? [{ entry, path: sysctlPath(entry), value }] : [];
  };
  return [
    ...sysctl("nf_conntrack_max", max),
    // Buckets for a quarter of the connections; only the initial network namespace may change them.
    ...(max > 0 ? [{ entry: "conntrack hashsize", path: HASH_SIZE, value: Math.floor(max / 4), atLeast: true }] : []),
    ...sysctl("nf_conntrack_tcp_timeout_established", seconds("conntrack.tcpEstablishedTimeout")),
    ...sysctl("nf_conntrack_tcp_timeout_close_wait", seconds("conntrack.tcpCloseWaitTimeout")),
    ...sysctl("nf_conntrack_tcp_be_liberal", config["conntrack.tcpBeLiberal"] ? 1 : 0),
    ...sysctl("nf_conntrack_udp_timeout", seconds("conntrack.udpTimeout")),
    ...sysctl("nf_conntrack_udp_timeout_stream", seconds("conntrack.udpStreamTimeout")),
  ];
}

/** Sets what differs, in the namespaces of this process, and says what may not be set. */
export function applyConntrackSettings(config: ProxyConfig, log: Logger): void {
  for (const setting of conntrackSettings(config, cpus().length)) {
    const { entry, value } = setting;
    try {
      if (isSet(setting)) continue;
      writeFileSync(setting.path, String(value));
      log.info("Set sysctl", { entry, value });
    } catch (error) {
      log.warn("A setting of connection tracking stays as it is", { entry, value, err: errorMessage(error) });
    }
  }
}

function isSet({ path, value, atLeast }: KernelSetting): boolean {
  const present = Number(readFileSync(path, "utf8"));
  return atLeast ? present >= value : present === value;
}

/** How unlikely the kernel's out-of-memory killer is to end this process. Says when it may not be set. */
export function applyOomScore({ oomScoreAdj }: ProxyConfig, log: Logger): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", String(oomScoreAdj));
  } catch (error) {
    log.info("Failed to apply OOMScore", { err: errorMessage(error) });
  }
}
