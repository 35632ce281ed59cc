import { type Client, type ConfigMap, Informer, resources } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { formatIp, type Ip, parseIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { wholeSeconds } from "#base/time.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import { type ProcessRun, processRun } from "#kubelet/index.ts";
import {
  fieldNotes,
  type GivenConfig,
  interfaceAddresses,
  type KubeProxy,
  type ProxyConfig,
  type ProxyFacts,
  prepareKubeProxy,
  readConfigFile,
  settleConfig,
} from "#services/index.ts";

/** Where kubeadm's clusters have the configuration. */
const CONFIG_MAP = { namespace: "kube-system", name: "kube-proxy", key: "config.conf" } as const;
/** Fields that say what a module of an agent is told by the agent. */
const agents: readonly (keyof GivenConfig)[] = ["clientConnection.kubeconfig", "hostnameOverride"];

/** What the module is given. */
export interface ProxyModuleOptions {
  readonly nodeName: string;
  readonly nodeAddresses: readonly string[];
  /** What counts while there is no ConfigMap. */
  readonly defaults: GivenConfig;
  readonly client: Client;
  readonly nft: Nftables;
  readonly conntrack: Conntrack;
  readonly log: Logger;
}

/**
 * kube-proxy as a module of a node's agent: configured by the ConfigMap kube-proxy of kube-system, each change of which
 * takes effect at once. One that is wrong is logged, and what was there before goes on.
 */
export class ProxyModule {
  readonly #options: ProxyModuleOptions;
  readonly #stop = new AbortController();
  readonly #configs: Informer<ConfigMap>;
  #metrics = new Metrics();
  readonly #addresses: readonly Ip[];
  #proxy: KubeProxy | undefined;
  #running: ProxyConfig | undefined;
  #problem: string | undefined;
  /** A ConfigMap without a configuration is said once. */
  #isKeyMissing = false;
  /** How often it was started anew, and when last. */
  #restarts = 0;
  #startedAt: string | undefined;
  /** What is under way, one thing after the other. */
  #work: Promise<void>;

  constructor(options: ProxyModuleOptions) {
    const { client, log } = options;
    this.#options = options;
    this.#addresses = options.nodeAddresses.map((text) => parseIp(text));
    const { namespace, name } = CONFIG_MAP;
    const selection = { namespace, fieldSelector: `metadata.name=${name}` };
    this.#configs = new Informer(client, resources.configMaps, selection, { log, signal: this.#stop.signal });
    this.#work = this.#configs.synced.then(
      () => this.#apply(),
      () => {}, // It is stopped before the API has answered.
    );
    this.#configs.onChange(() => {
      this.#work = this.#work.then(() => this.#apply());
    });
    this.#configs.start();
  }

  /** How the rules are, and what is wrong with the configuration. */
  status(): { readonly ready: boolean; readonly error?: string } {
    if (this.#problem !== undefined) return { ready: false, error: this.#problem };
    return this.#proxy?.status() ?? { ready: false };
  }

  /** What it goes by, for who explains what its rules do. */
  facts(): ProxyFacts {
    return {
      addresses: interfaceAddresses().map(formatIp),
      ...(this.#proxy && { mode: this.#proxy.mode }),
      ...(this.#problem !== undefined && { error: this.#problem }),
    };
  }

  /** Starts it anew, as a new process would: counters begin at zero, rules are read back. The rules stay meanwhile. */
  restart(): Promise<void> {
    this.#work = this.#work.then(async () => {
      await this.#proxy?.stop();
      this.#proxy = undefined;
      this.#running = undefined;
      this.#metrics = new Metrics();
      this.#restarts++;
      this.#startedAt = wholeSeconds();
      await this.#apply();
    });
    return this.#work;
  }

  /** Its run, within that of the agent. */
  run(): ProcessRun | undefined {
    const run = processRun(process.pid);
    if (!run || this.#startedAt === undefined) return run;
    return { id: `${run.id}/${this.#restarts}`, startedAt: this.#startedAt };
  }

  /** Ends it and waits; the rules stay. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await this.#work;
    await Promise.all([this.#proxy?.stop(), this.#configs.ended()]);
  }

  /** Has another one take the place of what runs, as after a change of the configuration. */
  #replace(): void {
    this.#work = this.#work.then(() => {
      this.#running = undefined;
      return this.#apply();
    });
  }

  /** Makes what runs what the ConfigMap says now. Never rejects. */
  async #apply(): Promise<void> {
    const { log } = this.#options;
    if (this.#stop.signal.aborted) return;
    try {
      const { config, notes } = this.#wanted();
      this.#problem = undefined;
      if (JSON.stringify(config) === JSON.stringify(this.#running)) return;
      for (const note of notes) log.info("A setting has no effect", { setting: note });
      if (this.#running) log.info("content of the proxy server's configuration was updated: starting anew");
      // What runs goes on while the next one is made, and for good when that fails.
      const start = await this.#prepare(config);
      await this.#proxy?.stop();
      this.#running = undefined;
      this.#proxy = start();
      this.#running = config;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#problem = errorMessage(error);
      log.error("The configuration has no effect", { err: this.#problem });
    }
  }

  #wanted(): { readonly config: ProxyConfig; readonly notes: readonly string[] } {
    const { namespace, name, key } = CONFIG_MAP;
    const map = this.#configs.get(`${namespace}/${name}`);
    const text = map?.data?.[key];
    this.#tellMissing(map !== undefined && text === undefined);
    if (text === undefined) return { config: settleConfig(this.#options.defaults), notes: [] };
    const place = `configmap ${namespace}/${name} ${key}`;
    const file = readConfigFile(text, place);
    const given = { ...file.given };
    for (const field of agents) delete given[field];
    return { config: settleConfig(given, file.at), notes: fieldNotes(given) };
  }

  #tellMissing(isMissing: boolean): void {
    const { namespace, name, key } = CONFIG_MAP;
    if (isMissing && !this.#isKeyMissing)
      this.#options.log.warn("The ConfigMap has no configuration: defaults count", {
        configMap: `${namespace}/${name}`,
        key,
      });
    this.#isKeyMissing = isMissing;
  }

  #prepare(config: ProxyConfig): Promise<() => KubeProxy> {
    const { client, nodeName, nft, conntrack, log } = this.#options;
    return prepareKubeProxy(config, nodeName, {
      client,
      log,
      metrics: this.#metrics,
      nft,
      conntrack,
      signal: this.#stop.signal,
      nodeAddresses: this.#addresses,
      // Neither a port that cannot be had nor the proxy's own end is the end of the node's agent: its status says it.
      fatal: (message) => {
        this.#problem = message;
      },
      // Upstream's program ends, and its DaemonSet starts it anew.
      outdated: () => this.#replace(),
    });
  }
}
