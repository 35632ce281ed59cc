import { execFileSync } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { expect, it } from "vitest";
import { openRtnetlink } from "#kernel/netlink/index.ts";

/** What a cluster could leave behind on its host, as sets of lines; what cannot be read here is absent. */
export interface HostState {
  readonly links: readonly string[];
  readonly mounts: readonly string[];
  readonly rules?: readonly string[];
  readonly conntrack?: readonly string[];
  readonly sysctls: readonly string[];
  readonly folders: readonly string[];
  /** Control groups of clusters. */
  readonly groups: readonly string[];
}

/** Settings that change by themselves, or by reading. */
const VOLATILE =
  /random\/|fs\/quota\/|\/(file-nr|inode-nr|inode-state|dentry-state|ns_last_pid|nr|aio-nr|nf_conntrack_count|keys_nr|nr_\w+|cdrom\/info|poweroff_cmd|perf_event_max_sample_rate|perf_cpu_time_max_percent|sched_domain.*|timer_migration|tainted|last_\w+|epoch)$/;
/** Folders that this run's own tests make in /tmp. */
const TESTS_OWN = /^(podwire-(staging|node|checkout|page|data|outside)-|pwk?-|vitest|node-compile-cache)/;

function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/** Every setting of /proc/sys below a folder that can be read, as `path=value`. */
function settings(folder: string): string[] {
  return safeList(folder).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (VOLATILE.test(path)) return [];
    if (isFolder(path)) return settings(path);
    return [`${path}=${lines(path).join(" ")}`];
  });
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** All nftables rules of this network namespace with their handles; the tables of iptables-nft are among them. */
function ruleset(): string[] {
  const text = execFileSync("nft", ["-a", "list", "ruleset"], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return text.split("\n").map((line) => line.replace(/counter packets \d+ bytes \d+/, "counter"));
}

/** Connections of this network namespace with addresses of a cluster. */
function connections(): string[] {
  const all = readFileSync("/proc/net/nf_conntrack", "utf8").split("\n");
  return all.filter((line) => /10\.244\.|10\.96\.|192\.168\.1\./.test(line));
}

/** What not everybody can read everywhere. */
const OPTIONAL = { rules: ruleset, conntrack: connections } as const;
type Optional = keyof typeof OPTIONAL;

/**
 * Lines of a source, or why there are none to compare here.
 * @throws Error for any other failure: nothing before and nothing after would look like equality
 */
function optional(name: Optional): { readonly lines: string[] } | { readonly absent: string } {
  if (process.getuid?.() !== 0) return { absent: `the host is not compared by its ${name}: only root reads them` };
  try {
    return { lines: OPTIONAL[name]() };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw error;
    return { absent: `the host is not compared by its ${name}: ${message}` };
  }
}

/** Says by a test for each source whether the host is compared by it: a skip is counted, silence is not. */
export function comparesWholeHost(): void {
  it.for(Object.keys(OPTIONAL) as Optional[])("the host is compared by its %s", (name, { skip }) => {
    const source = optional(name);
    if ("absent" in source) skip(source.absent);
    expect(source).toHaveProperty("lines");
  });
}

/**
 * The state of this machine as far as it has nothing to do with processes.
 * @throws Error when a source that is here cannot be read
 */
export function hostState(): HostState {
  const rtnl = openRtnetlink();
  try {
    return {
      links: rtnl.links().map((l) => `${l.index} ${l.name}`),
      mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(Boolean),
      ...Object.fromEntries(
        (Object.keys(OPTIONAL) as Optional[]).flatMap((name) => {
          const source = optional(name);
          return "lines" in source ? [[name, source.lines]] : [];
        }),
      ),
      sysctls: ["net", "kernel", "vm", "fs", "user"].flatMap((name) => settings(`/proc/sys/${name}`)),
      folders: ["/tmp", "/run", "/dev/shm", "/run/netns"].flatMap((folder) =>
        safeList(folder)
          .filter((name) => !TESTS_OWN.test(name))
          .map((name) => `${folder}/${name}`),
      ),
      groups: clusterGroups(),
    };
  } finally {
    rtnl.close();
  }
}

/** Where control groups of version 2 are mounted; undefined where they are not. */
export function groupMount(): string | undefined {
  const fields = lines("/proc/self/mountinfo").map((line) => line.split(" "));
  return fields.find((words) => words[words.indexOf("-") + 1] === "cgroup2")?.[4];
}

/** Folders of control groups that clusters have made, wherever they are. */
export function clusterGroups(folder = groupMount()): string[] {
  if (folder === undefined) return [];
  return safeList(folder).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (!isFolder(path)) return [];
    return /^podwire-\d+$/.test(name) ? [path] : clusterGroups(path);
  });
}

/** What belongs to a family of processes and has to go with it. */
export interface Belongings {
  /** User namespaces, as `user:[4026…]`: every process of a lab lives in one of its own, whatever else it is in. */
  readonly namespaces: Set<string>;
  /** Listening sockets of the host's network namespace, as `socket:[…]`. */
  readonly sockets: Set<string>;
}

/** Notes what the descendants of a process have now that this process does not have. */
export function note(root: number, into: Belongings): number[] {
  const own = link("/proc/self/ns/user");
  const listening = listeners();
  const family = descendants(root);
  for (const pid of family) {
    const namespace = link(`/proc/${pid}/ns/user`);
    if (namespace && namespace !== own) into.namespaces.add(namespace);
    for (const target of descriptors(String(pid))) if (listening.has(target)) into.sockets.add(target);
  }
  return family;
}

/** Sockets of this network namespace that listen, as descriptors name them. */
function listeners(): Set<string> {
  const rows = ["tcp", "tcp6", "udp", "udp6"].flatMap((name) => lines(`/proc/net/${name}`).slice(1));
  const fields = rows.map((row) => row.trim().split(/\s+/));
  return new Set(fields.filter((f) => f[3] === "0A" || f[3] === "07").map((f) => `socket:[${f[9]}]`));
}

/** Listeners of a family that are still there. */
export function remaining(of: Belongings): string[] {
  return [...listeners()].filter((socket) => of.sockets.has(socket));
}

/** Moment on the clock of a process's start (proc_pid_stat(5), starttime): hundredths of seconds since boot. */
export function bootClock(): number {
  return Number(lines("/proc/uptime")[0]?.split(" ")[0]) * 100;
}

/** Fields of proc_pid_stat(5) from the third on. */
function statOf(pid: string): readonly string[] {
  // The command in parentheses may hold anything, spaces and parentheses too.
  return lines(`/proc/${pid}/stat`).join(" ").split(") ").at(-1)?.split(" ") ?? [];
}

const STATE = 0;
const START = 19;

/**
 * Processes that belong to a cluster: by program, command line, open files, mounts or user namespace.
 * @param marks paths of its installation and of its state
 * @param until younger processes do not count as in its user namespace, whose number the kernel gives out again
 */
export function processesOf(marks: readonly string[], of?: Belongings, until = Number.POSITIVE_INFINITY): string[] {
  return safeList("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      // What has ended and waits for this machine's init to take note holds nothing any more.
      if (statOf(pid)[STATE] === "Z") return [];
      const words = lines(`/proc/${pid}/cmdline`).join(" ").replaceAll("\0", " ").trim();
      const open = descriptors(pid);
      const texts = [
        link(`/proc/${pid}/exe`),
        link(`/proc/${pid}/cwd`),
        words,
        ...open,
        ...lines(`/proc/${pid}/mountinfo`),
      ];
      const ours = texts.some((text) => marks.some((mark) => text.includes(mark)));
      const inside = of?.namespaces.has(link(`/proc/${pid}/ns/user`)) && Number(statOf(pid)[START]) <= until;
      return ours || inside ? [`${pid} ${words}`] : [];
    });
}

function descriptors(pid: string): string[] {
  return safeList(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** All descendants of a process, itself first. */
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
