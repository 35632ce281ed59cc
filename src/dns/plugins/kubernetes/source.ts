import type { Change, Client, InformerOptions, KubeObject, Resource } from "#api/index.ts";
import type { Logger } from "#base/log.ts";
import type { Gauge, Metrics } from "#base/metrics.ts";
import { type ClusterIndex, keyOf } from "./clusterIndex.ts";

/** Keeps a ClusterIndex up to date. */
export interface ClusterSource {
  /**
   * Begins, the first time; does not wait for the first state. Rejects when there is no cluster to ask. Each start has its
   * stop, the last of which ends it.
   */
  start(): Promise<void>;
  /** Whether the first state is complete. It stays so when the connection breaks: the last state is served on. */
  readonly synced: boolean;
  /** Resolves when synced. */
  settled(): Promise<void>;
  /** Watches that are broken now, and why; the last state is served on. */
  troubles(): string[];
  /** Seconds since 1970 of the last change, the zone's serial number. */
  readonly serial: number;
  stop(): Promise<void>;
}

/** What is watched, and how the API is reached. */
export interface SourceOptions {
  readonly connect: () => Promise<Client>;
  /** Selects Services and EndpointSlices by label. */
  readonly labelSelector?: string;
  /** Selects namespaces by label. */
  readonly namespaceSelector?: string;
  /** Watch pods (pods verified). */
  readonly pods: boolean;
  /** Watch EndpointSlices. */
  readonly endpoints: boolean;
}

/** Fills the index from the API server by watches. */
export class ApiSource implements ClusterSource {
  readonly #options: SourceOptions;
  readonly #index: ClusterIndex;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #broken: Gauge;
  #endCollecting: (() => void) | undefined;
  /** By resource: the failure of its watch, while there is one. */
  readonly #health = new Map<string, () => string | undefined>();
  readonly #stopping = new AbortController();
  readonly #syncing = Promise.withResolvers<void>();
  #client: Client | undefined;
  #users = 0;
  #synced = false;
  #serial = Math.floor(Date.now() / 1000);

  constructor(options: SourceOptions, index: ClusterIndex, log: Logger, metrics: Metrics) {
    this.#options = options;
    this.#index = index;
    this.#log = log;
    this.#metrics = metrics;
    this.#broken = metrics.gauge(
      "podwire_dns_kubernetes_watch_broken",
      "1 while the watch of a resource is broken and its last state is served on.",
    );
    this.#syncing.promise.catch(() => {});
  }

  get synced(): boolean {
    return this.#synced;
  }

  get serial(): number {
    return this.#serial;
  }

  async settled(): Promise<void> {
    await this.#syncing.promise;
  }

  troubles(): string[] {
    return [...this.#health].flatMap(([resource, error]) => {
      const text = error();
      return text === undefined ? [] : [`watch of ${resource} is broken: ${text}`];
    });
  }

  async start(): Promise<void> {
    if (this.#users++ > 0) return;
    this.#endCollecting = this.#metrics.onCollect(() => {
      for (const [resource, error] of this.#health) this.#broken.set(error() === undefined ? 0 : 1, { resource });
    });
    const { resources } = await import("#api/index.ts");
    this.#client = await this.#options.connect();
    const { labelSelector, namespaceSelector, pods, endpoints } = this.#options;
    const index = this.#index;
    const labelled = labelSelector === undefined ? {} : { labelSelector };
    const waits = [
      this.#watch(
        resources.services,
        labelled,
        (object) => index.setService(object),
        (key) => index.deleteService(key),
      ),
      this.#watch(
        resources.namespaces,
        namespaceSelector === undefined ? {} : { labelSelector: namespaceSelector },
        (object) => index.setNamespace(object),
        (key) => index.deleteNamespace(key),
      ),
    ];
    if (endpoints) {
      waits.push(
        this.#watch(
          resources.endpointSlices,
          {},
          (object) => index.setSlice(object),
          (key) => index.deleteSlice(key),
        ),
      );
    }
    if (pods)
      waits.push(
        this.#watch(
          resources.pods,
          {},
          (object) => index.setPod(object),
          (key) => index.deletePod(key),
        ),
      );
    void Promise.all(waits).then(
      () => {
        this.#synced = true;
        this.#syncing.resolve();
        this.#log.info("Synced with the Kubernetes API");
      },
      (error: unknown) => this.#syncing.reject(error),
    );
  }

  async stop(): Promise<void> {
    if (--this.#users > 0) return;
    this.#stopping.abort(new Error("stopped"));
    this.#endCollecting?.();
    await this.#client?.transport.close();
  }

  /** Mirrors a collection into the index; resolves when the first state is in. */
  async #watch<T extends KubeObject>(
    resource: Resource<T>,
    options: InformerOptions,
    set: (object: T) => void,
    remove: (key: string) => void,
  ): Promise<void> {
    const { Informer } = await import("#api/index.ts");
    const informer = new Informer(this.#client as Client, resource, options, {
      log: this.#log,
      signal: this.#stopping.signal,
    });
    informer.onChange((change: Change<T>) => {
      if (change.type === "DELETED") remove(keyOf(change.object));
      else set(change.object);
      if (this.#synced) this.#serial = Math.floor(Date.now() / 1000);
    });
    this.#health.set(resource.plural, () => informer.health().error);
    informer.start();
    await informer.synced;
  }
}
