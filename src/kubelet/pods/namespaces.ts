import { randomBytes } from "node:crypto";
import type { Container, Pod } from "#api/index.ts";
import { SysError } from "#kernel/ffi/index.ts";
import type { Child } from "#kernel/process/index.ts";
import type { ContainerSpec, ProcessRuntime, RunningContainer, SharedNamespaces } from "../runtime/index.ts";
import { ContainerConfigError } from "../spec/env.ts";
import { noProcess } from "./light.ts";

const SIGKILL = 9;

/**
 * The namespaces that a pod's containers share beside the network: host name and IPC, and processes when the pod says
 * so. They live with the containers; where processes are shared, a process of the pod's own holds them.
 */
export class PodNamespaces {
  readonly #pod: Pod;
  readonly #runtime: ProcessRuntime;
  readonly #save: () => void;
  readonly #find: (container: string) => RunningContainer | undefined;
  readonly #members = new Set<RunningContainer>();
  #holderId: string | undefined;
  #holder: Child | undefined;
  /** Containers are started one after the other, so that the second finds what the first has made. */
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param save writes the pod's record
   * @param find the running container of a name
   * @param holderId of the process that an earlier agent has started
   */
  constructor(
    pod: Pod,
    runtime: ProcessRuntime,
    save: () => void,
    find: (container: string) => RunningContainer | undefined,
    holderId?: string,
  ) {
    this.#find = find;
    this.#pod = pod;
    this.#runtime = runtime;
    this.#save = save;
    this.#holderId = holderId;
  }

  /** Id of the process that holds the namespaces, for the pod's record. */
  get holderId(): string | undefined {
    return this.#holderId;
  }

  /** The container whose processes another one is to see. @throws ContainerConfigError when it does not run */
  targetOf({ targetContainerName: name }: Container): RunningContainer | undefined {
    if (!name) return undefined;
    const running = this.#find(name);
    if (!running) throw new ContainerConfigError(`unable to find target container ${name}`);
    if (running.isLight) throw new ContainerConfigError(noProcess(`container ${name} has no processes to look at`));
    return running;
  }

  /** Starts a container among the others. @param target whose processes it sees, instead of its own alone */
  start(spec: ContainerSpec, target: RunningContainer | undefined): Promise<RunningContainer> {
    const started = this.#turn.then(() => this.#start(spec, target));
    this.#turn = started.catch(() => {});
    return started;
  }

  /** A container that runs already. */
  add(running: RunningContainer): void {
    if (running.isLight) return;
    this.#members.add(running);
    void running.exit.then(() => this.#members.delete(running));
  }

  /** Takes over the process that holds the namespaces. @param pid undefined when it does not run any more */
  adoptHolder(pid: number | undefined): void {
    const holder = pid === undefined ? undefined : this.#runtime.adoptHolder(pid);
    if (holder) this.#keep(holder);
  }

  #keep(holder: Child): void {
    this.#holder = holder;
    void holder.exit.then(() => {
      if (this.#holder === holder) this.#holder = undefined;
    });
  }

  /** Ends what holds the namespaces; all containers have ended. */
  async end(): Promise<void> {
    this.#holder?.kill(SIGKILL);
    await this.#holder?.exit;
    this.#holder = undefined;
    if (this.#holderId !== undefined) await this.#runtime.remove(this.#holderId);
  }

  async #start(spec: ContainerSpec, target: RunningContainer | undefined): Promise<RunningContainer> {
    const { hostPID, hostIPC, shareProcessNamespace } = this.#pod.spec;
    const holder = shareProcessNamespace && !hostPID ? await this.#hold(spec) : undefined;
    const [member] = this.#members;
    const ofPod = holder ?? member;
    const processes = hostPID ? "node" : (holder ?? target)?.pidfd;
    const shared: SharedNamespaces = {
      ...(ofPod ? { pod: ofPod.pidfd } : {}),
      ...(processes === undefined ? {} : { processes }),
      ...(hostIPC ? { nodeIpc: true } : {}),
    };
    try {
      const running = await this.#runtime.start(spec, shared);
      this.add(running);
      return running;
    } catch (error) {
      // The member has ended a moment ago: its namespaces are gone, others are made.
      const isGone = error instanceof SysError && error.syscall === "setns" && member !== undefined && !holder;
      if (!isGone) throw error;
      this.#members.delete(member);
      return this.#start(spec, target);
    }
  }

  async #hold(spec: ContainerSpec): Promise<Child> {
    if (this.#holder) return this.#holder;
    const id = randomBytes(32).toString("hex");
    this.#holderId = id;
    this.#save();
    const holder = await this.#runtime.hold(id, spec, this.#pod.spec.hostIPC ?? false);
    this.#keep(holder);
    return holder;
  }
}
