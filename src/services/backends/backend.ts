import type { Cidr } from "#base/ip.ts";
import type { OriginIndex } from "#kernel/nft/index.ts";
import type { Frontend, NodeView, ServiceAddress, Target } from "../model/index.ts";

/** Ways to move a Service's packets, by the names of kube-proxy's `--proxy-mode`, and ours. */
export const proxyModes = ["nftables", "iptables", "ipvs", "userspace", "ebpf"] as const;
export type ProxyMode = (typeof proxyModes)[number];

/**
 * How traffic of this node's pods is told from other traffic (kube-proxy's `detectLocalMode`).
 * - `cidrs`: by the source address; ClusterCIDR and NodeCIDR.
 * - `interface`: by the bridge that it comes in from; BridgeInterface.
 * - `interface-prefix`: by how the name of the interface that it comes in from begins; InterfaceNamePrefix.
 * - `none`: not at all. Then nothing is known to come from outside: off-cluster traffic to ClusterIPs keeps its
 *   address, and pods are no exception from externalTrafficPolicy Local.
 */
export type LocalTraffic =
  | { readonly kind: "cidrs"; readonly cidrs: readonly Cidr[] }
  | { readonly kind: "interface"; readonly name: string }
  | { readonly kind: "interface-prefix"; readonly prefix: string }
  | { readonly kind: "none" };

/** What rules depend on besides Services; fixed for the life of a backend. */
export interface TrafficSettings {
  readonly nodeName: string;
  readonly localTraffic: LocalTraffic;
  /** Masquerade everything that goes to a ClusterIP, pods' traffic too. Default false. */
  readonly masqueradeAll?: boolean;
  /** Bit of the packet mark for "to be masqueraded", 0–31. Default 14, as kube-proxy's. */
  readonly masqueradeBit?: number;
}

/**
 * Puts the model's frontends into effect on this node: a set of rules, or a process.
 *
 * The engine calls {@link setNode} once, {@link setService} for every Service, then {@link readBack} and
 * {@link commit}; after that, on changes, {@link setService} for what changed and {@link commit}. Calls never overlap,
 * but for backends with {@link isEmpty}.
 * When a commit fails, or somebody else has changed the rules, {@link readBack} and {@link commit} follow.
 */
export interface ServiceBackend {
  readonly mode: ProxyMode;
  /** Which object each rule stands for, where the mode has rules that packets can be traced through. */
  readonly origins?: OriginIndex;
  /** The node, or what changed of it. Marks only, as {@link setService}. */
  setNode(node: NodeView): void;
  /**
   * What a Service does now, in place of what it did; empty when it is gone. Marks only: nothing is changed before
   * {@link commit}. No two Services have the same address, protocol and port at any time.
   * @param service `namespace/name`
   */
  setService(service: string, frontends: readonly Frontend[]): void;
  /**
   * Takes what is really there (left by a former process, or changed by somebody else) as the state from which the next
   * commit works. Changes nothing.
   * @throws when it cannot be read; the engine tries again
   */
  readBack(): Promise<void>;
  /**
   * Addresses that the last {@link readBack} found served, whether or not a Service has them now: connections may have
   * been led from them by a process that is gone. Absent: the mode cannot tell.
   */
  foundAddresses?(): Iterable<ServiceAddress>;
  /**
   * Makes what is there what is wanted, by changing what differs. Established connections go on; at each instant of it
   * every Service with endpoints has some.
   * @throws when it failed, in whole or in part; after {@link readBack} the next commit does what is missing
   */
  commit(): Promise<void>;
  /**
   * Whether, as of {@link readBack}, nothing leads anywhere yet. A backend that has it takes Services after that too, and
   * more of them while a commit is under way, which are the next one's.
   */
  isEmpty?(): boolean;
  /**
   * Where flows of a frontend lead that are in order, now. Absent: to its serving endpoints, as in every mode whose rules
   * lead there.
   */
  flowTargets?(frontend: Frontend): readonly Target[];
  /**
   * Calls back when somebody else may have changed what this backend made. Absent: the mode has no way to know.
   * @returns ends it
   */
  onForeignChange?(listener: (what: string) => void): () => void;
  /** Removes everything that this mode ever leaves on a node, whoever made it. For a node that changes its mode. */
  cleanup(): Promise<void>;
  /** Releases what the process holds. Rules stay, so that connections go on while an agent restarts. */
  close(): Promise<void>;
}
