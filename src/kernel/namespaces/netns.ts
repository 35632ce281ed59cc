import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CLONE, check, libc } from "#kernel/ffi/index.ts";

const MS_BIND = 4096;
const MNT_DETACH = 2;

/**
 * A network namespace held by an open descriptor. It lives while this descriptor, another one, a process or a
 * bind mount holds it; when the last is gone the kernel removes its devices, rules and sockets.
 */
export interface Netns {
  /** Descriptor of the namespace, close-on-exec. */
  readonly fd: number;
  /** Closes the descriptor. More calls do nothing. */
  close(): void;
}

const threadNetns = "/proc/thread-self/ns/net";

function held(fd: number): Netns {
  let open = true;
  return {
    fd,
    close() {
      if (!open) return;
      open = false;
      closeSync(fd);
    },
  };
}

/** The namespace that this thread is in. */
export function currentNetns(): Netns {
  return held(openSync(threadNetns, "r"));
}

/**
 * Opens a namespace by path: a pinned one (/run/netns/NAME) or a process's (/proc/PID/ns/net).
 * @throws Error with code ENOENT when the path does not exist
 */
export function openNetns(path: string): Netns {
  return held(openSync(path, "r"));
}

/** Type of the file system whose files are namespaces (linux/magic.h). */
const NSFS_MAGIC = 0x6e73_6673;

/** Whether a namespace is pinned at a path: after a restart of the machine only an empty file may be left there. */
export function isPinned(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/**
 * The present namespace, to come back to. Coming back is tried at once: it is refused (EPERM) when the namespace
 * belongs to another user namespace, and then this thread must not leave.
 */
function openHome(): number {
  const home = openSync(threadNetns, "r");
  try {
    check(libc.setns(home, CLONE.NEWNET), "setns", "this process may not come back to its own network namespace");
    return home;
  } catch (error) {
    closeSync(home);
    throw error;
  }
}

/**
 * Makes a network namespace. Only its loopback is in it, down. The calling thread stays where it is.
 * New namespaces inherit ip_forward and rp_filter from the current one: set every sysctl that matters.
 * @throws SysError EPERM without CAP_SYS_ADMIN in the user namespace
 */
export function newNetns(): Netns {
  const home = openHome();
  try {
    check(libc.unshare(CLONE.NEWNET), "unshare", "network namespace");
    try {
      return held(openSync(threadNetns, "r"));
    } finally {
      check(libc.setns(home, CLONE.NEWNET), "setns", "back home");
    }
  } finally {
    closeSync(home);
  }
}

/**
 * Runs `work` with this thread inside the namespace: sockets that it makes and /proc/sys/net belong to the namespace.
 *
 * `work` must be synchronous. Whatever Node defers (`net.connect`, `server.listen`, fs.promises) happens at home.
 * Threads of libuv's pool born inside the window would stay there: call {@link warmThreadPool} once per process first.
 * @throws SysError when the namespace cannot be entered; TypeError when `work` returned a promise
 */
export function inNetns<T>(netns: Pick<Netns, "fd">, work: () => T): T {
  const home = openHome();
  try {
    check(libc.setns(netns.fd, CLONE.NEWNET), "setns", "network namespace");
    try {
      const result = work();
      if (result instanceof Promise) throw new TypeError("work in a network namespace must be synchronous");
      return result;
    } finally {
      check(libc.setns(home, CLONE.NEWNET), "setns", "back home");
    }
  } finally {
    closeSync(home);
  }
}

/**
 * Writes a sysctl of the namespace, such as `net.ipv4.ip_forward`. Interface names with dots go with `/`:
 * `net/ipv4/conf/eth0.5/rp_filter`.
 * @throws Error with code ENOENT when the kernel has no such setting
 */
export function setSysctl(netns: Pick<Netns, "fd">, name: string, value: string): void {
  inNetns(netns, () => writeFileSync(sysctlPath(name), value));
}

/** Writes several sysctls of the namespace in one window. Same errors as {@link setSysctl}. */
export function setSysctls(netns: Pick<Netns, "fd">, settings: Readonly<Record<string, string>>): void {
  inNetns(netns, () => setOwnSysctls(settings));
}

/** As setSysctls(), of the namespace that this thread is in: no namespace is entered. */
export function setOwnSysctls(settings: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(settings)) writeFileSync(sysctlPath(name), value);
}

/** File of a sysctl, from its dotted or slashed name. */
export function sysctlPath(name: string): string {
  return join("/proc/sys", name.includes("/") ? name : name.replaceAll(".", "/"));
}

/**
 * Binds the namespace to a file, by which `ip netns` and others find it (/run/netns/NAME).
 * @throws SysError; an Error with code EEXIST when the file exists
 */
export function pinNetns(netns: Pick<Netns, "fd">, path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  closeSync(openSync(path, "wx", 0o444));
  try {
    check(libc.mount(`/proc/self/fd/${netns.fd}`, path, null, MS_BIND, null), "mount", path);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

/** Undoes {@link pinNetns}. A path that is gone or not mounted is no error. */
export function unpinNetns(path: string): void {
  libc.umount2(path, MNT_DETACH);
  rmSync(path, { force: true });
}
