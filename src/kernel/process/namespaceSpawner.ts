import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { CLONE, check, errnoName, isErrno, libc, O, SysError, syscallNumbers } from "#kernel/ffi/index.ts";
import {
  MS,
  makePrivate,
  mount,
  mountHere,
  mountRoot,
  pivotRoot,
  type RootPlan,
  unmount,
} from "#kernel/mounts/index.ts";
import { Gate, holdingSteps } from "./gate.ts";
import { posixSpawn } from "./posixSpawn.ts";
import { findProgram } from "./program.ts";
import { openPty, type Pty } from "./pty.ts";
import type { NamespaceKind, SpawnRequest } from "./request.ts";
import { permittedCapabilities, rightsSteps } from "./rights.ts";
import { openRunner } from "./runner.ts";
import type { Step, StepFailure } from "./script.ts";

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
const SIGKILL = 9;
const PROC_FLAGS = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/** What Go, and so upstream, says of a program that the kernel does not execute. */
const REASONS: Readonly<Record<string, string>> = {
  ENOEXEC: "exec format error",
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  E2BIG: "argument list too long",
  ENOMEM: "cannot allocate memory",
};

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
  readonly #permitted = permittedCapabilities();
  /** Descriptor of the runner's file, once it was needed. */
  #runner: number | undefined;
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
    if (this.#runner !== undefined) libc.close(this.#runner);
  }

  #goHome(): void {
    for (const [fd, kind] of this.#home) if (kind & this.#mine) check(libc.setns(fd, kind), "setns", "home");
  }

  /** Starts a process. @throws SysError naming the step that failed; ProgramError when its program cannot be started */
  spawn(request: SpawnRequest): Spawned {
    ownFileSystemState();
    let pty: Pty | undefined;
    // Opened at home: where the process will live, the group is out of sight.
    const group = request.cgroup === undefined ? undefined : openGroup(request.cgroup);
    try {
      this.#enter(request);
      pty = request.tty ? openPty() : undefined;
      const isPlain = !request.create?.root && !request.user && !request.capabilities && group === undefined;
      const spawned = isPlain ? this.#startPlain(request, pty) : this.#startConfined(request, pty, group);
      return pty ? { ...spawned, pty: pty.master } : spawned;
    } catch (error) {
      if (pty) libc.close(pty.master);
      throw error;
    } finally {
      this.#goHome();
      if (group !== undefined) libc.close(group);
    }
  }

  /** Moves this thread to where the new process shall live. */
  #enter({ join, create }: SpawnRequest): void {
    for (const { pidfd, namespaces } of join ?? [])
      check(libc.setns(pidfd, (namespaces ? flagsOf(namespaces) : ANY) & this.#mine), "setns", "join");
    if (!create) return;
    const flags = flagsOf(create.namespaces) & this.#mine;
    if (flags) check(libc.unshare(flags), "unshare");
    if (create.netns !== undefined) check(libc.setns(create.netns, CLONE.NEWNET), "setns", "netns");
    if (create.hostname !== undefined) {
      check(libc.sethostname(create.hostname, Buffer.byteLength(create.hostname)), "sethostname", create.hostname);
    }
    for (const [name, value] of Object.entries(create.sysctls ?? {})) setSysctl(name, value);
    if (!create.root && !create.mounts) return;
    makePrivate("/");
    mountHere(create.mounts ?? []);
    if (!create.root) return;
    mountRoot(create.root);
    // Until it has a /proc of its own, the new process finds itself through ours.
    mkdirSync(create.root.directory + OLD_PROC, { recursive: true });
    mount("/proc", create.root.directory + OLD_PROC, null, MS.BIND | MS.REC, null);
    pivotRoot(create.root.directory);
  }

  #startPlain(request: SpawnRequest, pty: Pty | undefined): Spawned {
    return this.#start(programOf(request), request, pty, request.cwd ?? "/", []);
  }

  #start(
    path: string,
    { argv, env, stdio }: Pick<SpawnRequest, "argv" | "env" | "stdio">,
    pty: Pty | undefined,
    cwd: string,
    extra: [number, number][],
  ): Spawned {
    const descriptors: [number, number][] = pty ? [] : stdio.map((fd, i) => [fd ?? this.#null, i]);
    const pid = posixSpawn({
      path,
      argv,
      env,
      cwd,
      descriptors: [...descriptors, ...extra],
      ...(pty ? { terminal: pty.slavePath } : {}),
    });
    return { pid, pidfd: pidfdOpen(pid) };
  }

  /** Starts a process that waits in the runner until its root is complete, and then gives up what it may not keep. */
  #startConfined(request: SpawnRequest, pty: Pty | undefined, group?: number): Spawned {
    this.#runner ??= openRunner();
    const gate = new Gate(this.#runner);
    const root = request.create?.root;
    let spawned: Spawned | undefined;
    try {
      const path = Gate.path(root ? OLD_PROC : "/proc");
      const { argv, stdio } = request;
      spawned = this.#start(path, { argv: [argv[0]], env: {}, stdio }, pty, "/", gate.descriptors);
      gate.started();
      if (group !== undefined) joinGroup(group, spawned.pid);
      if (root) this.#completeRoot(root, spawned.pid, gate);
      const failure = gate.finish(this.#lastSteps(request));
      if (failure?.step.call === "execve") this.#tellFailure(request, pty, failure);
      else if (failure) throw sysError(failure);
      return spawned;
    } catch (error) {
      if (spawned) abandon(spawned);
      throw error;
    } finally {
      gate.close();
    }
  }

  /** Mounts /proc and hides parts of it. */
  #completeRoot(root: RootPlan, pid: number, gate: Gate): void {
    if (root.mounts.some((m) => m.type === "proc")) this.#completeProc(pid, gate);
    unmount(OLD_PROC);
    rmdirSync(OLD_PROC);
    hide(root);
    // Of this mount alone, not of its file system, which the machine may write on.
    if (root.readonlyRoot) mount(null, "/", null, MS.BIND | MS.REMOUNT | MS.RDONLY, null);
  }

  #completeProc(pid: number, gate: Gate): void {
    if (this.#pidnsOption && this.#mountProc(pid)) return;
    // From now on processes mount their own /proc.
    this.#pidnsOption = false;
    const failure = gate.advance([{ call: "mount", args: ["proc", "/proc", "proc", PROC_FLAGS, 0], detail: "/proc" }]);
    if (failure) throw sysError(failure);
  }

  /** From the complete root to the program. @throws ProgramError */
  #lastSteps(request: SpawnRequest): Step[] {
    if (request.holds) return holdingSteps(request.argv[0], rightsSteps(request, this.#permitted));
    const { argv, env, cwd = "/" } = request;
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return [
      { call: "chdir", args: [cwd], detail: cwd },
      ...rightsSteps(request, this.#permitted),
      { call: "execve", args: [programOf(request), [...argv], variables], detail: argv[0] },
    ];
  }

  /** A program that the kernel refuses says so itself where it would write, and ends, as with every runtime. */
  #tellFailure({ argv, stdio }: SpawnRequest, pty: Pty | undefined, { errno }: StepFailure): void {
    const text = `exec ${argv[0]}: ${REASONS[errnoName(errno)] ?? errnoName(errno)}\n`;
    const fd = pty
      ? check(libc.open(pty.slavePath, O.RDWR | O.NOCTTY | O.CLOEXEC, 0), "open", pty.slavePath)
      : stdio[2];
    if (fd === undefined || fd === null) return;
    const bytes = Buffer.from(text);
    libc.write(fd, bytes, bytes.length);
    if (pty) libc.close(fd);
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

function openGroup(folder: string): number {
  const path = `${folder}/cgroup.procs`;
  return check(libc.open(path, O.WRONLY | O.CLOEXEC, 0), "open", path);
}

function joinGroup(group: number, pid: number): void {
  const text = Buffer.from(String(pid));
  check(libc.write(group, text, text.length), "write", `cgroup.procs ${pid}`);
}

/** Ends a process that waits in the runner. */
function abandon({ pid, pidfd }: Spawned): void {
  libc.kill(pid, SIGKILL);
  libc.waitpid(pid, null, 0);
  libc.close(pidfd);
}

/** @throws Error naming a setting that this kernel does not have in a namespace, or does not take */
function setSysctl(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, value);
  } catch (error) {
    throw new Error(
      `sysctl ${JSON.stringify(name)} cannot be set to ${JSON.stringify(value)}: ${(error as Error).message}`,
    );
  }
}

function sysError({ step, errno }: StepFailure): SysError {
  return new SysError(step.call, errno, step.detail);
}

/** @throws ProgramError */
function programOf({ argv, env, cwd = "/" }: SpawnRequest): string {
  return findProgram(argv[0], { root: "", cwd, path: env["PATH"] });
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
