import {
  type Client,
  createEventRecorder,
  type EventRecorder,
  Informer,
  type InformerOptions,
  type KubeObject,
  type Resource,
  WorkQueue,
  type WorkQueueOptions,
} from "#api/index.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";

/** What the controllers are told about the cluster. */
export interface ControllerOptions {
  /** The pods' networks, one per family, such as `10.244.0.0/16`. */
  readonly podCidrs: readonly string[];
  /** Prefix length of a node's subnet. Default 24 (IPv4) and 64 (IPv6). */
  readonly nodeCidrMaskSize?: { readonly ipv4?: number; readonly ipv6?: number };
  /** Nodes whose position here is the number of their subnet while that is free. */
  readonly nodeOrder?: readonly string[];
  /** PEM of the CA that kube-root-ca.crt publishes. */
  readonly clusterCaPem: string;
  /** `10.96.0.0/12`; several for dual stack. The first address of the first is the Service `kubernetes`. */
  readonly serviceCidrs: readonly string[];
  /** Where the API server is reached: the endpoint of the Service `kubernetes`. */
  readonly apiAddress: { readonly host: string; readonly port: number };
  /** A node whose lease was not renewed for so long is Unknown. Default 50 s (node-monitor-grace-period). */
  readonly nodeGraceMs?: number;
  /** Pods of a node that is gone for so long are removed. Default 40 s. */
  readonly podGcQuarantineMs?: number;
  /** Ended pods that are kept, 0: all. Default 12,500 (terminated-pod-gc-threshold). */
  readonly terminatedPodThreshold?: number;
}

/** What startControllers needs; the caller owns client and log. */
export interface ControllerDeps {
  readonly client: Client;
  readonly log: Logger;
  /** The scheduler's own log. Default: `log`. */
  readonly schedulerLog?: Logger;
  /** Default: the real clock. */
  readonly now?: () => Date;
}

/** A handle on a running controller. */
export interface RunningController {
  readonly name: string;
  readonly queue: WorkQueue;
}

/** One controller: what it must know before it works, and what it does for a key. */
export interface ControllerSpec {
  readonly name: string;
  /** Work begins when these are complete. */
  readonly needs: readonly { readonly synced: Promise<void> }[];
  readonly handle: WorkQueueOptions["handle"];
  readonly concurrency?: number;
}

/** What all controllers of a process share: client, informers, clock. */
export class ControllerContext {
  readonly client: Client;
  readonly options: ControllerOptions;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly schedulerLog: Logger;
  readonly now: () => Date;
  /** What the controllers count, and what the scheduler does: elsewhere two programs. */
  readonly metrics = new Metrics();
  readonly schedulerMetrics = new Metrics();
  readonly #samplers: (() => void)[] = [];
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #passing = new Set<Promise<void>>();
  readonly #recorders = new Map<string, EventRecorder>();
  readonly #controllers: RunningController[] = [];

  constructor(options: ControllerOptions, deps: ControllerDeps & { readonly signal: AbortSignal }) {
    this.options = options;
    this.client = deps.client;
    this.signal = deps.signal;
    this.log = deps.log;
    this.schedulerLog = deps.schedulerLog ?? deps.log;
    this.now = deps.now ?? (() => new Date());
  }

  /** The shared informer of a resource; of those with selectors there is one per selection. */
  informer<T extends KubeObject>(of: Resource<T>, options: InformerOptions = {}): Informer<T> {
    const key = JSON.stringify([of.group, of.plural, options]);
    let informer = this.#informers.get(key);
    if (!informer) {
      informer = new Informer<KubeObject>(this.client, of, options, { log: this.log, signal: this.signal });
      this.#informers.set(key, informer);
    }
    return informer as unknown as Informer<T>;
  }

  /**
   * An informer of a kind that may go: it starts at once, nobody else has it, and `end` ends it. Other than with
   * informer() it is no fault of the process when its watch breaks.
   */
  passing<T extends KubeObject>(of: Resource<T>): { readonly informer: Informer<T>; end(): void } {
    const own = new AbortController();
    const signal = AbortSignal.any([this.signal, own.signal]);
    const informer = new Informer<T>(this.client, of, {}, { log: this.log, signal });
    informer.start();
    const ended = informer.ended().finally(() => this.#passing.delete(ended));
    this.#passing.add(ended);
    return { informer, end: () => own.abort(new Error(`${of.plural} are no longer served`)) };
  }

  /** The recorder of a component, such as `replicaset-controller`. */
  recorder(component: string): EventRecorder {
    let recorder = this.#recorders.get(component);
    if (!recorder) {
      recorder = createEventRecorder(this.client, { component }, { log: this.log, now: this.now });
      this.#recorders.set(component, recorder);
    }
    return recorder;
  }

  /** Makes a controller's queue, which begins to work when all it needs is there. */
  control(spec: ControllerSpec): WorkQueue {
    const { name, handle, concurrency = 4 } = spec;
    const queue = new WorkQueue({ name, handle, concurrency }, { log: this.log.child(name), signal: this.signal });
    this.#controllers.push({ name, queue });
    Promise.all(spec.needs.map((need) => need.synced)).then(
      () => queue.start(),
      () => {}, // stopped before the first sync
    );
    return queue;
  }

  /** Starts all informers and waits for their first state. Rejects when stopped before that. */
  async start(): Promise<void> {
    const informers = [...this.#informers.values()];
    for (const informer of informers) informer.start();
    await Promise.all(informers.map((informer) => informer.synced));
  }

  /** Waits for what still runs after the signal was aborted. */
  async ended(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.ended()));
    await Promise.all(this.#passing);
    await Promise.all(this.#controllers.map(({ queue }) => queue.ended()));
    await Promise.all([...this.#recorders.values()].map((recorder) => recorder.flush()));
  }

  /** Resolves when no queue has work. */
  async idle(): Promise<void> {
    const busy = () => this.#controllers.filter(({ queue }) => queue.stats().waiting + queue.stats().working > 0);
    for (let working = busy(); working.length > 0; working = busy()) {
      await Promise.all(working.map(({ queue }) => queue.idle()));
    }
  }

  /** Calls a function that sets gauges, each time before metrics are read. */
  sample(sampler: () => void): void {
    this.#samplers.push(sampler);
  }

  /** The metrics in Prometheus' text format. */
  metricsText(of: "controllers" | "scheduler"): string {
    const depth = this.metrics.gauge("workqueue_depth", "Current depth of workqueue");
    for (const { name, queue } of this.#controllers) {
      const { waiting } = queue.stats();
      depth.set(waiting, { name: name.replaceAll("-", "_") });
    }
    for (const sampler of this.#samplers) sampler();
    return (of === "controllers" ? this.metrics : this.schedulerMetrics).text();
  }

  /** For /readyz and `status`: which controllers run, and what hinders them. */
  health(): ControllerHealth {
    const broken = [...this.#informers].flatMap(([key, informer]) => {
      const { synced, error } = informer.health();
      return synced && error === undefined ? [] : [`${key}: ${error ?? "not synced"}`];
    });
    const queues = this.#controllers.map(({ name, queue }) => ({ name, ...queue.stats() }));
    return { ok: broken.length === 0, queues, broken };
  }
}

/** State of the controllers of a process. */
export interface ControllerHealth {
  readonly ok: boolean;
  readonly queues: readonly {
    readonly name: string;
    readonly waiting: number;
    readonly working: number;
    readonly failing: number;
  }[];
  /** Watches that are broken now. */
  readonly broken: readonly string[];
}
