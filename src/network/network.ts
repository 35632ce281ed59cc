import { backoffMs, type Client, delay, Informer, type Node, resources } from "#api/index.ts";
import { DeltaTracker } from "#base/delta.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { type Cidr, cidrNetwork, formatCidr, parseCidr, parseIp, parseNetwork } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Link, Operation, Rtnetlink } from "#kernel/netlink/index.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import { readEntries } from "./actual.ts";
import { type NetworkConfig, readConfig } from "./config.ts";
import { deviceWish, ensureDevice } from "./device.ts";
import { applyMasquerade } from "./masquerade.ts";
import { leasesOf, ownAnnotations, podSubnet, strangerSubnet, vtepMacOf } from "./model.ts";
import { type Entry, entryKey, orderedOperations, type Place, planEntries, sameEntry } from "./plan.ts";
import { subnetEnv, writeSubnetEnv } from "./subnetEnv.ts";
import { NetworkSysctls, writeHere } from "./sysctls.ts";

/** Bytes of vxlan over IPv4: what the pods' MTU is below the underlay's. */
const POD_OVERHEAD = 50;
const backoff = { initialMs: 50, maxMs: 5000 };

/** A node's place in the pod network. */
export interface PodNetworkOptions {
  readonly nodeName: string;
  /** The node's own addresses, at most one of each family. */
  readonly nodeAddresses: readonly string[];
  /** Name of the interface towards the other nodes. */
  readonly externalInterface: string;
  /** The cluster's pod networks; used when there is no net-conf.json. */
  readonly clusterCidrs: readonly string[];
  readonly paths?: {
    /** Default /etc/kube-flannel/net-conf.json. */
    readonly netConf?: string;
    /** Default /run/flannel/subnet.env. */
    readonly subnetEnv?: string;
  };
}

/** What the pod network works with. `rtnl`, `nft` and `sysctls` are of the node's network namespace. */
export interface PodNetworkDeps {
  readonly client: Client;
  /** A started informer of all nodes, when the process has one already. */
  readonly nodes?: Informer<Node>;
  readonly rtnl: Rtnetlink;
  readonly nft: Nftables;
  readonly log: Logger;
  /** Aborting ends the work; what is in the kernel stays, for the next process. */
  readonly signal: AbortSignal;
  /** Writes sysctls by slashed name; default: in the thread's namespace. @throws Error ENOENT */
  readonly sysctls?: (settings: Readonly<Record<string, string>>) => void;
}

/** What pods need to know of the network, once the node has its subnet. */
export interface PodNetworkInfo {
  readonly podCidrs: readonly string[];
  /** MTU for pods' interfaces, in bytes. */
  readonly mtu: number;
}

/** A running pod network. */
export interface PodNetwork {
  /** Resolves when this node is part of the network; rejects when the signal is aborted before. */
  readonly ready: Promise<PodNetworkInfo>;
  /** Whether everything wanted is in the kernel; how many other nodes are reached; the last failure. */
  status(): { readonly ready: boolean; readonly peers: number; readonly error?: string };
  /** Looks at the kernel again and mends what was changed behind our back. */
  resync(): void;
  /** Resolves when the work has ended after the signal was aborted. */
  readonly ended: Promise<void>;
}

/**
 * Starts the pod network of a node: vxlan in flannel's way. It makes the tunnel devices, tells the other nodes by
 * annotations, and keeps neighbours, forwarding entries and routes for each of them. Nothing is touched before all
 * nodes are known; a restart changes only what is wrong.
 */
export function startPodNetwork(options: PodNetworkOptions, deps: PodNetworkDeps): PodNetwork {
  const worker = new Worker(options, deps);
  const ended = worker.run();
  return {
    ready: worker.ready.promise,
    status: () => worker.status(),
    resync: () => worker.resync(),
    ended,
  };
}

/** What was set up for the node's present subnets. */
interface Configured {
  readonly subnets: string;
  readonly place: Place;
  readonly info: PodNetworkInfo;
}

class Worker {
  readonly ready = Promise.withResolvers<PodNetworkInfo>();
  readonly #options: PodNetworkOptions;
  readonly #deps: PodNetworkDeps;
  readonly #nodes: Informer<Node>;
  readonly #config: NetworkConfig;
  readonly #sysctls: NetworkSysctls;
  readonly #entries = new DeltaTracker<string, Entry>(sameEntry);
  #configured: Configured | undefined;
  /** The message to the other nodes that is under way or was sent. */
  #told: Promise<void> | undefined;
  /** The kernel is to be read again before the next apply. */
  #stale = true;
  #wake = Promise.withResolvers<void>();
  #error: string | undefined;

  constructor(options: PodNetworkOptions, deps: PodNetworkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#nodes = deps.nodes ?? new Informer(deps.client, resources.nodes, {}, deps);
    const file = options.paths?.netConf ?? "/etc/kube-flannel/net-conf.json";
    this.#config = readConfig(file, options.clusterCidrs.map(parseNetwork));
    this.#sysctls = new NetworkSysctls(deps.sysctls ?? writeHere, deps.log);
    this.ready.promise.catch(() => {}); // nobody has to wait for it
  }

  status(): { ready: boolean; peers: number; error?: string } {
    const peers = [...this.#entries.actual.values()].filter((entry) => entry.op === "add-route").length;
    return {
      ready: this.#configured !== undefined && this.#error === undefined,
      peers,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  resync(): void {
    this.#stale = true;
    this.#configured = undefined;
    this.#wake.resolve();
  }

  /** One pass for each burst of changes; failures are retried with a growing delay. */
  async run(): Promise<void> {
    const { signal, log } = this.#deps;
    const stop = () => this.#wake.resolve();
    signal.addEventListener("abort", stop);
    let unsubscribe = () => {};
    try {
      if (!this.#deps.nodes) this.#nodes.start();
      await this.#nodes.synced;
      unsubscribe = this.#nodes.onChange(() => this.#wake.resolve());
      for (let failures = 0; !signal.aborted; ) {
        this.#wake = Promise.withResolvers();
        try {
          await this.#pass();
          failures = 0;
          this.#error = undefined;
          await this.#wake.promise;
        } catch (error) {
          this.#stale = true;
          this.#configured = undefined;
          this.#error = errorMessage(error);
          log.error("Pod network is not as it should be, trying again", { error });
          await delay(backoffMs(backoff, failures++), signal);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      unsubscribe();
      signal.removeEventListener("abort", stop);
      this.ready.reject(signal.reason);
    }
  }

  async #pass(): Promise<void> {
    const own = this.#nodes.get(this.#options.nodeName);
    const stranger = own && strangerSubnet(own, this.#config.networks);
    if (stranger)
      throw new PodwireError(
        "NETWORK_SUBNET",
        `subnet ${formatCidr(stranger)} of ${this.#options.nodeName} is in none of the pod networks`,
      );
    const subnets = own ? this.#subnets(own) : [];
    if (!own || subnets.length === 0) return;
    const text = subnets.map(formatCidr).join(",");
    if (this.#configured?.subnets !== text) await this.#configure(own, subnets, text);
    if (!this.#configured) return;
    this.#apply(this.#configured.place);
    this.#error = undefined;
    this.ready.resolve(this.#configured.info);
    await this.#told;
  }

  #subnets(node: Node): Cidr[] {
    return this.#config.networks.flatMap((network) => podSubnet(node, network.ip.family) ?? []);
  }

  /** Devices, annotations, subnet.env, masquerade: what depends on this node alone. */
  async #configure(own: Node, subnets: readonly Cidr[], text: string): Promise<void> {
    const { rtnl, log } = this.#deps;
    const external = rtnl.link({ name: this.#options.externalInterface });
    if (!external)
      throw new PodwireError("NETWORK_INTERFACE", `there is no interface ${this.#options.externalInterface}`);
    this.#sysctls.node(subnets);
    const ends = subnets.map((subnet) => this.#device(own, subnet, external));
    // Under way while the kernel is worked on; awaited once this node is ready for its own pods.
    this.#told = this.#annotate(own, ends);
    // The pass awaits it and reports its failure, unless something else has failed before.
    this.#told.catch((error: unknown) => log.debug("The node's annotations were not written", { error }));
    const direct = this.#config.directRouting
      ? rtnl.addresses(external.index).map(({ address }) => cidrNetwork(parseCidr(address)))
      : [];
    const devices = Object.fromEntries(ends.map((end) => [end.family, end.index]));
    const place: Place = { nodeName: this.#options.nodeName, devices, external: external.index, direct };
    const mtu = (this.#config.mtu ?? external.mtu) - POD_OVERHEAD;
    const file = this.#options.paths?.subnetEnv ?? "/run/flannel/subnet.env";
    writeSubnetEnv(file, subnetEnv(this.#config.networks, subnets, mtu));
    for (const subnet of subnets) {
      const network = this.#config.networks.find((cidr) => cidr.ip.family === subnet.ip.family);
      if (network) await applyMasquerade(this.#deps.nft, { network, subnet, nodeName: this.#options.nodeName });
    }
    this.#stale = true;
    this.#configured = { subnets: text, place, info: { podCidrs: subnets.map(formatCidr), mtu } };
    log.info("This node is part of the pod network", {
      podCIDRs: text,
      mtu,
      devices: ends.map((end) => end.name).join(","),
    });
  }

  #device(
    own: Node,
    subnet: Cidr,
    external: Link,
  ): { family: 4 | 6; index: number; name: string; publicIp: string; vtepMac: string } {
    const { family } = subnet.ip;
    const local = this.#options.nodeAddresses.find((address) => parseIp(address).family === family);
    if (local === undefined)
      throw new PodwireError(
        "NETWORK_ADDRESS",
        `the node has no IPv${family} address for its pod network ${formatCidr(subnet)}`,
      );
    const mac = vtepMacOf(own, family);
    const wish = deviceWish(this.#config, family, { subnet, local, external, ...(mac === undefined ? {} : { mac }) });
    const link = ensureDevice(this.#deps.rtnl, wish, (name) => this.#sysctls.device(name, family));
    return { family, index: link.index, name: wish.name, publicIp: local, vtepMac: link.mac ?? wish.mac };
  }

  /** Tells the other nodes; nothing is sent when the annotations say it already. */
  async #annotate(own: Node, ends: readonly { family: 4 | 6; publicIp: string; vtepMac: string }[]): Promise<void> {
    const wanted = ownAnnotations(own, this.#config.vni, ends);
    const present = own.metadata.annotations ?? {};
    if (Object.entries(wanted).every(([name, value]) => present[name] === value)) return;
    const patch = { metadata: { annotations: wanted } };
    await this.#deps.client.patch(resources.nodes, this.#options.nodeName, undefined, patch, {
      type: "strategic",
      subresource: "status",
    });
  }

  /** Brings the kernel to what the leases of all nodes want, in one send. */
  #apply(place: Place): void {
    const wanted = new Map(planEntries(leasesOf(this.#nodes.list()), place).map((entry) => [entryKey(entry), entry]));
    if (this.#stale) {
      const actual = readEntries(this.#deps.rtnl, place, this.#config.networks);
      this.#entries.replaceActual(actual.map((entry) => [entryKey(entry), entry]));
      const right = actual.flatMap((entry): Operation[] => {
        const same = wanted.get(entryKey(entry));
        return same && sameEntry(same, entry) ? [same] : [];
      });
      this.#deps.rtnl.adopt(right);
      this.#stale = false;
    }
    for (const key of [...this.#entries.desired.keys()]) if (!wanted.has(key)) this.#entries.deleteDesired(key);
    for (const [key, entry] of wanted) this.#entries.setDesired(key, entry);
    const { add, change, remove } = this.#entries.pending();
    const put = [...add, ...change].map(([, entry]) => entry);
    this.#deps.rtnl.apply(
      orderedOperations(
        put,
        remove.map(([, entry]) => entry),
      ),
    );
    this.#entries.applied();
    if (put.length + remove.length > 0)
      this.#deps.log.debug("Pod network changed", { put: put.length, removed: remove.length });
  }
}
