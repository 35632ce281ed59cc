import { closeSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { makeGroup, removeGroup } from "#kernel/cgroups/index.ts";
import { listenTcp } from "#kernel/namespaces/index.ts";
import type { Child, Spawner } from "#kernel/process/index.ts";
import {
  type MachineFolders,
  machineFolders,
  machineLeaf,
  machineRoot,
  pathInside,
  prepareFolders,
  removeFolders,
} from "#lab/machine/index.ts";
import type { Fabric, MachineNetwork } from "./fabric.ts";
import type { FromEngine, MachinePlan, MachineState, ProcessSpec } from "./protocol.ts";
import { Supervised } from "./supervisor.ts";

/** What a machine needs of the lab around it. */
export interface MachineSurroundings {
  readonly spawner: Spawner;
  readonly fabric: Fabric;
  /** Descriptor of a listening socket on the host. @throws Error when there is none of this id */
  readonly hostListener: (id: string) => number;
  readonly report: (message: FromEngine) => void;
}

/** A machine that has power. */
interface Running {
  readonly network: MachineNetwork;
  readonly init: Child;
  /** Sockets that listen in its network, by `address:port`. */
  readonly listeners: ReadonlyMap<string, number>;
  readonly processes: Supervised[];
}

/** Gone with a machine's power. The node agent keeps in /run/podwire what containerd has on the disk. */
const VOLATILE = ["run/netns", "run/lock", "tmp"] as const;

/** One machine of a lab: its power, its network, its processes. Its disk outlives a stop. */
export class Machine {
  readonly plan: MachinePlan;
  readonly #around: MachineSurroundings;
  readonly #folders: MachineFolders;
  #running: Running | undefined;
  #paused = false;
  /** Its end is wanted. */
  #stopping = false;
  #new = true;

  constructor(plan: MachinePlan, around: MachineSurroundings) {
    this.plan = plan;
    this.#around = around;
    this.#folders = machineFolders(plan.model.name);
  }

  get name(): string {
    return this.plan.model.name;
  }

  get state(): MachineState {
    if (!this.#running) return "stopped";
    return this.#paused ? "paused" : "running";
  }

  /** @throws PodwireError "Stopped" */
  get network(): MachineNetwork {
    return this.#power().network;
  }

  /** Pid of its first process as the engine sees it. */
  get init(): number | undefined {
    return this.#running?.init.pid;
  }

  /** Builds it and starts its processes, in order; nothing when it runs. @throws SysError, NetlinkError */
  async start(): Promise<void> {
    if (this.#running) return;
    const { fabric } = this.#around;
    if (!this.#new)
      for (const name of VOLATILE) rmSync(join(this.#folders.root, name), { recursive: true, force: true });
    prepareFolders(this.#folders, this.#new ? this.plan.files : {});
    this.#new = false;
    this.#stopping = false;
    this.#paused = false;
    const network = fabric.connect(this.plan.model);
    const init = await this.#startInit(network);
    const listeners = new Map(
      this.plan.listeners.map(({ address, port }) => [`${address}:${port}`, listenTcp(network.netns, address, port)]),
    );
    this.#running = { network, init, listeners, processes: [] };
    void init.exit.then(({ code, signal }) => this.#ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
    for (const spec of this.plan.processes) await this.#startProcess(spec);
  }

  #startInit(network: MachineNetwork): Promise<Child> {
    const { cgroup } = this.plan;
    if (cgroup !== undefined) this.#renewGroup(cgroup);
    const leaf = this.#leaf();
    if (leaf !== undefined) makeGroup(leaf, {});
    return this.#around.spawner.spawn({
      // Reaps what is orphaned inside; its child only keeps it busy.
      argv: ["/usr/bin/tini", "-s", "--", "/usr/bin/sleep", "infinity"],
      env: { PATH: "/usr/bin" },
      stdio: [null, null, null],
      create: {
        // A process may be moved only within its namespace of groups, and starts in the engine's group.
        namespaces: ["mount", "uts", "ipc", "pid", ...(cgroup === undefined ? (["cgroup"] as const) : [])],
        netns: network.netns.fd,
        hostname: this.name,
        root: machineRoot(this.#folders, this.plan),
      },
      ...(cgroup === undefined || leaf === undefined ? {} : { cgroup: leaf, cgroupRoot: cgroup }),
    });
  }

  /** The group of its processes, where its own group is the highest that they see. */
  #leaf(): string | undefined {
    const { cgroup, privileged = false } = this.plan;
    return privileged && cgroup !== undefined ? machineLeaf(cgroup) : undefined;
  }

  /** What an earlier run left has no processes any more. */
  #renewGroup(folder: string): void {
    removeGroup(folder);
    makeGroup(folder, {});
  }

  async #startProcess(spec: ProcessSpec): Promise<void> {
    const { init, listeners, processes } = this.#power();
    const log = pathInside(this.#folders, spec.log);
    mkdirSync(dirname(log), { recursive: true });
    const leaf = this.#leaf();
    const supervised = new Supervised(spec, {
      spawner: this.#around.spawner,
      pidfd: init.pidfd,
      ...(leaf === undefined ? {} : { cgroup: leaf }),
      log,
      descriptors: spec.descriptors.map(
        (id) => listeners.get(id.slice(this.name.length + 1)) ?? this.#around.hostListener(id),
      ),
      report: (process) => this.#around.report({ type: "process", process }),
    });
    processes.push(supervised);
    await supervised.start();
  }

  /** The process of this name, if it is one of this machine's. */
  process(name: string): Supervised | undefined {
    return this.#running?.processes.find((process) => process.name === name);
  }

  /** Freezes every process but its init; packets that need none of them still pass. @throws PodwireError "Stopped" */
  async pause(): Promise<void> {
    await this.#signalAll("STOP");
    this.#paused = true;
  }

  /** @throws PodwireError "Stopped" */
  async resume(): Promise<void> {
    await this.#signalAll("CONT");
    this.#paused = false;
  }

  /** Sends a signal to all processes of the machine's pid namespace and of those below, at one moment (kill(2), -1). */
  async #signalAll(signal: "STOP" | "CONT"): Promise<void> {
    const child = await this.#around.spawner.spawn({
      argv: ["/usr/bin/sh", "-c", `kill -${signal} -1`],
      env: { PATH: "/usr/bin" },
      stdio: [null, null, null],
      join: [{ pidfd: this.#power().init.pidfd }],
    });
    await child.exit;
  }

  /** Cuts its power: all its processes end at once, its network is gone. Nothing when it is stopped. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#stopping = true;
    for (const process of running.processes) process.stop();
    running.init.kill(SIGKILL);
    await running.init.exit;
    this.#letGo(running);
  }

  /** Deletes the disk of a stopped machine. */
  erase(): void {
    if (this.plan.cgroup !== undefined) removeGroup(this.plan.cgroup);
    removeFolders(this.name);
    this.#new = true;
  }

  /** Its init has ended, though nobody asked for it. */
  #ended(reason: string): void {
    const running = this.#running;
    if (this.#stopping || !running) return;
    for (const process of running.processes) process.stop();
    this.#letGo(running);
    this.#around.report({ type: "machine", machine: this.name, state: "stopped", reason });
  }

  #letGo({ network, listeners }: Running): void {
    this.#running = undefined;
    for (const fd of listeners.values()) closeSync(fd);
    this.#around.fabric.disconnect(network);
  }

  /** Lets go of its sockets and restarts nothing any more; the processes end with the lab. */
  abandon(): void {
    for (const process of this.#running?.processes ?? []) process.stop();
    for (const fd of this.#running?.listeners.values() ?? []) closeSync(fd);
  }

  #power(): Running {
    if (this.#running) return this.#running;
    throw new PodwireError("Stopped", `machine ${this.name} is stopped`);
  }
}

const SIGKILL = 9;
