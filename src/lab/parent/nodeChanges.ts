import { type Client, isNotFound, resources } from "#api/index.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { clusterPlan, type PlanOptions } from "#lab/cluster/index.ts";
import {
  type ClusterConfig,
  controlPlane,
  type NodeConfig,
  type NodeWish,
  nodeNamed,
  withNode,
  withoutNode,
} from "#lab/config/index.ts";
import { machinePlans } from "#lab/engine/index.ts";
import { type ClusterPki, issueForNode, openAuthority } from "#lab/pki/index.ts";
import type { EngineLink } from "./engineLink.ts";
import type { NodeWatch } from "./nodes.ts";
import { type MachinePlace, runOnMachine } from "./nsenter.ts";
import { answered, apiAnswers, withoutApi } from "./presence.ts";

/** How long after its request a change waits for a node to be ready, in ms: whoever asks waits a little longer. */
const READY_MS = 9_000;

/** What can be done to a node of a running cluster, and what it takes. */
export type NodeRequest =
  | ({ readonly action: "add" } & NodeWish)
  | { readonly action: "rm" | "stop" | "start" | "pause"; readonly node: string };

/** What a change of nodes came to. */
export interface NodeChanged {
  readonly name: string;
  readonly role: NodeConfig["role"];
  readonly addresses: readonly string[];
  readonly hostAddress: string;
  /** The node was added or started and says that it is ready. */
  readonly ready: boolean;
}

interface Change {
  readonly node: NodeConfig;
  /** When its agent was started, in ms since 1970; what it said before does not count. */
  readonly startedAt?: number;
}

/** What changes of nodes work with. */
export interface NodeChangesDeps {
  readonly engine: EngineLink;
  readonly client: Client;
  readonly pki: ClusterPki;
  readonly plan: PlanOptions;
  readonly nodes: NodeWatch;
  /** The host's address for a node's slot. */
  readonly hostAddress: (slot: number) => string;
  /** Where a machine is entered. @throws PodwireError "NotFound", "Stopped" */
  readonly place: (machine: string) => MachinePlace;
  /** Takes over the cluster's new configuration. */
  readonly changed: (config: ClusterConfig) => Promise<void>;
}

/**
 * Adds and removes a cluster's nodes, cuts their power and gives it back. One change at a time: the next one's place
 * and addresses hang on the one before.
 */
export class NodeChanges {
  readonly #deps: NodeChangesDeps;
  #config: ClusterConfig;
  /** Names of nodes that are gone: machines without power at that time still know them. */
  readonly #removed = new Set<string>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(config: ClusterConfig, deps: NodeChangesDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /**
   * Makes one change when those before it are done; waits some seconds for a node that starts to be ready. Without
   * the API none is made that needs it, and none waits for it without an end: the next may be the control plane's start.
   * @throws PodwireError "NotFound", "InvalidConfig", "Stopped", "NoAnswer", or the engine's
   */
  async make(request: NodeRequest): Promise<NodeChanged> {
    const late = performance.now() + READY_MS;
    const done = this.#queue.then(() => this.#change(request));
    this.#queue = done.catch(() => undefined);
    const { node, startedAt } = await done;
    const { name, role, addresses, slot } = node;
    const ready = startedAt !== undefined && (await this.#readyBy(late, name, startedAt));
    return { name, role, addresses, hostAddress: this.#deps.hostAddress(slot), ready };
  }

  /** Whether a node says that it is ready before `late` (performance.now()); it cannot without a control plane. */
  async #readyBy(late: number, name: string, startedAt: number): Promise<boolean> {
    if (withoutApi(this.#config, this.#deps.engine.machines)) return false;
    const left = Math.max(0, Math.round(late - performance.now()));
    return await this.#deps.nodes.readyWithin(name, startedAt, left);
  }

  /** Refuses what cannot be done without the API, before anything has changed. @throws PodwireError */
  async #needApi(): Promise<void> {
    const { client, engine } = this.#deps;
    const refusal = withoutApi(this.#config, engine.machines);
    if (refusal) throw refusal;
    await apiAnswers(client, controlPlane(this.#config));
  }

  async #change(request: NodeRequest): Promise<Change> {
    if (request.action === "add") return this.#add(request);
    const node = nodeNamed(this.#config, request.node);
    switch (request.action) {
      case "rm":
        return this.#remove(node);
      case "start":
        return this.#start(node);
      default:
        await this.#deps.engine.change(node.name, request.action);
        return { node };
    }
  }

  async #add(wish: NodeWish): Promise<Change> {
    const { engine, pki, plan } = this.#deps;
    const { config, node } = withNode(this.#config, wish);
    await this.#needApi();
    const pair = issueForNode(openAuthority(pki.kept.authority), node);
    const boot = clusterPlan(config, { ...pki, nodes: { ...pki.nodes, [node.name]: pair } }, plan);
    const machine = machinePlans(boot).find(({ model }) => model.name === node.name);
    if (!machine) throw new Error(`the plan has no machine ${node.name}`);
    const startedAt = Date.now();
    await engine.addMachine(machine);
    this.#removed.delete(node.name);
    await this.#take(config);
    await this.#introduce(this.#running(node.name));
    return { node, startedAt };
  }

  async #remove(node: NodeConfig): Promise<Change> {
    const { engine } = this.#deps;
    const config = withoutNode(this.#config, node.name);
    await this.#needApi();
    // First the machine, so that no agent is left that would register the node again.
    await engine.change(node.name, "remove");
    this.#removed.add(node.name);
    await this.#take(config);
    await this.#introduce(this.#running());
    await this.#forget(node.name);
    return { node };
  }

  /** Deletes the Node of a machine that is gone. */
  async #forget(name: string): Promise<void> {
    try {
      await answered((signal) => this.#deps.client.delete(resources.nodes, name, undefined, undefined, signal));
    } catch (error) {
      if (isNotFound(error)) return;
      const message = `node ${name} is removed, though the cluster still lists it (kubectl delete node ${name})`;
      throw new PodwireError("NoAnswer", `${message}: ${errorMessage(error)}`, {}, error);
    }
  }

  async #start(node: NodeConfig): Promise<Change> {
    const { engine } = this.#deps;
    const paused = engine.machines.get(node.name)?.state === "paused";
    // What a paused node said before still counts, unless its lease has run out meanwhile.
    const startedAt = paused ? 0 : Date.now();
    await engine.change(node.name, paused ? "resume" : "start");
    await this.#introduce([node.name]);
    return { node, startedAt };
  }

  async #take(config: ClusterConfig): Promise<void> {
    this.#config = config;
    await this.#deps.changed(config);
  }

  /** Machines with power, but one. */
  #running(but?: string): string[] {
    const { machines } = this.#deps.engine;
    return [...machines].filter(([name, { state }]) => state !== "stopped" && name !== but).map(([name]) => name);
  }

  /** Lets machines know by name which nodes there are, without touching what else is in their /etc/hosts. */
  async #introduce(machines: readonly string[]): Promise<void> {
    const lines = this.#config.nodes.flatMap(({ name, addresses }) =>
      addresses.map((address) => `${address}\t${name}`),
    );
    const gone = [...this.#removed].map((name) => `-e/[[:space:]]${name}$/d`);
    for (const machine of machines) {
      const place = this.#deps.place(machine);
      await runOnMachine(place, ["sh", "-c", APPEND_MISSING, "sh", ...lines]);
      if (gone.length > 0) await runOnMachine(place, ["sed", "-i", ...gone, "/etc/hosts"]);
    }
  }
}

/** Appends those of its arguments to /etc/hosts that are no line of it. */
const APPEND_MISSING = `for line; do grep -qxF -- "$line" /etc/hosts || printf '%s\\n' "$line" >> /etc/hosts; done`;
