import type { ChildProcess, SendHandle } from "node:child_process";
import { Socket as DatagramSocket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { Server } from "node:net";
import { nodeOptions } from "#base/entry.ts";
import { PodwireError } from "#base/errors.ts";
import type {
  BootRequest,
  ForwardTarget,
  FromEngine,
  MachineAction,
  MachinePlan,
  MachineState,
  OutsideRequest,
  ProcessState,
  ToEngine,
} from "#lab/engine/index.ts";
import { enterStage, type IdPlan, LAB_ROOT, labInit, type StageSources } from "#lab/stage/index.ts";
import type { ClusterGroup } from "./clusterGroup.ts";
import type { OutsideReply } from "./outside.ts";

/** How long the end of the lab's init may take before its parent is killed as well, in ms. */
const REAP_MS = 1000;

/** A machine of the lab, as the engine last told. */
export interface KnownMachine {
  readonly state: MachineState;
  /** Pid of its first process as the engine sees it. */
  readonly init?: number;
  /** Why it ended, though nobody asked for it. */
  readonly reason?: string;
}

interface Events {
  /** The engine ended or failed for good. */
  failed: [error: PodwireError];
  machine: [name: string, machine: KnownMachine | undefined];
  process: [state: ProcessState];
  phase: [name: string, ms: number];
  /** To be answered by {@link EngineLink.answerOutside}. */
  outside: [id: number, request: OutsideRequest];
}

/** libuv's handle of a listening server: what can be sent to another process without accepting connections here. */
function handleOf(server: Server): NonNullable<Parameters<ChildProcess["send"]>[1]> {
  return (server as unknown as { _handle: NonNullable<Parameters<ChildProcess["send"]>[1]> })._handle;
}

/** The last line of a log, for a message; nothing where there is none. */
function lastWords(log: string): string {
  const last = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").at(-1) : "";
  return last ? `: ${last}` : "";
}

/** @throws Error with code ESRCH when a process has no child */
function firstChild(parent: number): number {
  // Kernels without CONFIG_PROC_CHILDREN do not list children by their parent.
  const list = `/proc/${parent}/task/${parent}/children`;
  const children = existsSync(list)
    ? readFileSync(list, "utf8").trim().split(" ")
    : readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === parent);
  const [first] = children;
  if (!first) throw Object.assign(new Error(`process ${parent} has no child`), { code: "ESRCH" });
  return Number(first);
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    // It has ended since it was listed.
    return undefined;
  }
}

/** The parent's end of the engine. */
export class EngineLink extends EventEmitter<Events> {
  readonly #child: ChildProcess;
  /** The user and group ids inside. */
  readonly ids: IdPlan;
  /** By process name. */
  readonly processes = new Map<string, ProcessState>();
  /** By name. */
  readonly machines = new Map<string, KnownMachine>();
  #ending = false;
  #nextRequest = 1;
  readonly #requests = new Map<number, PromiseWithResolvers<void>>();
  /** Rejects when the engine has ended, however that came: nothing that waits for it may wait for ever. */
  readonly #gone: Promise<never>;

  private constructor(child: ChildProcess, ids: IdPlan, log: string) {
    super();
    this.#child = child;
    this.ids = ids;
    this.#gone = new Promise((_, reject) => {
      child.once("exit", () => reject(new PodwireError("EngineEnded", "the lab's engine has ended")));
    });
    this.#gone.catch(() => undefined);
    child.on("message", (message: FromEngine) => this.#message(message));
    child.once("exit", (code, signal) => {
      if (!this.#ending)
        this.emit(
          "failed",
          new PodwireError("EngineEnded", `the lab's engine ended (${signal ?? `exit code ${code}`})${lastWords(log)}`),
        );
    });
  }

  /**
   * Starts the engine in namespaces of its own.
   * @param log file that takes its output: refusals and last words, since the engine has no log of its own
   * @param options `group`: control group that all of it is in; `privileged`: without a user namespace
   * @throws PodwireError with the refusing program's own words
   */
  static async start(
    sources: StageSources,
    engineFile: string,
    log: string,
    { group, privileged = false }: { readonly group?: ClusterGroup | undefined; readonly privileged?: boolean } = {},
  ): Promise<EngineLink> {
    const init = labInit(sources.tools);
    const fd = openSync(log, "a", 0o600);
    try {
      const { child, ids } = await enterStage(
        sources,
        init,
        [`${LAB_ROOT}/node`, ...nodeOptions, `${LAB_ROOT}/dist/${engineFile}`],
        fd,
        { privileged, ...(group ? { cgroup: group.folder } : {}) },
      );
      await group?.settle(child.pid as number);
      return new EngineLink(child, ids, log);
    } catch (error) {
      const words = readFileSync(log, "utf8").trim();
      if (error instanceof PodwireError && words)
        throw new PodwireError(error.code, `${error.message}\n  ${words}`, {}, error);
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Sends a listening socket of the host's network, and closes it here. */
  async sendListener(id: string, server: Server): Promise<void> {
    await this.#send({ type: "listener", id }, server);
  }

  /** Carries connections of a listener to an address of the lab, from now on. */
  async forward(id: string, server: Server, target: ForwardTarget): Promise<void> {
    await this.#send({ type: "forward", id, target }, server);
  }

  /** Ends a forward; its connections go on. */
  async unforward(id: string): Promise<void> {
    await this.#send({ type: "unforward", id });
  }

  /** Answers what the engine asked of the outside; the socket is the engine's from then on. */
  async answerOutside(id: number, { answer, socket }: OutsideReply): Promise<void> {
    try {
      await this.#send({ type: "outside", id, answer }, socket);
    } finally {
      if (socket instanceof DatagramSocket) socket.close();
    }
  }

  /** Asks for the lab to be built; resolves when all processes have been started. */
  async boot(boot: BootRequest): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      this.on("phase", (name) => name === "machines" && resolve());
      this.once("failed", reject);
    });
    // It may fail before the request is out.
    done.catch(() => undefined);
    await this.#send({ type: "boot", boot });
    await Promise.race([done, this.#gone]);
  }

  /** Sends a signal to one of the lab's processes. */
  async signal(process: string, signal: number): Promise<void> {
    await this.#send({ type: "signal", process, signal });
  }

  /** Changes a machine; resolves when it is done. @throws PodwireError with the engine's code and words */
  async change(machine: string, action: MachineAction): Promise<void> {
    await this.#request((request) => ({ type: "machine", request, machine, action }));
  }

  /** Builds one more machine and starts its processes. @throws PodwireError with the engine's code and words */
  async addMachine(plan: MachinePlan): Promise<void> {
    await this.#request((request) => ({ type: "add-machine", request, plan }));
  }

  async #request(message: (request: number) => ToEngine): Promise<void> {
    const request = this.#nextRequest++;
    const answer = Promise.withResolvers<void>();
    this.#requests.set(request, answer);
    await this.#send(message(request));
    await Promise.race([answer.promise, this.#gone]);
  }

  /** Pid of the init of the lab's pid namespace, as the host sees it. */
  initPid(): number {
    const unshare = this.#child.pid as number;
    return firstChild(unshare);
  }

  /** Ends the engine and with it everything inside; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#ending = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), this.#killInit() ? REAP_MS : 0);
    await gone;
    clearTimeout(timer);
  }

  /**
   * Kills the lab's init, and with it everything inside, so that its own parent reaps it: that one killed instead, the
   * host's init would have to. @returns false when there is no init yet
   */
  #killInit(): boolean {
    if (this.machines.size === 0) return false;
    try {
      const init = this.initPid();
      return init > 1 && process.kill(init, "SIGKILL");
    } catch {
      // It has ended by itself.
      return false;
    }
  }

  #send(message: ToEngine, handle?: Server | OutsideReply["socket"]): Promise<void> {
    const sent = new Promise<void>((resolve, reject) => {
      const server = handle instanceof Server ? handle : undefined;
      const done = (error: Error | null): void => {
        // The engine has the socket now; ours would only keep the port taken after the engine's end.
        server?.close();
        if (error) reject(error);
        else resolve();
      };
      if (!this.#child.connected) return done(new PodwireError("EngineEnded", "the lab's engine has ended"));
      this.#child.send(message, server ? handleOf(server) : (handle as SendHandle), {}, done);
    });
    // Node calls nobody back for a message that the end of the channel overtook.
    return Promise.race([sent, this.#gone]);
  }

  #message(message: FromEngine): void {
    switch (message.type) {
      case "phase":
        this.emit("phase", message.name, message.ms);
        return;
      case "machine":
        this.#machine(message);
        return;
      case "done":
        this.#done(message);
        return;
      case "outside":
        this.emit("outside", message.id, message.request);
        return;
      case "process":
        this.processes.set(message.process.name, message.process);
        this.emit("process", message.process);
        return;
      case "failed":
        this.emit("failed", new PodwireError(message.code, message.message));
    }
  }

  #machine({ machine, state, init, reason }: Extract<FromEngine, { type: "machine" }>): void {
    if (state === "removed") this.machines.delete(machine);
    else
      this.machines.set(machine, {
        state,
        ...(init === undefined ? {} : { init }),
        ...(reason === undefined ? {} : { reason }),
      });
    for (const { name, machine: place } of [...this.processes.values()])
      if (state === "removed" && place === machine) this.processes.delete(name);
    this.emit("machine", machine, this.machines.get(machine));
  }

  #done({ request, error }: Extract<FromEngine, { type: "done" }>): void {
    const answer = this.#requests.get(request);
    this.#requests.delete(request);
    if (error) answer?.reject(new PodwireError(error.code, error.message));
    else answer?.resolve();
  }
}
