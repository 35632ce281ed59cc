import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { isObject, type Json, type JsonObject } from "../config/json.ts";
import { loadNetwork, type NetworkConfig, type PluginConfig } from "../config/network.ts";
import { atLeast } from "../config/versions.ts";
import { kernelDeps } from "../deps.ts";
import { CniError } from "../errors.ts";
import type { CniCommand, PluginCall, PluginDeps } from "../plugin.ts";
import { inSandbox } from "../plugins/sandbox.ts";
import { type CniResult, emptyResult } from "../result.ts";
import { type CachedAttachment, ResultCache } from "./cache.ts";
import { PluginCaller } from "./caller.ts";

const LOOPBACK_INDEX = 1;

/** Where the runtime looks. */
export interface CniRuntimeOptions {
  /** Configurations; default /etc/cni/net.d. */
  readonly confDir?: string;
  /** Plugins; default /opt/cni/bin. */
  readonly binDirs?: readonly string[];
  /** Remembered results lie in `results` below; default /var/lib/cni. */
  readonly cacheDir?: string;
}

/** A container's interface. */
export interface Attachment {
  readonly containerId: string;
  /**
   * Path of the network namespace. "" in a DEL says that the namespace is gone: then only addresses are freed, which
   * saves the 25 ms of removing a device whose namespace goes anyway.
   */
  readonly netns: string;
  /** An open descriptor of it, which spares our own plugins the path; the caller closes it. */
  readonly netnsFd?: number;
  /** Default eth0. */
  readonly ifName?: string;
  /** CNI_ARGS, such as K8S_POD_NAME. */
  readonly args?: Readonly<Record<string, string>>;
  /** Values for the plugins' capabilities, such as portMappings. */
  readonly capabilities?: JsonObject;
}

/** What an ADD did. */
export interface AddOutcome {
  readonly result: CniResult;
  readonly network: NetworkConfig;
  /** For events: what worked, but not as it should. */
  readonly warnings: readonly string[];
}

/** A container runtime's side of CNI: the network in force, its plugins in order, results remembered. */
export class CniRuntime {
  readonly #options: Required<CniRuntimeOptions>;
  readonly #deps: Omit<PluginDeps, "delegate">;
  readonly #caller: PluginCaller;
  readonly #cache: ResultCache;
  readonly #log: Logger;

  constructor(
    options: CniRuntimeOptions,
    deps: { readonly log: Logger; readonly plugins?: Omit<PluginDeps, "delegate"> },
  ) {
    this.#options = { confDir: "/etc/cni/net.d", binDirs: ["/opt/cni/bin"], cacheDir: "/var/lib/cni", ...options };
    this.#deps = deps.plugins ?? kernelDeps();
    this.#caller = new PluginCaller(this.#deps);
    this.#cache = new ResultCache(this.#options.cacheDir);
    this.#log = deps.log;
  }

  /** The network that the next ADD uses: the first configuration file. @throws CniError when there is none or it is wrong */
  network(): NetworkConfig {
    return loadNetwork(this.#options.confDir);
  }

  /** Every attachment that is remembered. */
  attachments(): readonly Attachment[] {
    return this.#cache.list();
  }

  /** The network an attachment was made to; undefined for one that is not remembered. */
  attached(
    containerId: string,
    ifName = "eth0",
  ): { readonly network: NetworkConfig; readonly result: CniResult } | undefined {
    return this.#cache.find(containerId, ifName);
  }

  /**
   * Attaches a container: loopback up, then each plugin with its predecessor's result. When one fails, all that were
   * called are told to undo it.
   * @throws CniError of the plugin that failed
   */
  async add(attachment: Attachment): Promise<AddOutcome> {
    const network = this.network();
    const warnings: string[] = [];
    let result = emptyResult;
    let called = 0;
    try {
      this.#loopback(attachment);
      for (const plugin of network.plugins) {
        called++;
        const call = this.#call(network, plugin, attachment, called > 1 ? result : undefined);
        const outcome = await this.#caller.call("ADD", plugin.type, call);
        result = outcome.result ?? result;
        if (outcome.warning !== undefined) warnings.push(outcome.warning);
      }
      this.#cache.write({ ...this.#identity(attachment), network, result });
    } catch (error) {
      await this.#undo(network, called, attachment);
      throw named(error, network, network.plugins[called - 1]);
    }
    return { result, network, warnings };
  }

  /**
   * Detaches a container, with the configuration it was attached by. What was never attached is no error.
   * @throws CniError; a repeated DEL continues
   */
  async del(attachment: Attachment): Promise<void> {
    const { containerId, ifName } = this.#identity(attachment);
    const known = this.#cache.find(containerId, ifName);
    const network = known?.network ?? this.#currentNetwork();
    if (!network) return;
    const merged = {
      ...attachment,
      args: attachment.args ?? known?.args ?? {},
      capabilities: attachment.capabilities ?? known?.capabilities ?? {},
    };
    const prevResult = atLeast(network.cniVersion, "0.4.0") ? known?.result : undefined;
    for (const plugin of network.plugins.toReversed()) {
      try {
        await this.#caller.call("DEL", plugin.type, this.#call(network, plugin, merged, prevResult));
      } catch (error) {
        throw named(error, network, plugin);
      }
    }
    this.#cache.remove(network.name, containerId, ifName);
  }

  /** Asks each plugin whether the attachment is as it should be. Networks before 0.4.0 have no CHECK. @throws CniError */
  async check(attachment: Attachment): Promise<void> {
    const { containerId, ifName } = this.#identity(attachment);
    const known = this.#cache.find(containerId, ifName);
    const network = known?.network ?? this.network();
    if (network.disableCheck || !atLeast(network.cniVersion, "0.4.0")) return;
    await this.#each("CHECK", network, attachment, known?.result);
  }

  /** Whether an ADD could work now. @throws CniError saying why not */
  async status(): Promise<void> {
    const network = this.network();
    if (atLeast(network.cniVersion, "1.1.0")) await this.#each("STATUS", network, { containerId: "", netns: "" });
  }

  /** Detaches every remembered attachment that is not among the valid ones; for a runtime that begins anew. */
  async gc(valid: readonly { readonly containerId: string; readonly ifName?: string }[]): Promise<void> {
    const kept = new Set(valid.map((item) => `${item.containerId} ${item.ifName ?? "eth0"}`));
    for (const entry of this.#cache.list()) {
      if (kept.has(`${entry.containerId} ${entry.ifName}`)) continue;
      await this.del({ containerId: entry.containerId, ifName: entry.ifName, netns: "" }).catch((error: unknown) =>
        this.#log.warn("Cannot detach a container that is gone", {
          container: entry.containerId,
          error: errorMessage(error),
        }),
      );
    }
  }

  async #each(
    command: CniCommand,
    network: NetworkConfig,
    attachment: Attachment,
    prevResult?: CniResult,
  ): Promise<void> {
    for (const plugin of network.plugins) {
      try {
        await this.#caller.call(command, plugin.type, this.#call(network, plugin, attachment, prevResult));
      } catch (error) {
        throw named(error, network, plugin);
      }
    }
  }

  #loopback(attachment: Attachment): void {
    const { netns, netnsFd } = this.#identity(attachment);
    const where = { netns, ...(netnsFd === undefined ? {} : { netnsFd }) } as PluginCall;
    inSandbox(this.#deps, where, (rtnl) => rtnl.apply([{ op: "set-link", index: LOOPBACK_INDEX, up: true }]));
  }

  async #undo(network: NetworkConfig, called: number, attachment: Attachment): Promise<void> {
    for (const plugin of network.plugins.slice(0, called).toReversed()) {
      try {
        await this.#caller.call("DEL", plugin.type, this.#call(network, plugin, attachment));
      } catch (error) {
        this.#log.debug("Undoing a failed ADD", { plugin: plugin.type, error: errorMessage(error) });
      }
    }
  }

  #currentNetwork(): NetworkConfig | undefined {
    try {
      return this.network();
    } catch {
      return undefined;
    }
  }

  #identity(attachment: Attachment): Omit<CachedAttachment, "network" | "result"> & { readonly netnsFd?: number } {
    const { netnsFd } = attachment;
    // Programs need a path: a descriptor has one.
    const netns = attachment.netns || (netnsFd === undefined ? "" : `/proc/${process.pid}/fd/${netnsFd}`);
    return {
      containerId: attachment.containerId,
      ifName: attachment.ifName ?? "eth0",
      netns,
      args: attachment.args ?? {},
      capabilities: attachment.capabilities ?? {},
      ...(netnsFd === undefined ? {} : { netnsFd }),
    };
  }

  #call(network: NetworkConfig, plugin: PluginConfig, attachment: Attachment, prevResult?: CniResult): PluginCall {
    const { containerId, ifName, netns, args, netnsFd, capabilities } = this.#identity(attachment);
    return {
      containerId,
      ifName,
      netns,
      args,
      path: this.#options.binDirs,
      networkName: network.name,
      cniVersion: network.cniVersion,
      config: withCapabilities(plugin, capabilities),
      ...(netnsFd === undefined ? {} : { netnsFd }),
      ...(prevResult ? { prevResult } : {}),
    };
  }
}

/** A plugin gets only the values of capabilities that its configuration declares. */
function withCapabilities(plugin: PluginConfig, values: JsonObject): PluginConfig {
  const { capabilities, ...config } = plugin;
  if (!isObject(capabilities)) return config as PluginConfig;
  const runtimeConfig: Record<string, Json> = {};
  for (const [name, enabled] of Object.entries(capabilities)) {
    const value = values[name];
    if (enabled === true && value !== undefined) runtimeConfig[name] = value;
  }
  return { ...config, ...(Object.keys(runtimeConfig).length ? { runtimeConfig } : {}) } as PluginConfig;
}

/** The error with the plugin and network in its text, as libcni writes it. */
function named(error: unknown, network: NetworkConfig, plugin: PluginConfig | undefined): CniError {
  const code = error instanceof CniError ? error.code : 999;
  const details = error instanceof CniError ? error.details : "";
  const text = `plugin type="${plugin?.type ?? ""}" name="${network.name}" failed: ${errorMessage(error)}${details ? `; ${details}` : ""}`;
  return new CniError(code, text, details, error);
}
