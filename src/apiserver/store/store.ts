import type { StoredObject } from "../object.ts";
import { Collection } from "./collection.ts";
import { type Change, Entry } from "./entry.ts";
import { CompactedError, StoreFailedError, TooLargeError } from "./errors.ts";
import { AppendLog, type Durability, type LogOptions } from "./log.ts";
import type { LogRecord } from "./log-format.ts";
import { snapshotOf } from "./snapshot.ts";

/** How a store keeps and remembers. */
export interface StoreOptions {
  /** File of the append-only log. Absent: nothing is kept. */
  readonly logFile?: string;
  /** Default `process`. */
  readonly durability?: Durability;
  /** Changes remembered per resource for watches that start in the past. Default 16,384. */
  readonly historyLimit?: number;
  /** The disk, and how often it is tried again: for tests of failures. */
  readonly log?: Pick<LogOptions, "files" | "retryMs">;
  /** Told of a watcher that threw. Absent: that ends the process. */
  readonly onWatcherError?: (error: unknown) => void;
  /** The log is rewritten when it is this many bytes long and mostly past. Default 8 MiB. */
  readonly rewriteFrom?: number;
}

/** Largest object in bytes of JSON (etcd's request limit as kube-apiserver sets it). */
export const objectLimit = 1.5 * 1024 * 1024;

/** A character has three bytes of UTF-8 at most: only large texts have to be measured. */
function isTooLarge(json: string): boolean {
  return json.length > objectLimit / 3 && Buffer.byteLength(json) > objectLimit;
}

/**
 * All objects under one revision counter, which starts at 1 and grows by one with each write.
 *
 * Reads and writes are synchronous, so a caller that reads, decides and writes without awaiting in between cannot be
 * overtaken. A write is visible to reads at once; watchers are told, and `settled()` resolves, when the log has it.
 */
export class Store {
  readonly #collections = new Map<string, Collection>();
  readonly #historyLimit: number;
  readonly #onWatcherError: (error: unknown) => void;
  readonly #log: AppendLog | undefined;
  #revision = 1;
  #compacted = 0;
  /** Revision of the last change that the log has and the watchers saw. */
  #published = 0;
  #queue: Change[] = [];
  #waiting: { revision: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #liveBytes = 0;
  readonly #rewriteFrom: number;

  constructor(options: StoreOptions = {}) {
    this.#rewriteFrom = options.rewriteFrom ?? 8 << 20;
    this.#historyLimit = options.historyLimit ?? 16_384;
    this.#onWatcherError = options.onWatcherError ?? rethrow;
    if (options.logFile) {
      this.#log = new AppendLog(options.logFile, {
        durability: options.durability ?? "process",
        replay: (record) => this.#replay(record),
        kept: (revision) => this.#publish(revision),
        failed: (error) => this.#failed(error),
        ...options.log,
      });
      for (const c of this.#collections.values()) for (const e of c.entries.values()) this.#liveBytes += e.json.length;
    }
    this.#published = this.#revision;
  }

  /** Why nothing is kept at present; undefined when all is well. */
  get failure(): Error | undefined {
    return this.#log?.failure;
  }

  /** Bytes at the end of the log that a crash had left half written, and that were cut off when it was opened. */
  get tornBytes(): number {
    return this.#log?.torn ?? 0;
  }

  /** Revision of the last write. */
  get revision(): number {
    return this.#revision;
  }

  /** Revision of the last write that watchers have been told of. */
  get published(): number {
    return this.#published;
  }

  /** The newest version of an object. */
  get(resource: string, key: string): Entry | undefined {
    return this.#collections.get(resource)?.entries.get(key);
  }

  /** All objects of a resource by key. */
  list(resource: string): readonly Entry[] {
    return this.#collections.get(resource)?.sorted() ?? [];
  }

  /** How many objects a resource has. */
  count(resource: string): number {
    return this.#collections.get(resource)?.entries.size ?? 0;
  }

  /** Every resource with the number of its objects. */
  *counts(): Generator<readonly [resource: string, count: number]> {
    for (const [resource, { entries }] of this.#collections) yield [resource, entries.size];
  }

  /** Size of the log's file; 0 without one. */
  get logBytes(): number {
    return this.#log?.bytes ?? 0;
  }

  /** Revision of the last write to a resource, 0 before the first. */
  collectionRevision(resource: string): number {
    return this.#collections.get(resource)?.revision ?? 0;
  }

  /** Remembered changes of a resource after a revision, unpublished ones too; undefined when some are forgotten. */
  changesSince(resource: string, revision: number): readonly Change[] | undefined {
    const collection = this.#collection(resource);
    return revision < collection.compacted ? undefined : collection.since(revision);
  }

  /** The oldest revision after which every change of a resource is remembered. */
  oldest(resource: string): number {
    return this.#collections.get(resource)?.compacted ?? this.#compacted;
  }

  /** All objects of a resource as they were. Throws CompactedError. */
  listAt(resource: string, revision: number): readonly Entry[] {
    const collection = this.#collection(resource);
    if (revision < collection.compacted) throw new CompactedError(revision, collection.compacted);
    return collection.sortedAt(revision);
  }

  /**
   * Stores an object under the next revision, which is written to its resourceVersion. The object belongs to the
   * store afterwards. Throws TooLargeError, StoreFailedError.
   */
  put(resource: string, key: string, object: StoredObject): Entry {
    this.#checkWritable();
    const collection = this.#collection(resource);
    const previous = collection.entries.get(key);
    const revision = this.#revision + 1;
    object.metadata.resourceVersion = String(revision);
    const entry = Entry.ofObject(key, revision, object);
    if (isTooLarge(entry.json)) throw new TooLargeError();
    this.#revision = revision;
    this.#liveBytes += entry.json.length - (previous?.json.length ?? 0);
    this.#commit(collection, {
      type: previous ? "MODIFIED" : "ADDED",
      resource,
      revision,
      entry,
      previous,
      encodings: new Map(),
    });
    return entry;
  }

  /**
   * Removes an object; its last version carries the revision of the removal. Undefined when there is none. Throws
   * StoreFailedError.
   */
  remove(resource: string, key: string): Entry | undefined {
    const collection = this.#collection(resource);
    const previous = collection.entries.get(key);
    if (!previous) return undefined;
    this.#checkWritable();
    const revision = ++this.#revision;
    const last = previous.object;
    const object = { ...last, metadata: { ...last.metadata, resourceVersion: String(revision) } };
    const entry = Entry.ofObject(key, revision, object);
    this.#liveBytes -= previous.json.length;
    this.#commit(collection, { type: "DELETED", resource, revision, entry, previous, encodings: new Map() });
    return entry;
  }

  /**
   * Tells of every change of a resource after a revision, those already past at once. Throws CompactedError.
   * @returns ends the watch
   */
  watch(resource: string, revision: number, handler: (change: Change) => void): () => void {
    const collection = this.#collection(resource);
    if (revision < collection.compacted) throw new CompactedError(revision, collection.compacted);
    for (const change of collection.since(revision)) if (change.revision <= this.#published) handler(change);
    const listener = (change: Change) => {
      if (change.revision > revision) handler(change);
    };
    collection.watchers.add(listener);
    return () => collection.watchers.delete(listener);
  }

  /**
   * Resolves when everything written so far counts as kept and watchers have been told; rejects with StoreFailedError
   * when it could not be kept.
   */
  settled(): Promise<void> {
    if (this.#published >= this.#revision) return Promise.resolve();
    if (this.failure) return Promise.reject(new StoreFailedError(this.failure));
    const revision = this.#revision;
    return new Promise((resolve, reject) => this.#waiting.push({ revision, resolve, reject }));
  }

  /**
   * What a reader has to wait for, so that it never sees what a crash may take away again; undefined when there is
   * nothing such.
   */
  readable(): Promise<void> | undefined {
    return this.#log === undefined || this.#published >= this.#revision ? undefined : this.settled();
  }

  /** Writes what is pending and closes the log. */
  close(): void {
    this.#log?.close();
  }

  #collection(resource: string): Collection {
    let collection = this.#collections.get(resource);
    if (!collection) {
      collection = new Collection(this.#historyLimit, this.#compacted);
      this.#collections.set(resource, collection);
    }
    return collection;
  }

  #commit(collection: Collection, change: Change): void {
    collection.apply(change);
    this.#queue.push(change);
    if (this.#log) {
      const { revision, resource, entry, type } = change;
      const record = { revision, resource, key: entry.key };
      this.#log.append(type === "DELETED" ? record : { ...record, json: entry.json });
      return;
    }
    if (this.#queue.length === 1) setImmediate(() => this.#publish(this.#revision));
  }

  /** Tells watchers and waiters of all changes up to a revision. */
  #publish(revision: number): void {
    if (revision <= this.#published) return;
    let count = 0;
    while (count < this.#queue.length && (this.#queue[count] as Change).revision <= revision) count++;
    const ready = this.#queue.splice(0, count);
    this.#published = revision;
    for (const change of ready) {
      for (const watcher of this.#collections.get(change.resource)?.watchers ?? []) this.#tell(watcher, change);
      // From here on only a watch that starts in the past will want these.
      change.encodings.clear();
      change.previous?.release();
    }
    while (this.#waiting.length > 0 && (this.#waiting[0] as { revision: number }).revision <= revision) {
      this.#waiting.shift()?.resolve();
    }
    this.#rewriteLogIfLong();
  }

  #failed(error: Error | undefined): void {
    if (!error) return;
    for (const { reject } of this.#waiting.splice(0)) reject(new StoreFailedError(error));
  }

  #checkWritable(): void {
    if (this.failure) throw new StoreFailedError(this.failure);
  }

  /** A watcher's fault is its own: the others are told all the same. */
  #tell(watcher: (change: Change) => void, change: Change): void {
    try {
      watcher(change);
    } catch (error) {
      this.#onWatcherError(error);
    }
  }

  #rewriteLogIfLong(): void {
    const log = this.#log;
    if (!log?.rewritable || log.bytes < this.#rewriteFrom || log.bytes < 4 * this.#liveBytes) return;
    // Entries never change: noting which there are is all that has to happen at one moment.
    const all = [...this.#collections].map(([resource, { entries }]) => ({ resource, entries: [...entries.values()] }));
    log.rewrite(snapshotOf(this.#revision, all));
  }

  #replay(record: LogRecord): void {
    this.#revision = Math.max(this.#revision, record.revision);
    if (record.resource === "-") {
      this.#compacted = record.revision;
      return;
    }
    const collection = this.#collection(record.resource);
    const { key, revision, resource, json } = record;
    const previous = collection.entries.get(key);
    if (record.snapshot) {
      collection.entries.set(key, Entry.ofJson(key, revision, json as string));
      return;
    }
    if (json === undefined) {
      if (!previous) return;
      const object = {
        ...previous.object,
        metadata: { ...previous.object.metadata, resourceVersion: String(revision) },
      };
      const entry = Entry.ofObject(key, revision, object);
      collection.apply({ type: "DELETED", resource, revision, entry, previous, encodings: new Map() });
      return;
    }
    const entry = Entry.ofJson(key, revision, json);
    collection.apply({
      type: previous ? "MODIFIED" : "ADDED",
      resource,
      revision,
      entry,
      previous,
      encodings: new Map(),
    });
  }
}

function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
