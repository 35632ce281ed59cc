import { rmSync } from "node:fs";
import { type EventRecorder, type Pod, referenceTo, resources } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { Turns } from "#base/turns.ts";
import { type AddOutcome, type CniRuntime, PLUGIN_TYPES } from "#cni/index.ts";
import {
  isPinned,
  type Netns,
  newNetns,
  pinNetns,
  setSysctl,
  setSysctls,
  unpinNetns,
} from "#kernel/namespaces/index.ts";
import type { PodNetwork, SandboxRecord } from "../pods/index.ts";
import { type HostPorts, hasHostPorts } from "./hostPorts.ts";

/** Settings of a pod's namespace: those that it inherits from the node and must not, and containerd's defaults. */
const SYSCTLS: Readonly<Record<string, string>> = {
  "net.ipv4.ip_forward": "0",
  "net.ipv4.conf.all.rp_filter": "0",
  "net.ipv4.conf.default.rp_filter": "0",
  "net.ipv4.ip_unprivileged_port_start": "0",
};

/** What the network needs. */
export interface CniPodNetworkDeps {
  readonly cni: CniRuntime;
  readonly hostPorts: HostPorts;
  readonly events: EventRecorder;
  readonly log: Logger;
}

type Sandbox = Pick<SandboxRecord, "id" | "netns">;

/** Pods' network namespaces, attached by CNI. */
export class CniPodNetwork implements PodNetwork {
  readonly #folder: string;
  readonly #deps: CniPodNetworkDeps;
  /** A network is mostly calls of the kernel: those of a swarm in one go would hold up the containers and statuses. */
  readonly #turns = new Turns();
  readonly #settings = new NamespaceSettings();

  /** @param folder where namespaces are pinned: `/run/netns`, so that `ip netns` lists them */
  constructor(folder: string, deps: CniPodNetworkDeps) {
    this.#folder = folder;
    this.#deps = deps;
  }

  pathOf(sandboxId: string): string {
    const digits = sandboxId.slice(0, 32);
    const uuid = [
      digits.slice(0, 8),
      digits.slice(8, 12),
      digits.slice(12, 16),
      digits.slice(16, 20),
      digits.slice(20),
    ];
    return `${this.#folder}/cni-${uuid.join("-")}`;
  }

  isThere({ netns }: Pick<SandboxRecord, "netns">): boolean {
    return isPinned(netns);
  }

  async setUp(pod: Pod, sandbox: Sandbox, again: boolean): Promise<readonly string[]> {
    await this.#turns.next();
    if (again) {
      if (this.#deps.cni.attached(sandbox.id)) await this.tearDown(pod, sandbox);
      unpinNetns(sandbox.netns);
    }
    const netns = newNetns();
    try {
      pinNetns(netns, sandbox.netns);
      this.#settings.apply(netns);
      applySysctls(pod, netns);
      const outcome = await this.#deps.cni.add({
        containerId: sandbox.id,
        netns: sandbox.netns,
        netnsFd: netns.fd,
        args: argumentsOf(pod, sandbox),
      });
      this.#tell(pod, outcome);
      const addresses = outcome.result.ips.map((ip) => ip.address.replace(/\/\d+$/, ""));
      if (addresses.length === 0) throw new Error(`network "${outcome.network.name}" gave the pod no address`);
      const warning = await this.#deps.hostPorts.add(pod, sandbox.id, addresses);
      if (warning !== undefined) this.#event(pod, "HostPort", warning);
      return addresses;
    } catch (error) {
      unpinNetns(sandbox.netns);
      throw error;
    } finally {
      netns.close();
    }
  }

  async tearDown(pod: Pod, sandbox: Sandbox): Promise<void> {
    const { cni, hostPorts, log } = this.#deps;
    if (hasHostPorts(pod)) await hostPorts.remove(sandbox.id);
    const known = cni.attached(sandbox.id);
    // With the namespace go its devices; our own plugins then have only addresses to free, which saves 25 ms a pod.
    const ours = known?.network.plugins.every((p) => (PLUGIN_TYPES as readonly string[]).includes(p.type)) ?? true;
    if (ours) unpinNetns(sandbox.netns);
    try {
      await cni.del({ containerId: sandbox.id, netns: ours ? "" : sandbox.netns, args: argumentsOf(pod, sandbox) });
    } catch (error) {
      log.warn("CNI DEL failed", { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, error: errorMessage(error) });
      throw error;
    } finally {
      if (!ours) unpinNetns(sandbox.netns);
      rmSync(sandbox.netns, { force: true });
    }
  }

  #tell(pod: Pod, { warnings, network }: AddOutcome): void {
    for (const warning of warnings) this.#event(pod, "NetworkPlugin", `network "${network.name}": ${warning}`);
  }

  #event(pod: Pod, reason: string, message: string): void {
    this.#deps.events.event(referenceTo(resources.pods, pod), "Warning", reason, message);
  }
}

/** Any group may ping without a capability, as containerd has it; in a user namespace only its own ids can be named. */
const PING_RANGES = ["0 2147483647", "0 65535", "0 0"];

/** The settings that this kernel has in a namespace. What it refuses is found out once: each refusal costs time. */
class NamespaceSettings {
  #known: Readonly<Record<string, string>> | undefined;

  /** Writes them all. */
  apply(netns: Netns): void {
    if (this.#known) setSysctls(netns, this.#known);
    else this.#known = Object.fromEntries(NamespaceSettings.#tried(netns));
  }

  static *#tried(netns: Netns): Generator<readonly [string, string]> {
    for (const [name, value] of Object.entries(SYSCTLS)) if (takes(netns, name, value)) yield [name, value];
    const name = "net.ipv4.ping_group_range";
    const range = PING_RANGES.find((value) => takes(netns, name, value));
    if (range !== undefined) yield [name, range];
  }
}

/** Writes a setting. @returns whether the kernel has it in a namespace; else it keeps its default */
function takes(netns: Netns, name: string, value: string): boolean {
  try {
    setSysctl(netns, name, value);
    return true;
  } catch {
    return false;
  }
}

/** The pod's own settings of its network. @throws Error naming one that this kernel does not have in a namespace */
function applySysctls(pod: Pod, netns: Netns): void {
  for (const { name, value } of pod.spec.securityContext?.sysctls ?? []) {
    if (!name.startsWith("net.")) continue;
    try {
      setSysctl(netns, name, value);
    } catch (error) {
      throw new Error(
        `sysctl ${JSON.stringify(name)} cannot be set to ${JSON.stringify(value)}: ${errorMessage(error)}`,
      );
    }
  }
}

function argumentsOf(pod: Pod, sandbox: Sandbox): Record<string, string> {
  return {
    IgnoreUnknown: "1",
    K8S_POD_NAMESPACE: pod.metadata.namespace ?? "",
    K8S_POD_NAME: pod.metadata.name,
    K8S_POD_INFRA_CONTAINER_ID: sandbox.id,
    K8S_POD_UID: pod.metadata.uid ?? "",
  };
}
