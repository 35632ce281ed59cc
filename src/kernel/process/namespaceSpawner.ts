import { mkdirSync, readSync, rmdirSync, writeSync } from "node:fs";
import { CLONE, check, isErrno, libc, O, syscallNumbers } from "#kernel/ffi/index.ts";
import { MS, makePrivate, mount, mountRoot, pivotRoot, type RootPlan, unmount } from "#kernel/mounts/index.ts";
import { findProgram } from "./lookup.ts";
import { posixSpawn } from "./posixSpawn.ts";
import { openPty } from "./pty.ts";
import { commandOf, type NamespaceKind, type ProcMode, type SpawnRequest } from "./request.ts";
import { openStarter, type StarterPlan } from "./starter.ts";

const KINDS: Readonly<Record<NamespaceKind, number>> = {
  net: CLONE.NEWNET,
  mount: CLONE.NEWNS,
  uts: CLONE.NEWUTS,
  ipc: CLONE.NEWIPC,
  pid: CLONE.NEWPID,
  cgroup: CLONE.NEWCGROUP,
};
const ANY = Object.values(KINDS).reduce((a, b) => a | b, 0);
/** Files below /proc/…/ns. The pid namespace of a thread's children is what setns(2) and unshare(2) change. */
const HOME_FILES: readonly (readonly [name: string, kind: number])[] = [
  ["net", CLONE.NEWNET],
  ["uts", CLONE.NEWUTS],
  ["ipc", CLONE.NEWIPC],
  ["pid_for_children", CLONE.NEWPID],
  ["cgroup", CLONE.NEWCGROUP],
  ["mnt", CLONE.NEWNS],
];
const OLD_PROC = "/.oldproc";
/** Descriptors of a new process until it becomes its program. */
const READY = 8;
const GATE = 9;
const STARTER = 10;
const SIGKILL = 9;
const PROC_FLAGS = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/** A process that was started. */
export interface Spawned {
  readonly pid: number;
  readonly pidfd: number;
  /** Our end of the terminal, when one was asked for. */
  readonly pty?: number;
}

/**
 * setns(2) to a mount namespace needs a root and working directory of the thread's own. A thread that was born since
 * the last time shares them again; when none was, this does nothing.
 */
function ownFileSystemState(): void {
  check(libc.unshare(CLONE.FS), "unshare", "fs");
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

/**
 * Starts processes in namespaces of their own or of others: the calling thread goes there, spawns, and returns home,
 * synchronously, so that nothing else can run in between.
 */
export class NamespaceSpawner {
  /** Descriptors of the namespaces to return to; a mount namespace comes last, as paths change with it. */
  readonly #home: readonly (readonly [fd: number, kind: number])[];
  readonly #null: number;
  /** Kinds of namespaces that this process may change. */
  readonly #mine: number;
  /** Whether procfs takes the option `pidns=` (Linux 6.17 and newer); found out at the first use. */
  #pidnsOption = true;

  /** Notes the calling thread's namespaces as home. @throws SysError when this process may not change namespaces */
  constructor() {
    this.#null = check(libc.open("/dev/null", O.RDWR | O.CLOEXEC, 0), "open", "/dev/null");
    this.#home = HOME_FILES.map(([name, kind]) => {
      const path = `/proc/thread-self/ns/${name}`;
      return [check(libc.open(path, O.RDONLY | O.CLOEXEC, 0), "open", path), kind];
    });
    ownFileSystemState();
    this.#mine = this.#mayChangeCgroup() ? ANY : ANY & ~CLONE.NEWCGROUP;
    this.#goHome();
  }

  /** A user namespace inside of a bounded one stays in the namespace of control groups that it was born in. */
  #mayChangeCgroup(): boolean {
    const home = this.#home.find(([, kind]) => kind === CLONE.NEWCGROUP);
    return home !== undefined && libc.setns(home[0], CLONE.NEWCGROUP) === 0;
  }

  /** Closes what it holds. */
  close(): void {
    for (const fd of [this.#null, ...this.#home.map(([home]) => home)]) libc.close(fd);
  }

  #goHome(): void {
    for (const [fd, kind] of this.#home) if (kind & this.#mine) check(libc.setns(fd, kind), "setns", "home");
  }

  /** Starts a process. @throws SysError naming the step that failed */
  spawn(request: SpawnRequest): Spawned {
    ownFileSystemState();
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
    if (join)
      check(libc.setns(join.pidfd, (join.namespaces ? flagsOf(join.namespaces) : ANY) & this.#mine), "setns", "join");
    if (!create) return;
    const flags = flagsOf(create.namespaces) & this.#mine;
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
    const starter = request.bare ? openStarter(starterPlan(request, mode)) : undefined;
    try {
      const pid = posixSpawn({
        argv: starter === undefined ? commandOf(request, mode) : [starterPath(mode)],
        env: request.env,
        cwd: request.cwd ?? "/",
        descriptors: [...descriptors, ...extra, ...(starter === undefined ? [] : [[starter, STARTER] as const])],
        ...(terminal === undefined ? {} : { terminal }),
      });
      return { pid, pidfd: pidfdOpen(pid) };
    } finally {
      if (starter !== undefined) libc.close(starter);
    }
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
              [gateOut, GATE],
              [readyIn, READY],
            ]
          : [[gateOut, GATE]];
      const spawned = this.#start(request, mode, terminal, extra);
      libc.close(readyIn);
      writer = undefined;
      if (mode === "gate" && !this.#mountProc(spawned.pid)) {
        // From now on processes mount their own /proc.
        this.#pidnsOption = false;
        this.#abandon(spawned);
        return this.#startGated(request, root, "self", terminal);
      }
      if (mode === "self" && readSync(readyOut, Buffer.alloc(1)) === 0) {
        this.#abandon(spawned);
        throw new Error("mount: proc on /proc was refused to the new process");
      }
      hide(root);
      unmount(OLD_PROC);
      rmdirSync(OLD_PROC);
      // Of this mount alone, not of its file system, which the machine may write on.
      if (root.readonlyRoot) mount(null, "/", null, MS.BIND | MS.REMOUNT | MS.RDONLY, null);
      writeSync(gateIn, "/\n");
      return spawned;
    } finally {
      if (writer !== undefined) libc.close(writer);
      for (const fd of [gateOut, gateIn, readyOut]) libc.close(fd);
    }
  }

  /** Ends a process that waits at its gate. Its pid namespace dies with it, so the thread gets another one. */
  #abandon({ pid, pidfd }: Spawned): void {
    libc.kill(pid, SIGKILL);
    libc.waitpid(pid, null, 0);
    libc.close(pidfd);
    const home = this.#home.find(([, kind]) => kind === CLONE.NEWPID);
    if (home) check(libc.setns(home[0], CLONE.NEWPID), "setns", "home");
    check(libc.unshare(CLONE.NEWPID), "unshare", "pid");
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

/** The starter is executed by its descriptor, through the /proc that there is at that time. */
function starterPath(mode: ProcMode): string {
  return `${mode === "none" ? "/proc" : OLD_PROC}/self/fd/${STARTER}`;
}

/** What the starter of a process does; the calling thread is where the program will be. */
function starterPlan({ argv, env, cwd = "/", user, capabilities }: SpawnRequest, mode: ProcMode): StarterPlan {
  return {
    program: findProgram(argv[0], env, cwd),
    argv,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(mode === "none" ? {} : { gate: GATE }),
    ...(mode === "self" ? { procReady: READY } : {}),
    close: [STARTER, ...(mode === "none" ? [] : [GATE]), ...(mode === "self" ? [READY] : [])],
    ...(user ? { user } : {}),
    ...(capabilities ? { capabilities } : {}),
  };
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
