import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { MachineFacts, Trial } from "./facts.ts";

/** The programs that machines and pods should have; `scripts/lib/tools.mjs` fetches their packages. */
export const wantedPrograms: readonly string[] = [
  ...["tini", "nginx", "nft", "iptables", "ip", "ss", "bridge", "tc", "ping", "curl", "dig", "nslookup", "host"],
  ...["tcpdump", "ps", "arp", "ifconfig", "netstat", "route", "less", "socat", "nc"],
];

const programFolders = ["usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin", "sbin", "bin"];

/** linux/magic.h: CGROUP2_SUPER_MAGIC */
const cgroup2Magic = 0x63677270;

/** Longest time that a trial may take, in milliseconds; each ends in a few. */
const patience = 5000;

function run(program: string, args: readonly string[], env = process.env): Promise<Trial> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: patience, env }, (error, _stdout, stderr) => {
      if (!error) return resolve({ ok: true });
      const words = stderr.trim().split("\n").pop();
      resolve({ ok: false, error: words || (error.code === "ENOENT" ? `${program} is not installed` : error.message) });
    });
  });
}

function readNumber(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function found(name: string, tops: readonly string[]): string | undefined {
  return tops
    .flatMap((top) => programFolders.map((folder) => path.join(top, folder, name)))
    .find((file) => existsSync(file));
}

/** Adds up the ranges of /etc/subuid or /etc/subgid (subuid(5): `name-or-id:first:count`) that belong to a user. */
export function countSubordinateIds(text: string, user: string, uid: number): number {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([owner]) => owner === user || owner === String(uid))
    .reduce((sum, [, , count]) => sum + (Number(count) || 0), 0);
}

/** Where distributions begin to give out subordinate ids (login.defs(5), SUB_UID_MIN). */
const firstSubordinateId = 100_000;

/** The first id behind every range that files such as /etc/subuid give to anybody: a new range there overlaps none. */
export function freeSubordinateId(...texts: readonly string[]): number {
  const ends = texts
    .flatMap((text) => text.split("\n"))
    .map((line) => line.split(":"))
    .map(([, first, count]) => Number(first) + Number(count))
    .filter((end) => Number.isSafeInteger(end));
  return Math.max(firstSubordinateId, ...ends);
}

function cgroupVersion(): MachineFacts["cgroups"] {
  try {
    if (statfsSync("/sys/fs/cgroup").type === cgroup2Magic) return "v2";
    if (existsSync("/sys/fs/cgroup/unified")) return "hybrid";
    return existsSync("/sys/fs/cgroup/memory") ? "v1" : "none";
  } catch {
    return "none";
  }
}

function tunMode(): MachineFacts["tun"] {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return "open";
  } catch {
    return existsSync("/dev/net/tun") ? "closed" : "absent";
  }
}

/** Tries link kinds and nftables in a network namespace that ends with the trial; the host's is not touched. */
async function tryNetwork(tools: string): Promise<Record<string, Trial>> {
  const tops = ["/", path.join(tools, "root")];
  const ip = found("ip", tops);
  const nft = found("nft", tops);
  // Outside of a machine the tools' libraries are not where the loader looks.
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const env = { ...process.env, LD_LIBRARY_PATH: path.join(tools, "root/usr/lib", triplet) };
  const inside = (script: string): Promise<Trial> => run("unshare", ["-Urn", "sh", "-c", script], env);
  const trials: Record<string, Promise<Trial>> = {};
  if (ip) {
    trials["veth"] = inside(`${ip} link add pw0 type veth peer name pw1`);
    trials["bridge"] = inside(`${ip} link add pw0 type bridge`);
    trials["vxlan"] = inside(`${ip} link add pw0 type vxlan id 1 dstport 8472`);
  }
  if (nft) trials["nftables"] = inside(`${nft} add table inet podwire`);
  const names = Object.keys(trials);
  const results = await Promise.all(names.map((name) => trials[name]));
  return Object.fromEntries(names.map((name, index) => [name, results[index] ?? { ok: false }]));
}

function openFileLimit(): number {
  const hard = /^Max open files +\S+ +(\S+)/m.exec(readText("/proc/self/limits"))?.[1];
  return hard === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(hard ?? 0);
}

function distribution(): string {
  const text = readText("/etc/os-release");
  const value = (key: string): string => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  return `${value("ID")} ${value("VERSION_ID")}`.trim();
}

/** In containers a user may have a number only. */
function currentUser(): { readonly uid: number; readonly username: string } {
  try {
    return os.userInfo();
  } catch {
    const uid = process.getuid?.() ?? 0;
    return { uid, username: String(uid) };
  }
}

/**
 * Looks at the machine. Trials run in namespaces that end with them.
 * @param tools folder of the machines' tools; empty when there is none
 */
export async function probeMachine(tools: string): Promise<MachineFacts> {
  const { uid, username } = currentUser();
  const tops = tools === "" ? ["/"] : ["/", path.join(tools, "root")];
  const [userNamespace, overlay, network] = await Promise.all([
    run("unshare", ["-U", "true"]),
    run("unshare", ["-Urm", "mount", "-t", "overlay", "overlay", "-o", "lowerdir=/usr/bin:/usr/lib", "/usr/lib"]),
    tryNetwork(tools),
  ]);
  return {
    kernel: os.release(),
    architecture: process.arch,
    distribution: distribution(),
    node: process.versions.node,
    nodePath: process.execPath,
    uid,
    user: username,
    userNamespace,
    unprivilegedClone: readNumber("/proc/sys/kernel/unprivileged_userns_clone"),
    maxUserNamespaces: readNumber("/proc/sys/user/max_user_namespaces"),
    appArmorRestricts: readNumber("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    idMappers: found("newuidmap", ["/"]) !== undefined && found("newgidmap", ["/"]) !== undefined,
    subordinateIds: {
      uids: countSubordinateIds(readText("/etc/subuid"), username, uid),
      gids: countSubordinateIds(readText("/etc/subgid"), username, uid),
      free: freeSubordinateId(readText("/etc/subuid"), readText("/etc/subgid")),
    },
    overlay,
    network,
    bridgeNetfilter: existsSync("/proc/sys/net/bridge/bridge-nf-call-iptables"),
    tun: tunMode(),
    cgroups: cgroupVersion(),
    crun: found("crun", ["/"]),
    openFiles: openFileLimit(),
    tools: {
      folder: tools,
      there: tools !== "" && existsSync(path.join(tools, "stamp")),
      missing: wantedPrograms.filter((name) => found(name, tops) === undefined),
    },
    apt: found("apt-get", ["/"]) !== undefined,
  };
}
