import { type Client, Informer, resources, type Service } from "#api/index.ts";
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
  /** Ports that are open, and how many Services want each. */
  readonly #open = new Set<number>();
  #work: Promise<void> = Promise.resolve();

  constructor(config: ClusterConfig, prefix: string, deps: ExposerDeps) {
    this.#config = config;
    this.#prefix = prefix;
    this.#deps = deps;
    this.#informer = new Informer(deps.client, resources.services, {}, { log: deps.log, signal: deps.signal });
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
    for (const port of wanted) {
      if (this.#open.has(port)) continue;
      this.#open.add(port);
      await this.#expose(port);
    }
    for (const port of [...this.#open]) {
      if (wanted.has(port)) continue;
      this.#open.delete(port);
      for (const i of this.#config.nodes.keys()) await this.#deps.engine.unforward(forwardId(i, port));
    }
  }

  async #expose(port: number): Promise<void> {
    for (const [i, node] of this.#config.nodes.entries()) {
      const address = hostAddressOf(this.#prefix, i);
      try {
        const server = await listen(address, port);
        await this.#deps.engine.forward(forwardId(i, port), server, {
          machine: ROUTER,
          address: node.addresses[0] ?? "",
          port,
        });
      } catch (error) {
        this.#deps.log.warn("A NodePort is not open on the host", {
          node: node.name,
          address: `${address}:${port}`,
          error,
        });
      }
    }
  }
}

function forwardId(node: number, port: number): string {
  return `nodeport/${node}/${port}`;
}
