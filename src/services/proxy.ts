import {
  Backoff,
  type Client,
  delay,
  type EndpointSlice,
  Informer,
  keyOf,
  type Node,
  resources,
  type Service,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Ip } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import type { OriginIndex } from "#kernel/nft/index.ts";
import type { ServiceBackend } from "./backends/index.ts";
import { FlowCleaner } from "./flowCleaner.ts";
import { openIntake } from "./intake.ts";
import { clusterAddresses, type Frontend, hasHints, type NodeView, serviceOfSlice, zoneOf } from "./model/index.ts";
import { type ChangedKind, type ProxyObserver, triggerTime } from "./observer.ts";
import { putIntoEffect } from "./portions.ts";
import { proxyMetrics } from "./proxyMetrics.ts";
import { watchRules } from "./rulesWatch.ts";
import { serviceNetworks } from "./serviceNetworks.ts";
import { WantedFrontends } from "./wantedFrontends.ts";

/** Settings and dependencies of a service proxy. */
export interface ServiceProxyOptions {
  readonly client: Client;
  readonly nodeName: string;
  /** Addresses of the node, of all families. */
  readonly nodeAddresses: readonly Ip[];
  /** Where NodePorts answer. Default: at {@link nodeAddresses}. */
  readonly nodePortAddresses?: readonly Ip[];
  /** What puts Services into effect; its mode. The proxy closes it when it stops. */
  readonly backend: ServiceBackend;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly metrics?: Metrics;
  /** Who else is told what it does. */
  readonly observers?: readonly ProxyObserver[];
  /** Least time between two changes of the rules, in ms. Default 10. */
  readonly minSyncPeriodMs?: number;
  /** After this time, in ms, what is there is read and put right, though nothing has changed. Default: never. */
  readonly syncPeriodMs?: number;
  /** Connection tracking of the node's network namespace: stale UDP connections are removed from it. */
  readonly conntrack?: Conntrack;
  /** Told when it ends though nobody stopped it: from then on no rule follows the cluster. */
  readonly ended?: (message: string) => void;
}

/** A running service proxy. */
export interface ServiceProxy {
  /** Resolves when the first complete set of rules is in the kernel; rejects when stopped before that. */
  readonly synced: Promise<void>;
  /** Which object each rule and element stands for, where the mode can tell. */
  readonly origins: OriginIndex | undefined;
  readonly metrics: Metrics;
  /** Whether the rules are as the cluster's Services want them, and the last failure when they are not. */
  status(): { readonly ready: boolean; readonly error?: string };
  /** What each Service does on this node now, by `namespace/name`. */
  frontends(): ReadonlyMap<string, readonly Frontend[]>;
  /** The node has other addresses now. */
  setNodeAddresses(addresses: readonly Ip[], nodePortAddresses?: readonly Ip[]): void;
  /** Resolves when everything known now is in the kernel. */
  settled(): Promise<void>;
  /** Ends it and waits. The rules stay, so that connections go on while an agent restarts. */
  stop(): Promise<void>;
}

/** Waiting after the first failed attempt to change the rules, in ms; doubled after each further one. */
const RETRY_MS = 250;
/** The longest of these waits where no sync period is given, in ms. */
const MAX_RETRY_MS = 30_000;

/**
 * Keeps a node's rules as the cluster's Services want them, with kube-proxy's semantics.
 * Until all Services and EndpointSlices are known it touches nothing; then it reads what a former process left and
 * changes only the difference.
 */
export function startServiceProxy(options: ServiceProxyOptions): ServiceProxy {
  return new NodeProxy(options);
}

class NodeProxy implements ServiceProxy {
  readonly synced: Promise<void>;
  readonly metrics: Metrics;
  readonly origins: OriginIndex | undefined;
  readonly #options: ServiceProxyOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  /** This node alone: its zone may change. */
  readonly #node: Informer<Node>;
  readonly #backend: ServiceBackend;
  readonly #observers: readonly ProxyObserver[];
  /** Services whose frontends are to be computed anew. */
  readonly #dirty = new Set<string>();
  readonly #wanted: WantedFrontends;
  #view: NodeView;
  readonly #running: Promise<void>;
  #wake = Promise.withResolvers<void>();
  #settled = Promise.withResolvers<void>();
  #isSyncing = false;
  readonly #flows: FlowCleaner;
  readonly #retries: Backoff;
  #error: string | undefined;
  /** The last pass succeeded. */
  #isRight = false;
  /** The kernel's state has to be read before the next change. */
  #isUnknown = true;
  /** How long the last reading of the kernel's state, with its changes, took. */
  #fullMs = 0;

  constructor(options: ServiceProxyOptions) {
    this.metrics = options.metrics ?? new Metrics();
    this.#options = { ...options, metrics: this.metrics };
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#backend = options.backend;
    this.#flows = new FlowCleaner(options);
    const maxMs = Math.max(options.syncPeriodMs ?? MAX_RETRY_MS, RETRY_MS);
    this.#retries = new Backoff({ initialMs: RETRY_MS, maxMs, resetMs: Number.POSITIVE_INFINITY });
    this.origins = options.backend.origins;
    this.#observers = [proxyMetrics(this.metrics), ...(options.observers ?? [])];
    this.#wanted = new WantedFrontends({ ...options, observers: this.#observers });
    const { client, log, nodeName, nodeAddresses: addresses, nodePortAddresses } = options;
    this.#view = { name: nodeName, addresses, ...(nodePortAddresses && { nodePortAddresses }) };
    const deps = { log, signal: this.#signal };
    const intake = openIntake();
    this.#services = new Informer(client, resources.services, {}, deps, intake.service);
    this.#slices = new Informer(client, resources.endpointSlices, {}, deps, intake.slice);
    this.#node = new Informer(client, resources.nodes, { fieldSelector: `metadata.name=${nodeName}` }, deps);
    this.#services.onChange(({ object }) => {
      this.#touch(keyOf(object));
      this.#queued("service");
    });
    this.#slices.onChange(({ type, object, old }) => {
      // A slice that goes says when it last changed, which is not why rules change now.
      this.#queued("endpoints", type === "DELETED" ? undefined : triggerTime(object));
      for (const slice of [object, old]) {
        const service = slice && serviceOfSlice(slice);
        if (service) this.#touch(service);
      }
    });
    this.#node.onChange(({ object, old }) => {
      for (const observer of this.#observers) observer.node?.(this.#node.get(nodeName));
      if (zoneOf(object) === zoneOf(old)) return;
      this.#view = { ...this.#view, zone: zoneOf(this.#node.get(nodeName)) };
      for (const slice of this.#slices.list()) if (hasHints(slice)) this.#touch(serviceOfSlice(slice) ?? "");
    });
    this.#backend.setNode(this.#view);
    const slicesOf = this.#slices.index((slice) => [serviceOfSlice(slice) ?? ""]);
    this.#services.start();
    this.#slices.start();
    this.#node.start();
    const first = Promise.withResolvers<void>();
    this.synced = first.promise;
    this.synced.catch(() => {}); // nobody has to wait for it
    this.#running = this.#run((key) => slicesOf.get(key), first);
  }

  status(): { ready: boolean; error?: string } {
    const error = this.#error ?? this.#wanted.problem;
    return { ready: this.#isRight && !this.#isUnknown, ...(error !== undefined && { error }) };
  }

  frontends(): ReadonlyMap<string, readonly Frontend[]> {
    return this.#wanted.all();
  }

  setNodeAddresses(addresses: readonly Ip[], nodePortAddresses?: readonly Ip[]): void {
    const { name, zone } = this.#view;
    this.#view = { name, zone, addresses, ...(nodePortAddresses && { nodePortAddresses }) };
    this.#backend.setNode(this.#view);
    for (const service of this.#services.list()) this.#touch(keyOf(service));
  }

  async settled(): Promise<void> {
    await this.synced;
    while ((this.#dirty.size || this.#isSyncing || this.#isUnknown) && !this.#signal.aborted)
      await this.#settled.promise;
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("service proxy stopped"));
    this.#wake.resolve();
    await this.#running;
    await Promise.all([this.#services.ended(), this.#slices.ended(), this.#node.ended()]);
    await this.#backend.close();
  }

  #touch(key: string): void {
    this.#dirty.add(key);
    this.#wake.resolve();
  }

  #queued(kind: ChangedKind, at?: number): void {
    for (const observer of this.#observers) observer.queued?.(kind, at);
  }

  async #run(slicesOf: (key: string) => EndpointSlice[], first: PromiseWithResolvers<void>): Promise<void> {
    const { log, minSyncPeriodMs = 10 } = this.#options;
    const { mode } = this.#backend;
    // Upstream's words; `proxyMode` is what people look for (INVENTORY V04).
    log.info(`Using ${mode} Proxier`, { proxyMode: mode });
    const wakeUp = () => this.#wake.resolve();
    this.#signal.addEventListener("abort", wakeUp, { once: true });
    const distrust = () => {
      this.#isUnknown = true;
      this.#wake.resolve();
    };
    const endWatching = watchRules(this.#backend, { ...this.#options, tookMs: () => this.#fullMs, distrust });
    try {
      await Promise.all([this.#services.synced, this.#slices.synced, this.#node.synced]);
      // What a process that is gone led on, nobody else knows of. No rule waits for it.
      void serviceNetworks(this.#options.client, { log, signal: this.#signal }).then((networks) => {
        const known = () => this.#services.list().flatMap(clusterAddresses);
        if (this.#flows.sweep(networks, known)) this.#wake.resolve();
      });
      let isFirst = true;
      while (!this.#signal.aborted) {
        this.#isSyncing = true;
        const isDone = await this.#sync(slicesOf);
        this.#isSyncing = false;
        this.#settled.resolve();
        this.#settled = Promise.withResolvers();
        if (isDone) {
          if (isFirst) log.info("Services are in the kernel", { services: this.#wanted.all().size });
          isFirst = false;
          first.resolve();
          this.#retries.reset();
          await delay(minSyncPeriodMs, this.#signal);
        } else await delay(this.#retries.failed(performance.now()), this.#signal);
        if (this.#dirty.size === 0 && !this.#isUnknown) await this.#wake.promise;
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#died(error);
    } finally {
      this.#signal.removeEventListener("abort", wakeUp);
      endWatching();
      first.reject(this.#signal.reason ?? new Error("the service proxy ended"));
      this.#settled.resolve();
    }
  }

  /** Nothing follows the cluster any more, which whoever started it has to hear. */
  #died(error: unknown): void {
    this.#isRight = false;
    this.#error = errorMessage(error);
    this.#options.log.error("The service proxy ended", { error: this.#error });
    this.#stop.abort(error);
    this.#options.ended?.(this.#error);
  }

  /** One pass: everything that changed since the last one. @returns false when it failed */
  async #sync(slicesOf: (key: string) => EndpointSlice[]): Promise<boolean> {
    const started = performance.now();
    this.#wake = Promise.withResolvers();
    for (const observer of this.#observers) observer.syncing?.();
    const waiting = new Set(this.#dirty);
    const services = waiting.size;
    this.#dirty.clear();
    const isFull = this.#isUnknown;
    // Before reading: what somebody changes from here on asks for another pass.
    this.#isUnknown = false;
    try {
      const readBack = async (): Promise<void> => {
        await this.#backend.readBack();
        this.#flows.noteFound(this.#backend.foundAddresses?.() ?? []);
      };
      await putIntoEffect(this.#backend, waiting, isFull ? readBack : undefined, (key) =>
        this.#flows.note(this.#wanted.compute(key, this.#services.get(key), slicesOf(key), this.#view)),
      );
      const durationMs = performance.now() - started;
      if (isFull) this.#fullMs = durationMs;
      for (const observer of this.#observers) observer.synced?.({ durationMs, isFull, services });
    } catch (error) {
      for (const key of waiting) this.#dirty.add(key);
      this.#failed(errorMessage(error));
      return false;
    }
    this.#error = undefined;
    this.#isRight = true;
    const cleaned = this.#flows.clean((address) => this.#wanted.isServed(address));
    if (cleaned) for (const observer of this.#observers) observer.cleaned?.(cleaned.removed, cleaned.durationMs);
    return true;
  }

  /** What is in the kernel now is not certain: the next pass reads it and does what is missing. */
  #failed(error: string): void {
    // Once, not with each attempt.
    if (error !== this.#error) this.#options.log.error("Changing the rules failed", { error });
    this.#isUnknown = true;
    this.#isRight = false;
    this.#error = error;
  }
}
