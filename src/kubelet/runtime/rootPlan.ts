import type { Mount, RootPlan } from "#kernel/mounts/index.ts";
import type { ContainerImage } from "../images/index.ts";

/** Docker's default capabilities (moby, default OCI spec), named as in capabilities(7) without CAP_. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "chown",
  "dac_override",
  "fsetid",
  "fowner",
  "mknod",
  "net_raw",
  "setgid",
  "setuid",
  "setfcap",
  "setpcap",
  "net_bind_service",
  "sys_chroot",
  "kill",
  "audit_write",
];

/** Hidden parts of /proc and /sys (defaults of containerd and Docker). */
const MASKED = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];
const READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

/** A volume as the container sees it. */
export interface VolumeMountPoint {
  /** File or folder on the node. */
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
}

/** Folders that a container's root is made of; all on one file system that can hold an overlay's upper layer. */
export interface RootFolders {
  /** The image's layers, shared by its containers, the highest first. */
  readonly lower: readonly string[];
  /** What the container writes. */
  readonly upper: string;
  readonly work: string;
  /** Empty; becomes `/`. */
  readonly root: string;
}

/**
 * The root file system of one container: an overlay of the image's files, parts of the machine read-only, devices,
 * /proc, /sys and the volumes. /tmp, /run and /dev/shm are folders of the overlay, whose upper layer is in memory.
 */
export function rootPlan(
  folders: RootFolders,
  image: ContainerImage,
  volumes: readonly VolumeMountPoint[],
  { privileged, readonlyRoot }: { readonly privileged: boolean; readonly readonlyRoot: boolean },
): RootPlan {
  const inRoot = (m: Mount): Mount => (m.source ? { ...m, source: m.source.replace("{root}", folders.root) } : m);
  const depth = (path: string) => path.split("/").length;
  const sorted = [...volumes].sort((a, b) => depth(a.target) - depth(b.target));
  // What overlayfs notes down of folders that were replaced, it may note in attributes of users' own alone.
  const attributes = image.layers ? ",userxattr" : "";
  const layers = `lowerdir=${folders.lower.join(":")},upperdir=${folders.upper},workdir=${folders.work}${attributes}`;
  return {
    directory: folders.root,
    mounts: [
      { target: "/", type: "overlay", options: layers },
      ...image.mounts.map(inRoot),
      ...DEVICES.map(
        (name): Mount => ({ target: `/dev/${name}`, type: "bind", source: `/dev/${name}`, optional: true }),
      ),
      { target: "/dev/pts", type: "devpts", options: "newinstance,ptmxmode=0666,mode=620", nosuid: true, noexec: true },
      // As every runtime has it: programs count on it where they may write nowhere else.
      ...(readonlyRoot
        ? [{ target: "/dev/shm", type: "tmpfs", options: "mode=1777", nosuid: true, nodev: true } as const]
        : []),
      { target: "/proc", type: "proc" },
      { target: "/sys", type: "sysfs", readonly: !privileged, nosuid: true, nodev: true, noexec: true },
      ...sorted.map(
        ({ source, target, readonly }): Mount => ({ target, type: "bind", source, readonly, recursive: true }),
      ),
    ],
    ...(privileged ? {} : { maskedPaths: MASKED, readonlyPaths: READONLY }),
    ...(readonlyRoot ? { readonlyRoot } : {}),
  };
}
