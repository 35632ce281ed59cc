import { type Client, type Informer, type Node, resources } from "#api/index.ts";
import { type ClusterConfig, controlPlane } from "#lab/config/index.ts";
import { allReady, isReady, reportedSince } from "./status.ts";

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
    return this.#seen(() => allReady(config, this.#reported(since)));
  }

  /**
   * Whether a node says within some time that it is ready.
   * @param since milliseconds since 1970: what it said before does not count
   */
  async readyWithin(name: string, since: number, ms: number): Promise<boolean> {
    const late = AbortSignal.timeout(ms);
    const ready = () => this.#reported(since).some((node) => node.metadata.name === name && isReady(node));
    try {
      await this.#seen(ready, AbortSignal.any([this.#signal, late]));
      return true;
    } catch (error) {
      if (late.aborted) return false;
      throw error;
    }
  }

  #reported(since: number): Node[] {
    return this.#nodes.list().filter((node) => reportedSince(node, since));
  }

  /** Gives the control plane's node its role, as kubeadm does: a node may not take one by itself (NodeRestriction). */
  async markControlPlane(config: ClusterConfig, client: Client): Promise<void> {
    const { name } = controlPlane(config);
    await this.#seen(() => this.#nodes.list().some((node) => node.metadata.name === name));
    const labels = { "node-role.kubernetes.io/control-plane": "" };
    await client.patch(resources.nodes, name, undefined, { metadata: { labels } }, { type: "merge" });
  }

  /** Resolves when the nodes are such that a condition holds. */
  #seen(condition: () => boolean, signal = this.#signal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => finish(() => reject(signal.reason));
      const check = (): void => {
        if (condition()) finish(resolve);
      };
      const stop = this.#nodes.onChange(check);
      const finish = (how: () => void): void => {
        stop();
        signal.removeEventListener("abort", aborted);
        how();
      };
      signal.addEventListener("abort", aborted);
      check();
    });
  }
}
