import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { openRtnetlink } from "#kernel/netlink/index.ts";

/** What a cluster could leave behind on its host, as sets of lines. */
export interface HostState {
  readonly links: readonly string[];
  readonly mounts: readonly string[];
  readonly processes: readonly string[];
  readonly listening: readonly string[];
  readonly sysctls: readonly string[];
  readonly folders: readonly string[];
  readonly conntrack: readonly string[];
}

/** Sysctls of the host that a lab could change by mistake. */
const SYSCTLS = [
  "net/ipv4/ip_forward",
  "net/ipv4/conf/all/rp_filter",
  "net/ipv6/conf/all/forwarding",
  "net/ipv4/ip_unprivileged_port_start",
  "net/bridge/bridge-nf-call-iptables",
  "kernel/hostname",
  "kernel/sysrq",
  "vm/overcommit_memory",
  "user/max_user_namespaces",
];

function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/**
 * The state of this machine as far as clusters of one installation are concerned.
 * @param mark a path: processes count that run a program below it or have a file below it open
 */
export function hostState(mark: string): HostState {
  const rtnl = openRtnetlink();
  try {
    return {
      links: rtnl.links().map((l) => `${l.index} ${l.name}`),
      mounts: lines("/proc/self/mountinfo").filter((l) => l.includes("podwire") || l.includes(mark)),
      processes: processesOf(mark),
      listening: ["/proc/net/tcp", "/proc/net/udp"]
        .flatMap((p) => lines(p).map((l) => l.trim().split(/\s+/)))
        .filter((f) => /7F:/.test(f[1] ?? "") && f[3] === "0A")
        .map((f) => f[1] ?? ""),
      sysctls: SYSCTLS.map((name) => `${name}=${lines(`/proc/sys/${name}`).join()}`),
      folders: ["/tmp", "/run"].flatMap((folder) =>
        readdirSync(folder)
          .filter((n) => n.includes("podwire-lab") || n === "podwire")
          .map((n) => `${folder}/${n}`),
      ),
      conntrack: lines("/proc/net/nf_conntrack").filter((l) => /10\.244\.|10\.96\./.test(l)),
    };
  } finally {
    rtnl.close();
  }
}

/** Processes that belong to an installation, by program, command line, open files or what they have mounted. */
export function processesOf(mark: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const words = lines(`/proc/${pid}/cmdline`).join(" ").replaceAll("\0", " ").trim();
      return [
        link(`/proc/${pid}/exe`),
        link(`/proc/${pid}/cwd`),
        words,
        ...descriptors(pid),
        ...lines(`/proc/${pid}/mountinfo`),
      ].some((text) => text.includes(mark))
        ? [`${pid} ${words}`]
        : [];
    });
}

function descriptors(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** All descendants of a process, nearest first. */
export function descendants(root: number): number[] {
  const found = [root];
  for (const pid of found) {
    for (const tid of safeList(`/proc/${pid}/task`)) {
      found.push(
        ...lines(`/proc/${pid}/task/${tid}/children`).flatMap((l) => l.trim().split(" ").filter(Boolean).map(Number)),
      );
    }
  }
  return found;
}

function safeList(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
