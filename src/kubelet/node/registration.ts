import { setTimeout as sleep } from "node:timers/promises";
import {
  Backoff,
  type Client,
  type Condition,
  isAlreadyExists,
  isNotFound,
  type Lease,
  type Node,
  OUTSIDE_ANNOTATION,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { wholeSeconds } from "#base/time.ts";
import type { NetworkState } from "../network/index.ts";
import { type MachineFacts, type NodeOptions, nodeObject, nodeStatus } from "./object.ts";

/** Upstream's periods, in ms. */
const LEASE_RENEWAL_MS = 10_000;
const LEASE_SECONDS = 40;
const STATUS_HEARTBEAT_MS = 300_000;
const LEASE_NAMESPACE = "kube-node-lease";
const RETRY = { initialMs: 20, maxMs: 2000, resetMs: 60_000 };

/** What registration needs. */
export interface RegistrationDeps {
  readonly client: Client;
  readonly log: Logger;
  readonly facts: MachineFacts;
  readonly network: () => NetworkState;
  /** Handlers that a RuntimeClass can name here. */
  readonly handlers: () => readonly string[];
  readonly images: () => readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
}

/** Keeps the node's object, its status and its lease in the API. */
export class NodeRegistration {
  readonly #options: NodeOptions;
  readonly #deps: RegistrationDeps;
  readonly #timers: NodeJS.Timeout[] = [];
  #node: Node | undefined;
  #lease: Lease | undefined;
  /** Conditions as this node has stated them last. */
  #stated: readonly Condition[] = [];
  /** When the cluster heard of the node last, in ms of performance.now(). */
  #renewedAt = 0;
  #stopped = false;
  #writing: Promise<void> | undefined;
  #dirty = false;

  constructor(options: NodeOptions, deps: RegistrationDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Registers, waiting for the API as long as it takes, and then renews. @returns the node as the API has it */
  async start(): Promise<Node> {
    const node = await this.#insist(() => this.#register());
    this.#node = node;
    this.#renewedAt = performance.now();
    this.update();
    await this.#writing;
    void this.#renew();
    // Only these two keep time: a lease that is not renewed tells the cluster that the node is gone.
    this.#timers.push(setInterval(() => void this.#renew(), LEASE_RENEWAL_MS));
    this.#timers.push(setInterval(() => this.update(), STATUS_HEARTBEAT_MS));
    return node;
  }

  /** Why the cluster does not hear from this node; undefined when it does. */
  problem(): string | undefined {
    if (!this.#node) return "the node is not registered yet";
    const silentMs = performance.now() - this.#renewedAt;
    if (silentMs <= LEASE_SECONDS * 1000) return undefined;
    return `the node's lease was not renewed for ${Math.floor(silentMs / 1000)} s`;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** The node's situation has changed: writes its status. */
  update(): void {
    this.#dirty = true;
    if (!this.#node || this.#stopped) return;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#dirty && !this.#stopped) {
      this.#dirty = false;
      await this.#insist(() => this.#writeStatus());
    }
  }

  async #register(): Promise<Node> {
    const { client, facts } = this.#deps;
    const wanted = nodeObject(this.#options, facts);
    try {
      return await client.create(resources.nodes, wanted);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    // Labels of this node's own may have changed since; what others have set stays.
    const patch = { metadata: { labels: wanted.metadata.labels } };
    return client.patch(resources.nodes, this.#options.name, undefined, patch, { type: "merge" });
  }

  async #writeStatus(): Promise<void> {
    const { client, facts, network, images, handlers } = this.#deps;
    const state = network();
    const { name } = this.#options;
    const status = nodeStatus(this.#options, facts, {
      network: state,
      images: images(),
      handlers: handlers(),
      now: wholeSeconds(),
      before: this.#node?.status,
    });
    const outside = state.outside ?? null;
    if ((this.#node?.metadata.annotations?.[OUTSIDE_ANNOTATION] ?? null) !== outside) {
      const patch = { metadata: { annotations: { [OUTSIDE_ANNOTATION]: outside } } };
      await client.patch(resources.nodes, name, undefined, patch, { type: "merge" });
    }
    // Strategic: conditions that others write (NetworkUnavailable) stay beside ours. Addresses are merged by their
    // type, of which a dual-stack node has two alike: that list is replaced (upstream: nodeutil.PatchNodeStatus).
    const addresses = [{ $patch: "replace" }, ...(status.addresses ?? [])];
    this.#node = await client.patch(
      resources.nodes,
      name,
      undefined,
      { status: { ...status, addresses } },
      { type: "strategic", subresource: "status" },
    );
    this.#stated = status.conditions ?? [];
  }

  /**
   * Whoever has not heard from this node for a while says in its conditions that it is lost: that is put right as soon
   * as this node can speak again (upstream looks as often, nodeStatusUpdateFrequency).
   */
  async #contradict(): Promise<void> {
    const present = await this.#deps.client.get<Node>(resources.nodes, this.#options.name);
    const found = present.status?.conditions ?? [];
    const wrong = this.#stated.some(({ type, status }) => found.find((one) => one.type === type)?.status !== status);
    if (!wrong) return;
    this.#node = present;
    this.update();
  }

  async #renew(): Promise<void> {
    try {
      this.#lease = this.#lease ? await this.#renewed(this.#lease) : await this.#firstLease();
      this.#renewedAt = performance.now();
      if (!this.#writing) await this.#contradict();
    } catch (error) {
      this.#lease = undefined;
      if (!this.#stopped) this.#deps.log.debug("The node's lease was not renewed", { error: errorMessage(error) });
    }
  }

  #renewed(lease: Lease): Promise<Lease> {
    return this.#deps.client.update(resources.leases, { ...lease, spec: { ...lease.spec, renewTime: microTime() } });
  }

  async #firstLease(): Promise<Lease> {
    const { client } = this.#deps;
    const { name } = this.#options;
    const uid = this.#node?.metadata.uid ?? "";
    try {
      return await this.#renewed(await client.get(resources.leases, name, LEASE_NAMESPACE));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return client.create(resources.leases, {
      metadata: { name, namespace: LEASE_NAMESPACE, ownerReferences: [{ apiVersion: "v1", kind: "Node", name, uid }] },
      spec: { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime() },
    });
  }

  /** Tries until it works or the agent stops. */
  async #insist<T>(work: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(RETRY);
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (this.#stopped) throw error;
        if (attempt === 6) this.#deps.log.warn("The node cannot be registered yet", { error: errorMessage(error) });
        await sleep(backoff.failed(performance.now()), undefined, { ref: false });
      }
    }
  }
}

/** meta/v1 MicroTime: six digits of a second. */
function microTime(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
