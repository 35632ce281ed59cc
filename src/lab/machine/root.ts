import { chmodSync, existsSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Mount, RootPlan } from "#kernel/mounts/index.ts";
import { LAB_ROOT } from "#lab/stage/index.ts";

/** Folder of the program in every machine and pod. */
export const PROGRAM_ROOT = "/opt/podwire";

/** Folder of unpacked images (`layers`) and of the socket by which a node asks for them (`socket`) in every machine. */
export const IMAGE_ROOT = "/var/lib/images";

/** Folders below the lab's root that machines are made from. */
export const labPaths = {
  usr: `${LAB_ROOT}/usr`,
  tools: `${LAB_ROOT}/tools`,
  program: `${LAB_ROOT}/dist`,
  node: `${LAB_ROOT}/node`,
  state: `${LAB_ROOT}/state`,
  images: `${LAB_ROOT}/images`,
  /** An empty folder: the second layer that an overlay without an upper one needs. */
  empty: `${LAB_ROOT}/empty`,
  /** The /etc and /var that machines and pods start from. */
  template: `${LAB_ROOT}/template`,
  machines: `${LAB_ROOT}/machines`,
} as const;

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"] as const;
const DIRECTORIES = [
  "run/netns",
  "run/lock",
  "run/podwire",
  "tmp",
  "root",
  "home",
  "mnt",
  "srv",
  "opt/cni/bin",
  "usr",
  "etc",
  "proc",
  "sys",
  "dev",
  "var/log",
  "var/lib",
  "var/cache",
  "var/tmp",
  "var/spool",
  "var/mail",
] as const;
const ROOT_LINKS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] as const;

/** A machine's folders, as the engine sees them. */
export interface MachineFolders {
  /** Becomes `/`. */
  readonly root: string;
  /** Upper layer of /etc: what is written here before the start is there at the start. */
  readonly etc: string;
  readonly etcWork: string;
}

/**
 * The group of what runs on a machine beside pods, where the machine's own group is the root of all that it sees: one
 * that is divided has no processes itself (cgroup-v2).
 * @param cgroup the machine's own group
 */
export function machineLeaf(cgroup: string): string {
  return join(cgroup, "system");
}

/** The folders of machine `name`. */
export function machineFolders(name: string): MachineFolders {
  const base = join(labPaths.machines, name);
  return { root: join(base, "root"), etc: join(base, "etc"), etcWork: join(base, "etc-work") };
}

/**
 * Makes a machine's folders and writes files into them.
 * @param files absolute path inside → content; keys and kubeconfigs get mode 0600, programs 0755, the rest 0644; a path that ends
 *   with "/" is a folder, without content
 */
export function prepareFolders(folders: MachineFolders, files: Readonly<Record<string, string>>): void {
  for (const path of [folders.etc, folders.etcWork, ...DIRECTORIES.map((d) => join(folders.root, d))])
    mkdirSync(path, { recursive: true });
  for (const name of ["tmp", "var/tmp"]) chmodSync(join(folders.root, name), 0o1777);
  for (const [path, content] of Object.entries(files)) {
    if (path.endsWith("/")) mkdirSync(pathInside(folders, path), { recursive: true });
    else writeInside(folders, path, content);
  }
}

/** Deletes what a machine left on its disk. */
export function removeFolders(name: string): void {
  rmSync(join(labPaths.machines, name), { recursive: true, force: true });
}

/** Writes one file of a machine that has not been started, or outside of /etc of a running one. */
export function writeInside(folders: MachineFolders, path: string, content: string): void {
  const target = pathInside(folders, path);
  mkdirSync(dirname(target), { recursive: true });
  const secret = path.endsWith(".key") || (path.startsWith("/etc/kubernetes/") && path.endsWith(".conf"));
  const executable = path.startsWith("/opt/cni/bin/") || path.startsWith("/usr/local/bin/");
  writeFileSync(target, content, { mode: secret ? 0o600 : executable ? 0o755 : 0o644 });
}

/** Where the engine finds a file of a machine. */
export function pathInside(folders: MachineFolders, path: string): string {
  return path.startsWith("/etc/") ? join(folders.etc, path.slice("/etc/".length)) : join(folders.root, path);
}

/** What a machine's root depends on. */
export interface MachineSettings {
  /** Where the folder that outlives the lab's processes is mounted, if at all. */
  readonly stateMount?: string;
  /** Folder of the control group that is the machine's own, if it has one. */
  readonly cgroup?: string;
  /**
   * Its root is root of the computer: what does not belong to its own namespaces is shown read-only, and control groups
   * are mounted by its first process.
   */
  readonly privileged?: boolean;
}

/** The kernel's own files for all of the computer, beside /sys. */
const OF_THE_COMPUTER = ["acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger"].map(
  (name) => `/proc/${name}`,
);
/** What of them belongs to a machine's namespaces (network_namespaces(7), ipc_namespaces(7), uts_namespaces(7)). */
const OF_THE_MACHINE = [
  ...["net", "fs/mqueue", "kernel/domainname", "kernel/hostname", "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni"],
  ...["kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"],
].map((name) => `/proc/sys/${name}`);

/** The root file system of a machine. */
export function machineRoot(
  folders: MachineFolders,
  { stateMount, cgroup, privileged = false }: MachineSettings,
): RootPlan {
  const devices = DEVICES.map((name): Mount => ({ target: `/dev/${name}`, type: "bind", source: `/dev/${name}` }));
  // Shared by all machines. An overlay without an upper layer stays read-only whatever a machine's root does to the
  // mount; a bind mount could be made writable again.
  const shared = (target: string, source: string): Mount => ({
    target,
    type: "overlay",
    options: `lowerdir=${source}:${labPaths.empty}`,
    readonly: true,
    nosuid: true,
  });
  return {
    directory: folders.root,
    mounts: [
      { target: "/usr", type: "bind", source: labPaths.usr, readonly: true, recursive: true },
      {
        target: "/etc",
        type: "overlay",
        options: `lowerdir=${labPaths.template}/etc,upperdir=${folders.etc},workdir=${folders.etcWork}`,
      },
      { target: "/proc", type: "proc" },
      // Not covered by a read-only mount of itself: who takes that off would find a writable one.
      { target: "/sys", type: "sysfs", nosuid: true, nodev: true, noexec: true, readonly: privileged },
      ...(privileged ? [] : [sysfsForExec, groups(cgroup)]),
      { target: "/dev", type: "tmpfs", options: "mode=755,size=64k", nosuid: true },
      ...devices,
      { target: "/dev/net/tun", type: "bind", source: "/dev/net/tun", optional: true },
      { target: "/dev/pts", type: "devpts", options: "newinstance,ptmxmode=0666,mode=620", nosuid: true, noexec: true },
      { target: "/dev/shm", type: "tmpfs", options: "mode=1777", nosuid: true, nodev: true },
      { target: "/dev/mqueue", type: "mqueue", optional: true },
      shared(`${PROGRAM_ROOT}/dist`, labPaths.program),
      { target: `${PROGRAM_ROOT}/bin/node`, type: "bind", source: labPaths.node, readonly: true, nosuid: true },
      shared(`${PROGRAM_ROOT}/template`, labPaths.template),
      // Read-only since before the lab was made, and locked so; not by an overlay, which would take whiteouts for its own.
      { target: IMAGE_ROOT, type: "bind", source: labPaths.images, recursive: true, readonly: true, nodev: true },
      ...(stateMount === undefined
        ? []
        : [{ target: stateMount, type: "bind", source: labPaths.state, nosuid: true, nodev: true } as const]),
    ],
    ...(privileged ? { readonlyPaths: OF_THE_COMPUTER, writablePaths: OF_THE_MACHINE } : {}),
    symlinks: {
      ...rootLinks(),
      "/dev/ptmx": "pts/ptmx",
      "/dev/fd": "/proc/self/fd",
      "/dev/stdin": "/proc/self/fd/0",
      "/dev/stdout": "/proc/self/fd/1",
      "/dev/stderr": "/proc/self/fd/2",
      "/var/run": "/run",
      "/var/lock": "/run/lock",
    },
  };
}

/**
 * `ip netns exec` unmounts /sys and mounts it anew, which a user namespace may only while another full view of sysfs is
 * there (fs/namespace.c, mount_too_revealing).
 */
const sysfsForExec: Mount = { target: "/run/podwire/sys", type: "sysfs", nosuid: true, nodev: true, noexec: true };

function groups(cgroup: string | undefined): Mount {
  const flags = { nosuid: true, nodev: true, noexec: true, optional: true } as const;
  if (cgroup === undefined) return { target: "/sys/fs/cgroup", type: "cgroup2", ...flags };
  return { target: "/sys/fs/cgroup", type: "bind", source: cgroup, ...flags };
}

/** /bin, /lib and so on, as this machine has them: links into /usr. */
function rootLinks(): Record<string, string> {
  const links: Record<string, string> = {};
  for (const name of ROOT_LINKS) if (existsSync(`/${name}`)) links[`/${name}`] = readlinkSync(`/${name}`);
  return links;
}
