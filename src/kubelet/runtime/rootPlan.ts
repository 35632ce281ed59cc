import { readFileSync } from "node:fs";
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
  /** Only this path of it, to which the pod's containers may write meanwhile. */
  readonly inside?: string;
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
  /** What containers of a pod share at /dev/shm. */
  readonly sharedMemory?: string;
}

/** Whether ids are those of the machine: this process is in no user namespace of its own (user_namespaces(7), uid_map). */
export function machinesIds(uidMap = readFileSync("/proc/self/uid_map", "utf8")): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(uidMap);
}

/**
 * The root file system of one container: an overlay of the image's files, parts of the machine read-only, devices,
 * /proc, /sys, the pod's shared memory and the volumes. /tmp and /run are folders of the overlay, whose upper layer is
 * in memory.
 */
export function rootPlan(
  folders: RootFolders,
  image: ContainerImage,
  volumes: readonly VolumeMountPoint[],
  {
    privileged,
    unmaskedProc,
    readonlyRoot,
  }: { readonly privileged: boolean; readonly unmaskedProc?: boolean; readonly readonlyRoot: boolean },
  hasMachinesIds = machinesIds(),
): RootPlan {
  // Without a user namespace between them a container's root could change the settings of the machine.
  const isOpen = privileged && !hasMachinesIds;
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
      ...(folders.sharedMemory
        ? [
            {
              target: "/dev/shm",
              type: "bind",
              source: folders.sharedMemory,
              nosuid: true,
              nodev: true,
              noexec: true,
            } as const,
          ]
        : []),
      { target: "/proc", type: "proc" },
      { target: "/sys", type: "sysfs", readonly: !isOpen, nosuid: true, nodev: true, noexec: true },
      ...sorted.map((volume): Mount => ({ ...volume, type: "bind", recursive: true })),
    ],
    ...(isOpen || (unmaskedProc && !hasMachinesIds) ? {} : { maskedPaths: MASKED, readonlyPaths: READONLY }),
    ...(readonlyRoot ? { readonlyRoot } : {}),
  };
}
