import { writeFileSync } from "node:fs";
import { CLONE, check, errnoName, libc, O, SysError, syscallNumbers } from "#kernel/ffi/index.ts";
import { makePrivate, mountHere, type RootPlan } from "#kernel/mounts/index.ts";
import { joinGroup, mustWait, openGroup, ownGroupSteps, raiseOomScore } from "./belonging.ts";
import { Gate, HANDED, holdingSteps } from "./gate.ts";
import { enterRoot, finishRoot, mountProc, PROC_FLAGS } from "./newRoot.ts";
import { posixSpawn } from "./posixSpawn.ts";
import { findProgram } from "./program.ts";
import { controlTerminal, openPeer, openPty, type Pty } from "./pty.ts";
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
const SIGKILL = 9;

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
    const group = openGroups(request);
    try {
      const oldProc = this.#enter(request);
      pty = request.tty ? openPty() : undefined;
      const isPlain = oldProc === undefined && !mustWait(request);
      const spawned = isPlain
        ? this.#startPlain(request, pty)
        : oldProc === undefined
          ? this.#startBeside(request, pty, group)
          : this.#startInRoot(request, pty, oldProc, group);
      return pty ? { ...spawned, pty: pty.master } : spawned;
    } catch (error) {
      if (pty) libc.close(pty.master);
      throw error;
    } finally {
      this.#goHome();
      for (const fd of Object.values(group ?? {})) libc.close(fd);
    }
  }

  /**
   * Moves this thread to where the new process shall live.
   * @returns where our /proc is in a new root
   */
  #enter({ join, create, cwd = "/" }: SpawnRequest): string | undefined {
    for (const { pidfd, namespaces } of join ?? [])
      check(libc.setns(pidfd, (namespaces ? flagsOf(namespaces) : ANY) & this.#mine), "setns", "join");
    if (!create) return undefined;
    const flags = flagsOf(create.namespaces) & this.#mine;
    if (flags) check(libc.unshare(flags), "unshare");
    if (create.netns !== undefined) check(libc.setns(create.netns, CLONE.NEWNET), "setns", "netns");
    if (create.hostname !== undefined) {
      check(libc.sethostname(create.hostname, Buffer.byteLength(create.hostname)), "sethostname", create.hostname);
    }
    for (const [name, value] of Object.entries(create.sysctls ?? {})) setSysctl(name, value);
    if (!create.root && !create.mounts) return undefined;
    makePrivate("/");
    mountHere(create.mounts ?? []);
    return create.root && enterRoot(create.root, cwd);
  }

  #startPlain(request: SpawnRequest, pty: Pty | undefined): Spawned {
    return this.#start(programOf(request), request, pty?.slavePath, request.cwd ?? "/", []);
  }

  #start(
    path: string,
    { argv, env, stdio }: Pick<SpawnRequest, "argv" | "env" | "stdio">,
    terminal: string | undefined,
    cwd: string,
    extra: [number, number][],
  ): Spawned {
    const descriptors: [number, number][] = terminal !== undefined ? [] : stdio.map((fd, i) => [fd ?? this.#null, i]);
    const pid = posixSpawn({
      path,
      argv,
      env,
      cwd,
      descriptors: [...descriptors, ...extra],
      ...(terminal === undefined ? {} : { terminal }),
    });
    return { pid, pidfd: pidfdOpen(pid) };
  }

  /** Starts a process in a root that was just made. @param oldProc where our /proc is in it */
  #startInRoot(request: SpawnRequest, pty: Pty | undefined, oldProc: string, group?: Groups): Spawned {
    const terminal = pty && { terminal: pty.slavePath };
    const start: ConfinedStart = { proc: oldProc, stdio: request.stdio, ...terminal };
    return this.#startConfined(request, start, group, (pid, gate) => {
      if (request.create?.root) this.#completeRoot(request.create.root, pid, oldProc, gate);
      const steps = this.#lastSteps(request, programOrPause(request));
      return group === undefined || group.root !== undefined ? steps : [...ownGroupSteps(), ...steps];
    });
  }

  /**
   * Starts a process in a root that is there. Who lives in another's may have put anything anywhere, over /proc too: the
   * runner is started at home, where it is ours for sure, and enters their mounts by itself.
   */
  #startBeside(request: SpawnRequest, pty: Pty | undefined, group?: Groups): Spawned {
    const program = programOrPause(request);
    const steps = this.#lastSteps(request, program);
    const joined = request.join?.findLast(({ namespaces }) => namespaces?.includes("mount") ?? true);
    const home = this.#home.find(([, kind]) => kind === CLONE.NEWNS);
    const peer = pty && openPeer(pty);
    try {
      const stdio = peer === undefined ? request.stdio : [peer, peer, peer];
      const inside = [...(pty ? [controlTerminal] : []), ...steps];
      if (!joined || !home) return this.#startConfined(request, { proc: "/proc", stdio }, group, () => inside);
      check(libc.setns(...home), "setns", "home");
      return this.#startConfined(request, { proc: "/proc", stdio, handed: joined.pidfd }, group, () => [
        { call: "setns", args: [HANDED, CLONE.NEWNS], detail: "join" },
        // One that has none of its own lives in a namespace that is not ours to enter.
        { call: "setns", args: [HANDED, CLONE.NEWCGROUP], optional: true },
        { call: "close", args: [HANDED] },
        ...inside,
      ]);
    } finally {
      if (peer !== undefined) libc.close(peer);
    }
  }

  /**
   * Starts a process that waits in the runner, and then gives up what it may not keep.
   * @param steps makes its surroundings complete; what the runner has to do then
   */
  #startConfined(
    { argv, oomScoreAdj }: SpawnRequest,
    start: ConfinedStart,
    group: Groups | undefined,
    steps: (pid: number, gate: Gate) => Step[],
  ): Spawned {
    this.#runner ??= openRunner();
    const gate = new Gate(this.#runner);
    let spawned: Spawned | undefined;
    try {
      const handed: [number, number][] = start.handed === undefined ? [] : [[start.handed, HANDED]];
      const plain = { argv: [argv[0]] as [string], env: {}, stdio: start.stdio };
      spawned = this.#start(Gate.path(start.proc), plain, start.terminal, "/", [...gate.descriptors, ...handed]);
      gate.started();
      if (group !== undefined) joinGroups(group, spawned.pid, gate);
      if (oomScoreAdj !== undefined) raiseOomScore(`${start.proc}/${spawned.pid}/oom_score_adj`, oomScoreAdj);
      const failure = gate.finish(steps(spawned.pid, gate));
      if (failure?.step.call === "execve") tellFailure(argv[0], start, failure);
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
  #completeRoot(root: RootPlan, pid: number, oldProc: string, gate: Gate): void {
    if (root.mounts.some((m) => m.type === "proc")) this.#completeProc(pid, oldProc, gate);
    finishRoot(root, oldProc);
  }

  #completeProc(pid: number, oldProc: string, gate: Gate): void {
    if (this.#pidnsOption && mountProc(pid, oldProc)) return;
    // From now on processes mount their own /proc.
    this.#pidnsOption = false;
    const failure = gate.advance([{ call: "mount", args: ["proc", "/proc", "proc", PROC_FLAGS, 0], detail: "/proc" }]);
    if (failure) throw sysError(failure);
  }

  /** From the complete root to the program. */
  #lastSteps(request: SpawnRequest, program: string): Step[] {
    if (request.holds) return holdingSteps(request.argv[0], rightsSteps(request, this.#permitted));
    const { argv, env, cwd = "/" } = request;
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return [
      { call: "chdir", args: [cwd], detail: cwd },
      ...rightsSteps(request, this.#permitted),
      { call: "execve", args: [program, [...argv], variables], detail: argv[0] },
    ];
  }
}

/** How the runner is started. */
interface ConfinedStart {
  /** Where a procfs is that knows the new process. */
  readonly proc: string;
  readonly stdio: SpawnRequest["stdio"];
  /** A terminal instead, by its path. */
  readonly terminal?: string;
  /** A descriptor of ours for a step of the runner's. */
  readonly handed?: number;
}

/** A program that the kernel refuses says so itself where it would write, and ends, as with every runtime. */
function tellFailure(name: string, { terminal, stdio }: ConfinedStart, { errno }: StepFailure): void {
  const text = `exec ${name}: ${REASONS[errnoName(errno)] ?? errnoName(errno)}\n`;
  const flags = O.RDWR | O.NOCTTY | O.CLOEXEC;
  const fd = terminal === undefined ? stdio[2] : check(libc.open(terminal, flags, 0), "open", terminal);
  if (fd === undefined || fd === null) return;
  const bytes = Buffer.from(text);
  libc.write(fd, bytes, bytes.length);
  if (terminal !== undefined) libc.close(fd);
}

/** Descriptors of control groups for joinGroup(): that of a process, and the one above it that it sees as the highest. */
interface Groups {
  readonly leaf: number;
  readonly root?: number;
}

function openGroups({ cgroup, cgroupRoot }: SpawnRequest): Groups | undefined {
  if (cgroup === undefined) return undefined;
  const leaf = openGroup(cgroup);
  if (cgroupRoot === undefined) return { leaf };
  try {
    return { leaf, root: openGroup(cgroupRoot) };
  } catch (error) {
    libc.close(leaf);
    throw error;
  }
}

/** The highest that a process sees is the group that it is in when it gets a namespace of groups (cgroup_namespaces(7)). */
function joinGroups({ leaf, root }: Groups, pid: number, gate: Gate): void {
  if (root !== undefined) {
    joinGroup(root, pid);
    const failure = gate.advance(ownGroupSteps({ divides: true }));
    if (failure) throw sysError(failure);
  }
  joinGroup(leaf, pid);
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

/** What is started in the end; a process that only holds its namespaces needs no program. @throws ProgramError */
function programOrPause(request: SpawnRequest): string {
  return request.holds ? "" : programOf(request);
}
