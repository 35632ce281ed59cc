import { type Client, Informer, resources, type Service } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { ClusterConfig } from "#lab/config/index.ts";
import type { EngineLink } from "./engineLink.ts";
import { listen } from "./loopback.ts";

/** Host part of the first node in the cluster's loopback range: node i is .(10+i). */
const FIRST_NODE = 10;
const ROUTER = "router";

/** The host's address for node `i` of a cluster. */
export function hostAddressOf(prefix: string, i: number): string {
  return `${prefix}.${FIRST_NODE + i}`;
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
  readonly #config: ClusterConfig;
  readonly #prefix: string;
  readonly #deps: ExposerDeps;
  readonly #informer: Informer<Service>;
  /** Ports that are open, at those nodes that have no entry in `#failures`. */
  readonly #open = new Set<number>();
  /** Why a port could not be opened, by its forward's id. */
  readonly #failures = new Map<string, string>();
  #work: Promise<void> = Promise.resolve();

  constructor(config: ClusterConfig, prefix: string, deps: ExposerDeps) {
    this.#config = config;
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

  #mark(): void {
    this.#work = this.#work
      .then(() => this.#apply())
      .catch((error: unknown) => this.#deps.log.error("NodePorts could not be opened", { error }));
  }

  async #apply(): Promise<void> {
    if (this.#deps.signal.aborted) return;
    const wanted = new Set(this.#informer.list().flatMap(nodePorts));
    for (const port of wanted) await this.#expose(port);
    for (const port of [...this.#open]) {
      if (wanted.has(port)) continue;
      this.#open.delete(port);
      for (const i of this.#config.nodes.keys()) {
        if (!this.#failures.delete(forwardId(i, port))) await this.#deps.engine.unforward(forwardId(i, port));
      }
    }
  }

  /** Opens a port at each node's address where it is not open. */
  async #expose(port: number): Promise<void> {
    const known = this.#open.has(port);
    this.#open.add(port);
    for (const [i, node] of this.#config.nodes.entries()) {
      const id = forwardId(i, port);
      if (known && !this.#failures.has(id)) continue;
      const where = `${hostAddressOf(this.#prefix, i)}:${port}`;
      try {
        const server = await listen(hostAddressOf(this.#prefix, i), port);
        await this.#deps.engine.forward(id, server, { machine: ROUTER, address: node.addresses[0] ?? "", port });
        this.#failures.delete(id);
      } catch (error) {
        this.#failures.set(id, `NodePort ${port} of ${node.name} is not open on the host: ${errorMessage(error)}`);
        this.#deps.log.warn("A NodePort is not open on the host", { node: node.name, address: where, error });
      }
    }
  }
}

function forwardId(node: number, port: number): string {
  return `nodeport/${node}/${port}`;
}
