import { randomBytes } from "node:crypto";
import type { Pod } from "#api/index.ts";
import type { PodDeps } from "./deps.ts";
import type { UnitPod } from "./owner.ts";
import type { SandboxRecord } from "./record.ts";

/** The network of one pod: its own namespace, or the node's. */
export class PodSandbox {
  readonly #deps: Pick<PodDeps, "network" | "node">;
  readonly #hostNetwork: boolean;
  readonly #keeper: Pick<UnitPod, "save" | "note">;
  #record: SandboxRecord | undefined;
  /** The set-up that is under way: a pod that ends, or is looked at again, does not overtake it. */
  #settingUp: Promise<void> | undefined;

  /** @param keeper writes the pod's record: before and after what has to be found again */
  constructor(
    pod: Pod,
    deps: Pick<PodDeps, "network" | "node">,
    keeper: Pick<UnitPod, "save" | "note">,
    record?: SandboxRecord,
  ) {
    this.#hostNetwork = pod.spec.hostNetwork ?? false;
    this.#deps = deps;
    this.#keeper = keeper;
    this.#record = record;
  }

  /** What a later agent has to know. */
  get record(): SandboxRecord | undefined {
    return this.#record;
  }

  /** The namespace once it has addresses; undefined in the node's network. */
  get attached(): SandboxRecord | undefined {
    return this.#record?.ips.length ? this.#record : undefined;
  }

  /** The network is there and has its addresses. */
  get ready(): boolean {
    return this.#hostNetwork || this.attached !== undefined;
  }

  /** The pod's addresses, the main one first. */
  get ips(): readonly string[] {
    return this.#hostNetwork ? this.#deps.node.addresses : (this.#record?.ips ?? []);
  }

  /** Forgets a namespace that went with a restart of the machine; the next set-up makes it anew. @returns whether so */
  forgetLost(): boolean {
    const record = this.attached;
    if (!record?.netns || this.#deps.network.isThere(record)) return false;
    this.#record = { ...record, ips: [] };
    this.#keeper.note();
    return true;
  }

  /** Makes and attaches the namespace, unless that is done or under way. */
  async setUp(pod: Pod): Promise<void> {
    if (this.ready) return;
    this.#settingUp ??= this.#make(pod).finally(() => {
      this.#settingUp = undefined;
    });
    await this.#settingUp;
  }

  /** Detaches and removes it, once a set-up that is under way has ended. */
  async tearDown(pod: Pod): Promise<void> {
    await this.#settingUp?.catch(() => {
      // Who asked for it hears of it; what is there of it is removed now.
    });
    const record = this.#record;
    if (!record?.netns) return;
    await this.#deps.network.tearDown(pod, record);
    // The addresses stay in the status; without a path there is nothing more to remove.
    this.#record = { ...record, netns: "" };
    this.#keeper.note();
  }

  async #make(pod: Pod): Promise<void> {
    const again = this.#record !== undefined;
    const id = this.#record?.id ?? randomBytes(32).toString("hex");
    const record = this.#record ?? { id, netns: this.#deps.network.pathOf(id), ips: [] };
    this.#record = record;
    this.#keeper.save();
    const ips = await this.#deps.network.setUp(pod, record, again);
    this.#record = { ...record, ips };
    this.#keeper.note();
  }
}
