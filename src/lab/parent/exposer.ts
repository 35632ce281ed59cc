import type { Server } from "node:net";
import { type Client, Informer, resources, type Service } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { ClusterConfig, NodeConfig } from "#lab/config/index.ts";
import type { EngineLink } from "./engineLink.ts";
import { listen } from "./loopback.ts";

/** Host part of the first node in the cluster's loopback range: the node in slot i is .(10+i). */
const FIRST_NODE = 10;
/** The machine from which the host's connections go on. */
export const ROUTER = "router";

/** The host's address for the node in a slot of a cluster. */
export function hostAddressOf(prefix: string, slot: number): string {
  return `${prefix}.${FIRST_NODE + slot}`;
}

/** NodePort of the ingress controller's Service (manifests/ingress.yaml; INVENTORY G01). */
const INGRESS_NODE_PORT = 30080;

/** Carries connections of a listener to the ingress, at the first worker. */
export function forwardIngress({ nodes }: ClusterConfig, engine: EngineLink, server: Server): Promise<void> {
  const worker = nodes.find((n) => n.role === "worker") ?? nodes[0];
  const address = worker?.addresses[0] ?? "";
  return engine.forward("ingress", server, { machine: ROUTER, address, port: INGRESS_NODE_PORT });
}

/** TCP NodePorts of a Service. */
function nodePorts(service: Service): number[] {
  return (service.spec?.ports ?? [])
    .filter((p) => (p.protocol ?? "TCP") === "TCP" && p.nodePort)
    .map((p) => p.nodePort as number);
}

/** What an exposer works with. */
export interface ExposerDeps {
  readonly client: Client;
  readonly engine: EngineLink;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Opens the real NodePort numbers on the host, at each node's loopback address, as Services appear and go. */
export class NodePortExposer {
  #nodes: readonly NodeConfig[];
  readonly #prefix: string;
  readonly #deps: ExposerDeps;
  readonly #informer: Informer<Service>;
  /** Ids of the forwards that are there. */
  readonly #open = new Set<string>();
  /** Why a port could not be opened, by its forward's id. */
  readonly #failures = new Map<string, string>();
  #work: Promise<void> = Promise.resolve();

  constructor(nodes: readonly NodeConfig[], prefix: string, deps: ExposerDeps) {
    this.#nodes = nodes;
    this.#prefix = prefix;
    this.#deps = deps;
    this.#informer = new Informer(deps.client, resources.services, {}, { log: deps.log, signal: deps.signal });
  }

  /** What could not be opened, a sentence each. A port is tried again whenever Services change. */
  get failures(): readonly string[] {
    return [...this.#failures.values()];
  }

  /** Begins to watch; resolves when the Services that exist are exposed. */
  async start(): Promise<void> {
    this.#informer.onChange(() => this.#mark());
    this.#informer.start();
    await this.#informer.synced;
    this.#mark();
    await this.#work;
  }

  /** Takes over which nodes there are; resolves when their ports are open, and those of others closed. */
  async setNodes(nodes: readonly NodeConfig[]): Promise<void> {
    this.#nodes = nodes;
    this.#mark();
    await this.#work;
  }

  #mark(): void {
    this.#work = this.#work
      .then(() => this.#apply())
      .catch((error: unknown) => this.#deps.log.error("NodePorts could not be opened", { error }));
  }

  async #apply(): Promise<void> {
    if (this.#deps.signal.aborted) return;
    const ports = new Set(this.#informer.list().flatMap(nodePorts));
    const wanted = new Map<string, Place>();
    for (const node of this.#nodes) for (const port of ports) wanted.set(forwardId(node, port), { node, port });
    for (const [id, place] of wanted) if (!this.#open.has(id)) await this.#expose(id, place);
    for (const id of this.#failures.keys()) if (!wanted.has(id)) this.#failures.delete(id);
    for (const id of this.#open) {
      if (wanted.has(id)) continue;
      this.#open.delete(id);
      await this.#deps.engine.unforward(id);
    }
  }

  async #expose(id: string, { node, port }: Place): Promise<void> {
    const address = hostAddressOf(this.#prefix, node.slot);
    try {
      const server = await listen(address, port);
      await this.#deps.engine.forward(id, server, { machine: ROUTER, address: node.addresses[0] ?? "", port });
      this.#open.add(id);
      this.#failures.delete(id);
    } catch (error) {
      this.#failures.set(id, `NodePort ${port} of ${node.name} is not open on the host: ${errorMessage(error)}`);
      this.#deps.log.warn("A NodePort is not open on the host", {
        node: node.name,
        address: `${address}:${port}`,
        error,
      });
    }
  }
}

/** A NodePort of a node. */
interface Place {
  readonly node: NodeConfig;
  readonly port: number;
}

function forwardId({ slot }: NodeConfig, port: number): string {
  return `nodeport/${slot}/${port}`;
}
