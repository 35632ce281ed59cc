import type { Netns } from "#kernel/namespaces/index.ts";
import type { Rtnetlink } from "#kernel/netlink/index.ts";
import type { PluginConfig } from "./config/network.ts";
import type { CniResult } from "./result.ts";

/** Operations of the specification. */
export type CniCommand = "ADD" | "DEL" | "CHECK" | "STATUS" | "GC" | "VERSION";

/** What a plugin is called with: the environment and standard input of the specification, parsed. */
export interface PluginCall {
  readonly containerId: string;
  /** Path of the network namespace; "" when it is gone (DEL) or of no interest. */
  readonly netns: string;
  /** An open descriptor of the namespace, in process only; the caller closes it. */
  readonly netnsFd?: number;
  readonly ifName: string;
  /** CNI_ARGS. */
  readonly args: Readonly<Record<string, string>>;
  /** Directories with plugins. */
  readonly path: readonly string[];
  readonly networkName: string;
  readonly cniVersion: string;
  readonly config: PluginConfig;
  readonly prevResult?: CniResult;
}

/** Calls another plugin, for IPAM. Only ADD gives a result. */
export type Delegate = (command: CniCommand, type: string, call: PluginCall) => Promise<CniResult | undefined>;

/** What plugins get from outside. */
export interface PluginDeps {
  readonly delegate: Delegate;
  /** Opens route netlink of a namespace; without one, of the node. */
  openRtnetlink(netns?: Pick<Netns, "fd">): Rtnetlink;
  /** Opens a namespace by path. */
  openNetns(path: string): Netns;
  /** Writes sysctls, by slashed or dotted name; without a namespace, the node's. */
  setSysctls(settings: Readonly<Record<string, string>>, netns?: Pick<Netns, "fd">): void;
  /** Takes a lock that other processes respect; resolves to what gives it back. */
  lock(file: string): Promise<() => void>;
  /** Translates the source of packets that leave the network; called for each container with ipMasq. */
  masquerade: Masquerade;
}

/** Address translation for containers of networks with ipMasq. */
export interface Masquerade {
  /** @param addresses the container's, with prefix length: packets to the same network keep their source */
  add(network: string, containerId: string, addresses: readonly string[]): Promise<void>;
  /** What is not there is no error. */
  remove(network: string, containerId: string): Promise<void>;
}

/** A plugin. Failures are thrown, as CniError where the specification has a code for them. */
export interface CniPlugin {
  add(call: PluginCall): Promise<CniResult>;
  del(call: PluginCall): Promise<void>;
  check(call: PluginCall): Promise<void>;
  /** Whether ADD would work now. */
  status(call: PluginCall): Promise<void>;
  /** Frees what belongs to no attachment in the configuration's "cni.dev/valid-attachments". */
  gc(call: PluginCall): Promise<void>;
}
