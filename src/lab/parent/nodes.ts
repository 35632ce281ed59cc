import { type Client, type Informer, type Node, resources } from "#api/index.ts";
import { type ClusterConfig, controlPlane } from "#lab/config/index.ts";
import { nodeStates, reportedSince } from "./status.ts";

/** Waits for what a cluster's nodes become. */
export class NodeWatch {
  readonly #nodes: Informer<Node>;
  readonly #signal: AbortSignal;

  constructor(nodes: Informer<Node>, signal: AbortSignal) {
    this.#nodes = nodes;
    this.#signal = signal;
  }

  /** Resolves when every node says that it is ready. @param since milliseconds since 1970: what a kept node said before does not count */
  ready(config: ClusterConfig, since: number): Promise<void> {
    const reported = () => this.#nodes.list().filter((node) => reportedSince(node, since));
    return this.#seen(() => nodeStates(config, reported(), () => "").every((n) => n.state === "Ready"));
  }

  /** Gives the control plane's node its role, as kubeadm does: a node may not take one by itself (NodeRestriction). */
  async markControlPlane(config: ClusterConfig, client: Client): Promise<void> {
    const { name } = controlPlane(config);
    await this.#seen(() => this.#nodes.list().some((node) => node.metadata.name === name));
    const labels = { "node-role.kubernetes.io/control-plane": "" };
    await client.patch(resources.nodes, name, undefined, { metadata: { labels } }, { type: "merge" });
  }

  /** Resolves when the nodes are such that a condition holds. */
  #seen(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (condition()) resolve();
      };
      this.#nodes.onChange(check);
      this.#signal.addEventListener("abort", () => reject(this.#signal.reason));
      check();
    });
  }
}
