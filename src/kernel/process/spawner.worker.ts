import { mkdirSync, readSync, rmdirSync, writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { CLONE, check, isErrno, libc, O, syscallNumbers } from "#kernel/ffi/index.ts";
import { MS, makePrivate, mount, mountRoot, pivotRoot, type RootPlan, unmount } from "#kernel/mounts/index.ts";
import { posixSpawn } from "./posixSpawn.ts";
import { openPty } from "./pty.ts";
import { commandOf, type NamespaceKind, type ProcMode, type SpawnRequest } from "./request.ts";

/**
 * The thread that starts processes. It alone changes its namespaces and its root, for the time of one spawn, and
 * then returns home: the rest of the process never leaves. Requests are served one after the other, synchronously.
 */

const KINDS: Readonly<Record<NamespaceKind, number>> = {
  net: CLONE.NEWNET,
  mount: CLONE.NEWNS,
  uts: CLONE.NEWUTS,
  ipc: CLONE.NEWIPC,
  pid: CLONE.NEWPID,
  cgroup: CLONE.NEWCGROUP,
};
const ALL = Object.values(KINDS).reduce((a, b) => a | b, 0);
const OLD_PROC = "/.oldproc";
const PROC_FLAGS = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/** What the main thread gets back. */
export interface Spawned {
  readonly pid: number;
  readonly pidfd: number;
  /** Our end of the terminal, when one was asked for. */
  readonly pty?: number;
}

function flagsOf(kinds: readonly NamespaceKind[]): number {
  return kinds.reduce((flags, kind) => flags | KINDS[kind], 0);
}

function pidfdOpen(pid: number): number {
  return check(libc.syscall3(syscallNumbers().pidfdOpen, pid, 0, 0), "pidfd_open", `pid ${pid}`);
}

function pipe(): [number, number] {
  const ends = Buffer.alloc(8);
  check(libc.pipe2(ends, O.CLOEXEC), "pipe2");
  return [ends.readInt32LE(0), ends.readInt32LE(4)];
}

class SpawnerThread {
  readonly #home: number;
  readonly #null: number;
  /** Whether procfs takes the option `pidns=` (Linux 6.17 and newer); found out at the first use. */
  #pidnsOption = true;

  constructor() {
    this.#null = check(libc.open("/dev/null", O.RDWR | O.CLOEXEC, 0), "open", "/dev/null");
    this.#home = pidfdOpen(process.pid);
    // setns(2) to a mount namespace needs a root and working directory of the thread's own.
    check(libc.unshare(CLONE.FS), "unshare", "fs");
    this.#goHome();
  }

  #goHome(): void {
    check(libc.setns(this.#home, ALL), "setns", "home");
  }

  spawn(request: SpawnRequest): Spawned {
    try {
      this.#enter(request);
      const root = request.create?.root;
      const proc = root?.mounts.some((m) => m.type === "proc") ?? false;
      const pty = request.tty ? openPty() : undefined;
      const mode: ProcMode = !proc ? "none" : this.#pidnsOption ? "gate" : "self";
      const spawned =
        mode === "none"
          ? this.#start(request, "none", pty?.slavePath, [])
          : this.#startGated(request, root as RootPlan, mode, pty?.slavePath);
      return pty ? { ...spawned, pty: pty.master } : spawned;
    } finally {
      this.#goHome();
    }
  }

  /** Moves this thread to where the new process shall live. */
  #enter({ join, create }: SpawnRequest): void {
    if (join) check(libc.setns(join.pidfd, join.namespaces ? flagsOf(join.namespaces) : ALL), "setns", "join");
    if (!create) return;
    const flags = flagsOf(create.namespaces);
    if (flags) check(libc.unshare(flags), "unshare");
    if (create.netns !== undefined) check(libc.setns(create.netns, CLONE.NEWNET), "setns", "netns");
    if (create.hostname !== undefined) {
      check(libc.sethostname(create.hostname, Buffer.byteLength(create.hostname)), "sethostname", create.hostname);
    }
    if (!create.root) return;
    makePrivate("/");
    mountRoot(create.root);
    if (create.root.mounts.some((m) => m.type === "proc")) {
      mkdirSync(create.root.directory + OLD_PROC, { recursive: true });
      mount("/proc", create.root.directory + OLD_PROC, null, MS.BIND | MS.REC, null);
    }
    pivotRoot(create.root.directory);
  }

  #start(request: SpawnRequest, mode: ProcMode, terminal: string | undefined, extra: [number, number][]): Spawned {
    const descriptors: [number, number][] =
      terminal === undefined ? request.stdio.map((fd, i) => [fd ?? this.#null, i]) : [];
    const pid = posixSpawn({
      argv: commandOf(request, mode),
      env: request.env,
      cwd: request.cwd ?? "/",
      descriptors: [...descriptors, ...extra],
      ...(terminal === undefined ? {} : { terminal }),
    });
    return { pid, pidfd: pidfdOpen(pid) };
  }

  /** Starts a process that waits until its /proc is there and parts of it are hidden. */
  #startGated(request: SpawnRequest, root: RootPlan, mode: "gate" | "self", terminal: string | undefined): Spawned {
    const [gateOut, gateIn] = pipe();
    const [readyOut, readyIn] = pipe();
    let writer: number | undefined = readyIn;
    try {
      const extra: [number, number][] =
        mode === "self"
          ? [
              [gateOut, 9],
              [readyIn, 8],
            ]
          : [[gateOut, 9]];
      const spawned = this.#start(request, mode, terminal, extra);
      libc.close(readyIn);
      writer = undefined;
      if (mode === "gate" && !this.#mountProc(spawned.pid)) {
        // The waiting process ends when the gate is closed; from now on new ones mount their own /proc.
        this.#pidnsOption = false;
        libc.close(spawned.pidfd);
        return this.#startGated(request, root, "self", terminal);
      }
      // The end of the pipe, when the mount failed, is told by the process's exit code 125.
      if (mode === "self") readSync(readyOut, Buffer.alloc(1));
      hide(root);
      unmount(OLD_PROC);
      rmdirSync(OLD_PROC);
      writeSync(gateIn, "\n");
      return spawned;
    } finally {
      if (writer !== undefined) libc.close(writer);
      for (const fd of [gateOut, gateIn, readyOut]) libc.close(fd);
    }
  }

  #mountProc(pid: number): boolean {
    try {
      mount("proc", "/proc", "proc", PROC_FLAGS, `pidns=${OLD_PROC}/${pid}/ns/pid`);
      return true;
    } catch (error) {
      if (isErrno(error, "EINVAL")) return false;
      throw error;
    }
  }
}

/** Hides and protects parts of the new root. */
function hide(root: RootPlan): void {
  for (const path of root.maskedPaths ?? []) tryMount(() => mount("/dev/null", path, null, MS.BIND, null), path);
  for (const path of root.readonlyPaths ?? []) {
    tryMount(() => {
      mount(path, path, null, MS.BIND | MS.REC, null);
      mount(null, path, null, MS.BIND | MS.REMOUNT | MS.RDONLY | PROC_FLAGS, null);
    }, path);
  }
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

/** Message of the main thread. */
export interface SpawnMessage {
  readonly id: number;
  readonly request: SpawnRequest;
}

/** Answer to it. */
export type SpawnAnswer =
  | { readonly id: number; readonly spawned: Spawned }
  | {
      readonly id: number;
      readonly error: {
        message: string;
        code?: string | undefined;
        errno?: number | undefined;
        syscall?: string | undefined;
      };
    };

function serve(): void {
  const port = parentPort;
  if (!port) throw new Error("the spawner runs in a worker thread");
  const thread = new SpawnerThread();
  port.on("message", ({ id, request }: SpawnMessage) => {
    try {
      port.postMessage({ id, spawned: thread.spawn(request) } satisfies SpawnAnswer);
    } catch (error) {
      const { message, code, errno, syscall } = error as NodeJS.ErrnoException;
      port.postMessage({ id, error: { message, code, errno, syscall } } satisfies SpawnAnswer);
    }
  });
  port.postMessage("ready");
}

serve();
