import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { hasCode } from "#base/errors.ts";
import { removeTree } from "#kernel/files/index.ts";
import type { Child, Spawner, SpawnRequest } from "#kernel/process/index.ts";
import type { NodeCgroups } from "../cgroups/index.ts";
import { ContainerLog, type LogLimits, recoverLog, type StreamBytes } from "../logs/index.ts";
import { type RunningContainer, runningContainer } from "./container.ts";
import { CrunSpawner, endContainers, endUnfinished } from "./crun/index.ts";
import { containerOfProcess, isFirstProcess, mainProcesses } from "./found.ts";
import { readGiven, writeGiven } from "./given.ts";
import { ImageLayers } from "./layers.ts";
import { ContainerOutputs, closeEnds } from "./outputs.ts";
import { containerRequest, holderRequest } from "./request.ts";
import type { RootFolders } from "./rootPlan.ts";
import type { ContainerHandle, ContainerSpec, SharedNamespaces } from "./types.ts";

const SIGKILL = 9;

/** Where the runtime keeps its things. */
export interface RuntimeOptions {
  /** In memory, for root only, such as `/run/podwire`. */
  readonly folder: string;
  /** A small init for containers whose process only stands for them: it ends at once when it is told to. */
  readonly init?: readonly string[];
  /** How much of each container's log is kept. Default: upstream's. */
  readonly logs?: LogLimits;
  /** Where limits bind; absent: nothing is bounded. */
  readonly cgroups?: NodeCgroups;
}

/** A command run in a container beside its own process. */
export interface ExecRequest {
  readonly argv: readonly [string, ...string[]];
  readonly stdio: readonly (number | null)[];
  readonly tty: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: NonNullable<SpawnRequest["user"]>;
  readonly capabilities?: readonly string[];
  readonly mayGainPrivileges?: boolean;
}

/**
 * Containers as processes in namespaces of their own, started by the spawner. They outlive this process; what they write
 * is read until the spawner stops, then it waits for the next agent.
 */
export class ProcessRuntime {
  readonly #options: RuntimeOptions;
  readonly #spawner: Spawner;
  readonly #layers: ImageLayers;
  readonly #crun: CrunSpawner;

  constructor(options: RuntimeOptions, spawner: Spawner) {
    this.#options = options;
    this.#spawner = spawner;
    this.#layers = new ImageLayers(`${options.folder}/images`);
    this.#crun = new CrunSpawner(`${options.folder}/crun`, spawner);
    mkdirSync(`${options.folder}/containers`, { recursive: true, mode: 0o700 });
  }

  /**
   * Starts a container.
   * @param shared the namespaces of the pod that it enters instead of making its own
   * @throws SysError naming what failed; nothing is left behind then
   */
  async start(spec: ContainerSpec, shared: SharedNamespaces = {}): Promise<RunningContainer> {
    if (spec.user && spec.image.layers) checkUser(spec.user);
    // Last in, first out.
    const undo: (() => unknown)[] = [() => this.remove(spec.id)];
    const used: (() => void)[] = [];
    try {
      const folders = this.#prepare(spec);
      const log = this.#openLog(spec.id, spec.logPath);
      const outputs = new ContainerOutputs(this.#ioFolder(spec.id), log, this.#spawner.poll);
      undo.unshift(() => outputs.close());
      if (spec.stdinOnce) outputs.keepEarly();
      const stdio = spec.tty ? undefined : outputs.make(!spec.stdin ? "none" : spec.stdinOnce ? "once" : "kept");
      if (stdio) used.push(() => closeEnds(stdio));
      const netns = spec.netns === undefined ? undefined : openSync(spec.netns, "r");
      if (netns !== undefined) used.push(() => closeSync(netns));
      const group = spec.group && this.#options.cgroups?.addContainer(spec.group);
      undo.unshift(() => group?.end());
      const ends = { stdio, netns, group: group?.folder };
      const request = containerRequest(spec, folders, shared, ends, this.#options.init ?? []);
      const child = await this.#spawn(spec, request);
      undo.unshift(() => killed(child));
      if (child.pty === undefined) outputs.connect();
      else outputs.connectTerminal(child.pty);
      const handle = { id: spec.id, podUid: spec.podUid, pid: child.pid, logPath: spec.logPath };
      return runningContainer(handle, child, log, outputs, shared.processes !== undefined, group);
    } catch (error) {
      for (const step of undo) await step();
      throw error;
    } finally {
      for (const close of used) close();
    }
  }

  #spawn({ id, runtime }: ContainerSpec, request: SpawnRequest): Promise<Child> {
    return runtime === "crun"
      ? this.#crun.spawn(id, `${this.#containersFolder}/${id}`, request)
      : this.#spawner.spawn(request);
  }

  /** Starts the process that holds the namespaces of a pod whose containers share their processes. @throws SysError */
  async hold(id: string, spec: Pick<ContainerSpec, "hostname" | "sysctls">, nodeIpc: boolean): Promise<Child> {
    const lower = `${this.#containersFolder}/${id}/lower`;
    try {
      const folders = this.#makeFolders(id, [lower]);
      mkdirSync(lower);
      return await this.#spawner.spawn(holderRequest(folders, spec.hostname, spec.sysctls, nodeIpc));
    } catch (error) {
      await this.remove(id);
      throw error;
    }
  }

  /** Takes over such a process. @returns undefined when it has ended */
  adoptHolder(pid: number): Child | undefined {
    return unlessEnded(() => this.#spawner.adopt(pid));
  }

  /** Takes over a container that another agent started. @returns undefined when its process is gone */
  adopt(handle: ContainerHandle): RunningContainer | undefined {
    if (containerOfProcess(handle.pid, this.#containersFolder) !== handle.id) return undefined;
    const adopted = unlessEnded(() => ({
      isShared: !isFirstProcess(handle.pid),
      child: this.#spawner.adopt(handle.pid),
    }));
    if (!adopted) return undefined;
    const { isShared, child } = adopted;
    const logged = recoverLog(handle.logPath, this.#ledger(handle.id));
    const log = this.#openLog(handle.id, handle.logPath, logged);
    const outputs = new ContainerOutputs(this.#ioFolder(handle.id), log, this.#spawner.poll);
    outputs.connect(logged);
    return runningContainer(handle, child, log, outputs, isShared, this.#options.cgroups?.groupOf(handle.pid));
  }

  /** Runs a command in a container's namespaces, with the environment and working directory that it was given. */
  async exec(container: RunningContainer, request: ExecRequest): Promise<Child> {
    const { id, pid } = container.handle;
    const { env, cwd } = readGiven(`${this.#containersFolder}/${id}`, pid);
    const group = this.#options.cgroups?.groupOf(pid);
    return this.#spawner.spawn({
      argv: request.argv,
      env: { ...env, ...request.env },
      cwd,
      stdio: request.stdio,
      join: [{ pidfd: container.pidfd }],
      tty: request.tty,
      ...(group ? { cgroup: group.folder } : {}),
      oomScoreAdj: Number(readFileSync(`/proc/${pid}/oom_score_adj`, "latin1")),
      ...(request.user ? { user: request.user } : {}),
      ...(request.capabilities ? { capabilities: request.capabilities } : {}),
      ...(request.mayGainPrivileges ? { mayGainPrivileges: true } : {}),
    });
  }

  /** Deletes what a container has written. Its process must have ended. */
  async remove(id: string): Promise<void> {
    await this.#crun.remove(id);
    await removeTree(`${this.#containersFolder}/${id}`);
  }

  /** Deletes what the containers of a pod shared. */
  async removeShared(podUid: string): Promise<void> {
    await removeTree(this.#sharedMemory(podUid));
  }

  /** Main processes of containers that run on this machine, whoever started them: container ids by process id. */
  async running(): Promise<Map<number, string>> {
    await endUnfinished(this.#containersFolder, await this.folders());
    return mainProcesses(this.#containersFolder);
  }

  /** Kills containers that nobody knows, and all that they have started; waits for that, at most 2 s. */
  async end(ids: ReadonlySet<string>): Promise<void> {
    if (ids.size > 0) await endContainers(this.#containersFolder, ids);
  }

  /** Ids of containers that have a folder here. */
  async folders(): Promise<string[]> {
    return readdir(this.#containersFolder);
  }

  get #containersFolder(): string {
    return `${this.#options.folder}/containers`;
  }

  #ioFolder(id: string): string {
    return `${this.#containersFolder}/${id}/io`;
  }

  #ledger(id: string): string {
    return `${this.#ioFolder(id)}/logged.json`;
  }

  #openLog(id: string, path: string, written?: StreamBytes): ContainerLog {
    const { logs } = this.#options;
    return new ContainerLog(path, {
      ledger: this.#ledger(id),
      ...(logs ? { limits: logs } : {}),
      ...(written ? { written } : {}),
    });
  }

  #makeFolders(id: string, lower: readonly string[]): RootFolders {
    const base = `${this.#containersFolder}/${id}`;
    const folders = { lower, upper: `${base}/upper`, work: `${base}/work`, root: `${base}/root` };
    rmSync(base, { recursive: true, force: true });
    for (const path of [folders.upper, folders.work, folders.root]) mkdirSync(path, { recursive: true, mode: 0o755 });
    return folders;
  }

  #prepare(spec: ContainerSpec): RootFolders {
    const lower = this.#layers.layersOf(spec.image);
    const folders = { ...this.#makeFolders(spec.id, lower), sharedMemory: spec.sharedMemory ?? this.#makeShared(spec) };
    for (const [path, text] of Object.entries(spec.etc)) {
      mkdirSync(folders.upper + dirname(path), { recursive: true });
      writeFileSync(folders.upper + path, text, { mode: 0o644 });
    }
    writeGiven(`${this.#containersFolder}/${spec.id}`, spec);
    return folders;
  }

  #sharedMemory(podUid: string): string {
    return `${this.#options.folder}/shm/${podUid}`;
  }

  #makeShared({ podUid }: ContainerSpec): string {
    const path = this.#sharedMemory(podUid);
    mkdirSync(path, { recursive: true });
    // mkdir(2) takes the umask off and drops the sticky bit.
    chmodSync(path, 0o1777);
    return path;
  }
}

/** What looks at a process has to say; undefined when the process has ended meanwhile. */
function unlessEnded<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (hasCode(error, "ESRCH") || hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function killed(child: Child): Promise<void> {
  child.kill(SIGKILL);
  await child.exit;
}

/** @throws Error when this user namespace has no such user: it has one alone where its maker had no subordinate ids */
function checkUser({ uid }: { readonly uid: number }): void {
  const ranges = readFileSync("/proc/self/uid_map", "utf8").trim().split("\n");
  const isThere = ranges.some((line) => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return uid >= first && uid < first + count;
  });
  if (!isThere)
    throw new Error(
      `the image's program wants to run as user ${uid}, whom this cluster does not have: podwire doctor says why`,
    );
}
