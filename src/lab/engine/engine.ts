import { mkdirSync } from "node:fs";
import type { Server } from "node:net";
import { PodwireError } from "#base/errors.ts";
import { Spawner } from "#kernel/process/index.ts";
import { buildEtc, labPaths } from "#lab/machine/index.ts";
import { Fabric } from "./fabric.ts";
import { startForward } from "./forward.ts";
import { startGateway } from "./gateway.ts";
import { Machine } from "./machine.ts";
import { OutsideLink } from "./outsideLink.ts";
import {
  type BootRequest,
  type ForwardTarget,
  type FromEngine,
  type MachineAction,
  type MachinePlan,
  machinePlans,
  type ToEngine,
} from "./protocol.ts";
import { startResolver } from "./resolver.ts";

/** A listening socket that the parent sent: libuv's TCP handle, of which only the descriptor is used. */
export interface ListenHandle {
  readonly fd: number;
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
  readonly #forwards = new Map<string, Server>();
  readonly #spawner: Promise<Spawner>;
  readonly #outside: OutsideLink;
  #fabric: Fabric | undefined;
  /** Changes of machines, one after the other. */
  #changes: Promise<void> = Promise.resolve();

  constructor(report: (message: FromEngine) => void) {
    this.#report = report;
    this.#outside = new OutsideLink(report);
    // Begins before the lab is known, while the parent still makes its certificates. Inline, since a worker would cost
    // as much at start as all its processes together, and later a process is started now and then only.
    this.#spawner = Spawner.start({ thread: "inline" });
    this.#spawner.catch(() => {}); // boot says it
    buildTemplate();
  }

  /** Takes a message of the parent, with the socket that came with it. @throws Error for one that cannot be done */
  async handle(message: ToEngine, socket?: unknown): Promise<void> {
    const handle = socket as ListenHandle | undefined;
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
        for (const machine of this.#machines.values()) machine.process(message.process)?.signal(message.signal);
        return;
      case "outside":
        return this.#outside.answer(message.id, message.answer, socket);
      case "add-machine":
        return this.#change(message.request, () => this.#add(message.plan));
      case "machine":
        return this.#change(message.request, () => this.#act(message.machine, message.action));
    }
  }

  async #boot(boot: BootRequest): Promise<void> {
    const spawner = await this.#spawner;
    const fabric = new Fabric(boot.topology);
    this.#fabric = fabric;
    this.#phase("fabric");
    // A machine's processes start as soon as it is there: the first, the control plane's, while others are being made.
    for (const plan of machinePlans(boot)) {
      const machine = this.#newMachine(plan, spawner, fabric);
      await machine.start();
    }
    await fabric.ready([...this.#machines.values()].map((machine) => machine.network));
    for (const machine of this.#machines.values()) this.#tell(machine);
    this.#phase("machines");
    const router = this.#machines.get(ROUTER);
    if (router) await this.#openOutside(router, boot, spawner);
  }

  async #openOutside(router: Machine, { resolver, outside }: BootRequest, spawner: Spawner): Promise<void> {
    const { network } = router;
    const link = this.#outside;
    startResolver(network.netns, resolver, outside && ((query, transport) => link.resolve(query, transport)));
    if (outside) await startGateway(network, outside, link, spawner.poll);
  }

  #newMachine(plan: MachinePlan, spawner: Spawner, fabric: Fabric): Machine {
    const machine = new Machine(plan, {
      spawner,
      fabric,
      hostListener: (id) => this.#hostListener(id),
      report: this.#report,
    });
    this.#machines.set(machine.name, machine);
    return machine;
  }

  #hostListener(id: string): number {
    const handle = this.#hostListeners.get(id);
    if (!handle) throw new Error(`no listener ${id}`);
    return handle.fd;
  }

  #forward(id: string, target: ForwardTarget, handle: ListenHandle | undefined): void {
    if (!handle) throw new Error(`forward ${id} came without a socket`);
    this.#forwards.get(id)?.close();
    this.#forwards.set(id, startForward(handle, this.#machine(target.machine).network.netns, target));
  }

  /** Does what a request asks for when its turn comes, and answers it. */
  #change(request: number, work: () => Promise<void>): Promise<void> {
    this.#changes = this.#changes.then(async () => {
      try {
        await work();
        this.#report({ type: "done", request });
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        this.#report({ type: "done", request, error: { code: code ?? "EngineFailed", message } });
      }
    });
    return this.#changes;
  }

  async #add(plan: MachinePlan): Promise<void> {
    const { name } = plan.model;
    if (this.#machines.has(name)) throw new PodwireError("Exists", `there is a machine ${name} already`);
    const fabric = this.#fabric;
    if (!fabric) throw new PodwireError("Starting", "the lab has not been built yet");
    const machine = this.#newMachine(plan, await this.#spawner, fabric);
    try {
      await this.#start(machine, fabric);
    } catch (error) {
      await machine.stop();
      machine.erase();
      this.#machines.delete(name);
      throw error;
    }
  }

  async #start(machine: Machine, fabric: Fabric): Promise<void> {
    await machine.start();
    await fabric.ready([machine.network]);
    this.#tell(machine);
  }

  async #act(name: string, action: MachineAction): Promise<void> {
    const machine = this.#machine(name);
    if (action === "start") return this.#start(machine, this.#fabric as Fabric);
    if (action === "pause" || action === "resume") await machine[action]();
    else await machine.stop();
    if (action !== "remove") return this.#tell(machine);
    machine.erase();
    this.#machines.delete(name);
    this.#report({ type: "machine", machine: name, state: "removed" });
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (!machine) throw new PodwireError("NotFound", `no machine ${name}`);
    return machine;
  }

  #tell({ name, state, init }: Machine): void {
    this.#report({ type: "machine", machine: name, state, ...(init === undefined ? {} : { init }) });
  }

  #phase(name: string): void {
    this.#report({ type: "phase", name, ms: performance.now() });
  }

  /** Lets go of sockets and threads; the processes end with the engine's namespaces. */
  async stop(): Promise<void> {
    for (const machine of this.#machines.values()) machine.abandon();
    for (const server of this.#forwards.values()) server.close();
    await (await this.#spawner).stop();
  }
}

/** What machines and pods start from: /etc, /var. */
function buildTemplate(): void {
  buildEtc(`${labPaths.template}/etc`, ["/etc", `${labPaths.tools}/etc`]);
  for (const name of ["cache", "lib/nginx", "lib/misc", "local", "log/nginx", "mail", "spool", "tmp", "www/html"]) {
    mkdirSync(`${labPaths.template}/var/${name}`, { recursive: true });
  }
}
