import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type BackoffOptions, backoffMs, delay } from "./backoff.ts";
import { type Change, type Index, isAfter, ObjectCache } from "./cache.ts";
import type { Client, WatchOptions } from "./client.ts";
import { ApiError, isGone, isTooLargeVersion } from "./errors.ts";
import type { Resource } from "./resources.ts";
import type { KubeObject, WatchEvent } from "./types.ts";

/** Which objects an informer mirrors. */
export interface InformerOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Waiting between failed attempts. Default 20 ms to 2 s. */
  readonly backoff?: BackoffOptions;
  /** A server that does not close the initial events of a WatchList within this time is listed. Default 10 s. */
  readonly watchListTimeoutMs?: number;
}

/** What an informer needs. */
export interface InformerDeps {
  readonly log: Logger;
  /** Aborting ends the informer. */
  readonly signal: AbortSignal;
}

const defaultBackoff: BackoffOptions = { initialMs: 20, maxMs: 2000 };

/** The annotation of the bookmark that ends a WatchList's initial events (KEP-3157). */
const initialEventsEnd = "k8s.io/initial-events-end";

/**
 * A mirror of a collection, kept by one watch: first the present state (by WatchList, or by a list where the server
 * has none), then every change. After a broken connection the watch resumes at the last resource version; when the
 * server no longer has that (410), the state is read anew and compared, so that handlers still see each difference
 * once. It never polls.
 */
export class Informer<T extends KubeObject> {
  /** Resolves when the first state is complete and its handlers have run; rejects when aborted before that. */
  readonly synced: Promise<void>;
  readonly #client: Client;
  readonly #resource: Resource<T>;
  readonly #options: InformerOptions;
  readonly #keep: (object: T) => T;
  readonly #deps: InformerDeps;
  readonly #cache = new ObjectCache<T>();
  readonly #handlers = new Set<(change: Change<T>) => void>();
  readonly #syncing = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  #synced = false;
  /** Continue here; undefined: read the whole state. */
  #version: string | undefined;
  #watchList = true;
  /** The server's versions went back: see ObjectCache.replace. */
  #rewound = false;
  #failures = 0;
  #lastError: unknown;

  /** @param keep what is kept of each object; it must leave name, namespace, uid and version. Default: all of it */
  constructor(
    client: Client,
    resource: Resource<T>,
    options: InformerOptions,
    deps: InformerDeps,
    keep: (object: T) => T = (object) => object,
  ) {
    this.#keep = keep;
    this.#client = client;
    this.#resource = resource;
    this.#options = options;
    this.#deps = deps;
    this.synced = this.#syncing.promise;
    // It fails only when the informer is stopped before it was complete. Who waits is told; when nobody does, that is
    // no fault which Node should end the process for.
    this.synced.catch(() => {});
  }

  /** Begins to mirror. A second call does nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the informer has ended after its signal was aborted. */
  async ended(): Promise<void> {
    await this.#running;
  }

  /** The object under `namespace/name` (or `name`). */
  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  list(): T[] {
    return this.#cache.list();
  }

  /** Objects found by computed values, such as the uid of their owner. */
  index(of: (object: T) => readonly string[]): Index<T> {
    return this.#cache.index(of);
  }

  /**
   * Calls the handler for every change from now on, after replaying the present objects as ADDED.
   * The cache already shows the change. Returns what ends it.
   */
  onChange(handler: (change: Change<T>) => void): () => void {
    for (const object of this.#cache.list()) this.#call(handler, { type: "ADDED", object });
    this.#handlers.add(handler);
    return () => void this.#handlers.delete(handler);
  }

  /**
   * Takes in the result of an own write, so that the next look at the cache shows it even if the watch is behind.
   * What the watch has already passed is left alone: it may have been deleted since.
   */
  assume(object: T): void {
    if (this.#version !== undefined && !isAfter(object.metadata.resourceVersion, this.#version)) return;
    for (const change of this.#cache.apply("ADDED", this.#keep(object))) this.#emit(change);
  }

  /** Whether the first state is there, and the last failure if the watch is broken now. */
  health(): { readonly synced: boolean; readonly error?: string } {
    return this.#lastError === undefined
      ? { synced: this.#synced }
      : { synced: this.#synced, error: errorMessage(this.#lastError) };
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#deps;
    const backoff = this.#options.backoff ?? defaultBackoff;
    while (!signal.aborted) {
      try {
        if (this.#version !== undefined) await this.#watch(this.#version);
        else if (this.#watchList) await this.#readByWatch();
        else await this.#readByList();
      } catch (error) {
        if (signal.aborted) break;
        const fields = { resource: this.#resource.plural, error: errorMessage(error) };
        if (isGone(error) || isTooLargeVersion(error)) {
          // Part of the protocol, not a failure: the server has forgotten our version, or has not come to it yet
          // after a restart. The state is read anew.
          log.debug("The version is unknown to the server, reading anew", fields);
          this.#version = undefined;
          this.#rewound ||= isTooLargeVersion(error);
        } else {
          this.#lastError = error;
          // A server that restarts is usual; only a lasting failure deserves a line above debug.
          if (this.#failures === 6) log.warn("Watch keeps failing", fields);
          else log.debug("Watch failed", fields);
        }
        await delay(backoffMs(backoff, this.#failures++), signal);
      }
    }
    this.#syncing.reject(signal.reason);
  }

  /** Follows changes from a known state until the server ends the watch. */
  async #watch(resourceVersion: string): Promise<void> {
    const before = this.#version;
    // A watch that is taken works, though nothing may happen in it for long.
    const onOpen = () => {
      this.#lastError = undefined;
    };
    for await (const event of this.#client.watch(this.#resource, {
      ...this.#watchOptions({ resourceVersion }),
      onOpen,
    })) {
      this.#working();
      this.#take(event);
    }
    // A watch that ended without a single event counts as a failure: a broken server must not be asked in a loop.
    if (this.#version === before)
      await delay(backoffMs(this.#options.backoff ?? defaultBackoff, this.#failures++), this.#deps.signal);
  }

  /** Reads the state from the beginning of a watch, then follows it. */
  async #readByWatch(): Promise<void> {
    const initial = new Map<string, T>();
    const stop = new AbortController();
    const late = setTimeout(() => stop.abort(), this.#options.watchListTimeoutMs ?? 10_000);
    const signal = AbortSignal.any([this.#deps.signal, stop.signal]);
    const options = { resourceVersion: "", sendInitialEvents: true, signal };
    let complete = false;
    try {
      for await (const event of this.#client.watch(this.#resource, this.#watchOptions(options))) {
        if (complete) {
          this.#working();
          this.#take(event);
        } else if (event.type === "BOOKMARK" && event.object.metadata.annotations?.[initialEventsEnd] === "true") {
          clearTimeout(late);
          complete = true;
          this.#takeAll([...initial.values()], event.object.metadata.resourceVersion ?? "");
        } else if (event.type !== "BOOKMARK") collect(initial, { ...event, object: this.#keep(event.object) });
      }
    } catch (error) {
      if (!(stop.signal.aborted || isRefusedWatchList(error)) || this.#deps.signal.aborted) throw error;
      // An older server says that it does not know the option, or sends no bookmark: then a list does it.
      const fields = { resource: this.#resource.plural, error: errorMessage(error) };
      this.#deps.log.debug("The server has no WatchList, listing", fields);
      this.#watchList = false;
    } finally {
      clearTimeout(late);
    }
    if (!complete && this.#watchList) throw new Error("the watch ended before its initial events did");
  }

  async #readByList(): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    const { items, resourceVersion } = await this.#client.list(this.#resource, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      signal: this.#deps.signal,
    });
    this.#takeAll(items.map(this.#keep), resourceVersion);
  }

  #watchOptions(extra: { resourceVersion: string; sendInitialEvents?: boolean; signal?: AbortSignal }): WatchOptions {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      signal: this.#deps.signal,
      ...extra,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  /** A complete state as of a version. */
  #takeAll(items: readonly T[], version: string): void {
    this.#version = version;
    this.#working();
    const changes = this.#cache.replace(items, version, this.#rewound);
    this.#rewound = false;
    for (const change of changes) this.#emit(change);
    if (this.#synced) return;
    this.#synced = true;
    this.#syncing.resolve();
  }

  #take(event: WatchEvent<T>): void {
    this.#version = event.object.metadata.resourceVersion ?? this.#version;
    if (event.type === "BOOKMARK") return;
    for (const change of this.#cache.apply(event.type, this.#keep(event.object))) this.#emit(change);
  }

  #working(): void {
    this.#failures = 0;
    this.#lastError = undefined;
  }

  #emit(change: Change<T>): void {
    for (const handler of this.#handlers) this.#call(handler, change);
  }

  /** A handler's fault is its own: the others and the mirror go on. */
  #call(handler: (change: Change<T>) => void, change: Change<T>): void {
    try {
      handler(change);
    } catch (error) {
      const fields = { resource: this.#resource.plural, object: change.object.metadata.name, error };
      this.#deps.log.error("A change handler failed", fields);
    }
  }
}

function collect<T extends KubeObject>(initial: Map<string, T>, event: WatchEvent<T>): void {
  const { namespace = "", name } = event.object.metadata;
  if (event.type === "DELETED") initial.delete(`${namespace}/${name}`);
  else initial.set(`${namespace}/${name}`, event.object);
}

/** Servers without the feature answer 400 or 422 to sendInitialEvents. */
function isRefusedWatchList(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 400 || error.code === 422);
}
