import {
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
import type { Cidr, Ip } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import { type Nftables, type OriginIndex, Transaction } from "#kernel/nft/index.ts";
import { FamilyTable } from "./familyTable.ts";
import { hasHints, zoneOf } from "./hints.ts";
import { serviceLayout } from "./layout.ts";
import { type Frontend, serviceFrontends, serviceOfSlice } from "./model.ts";
import { type FrontendPlan, planFrontend } from "./plan.ts";
import { proxyMetrics } from "./proxyMetrics.ts";
import { cleanStaleFlows, type FrontendChange } from "./staleFlows.ts";

/** Settings and dependencies of a service proxy. */
export interface ServiceProxyOptions {
  readonly client: Client;
  readonly nodeName: string;
  /** Addresses of the node, of all families: NodePorts answer there. */
  readonly nodeAddresses: readonly Ip[];
  /** The pod network (of the whole cluster): sources outside of it are masqueraded. */
  readonly podCidrs: readonly Cidr[];
  /** nftables of the node's network namespace. Stays open when the proxy stops. */
  readonly nft: Nftables;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly metrics?: Metrics;
  /** Least time between two changes of the rules, in ms. Default 10. */
  readonly minSyncPeriodMs?: number;
  /** Connection tracking of the node's network namespace: stale UDP connections are removed from it. */
  readonly conntrack?: Conntrack;
}

/** A running service proxy. */
export interface ServiceProxy {
  /** Resolves when the first complete set of rules is in the kernel; rejects when stopped before that. */
  readonly synced: Promise<void>;
  /** Which object each rule and element stands for. */
  readonly origins: OriginIndex;
  readonly metrics: Metrics;
  /** Whether the rules are as the cluster's Services want them, and the last failure when they are not. */
  status(): { readonly ready: boolean; readonly error?: string };
  /** What each Service does on this node now, by `namespace/name`. */
  frontends(): ReadonlyMap<string, readonly Frontend[]>;
  /** Resolves when everything known now is in the kernel. */
  settled(): Promise<void>;
  /** Ends it and waits. The rules stay, so that connections go on while an agent restarts. */
  stop(): Promise<void>;
}

/** Waiting between failed attempts to change the rules. */
const RETRY_MS = 250;

/**
 * Keeps a node's rules as the cluster's Services want them, with kube-proxy's semantics.
 * Until all Services and EndpointSlices are known it touches nothing; then it reads what a former process left and
 * changes only the difference.
 */
export function startServiceProxy(options: ServiceProxyOptions): ServiceProxy {
  return new NodeProxy(options);
}

interface PlannedFrontend {
  readonly frontend: Frontend;
  readonly plan: FrontendPlan;
}

class NodeProxy implements ServiceProxy {
  readonly synced: Promise<void>;
  readonly metrics: Metrics;
  readonly origins: OriginIndex;
  readonly #options: ServiceProxyOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  /** This node alone: its zone may change. */
  readonly #node: Informer<Node>;
  readonly #tables: Readonly<Record<4 | 6, FamilyTable>>;
  readonly #record: ReturnType<typeof proxyMetrics>;
  /** Services whose frontends are to be computed anew. */
  readonly #dirty = new Set<string>();
  readonly #planned = new Map<string, readonly PlannedFrontend[]>();
  readonly #running: Promise<void>;
  #wake = Promise.withResolvers<void>();
  #settled = Promise.withResolvers<void>();
  #isSyncing = false;
  /** What changed since connections were last looked through. */
  #changes: FrontendChange[] = [];
  #error: string | undefined;
  /** The kernel's state has to be read before the next change. */
  #isUnknown = true;

  constructor(options: ServiceProxyOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.metrics = options.metrics ?? new Metrics();
    this.origins = options.nft.origins;
    this.#record = proxyMetrics(this.metrics);
    const { client, log, nodeName, podCidrs } = options;
    const deps = { log, signal: this.#signal };
    this.#services = new Informer(client, resources.services, {}, deps);
    this.#slices = new Informer(client, resources.endpointSlices, {}, deps);
    this.#node = new Informer(client, resources.nodes, { fieldSelector: `metadata.name=${nodeName}` }, deps);
    const table = (family: "ip" | "ip6") => new FamilyTable(serviceLayout(family, { nodeName, podCidrs }));
    this.#tables = { 4: table("ip"), 6: table("ip6") };
    this.#services.onChange(({ object }) => this.#touch(keyOf(object)));
    this.#slices.onChange(({ object, old }) => {
      for (const slice of [object, old]) {
        const service = slice && serviceOfSlice(slice);
        if (service) this.#touch(service);
      }
    });
    this.#node.onChange(({ object, old }) => {
      if (zoneOf(object) === zoneOf(old)) return;
      for (const slice of this.#slices.list()) if (hasHints(slice)) this.#touch(serviceOfSlice(slice) ?? "");
    });
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
    return { ready: !this.#isUnknown, ...(this.#error === undefined ? {} : { error: this.#error }) };
  }

  frontends(): ReadonlyMap<string, readonly Frontend[]> {
    return new Map([...this.#planned].map(([key, planned]) => [key, planned.map(({ frontend }) => frontend)]));
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
  }

  #touch(key: string): void {
    this.#dirty.add(key);
    this.#record.changed();
    this.#wake.resolve();
  }

  async #run(slicesOf: (key: string) => EndpointSlice[], first: PromiseWithResolvers<void>): Promise<void> {
    const { log, minSyncPeriodMs = 10 } = this.#options;
    // Upstream's words; `proxyMode` is what people look for (INVENTORY V04).
    log.info("Using nftables Proxier", { proxyMode: "nftables" });
    const wakeUp = () => this.#wake.resolve();
    this.#signal.addEventListener("abort", wakeUp, { once: true });
    try {
      await Promise.all([this.#services.synced, this.#slices.synced, this.#node.synced]);
      let isFirst = true;
      while (!this.#signal.aborted) {
        this.#isSyncing = true;
        const isDone = await this.#sync(slicesOf);
        this.#isSyncing = false;
        this.#settled.resolve();
        this.#settled = Promise.withResolvers();
        if (isDone) {
          if (isFirst) log.info("Services are in the kernel", { services: this.#planned.size });
          isFirst = false;
          first.resolve();
          await delay(minSyncPeriodMs, this.#signal);
        } else await delay(RETRY_MS, this.#signal);
        if (this.#dirty.size === 0 && !this.#isUnknown) await this.#wake.promise;
      }
    } catch (error) {
      if (!this.#signal.aborted) {
        this.#isUnknown = true;
        this.#error = errorMessage(error);
        log.error("The service proxy ended", { error: this.#error });
      }
    } finally {
      this.#signal.removeEventListener("abort", wakeUp);
      first.reject(this.#signal.reason ?? new Error("the service proxy ended"));
      this.#settled.resolve();
    }
  }

  /** One pass: everything that changed since the last one, in one transaction. @returns false when it failed */
  async #sync(slicesOf: (key: string) => EndpointSlice[]): Promise<boolean> {
    const { nft, log, conntrack } = this.#options;
    const started = performance.now();
    this.#wake = Promise.withResolvers();
    for (const key of this.#dirty) this.#changes.push(...this.#compute(key, slicesOf(key)));
    this.#dirty.clear();
    const isFull = this.#isUnknown;
    try {
      if (this.#isUnknown) await this.#readBack();
      const transaction = new Transaction();
      for (const table of Object.values(this.#tables)) {
        table.adoptOrigins(nft);
        table.plan(transaction);
      }
      await nft.commit(transaction);
      for (const table of Object.values(this.#tables)) table.applied();
      this.#record.synced(started, isFull, this.#tables);
      this.#error = undefined;
    } catch (error) {
      // What is in the kernel now is not certain: read it and do what is missing.
      this.#isUnknown = true;
      this.#record.failed();
      this.#error = errorMessage(error);
      log.error("Changing the rules failed", { error: errorMessage(error) });
      return false;
    }
    try {
      const removed = conntrack ? cleanStaleFlows(conntrack, this.#changes) : 0;
      this.#changes = [];
      if (removed) this.#record.cleaned(removed);
    } catch (error) {
      log.warn("Cleaning up connections failed", { error: errorMessage(error) });
    }
    return true;
  }

  async #readBack(): Promise<void> {
    for (const table of Object.values(this.#tables)) {
      table.adopt(await this.#options.nft.readTable(table.layout.table));
    }
    this.#isUnknown = false;
  }

  /** Computes a Service's frontends anew and tells the tables. */
  #compute(key: string, slices: readonly EndpointSlice[]): FrontendChange[] {
    const { nodeName, nodeAddresses } = this.#options;
    const service = this.#services.get(key);
    const node = { name: nodeName, addresses: nodeAddresses, zone: zoneOf(this.#node.get(nodeName)) };
    const frontends = service ? serviceFrontends(service, slices, node) : [];
    const planned = frontends.map((frontend) => ({
      frontend,
      plan: planFrontend(this.#tables[frontend.ip.family].layout, frontend),
    }));
    const before = this.#planned.get(key) ?? [];
    const changes: FrontendChange[] = [];
    const unmatched = new Map(before.map((entry) => [`${entry.frontend.ip.family} ${entry.plan.key}`, entry]));
    for (const entry of planned) {
      const id = `${entry.frontend.ip.family} ${entry.plan.key}`;
      const former = unmatched.get(id);
      unmatched.delete(id);
      const table = this.#tables[entry.frontend.ip.family];
      table.setFrontend(key, entry.plan);
      if (former) table.releaseShared(key, former.plan, entry.plan);
      changes.push({ ...(former && { before: former.frontend }), after: entry.frontend });
    }
    for (const { frontend, plan } of unmatched.values()) {
      this.#tables[frontend.ip.family].removeFrontend(key, plan);
      changes.push({ before: frontend });
    }
    if (planned.length) this.#planned.set(key, planned);
    else this.#planned.delete(key);
    return changes;
  }
}
