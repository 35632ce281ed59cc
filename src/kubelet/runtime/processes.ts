import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Child, Spawner, SpawnRequest } from "#kernel/process/index.ts";
import { ContainerLog, type LogLimits, recoverLog, type StreamBytes } from "../logs/index.ts";
import { type RunningContainer, runningContainer } from "./container.ts";
import { ImageLayers } from "./layers.ts";
import { type ChildEnds, ContainerOutputs, closeEnds } from "./outputs.ts";
import { type RootFolders, rootPlan } from "./rootPlan.ts";
import type { ContainerHandle, ContainerSpec } from "./types.ts";

/** Where the runtime keeps its things. */
export interface RuntimeOptions {
  /** In memory, for root only, such as `/run/podwire`. */
  readonly folder: string;
  /** A small init for containers whose process only stands for them: it ends at once when it is told to. */
  readonly init?: readonly string[];
  /** How much of each container's log is kept. Default: upstream's. */
  readonly logs?: LogLimits;
}

/** A command run in a container beside its own process. */
export interface ExecRequest {
  readonly argv: readonly [string, ...string[]];
  readonly stdio: readonly (number | null)[];
  readonly tty: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: NonNullable<SpawnRequest["user"]>;
  readonly capabilities?: readonly string[];
}

/**
 * Containers as processes in namespaces of their own, started by the spawner. They outlive this process; what they write
 * is read until the spawner stops, then it waits for the next agent.
 */
export class ProcessRuntime {
  readonly #options: RuntimeOptions;
  readonly #spawner: Spawner;
  readonly #layers: ImageLayers;

  constructor(options: RuntimeOptions, spawner: Spawner) {
    this.#options = options;
    this.#spawner = spawner;
    this.#layers = new ImageLayers(`${options.folder}/images`);
    mkdirSync(`${options.folder}/containers`, { recursive: true, mode: 0o700 });
  }

  /**
   * Starts a container.
   * @throws SysError naming what failed; nothing is left behind then
   */
  async start(spec: ContainerSpec): Promise<RunningContainer> {
    const folders = this.#prepare(spec);
    const log = this.#openLog(spec.id, spec.logPath);
    const outputs = new ContainerOutputs(this.#ioFolder(spec.id), log, this.#spawner.poll);
    if (spec.stdinOnce) outputs.keepEarly();
    const ends = spec.tty ? undefined : outputs.make(!spec.stdin ? "none" : spec.stdinOnce ? "once" : "kept");
    const netns = spec.netns === undefined ? undefined : openSync(spec.netns, "r");
    try {
      const child = await this.#spawner.spawn(this.#request(spec, folders, ends, netns));
      if (child.pty === undefined) outputs.connect();
      else outputs.connectTerminal(child.pty);
      const handle = { id: spec.id, podUid: spec.podUid, pid: child.pid, logPath: spec.logPath };
      return runningContainer(handle, child, log, outputs);
    } catch (error) {
      outputs.close();
      await this.remove(spec.id);
      throw error;
    } finally {
      if (ends) closeEnds(ends);
      if (netns !== undefined) closeSync(netns);
    }
  }

  /** Takes over a container that another agent started. @returns undefined when its process is gone */
  adopt(handle: ContainerHandle): RunningContainer | undefined {
    if (containerOfProcess(handle.pid, this.#containersFolder) !== handle.id) return undefined;
    const child = this.#spawner.adopt(handle.pid);
    const logged = recoverLog(handle.logPath, this.#ledger(handle.id));
    const log = this.#openLog(handle.id, handle.logPath, logged);
    const outputs = new ContainerOutputs(this.#ioFolder(handle.id), log, this.#spawner.poll);
    outputs.connect(logged);
    return runningContainer(handle, child, log, outputs);
  }

  /** Runs a command in a container's namespaces, with its first process's environment and working directory. */
  async exec(container: RunningContainer, request: ExecRequest): Promise<Child> {
    const { pid } = container.handle;
    return this.#spawner.spawn({
      argv: request.argv,
      env: { ...environmentOf(pid), ...request.env },
      cwd: readlinkSync(`/proc/${pid}/cwd`),
      stdio: request.stdio,
      join: { pidfd: container.pidfd },
      tty: request.tty,
      ...(request.user ? { user: request.user } : {}),
      ...(request.capabilities ? { capabilities: request.capabilities } : {}),
    });
  }

  /** Deletes what a container has written. Its process must have ended. */
  async remove(id: string): Promise<void> {
    await rm(`${this.#containersFolder}/${id}`, { recursive: true, force: true });
  }

  /**
   * Finds the first processes of containers that run on this machine, whoever started them.
   * @returns container ids by process id
   */
  async running(): Promise<Map<number, string>> {
    const found = new Map<number, string>();
    for (const name of await readdir("/proc")) {
      const pid = Number(name);
      if (!Number.isInteger(pid)) continue;
      const id = containerOfProcess(pid, this.#containersFolder);
      if (id !== undefined) found.set(pid, id);
    }
    return found;
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

  #prepare(spec: ContainerSpec): RootFolders {
    const base = `${this.#containersFolder}/${spec.id}`;
    const lower = this.#layers.layerOf(spec.image);
    const folders = { lower, upper: `${base}/upper`, work: `${base}/work`, root: `${base}/root` };
    rmSync(base, { recursive: true, force: true });
    for (const path of [folders.upper, folders.work, folders.root]) mkdirSync(path, { recursive: true, mode: 0o755 });
    for (const [path, text] of Object.entries(spec.etc)) {
      mkdirSync(folders.upper + dirname(path), { recursive: true });
      writeFileSync(folders.upper + path, text, { mode: 0o644 });
    }
    if (!existsSync(lower + spec.cwd)) mkdirSync(folders.upper + spec.cwd, { recursive: true });
    return folders;
  }

  #request(
    spec: ContainerSpec,
    folders: RootFolders,
    ends: ChildEnds | undefined,
    netns: number | undefined,
  ): SpawnRequest {
    const argv = [...((spec.image.served && this.#options.init) || []), ...spec.argv];
    return {
      argv: argv as [string, ...string[]],
      env: spec.env,
      cwd: spec.cwd,
      stdio: ends ? [ends.stdin, ends.stdout, ends.stderr] : [],
      create: {
        namespaces: ["mount", "uts", "ipc", "pid"],
        hostname: spec.hostname,
        root: rootPlan(folders, spec.image, spec.volumes, spec),
        ...(netns === undefined ? {} : { netns }),
      },
      tty: spec.tty,
      ...(spec.user ? { user: spec.user } : {}),
      ...(spec.capabilities ? { capabilities: spec.capabilities } : {}),
    };
  }
}

/** Environment that a running process was started with. */
function environmentOf(pid: number): Record<string, string> {
  const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const pairs = entries
    .filter((e) => e.includes("="))
    .map((e) => [e.slice(0, e.indexOf("=")), e.slice(e.indexOf("=") + 1)]);
  return Object.fromEntries(pairs);
}

/**
 * The container whose first process this is. It is told by the process itself (first of its pid namespace, root file
 * system in the container's folder), so that no record can be missing or about another process with the same number.
 */
function containerOfProcess(pid: number, folder: string): string | undefined {
  try {
    const ids = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]?.split(/\s+/) ?? [];
    if (ids.length < 2 || ids.at(-1) !== "1") return undefined;
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, "latin1");
    const start = mounts.indexOf(`upperdir=${folder}/`);
    return start < 0 ? undefined : /^upperdir=.*?\/([0-9a-f]{64})\//.exec(mounts.slice(start))?.[1];
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
