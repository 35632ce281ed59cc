import { closeSync, lstatSync, mkdirSync, openSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { check, libc, SysError, syscallNumbers } from "#kernel/ffi/index.ts";
import { openBeneath } from "./beneath.ts";
import { resolveInside } from "./resolve.ts";

/** mount(2) flags (include/uapi/linux/mount.h). */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  REC: 16384,
  PRIVATE: 1 << 18,
} as const;

const MNT_DETACH = 2;

/** One mount of a root file system, in the order in which they are made. */
export interface Mount {
  /** Absolute path inside the new root; made when missing (as a file when a bind's source is a file). */
  readonly target: string;
  readonly type: "bind" | "overlay" | "tmpfs" | "proc" | "sysfs" | "devpts" | "cgroup2" | "mqueue";
  /** What a bind mounts, as a path of the namespace in which the plan is carried out. */
  readonly source?: string;
  /**
   * For a bind: what is mounted is this path below the source, to which others may write at the same time. A link that
   * leads out of the source is an error.
   */
  readonly inside?: string;
  /** The file system's own options, e.g. `lowerdir=…` or `mode=755`. */
  readonly options?: string;
  readonly readonly?: boolean;
  /** For a bind: with all mounts below the source. */
  readonly recursive?: boolean;
  readonly nosuid?: boolean;
  readonly nodev?: boolean;
  readonly noexec?: boolean;
  /** A failure is no error: the target is left as it is. */
  readonly optional?: boolean;
}

/** A root file system: a directory, what is mounted in it, and which paths of it are hidden or read-only. */
export interface RootPlan {
  /** The directory that becomes `/`; the caller makes it. */
  readonly directory: string;
  readonly mounts: readonly Mount[];
  /** Symbolic links to make once the mounts are there: path inside → what it points to. */
  readonly symlinks?: Readonly<Record<string, string>>;
  /** Covered by /dev/null or an empty directory once /proc is mounted. */
  readonly maskedPaths?: readonly string[];
  /** Made read-only once /proc is mounted. */
  readonly readonlyPaths?: readonly string[];
  /** Parts of those that stay writable. */
  readonly writablePaths?: readonly string[];
  /** `/` itself becomes read-only when all is in place; the mounts in it keep their own mode. */
  readonly readonlyRoot?: boolean;
}

/**
 * mount(2).
 * @throws SysError
 */
export function mount(
  source: string | null,
  target: string,
  type: string | null,
  flags: number,
  options: string | null,
): void {
  const data = options === null ? null : Buffer.from(`${options}\0`);
  check(libc.mount(source, target, type, flags, data), "mount", `${type ?? "bind"} ${source ?? ""} on ${target}`);
}

/** Unmounts `target` lazily, with everything below it. @throws SysError */
export function unmount(target: string): void {
  check(libc.umount2(target, MNT_DETACH), "umount2", target);
}

/** Cuts every mount below `target` off from the namespace it was copied from. @throws SysError */
export function makePrivate(target: string): void {
  mount(null, target, null, MS.REC | MS.PRIVATE, null);
}

function flagsOf(m: Mount): number {
  return (
    (m.readonly ? MS.RDONLY : 0) | (m.nosuid ? MS.NOSUID : 0) | (m.nodev ? MS.NODEV : 0) | (m.noexec ? MS.NOEXEC : 0)
  );
}

function makeTarget(target: string, m: Mount): void {
  const isFile = m.type === "bind" && m.source !== undefined && !statSync(m.source).isDirectory();
  if (!isFile) {
    mkdirSync(target, { recursive: true });
    return;
  }
  mkdirSync(dirname(target), { recursive: true });
  try {
    closeSync(openSync(target, "wx"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function mountOne(root: string, { inside, ...given }: Mount): void {
  const held = inside === undefined ? undefined : openBeneath(given.source ?? "", inside);
  try {
    attach(root, held === undefined ? given : { ...given, source: `/proc/self/fd/${held}` });
  } finally {
    if (held !== undefined) closeSync(held);
  }
}

function attach(root: string, m: Mount): void {
  const target = resolveInside(root, m.target);
  // What is below it, the devices and /proc among them, would be whoever's who fills what is mounted there.
  if (m.type === "bind" && root !== "" && target === root)
    throw new Error(`error mounting ${m.source} at ${m.target}: it is the root of the container`);
  try {
    makeTarget(target, m);
    if (m.type === "bind") {
      mount(m.source ?? null, target, null, MS.BIND | (m.recursive ? MS.REC : 0), null);
      // The flags of a bind take effect by a second call only (mount(2), "Remounting").
      const flags = flagsOf(m);
      if (flags) remount(target, flags);
    } else {
      mount(m.source ?? m.type, target, m.type, flagsOf(m), m.options ?? null);
    }
  } catch (error) {
    if (!m.optional) throw error;
  }
}

/**
 * Adds flags to an existing bind mount. Flags that the mount has inherited from a more privileged mount namespace
 * are locked (mount_namespaces(7)) and must be named again, so each failure is tried once more with the usual ones.
 */
function remount(target: string, flags: number): void {
  const attempts = [flags, flags | MS.NODEV, flags | MS.NOSUID | MS.NODEV, flags | MS.NOSUID | MS.NODEV | MS.NOEXEC];
  for (const [i, attempt] of attempts.entries()) {
    try {
      mount(null, target, null, MS.BIND | MS.REMOUNT | attempt, null);
      return;
    } catch (error) {
      const last = i === attempts.length - 1;
      if (last || !(error instanceof SysError) || error.code !== "EPERM") throw error;
    }
  }
}

/**
 * Makes every mount of a plan below its directory, in the calling thread's mount namespace, except those of type
 * `proc`: procfs shows the pid namespace of the process that mounts it, so the new process has to do it itself.
 * @throws SysError naming the mount that failed
 */
export function mountRoot(plan: RootPlan): void {
  mount(plan.directory, plan.directory, null, MS.BIND | MS.REC, null);
  for (const m of plan.mounts) {
    if (m.type === "proc") mkdirSync(plan.directory + m.target, { recursive: true });
    else mountOne(plan.directory, m);
  }
  for (const [path, to] of Object.entries(plan.symlinks ?? {})) {
    const parent = resolveInside(plan.directory, dirname(path));
    mkdirSync(parent, { recursive: true });
    const link = join(parent, basename(path));
    // The root of a machine that was stopped has them already.
    if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(link);
    symlinkSync(to, link);
  }
}

/** Makes mounts by their paths in the calling thread's own root. @throws SysError naming the mount that failed */
export function mountHere(mounts: readonly Mount[]): void {
  for (const m of mounts) mountOne("", m);
}

/**
 * Makes `directory` (a mount point) the root of the calling thread's mount namespace and detaches the old root.
 * The old root is stacked below the new one and unmounted from there, so that no directory is needed to hold it
 * (pivot_root(2), "pivot_root(".", ".")").
 * @throws SysError
 */
export function pivotRoot(directory: string): void {
  check(libc.chdir(directory), "chdir", directory);
  check(libc.syscallPaths(syscallNumbers().pivotRoot, ".", "."), "pivot_root", directory);
  check(libc.umount2(".", MNT_DETACH), "umount2", "old root");
  check(libc.chdir("/"), "chdir", "/");
}
