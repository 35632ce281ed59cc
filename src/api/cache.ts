import { keyOf } from "./resources.ts";
import type { KubeObject } from "./types.ts";

/** A change of one object in a cache. */
export interface Change<T extends KubeObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** The new state; for DELETED the last one known. */
  readonly object: T;
  /** The state before, for MODIFIED and DELETED. */
  readonly old?: T;
}

/** Finds objects by something else than their key. */
export interface Index<T extends KubeObject> {
  get(value: string): T[];
}

/**
 * What is known of a collection. It turns watch events, which may be repeated or, after a new list, missing, into
 * changes that are neither: each one differs from the state before.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes: IndexState<T>[] = [];

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** An index kept up to date from now on. */
  index(of: (object: T) => readonly string[]): Index<T> {
    const entries: IndexState<T>["entries"] = new Map();
    const index = { of, entries };
    this.#indexes.push(index);
    for (const [key, object] of this.#objects) insert(index, key, object);
    return {
      get: (value) => {
        const entry = entries.get(value);
        return entry instanceof Map ? [...entry.values()] : entry ? [entry] : [];
      },
    };
  }

  /** Takes an event in; returns no change when nothing is new, two when an object was replaced by a namesake. */
  apply(type: "ADDED" | "MODIFIED" | "DELETED", object: T): Change<T>[] {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (type === "DELETED") {
      // An own write may already have put a later namesake here.
      if (!old || isAfter(old.metadata.resourceVersion, object.metadata.resourceVersion)) return [];
      this.#set(key, undefined, old);
      return [{ type: "DELETED", object, old }];
    }
    if (!old) {
      this.#set(key, object, undefined);
      return [{ type: "ADDED", object }];
    }
    if (old.metadata.uid !== object.metadata.uid) {
      if (!isNewer(object.metadata.resourceVersion, old.metadata.resourceVersion)) return [];
      this.#set(key, object, old);
      return [
        { type: "DELETED", object: old, old },
        { type: "ADDED", object },
      ];
    }
    if (!isNewer(object.metadata.resourceVersion, old.metadata.resourceVersion)) return [];
    this.#set(key, object, old);
    return [{ type: "MODIFIED", object, old }];
  }

  /**
   * Takes a whole list in, as of a version; older objects missing there were deleted. `rewound`: the server lost its
   * latest writes, so that what is newer here counts for nothing.
   */
  replace(items: readonly T[], version?: string, rewound = false): Change<T>[] {
    if (this.#objects.size === 0) return items.flatMap((object) => this.apply("ADDED", object));
    const present = new Set(items.map(keyOf));
    if (rewound) return this.#rewind(items, present);
    const gone = [...this.#objects]
      .filter(([key, object]) => !present.has(key) && !isAfter(object.metadata.resourceVersion, version))
      .map(([, object]) => object);
    return [
      ...gone.flatMap((object) => this.apply("DELETED", object)),
      ...items.flatMap((object) => this.apply("ADDED", object)),
    ];
  }

  #rewind(items: readonly T[], present: ReadonlySet<string>): Change<T>[] {
    const changes: Change<T>[] = [];
    for (const [key, old] of this.#objects) {
      if (present.has(key)) continue;
      this.#set(key, undefined, old);
      changes.push({ type: "DELETED", object: old, old });
    }
    for (const object of items) {
      const key = keyOf(object);
      const old = this.#objects.get(key);
      const { uid, resourceVersion } = old?.metadata ?? {};
      if (old && uid === object.metadata.uid && resourceVersion === object.metadata.resourceVersion) continue;
      this.#set(key, object, old);
      if (old && uid === object.metadata.uid) changes.push({ type: "MODIFIED", object, old });
      else changes.push(...(old ? [{ type: "DELETED" as const, object: old, old }] : []), { type: "ADDED", object });
    }
    return changes;
  }

  #set(key: string, object: T | undefined, old: T | undefined): void {
    if (object) this.#objects.set(key, object);
    else this.#objects.delete(key);
    for (const index of this.#indexes) {
      if (old) remove(index, key, old);
      if (object) insert(index, key, object);
    }
  }
}

/** Whether resource version a is later than b. Both are decimal numbers (KEP-5504: comparable versions). */
export function isAfter(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.length === b.length ? a > b : a.length > b.length;
}

/** Versions may be missing in hand-made objects: those always count as new. */
function isNewer(a: string | undefined, b: string | undefined): boolean {
  return a === undefined || b === undefined || isAfter(a, b);
}

/** Usually there is one object for a value: it stands there by itself, for a Map takes half a kilobyte. */
type IndexState<T extends KubeObject> = {
  of: (object: T) => readonly string[];
  entries: Map<string, T | Map<string, T>>;
};

function insert<T extends KubeObject>({ of, entries }: IndexState<T>, key: string, object: T): void {
  for (const value of of(object)) {
    const entry = entries.get(value);
    if (entry instanceof Map) entry.set(key, object);
    else if (entry === undefined || keyOf(entry) === key) entries.set(value, object);
    else entries.set(value, new Map<string, T>().set(keyOf(entry), entry).set(key, object));
  }
}

function remove<T extends KubeObject>({ of, entries }: IndexState<T>, key: string, object: T): void {
  for (const value of of(object)) {
    const entry = entries.get(value);
    if (entry instanceof Map) entry.delete(key);
    if (entry instanceof Map ? entry.size === 0 : entry && keyOf(entry) === key) entries.delete(value);
  }
}
