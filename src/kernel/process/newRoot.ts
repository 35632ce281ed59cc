import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, mkdirSync, openSync, rmdirSync } from "node:fs";
import { isErrno, O } from "#kernel/ffi/index.ts";
import { MS, mount, mountRoot, pivotRoot, type RootPlan, unmount } from "#kernel/mounts/index.ts";

/** How a procfs is mounted. */
export const PROC_FLAGS = MS.NOSUID | MS.NODEV | MS.NOEXEC;
/** Major and minor number of /dev/null (kernel documentation, devices.txt). */
const NULL_DEVICE = (1 << 8) | 3;

/**
 * Makes a root, and makes it this thread's.
 * @param cwd made when it is missing, as every runtime does
 * @returns where our /proc is in it: until it has one of its own, the new process finds itself through that
 */
export function enterRoot(root: RootPlan, cwd: string): string {
  mountRoot(root);
  // Of a name that no image can have taken: what lies there is executed.
  const oldProc = `/.proc-${randomBytes(8).toString("hex")}`;
  mkdirSync(root.directory + oldProc);
  mount("/proc", root.directory + oldProc, null, MS.BIND | MS.REC, null);
  pivotRoot(root.directory);
  try {
    mkdirSync(cwd, { recursive: true });
  } catch {
    // Entering it says why there is none.
  }
  return oldProc;
}

/**
 * Mounts the /proc of a process.
 * @param oldProc where our own is
 * @returns false where this kernel cannot do it from outside
 */
export function mountProc(pid: number, oldProc: string): boolean {
  try {
    mount("proc", "/proc", "proc", PROC_FLAGS, `pidns=${oldProc}/${pid}/ns/pid`);
    return true;
  } catch (error) {
    if (isErrno(error, "EINVAL")) return false;
    throw error;
  }
}

/** Hides parts of the thread's new root, and lets go of what was there for its making. */
export function finishRoot(root: RootPlan, oldProc: string): void {
  hide(root, oldProc);
  unmount(oldProc);
  rmdirSync(oldProc);
  // Of this mount alone, not of its file system, which the machine may write on.
  if (root.readonlyRoot) mount(null, "/", null, MS.BIND | MS.REMOUNT | MS.RDONLY, null);
}

/**
 * Hides and protects parts of the new root.
 * @param oldProc where our own /proc is
 * @throws Error when what the image or a volume has at /dev/null is no such device: it would be seen there instead
 */
function hide(root: RootPlan, oldProc: string): void {
  if (!root.maskedPaths?.length && !root.readonlyPaths?.length) return;
  const held = openSync("/dev/null", O.PATH | constants.O_NOFOLLOW);
  try {
    if (fstatSync(held).rdev !== NULL_DEVICE) throw new Error("/dev/null of the container is not the null device");
    const nothing = `${oldProc}/self/fd/${held}`;
    for (const path of root.maskedPaths ?? []) tryMount(() => mount(nothing, path, null, MS.BIND, null), path);
  } finally {
    closeSync(held);
  }
  for (const path of root.readonlyPaths ?? []) tryMount(() => cover(path, MS.RDONLY), path);
  // Bound from what is read-only by now, and made writable again: their own mount is the one that was just made.
  for (const path of root.writablePaths ?? []) tryMount(() => cover(path, 0), path);
}

/** Covers a path by itself, with other flags. */
function cover(path: string, flags: number): void {
  mount(path, path, null, MS.BIND | MS.REC, null);
  mount(null, path, null, MS.BIND | MS.REMOUNT | flags | PROC_FLAGS, null);
}

/** A path that this kernel does not have needs no hiding; a directory is covered by an empty one. */
function tryMount(attempt: () => void, path: string): void {
  try {
    attempt();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    if (!isErrno(error, "ENOTDIR")) throw error;
    mount("tmpfs", path, "tmpfs", MS.RDONLY, "size=0,nr_inodes=2");
  }
}
