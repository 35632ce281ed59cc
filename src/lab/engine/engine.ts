import { closeSync, mkdirSync } from "node:fs";
import type { Server } from "node:net";
import { dirname } from "node:path";
import { listenTcp, type Netns } from "#kernel/namespaces/index.ts";
import { type Child, Spawner } from "#kernel/process/index.ts";
import {
  buildEtc,
  labPaths,
  type MachineFolders,
  machineFolders,
  machineRoot,
  pathInside,
  prepareFolders,
} from "#lab/machine/index.ts";
import type { MachineModel } from "#lab/topology/index.ts";
import { Fabric, type MachineNetwork } from "./fabric.ts";
import { startForward } from "./forward.ts";
import { startOutsideResolver } from "./outside.ts";
import type { BootRequest, ForwardTarget, FromEngine, ProcessSpec, ToEngine } from "./protocol.ts";
import { Supervised } from "./supervisor.ts";

/** A listening socket that the parent sent: libuv's TCP handle, of which only the descriptor is used. */
export interface ListenHandle {
  readonly fd: number;
}

interface Machine {
  readonly model: MachineModel;
  readonly network: MachineNetwork;
  readonly folders: MachineFolders;
  readonly init: Child;
}

const ROUTER = "router";

/**
 * Builds a lab from a {@link BootRequest} and keeps its processes running. It stands in an empty network namespace
 * and lives as long as its parent: when either ends, the kernel ends everything inside.
 */
export class Engine {
  readonly #report: (message: FromEngine) => void;
  readonly #machines = new Map<string, Machine>();
  readonly #hostListeners = new Map<string, ListenHandle>();
  readonly #descriptors = new Map<string, number>();
  readonly #processes = new Map<string, Supervised>();
  readonly #forwards = new Map<string, Server>();
  readonly #spawner: Promise<Spawner>;

  constructor(report: (message: FromEngine) => void) {
    this.#report = report;
    // Begins before the lab is known, while the parent still makes its certificates. Inline, since a worker would cost
    // as much at start as all its processes together, and later a process is started now and then only.
    this.#spawner = Spawner.start({ thread: "inline" });
    this.#spawner.catch(() => {}); // boot says it
    buildTemplate();
  }

  /** Takes a message of the parent, with the socket that came with it. @throws Error for one that cannot be done */
  async handle(message: ToEngine, handle?: ListenHandle): Promise<void> {
    switch (message.type) {
      case "listener":
        if (handle) this.#hostListeners.set(message.id, handle);
        return;
      case "boot":
        return this.#boot(message.boot);
      case "forward":
        return this.#forward(message.id, message.target, handle);
      case "unforward":
        this.#forwards.get(message.id)?.close();
        this.#forwards.delete(message.id);
        return;
      case "signal":
        this.#processes.get(message.process)?.signal(message.signal);
    }
  }

  async #boot(boot: BootRequest): Promise<void> {
    const spawner = await this.#spawner;
    const fabric = new Fabric(boot.topology);
    this.#phase("fabric");
    // A machine's processes start as soon as it is there: the first, the control plane's, while others are being made.
    for (const model of inOrderOfProcesses(boot)) {
      await this.#startMachine(spawner, fabric, model, boot);
      for (const { address, port } of boot.listeners.filter((l) => l.machine === model.name)) {
        this.#descriptors.set(`${model.name}/${address}:${port}`, listenTcp(this.#netns(model.name), address, port));
      }
      for (const spec of boot.processes.filter((p) => p.machine === model.name)) {
        await this.#startProcess(spawner, spec);
      }
    }
    await fabric.ready();
    this.#report({
      type: "machines",
      inits: Object.fromEntries([...this.#machines].map(([name, m]) => [name, m.init.pid])),
    });
    this.#phase("machines");
    const router = this.#machines.get(ROUTER);
    if (router && boot.resolver.length) startOutsideResolver(router.network.netns, boot.resolver);
  }

  async #startMachine(spawner: Spawner, fabric: Fabric, model: MachineModel, boot: BootRequest): Promise<void> {
    const folders = machineFolders(model.name);
    prepareFolders(folders, boot.files[model.name] ?? {});
    const network = fabric.connect(model);
    const init = await spawner.spawn({
      // Reaps what is orphaned inside; its child only keeps it busy.
      argv: ["/usr/bin/tini", "-s", "--", "/usr/bin/sleep", "infinity"],
      env: { PATH: "/usr/bin" },
      stdio: [null, null, null],
      create: {
        namespaces: ["mount", "uts", "ipc", "pid", "cgroup"],
        netns: network.netns.fd,
        hostname: model.name,
        root: machineRoot(folders, boot.stateMounts[model.name]),
      },
    });
    this.#machines.set(model.name, { model, network, folders, init });
    void init.exit.then(({ code, signal }) => {
      this.#report({
        type: "failed",
        code: "MachineEnded",
        message: `machine ${model.name} ended (${signal === null ? `exit code ${code}` : `signal ${signal}`})`,
      });
    });
  }

  async #startProcess(spawner: Spawner, spec: ProcessSpec): Promise<void> {
    const machine = this.#machine(spec.machine);
    const log = pathInside(machine.folders, spec.log);
    mkdirSync(dirname(log), { recursive: true });
    const supervised = new Supervised(spec, {
      spawner,
      pidfd: machine.init.pidfd,
      log,
      descriptors: spec.descriptors.map((id) => this.#descriptor(id)),
      report: (process) => this.#report({ type: "process", process }),
    });
    this.#processes.set(spec.name, supervised);
    await supervised.start();
  }

  #descriptor(id: string): number {
    const fd = this.#hostListeners.get(id)?.fd ?? this.#descriptors.get(id);
    if (fd === undefined) throw new Error(`no listener ${id}`);
    return fd;
  }

  #forward(id: string, target: ForwardTarget, handle: ListenHandle | undefined): void {
    if (!handle) throw new Error(`forward ${id} came without a socket`);
    this.#forwards.get(id)?.close();
    this.#forwards.set(id, startForward(handle, this.#netns(target.machine), target));
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (!machine) throw new Error(`no machine ${name}`);
    return machine;
  }

  #netns(name: string): Netns {
    return this.#machine(name).network.netns;
  }

  #phase(name: string): void {
    this.#report({ type: "phase", name, ms: performance.now() });
  }

  /** Lets go of sockets and threads; the processes end with the engine's namespaces. */
  async stop(): Promise<void> {
    for (const process of this.#processes.values()) process.stop();
    for (const server of this.#forwards.values()) server.close();
    for (const fd of this.#descriptors.values()) closeSync(fd);
    await (await this.#spawner).stop();
  }
}

/** The machines in the order in which their first processes stand in the list; those without any come first. */
function inOrderOfProcesses({ topology, processes }: BootRequest): MachineModel[] {
  const rank = ({ name }: MachineModel): number => processes.findIndex((spec) => spec.machine === name);
  return topology.machines.toSorted((a, b) => rank(a) - rank(b));
}

/** What machines and pods start from: /etc, /var. */
function buildTemplate(): void {
  buildEtc(`${labPaths.template}/etc`, ["/etc", `${labPaths.tools}/etc`]);
  for (const name of ["cache", "lib/nginx", "lib/misc", "local", "log/nginx", "mail", "spool", "tmp", "www/html"]) {
    mkdirSync(`${labPaths.template}/var/${name}`, { recursive: true });
  }
}
