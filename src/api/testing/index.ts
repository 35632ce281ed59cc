import { randomUUID } from "node:crypto";
import { apiVersionOf, resources } from "../resources.ts";
import {
  type FieldRequirement,
  matchesRequirements,
  parseFieldSelector,
  parseSelector,
  type Requirement,
} from "../selectors.ts";
import type { ApiRequest, ApiResponse, Transport } from "../transport.ts";
import type { KubeObject, ObjectMeta, Status } from "../types.ts";

/** An object of any kind, as the fake keeps it. */
export type FakeObject = { apiVersion?: string; kind?: string; metadata: ObjectMeta; [field: string]: unknown };
interface FakeEvent {
  readonly type: string;
  readonly version: number;
  readonly collection: string;
  readonly object: FakeObject;
  readonly old?: FakeObject;
}
interface Target {
  readonly collection: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  readonly query: URLSearchParams;
}

/**
 * An API server in memory for tests: CRUD with resource versions and conflicts, merge and JSON patches, deletion with
 * finalizers, watches with WatchList and 410. It knows no kinds: nothing is validated or defaulted.
 */
export class FakeApi implements Transport {
  /** Every request seen, as `METHOD path`. */
  readonly requests: string[] = [];
  /** Set to false to be a server without WatchList. */
  watchList = true;
  /** Called before a request is served; what it throws fails the request like a broken connection. */
  onRequest: (request: ApiRequest) => void | Promise<void> = () => {};
  readonly #objects = new Map<string, FakeObject>();
  readonly #watches = new Set<FakeWatch>();
  #history: FakeEvent[] = [];
  #version = 1000;
  #compacted = 0;

  async request(request: ApiRequest): Promise<ApiResponse> {
    request.signal?.throwIfAborted();
    this.requests.push(`${request.method} ${request.path}`);
    await this.onRequest(request);
    try {
      const discovered = request.method === "GET" ? discovery(request.path) : undefined;
      if (discovered) return answer(200, discovered);
      const target = parseTarget(request.path);
      if (request.method === "GET" && target.query.get("watch") === "true") return this.#watch(target, request.signal);
      return answer(200, this.#serve(request, target));
    } catch (error) {
      if (error instanceof FakeFailure) return answer(error.status.code ?? 500, error.status);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.breakWatches();
  }

  /** Puts an object in, as a create does; `path` is its collection's. */
  put(collection: string, object: KubeObject): void {
    const { namespace, name } = object.metadata;
    const copy = structuredClone(object) as FakeObject;
    this.#store("", { collection, ...(namespace ? { namespace } : {}), name, query: new URLSearchParams() }, copy);
  }

  /** The objects of a collection such as `/api/v1/pods`, in the order of their keys. */
  all<T extends KubeObject>(collection: string): T[] {
    const found = [...this.#objects].filter(([key]) => key.startsWith(`${collection}|`));
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object as unknown as T);
  }

  /** Breaks every running watch off, like a server that goes away. */
  breakWatches(): void {
    for (const watch of this.#watches) watch.fail(new Error("connection lost"));
  }

  /** Forgets the history: watches from older versions get 410. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  /** Sends the last event of every object again, on all watches. */
  repeatEvents(): void {
    for (const watch of this.#watches) watch.repeat();
  }

  get watchCount(): number {
    return this.#watches.size;
  }

  #serve(request: ApiRequest, target: Target): unknown {
    switch (request.method) {
      case "GET":
        return target.name === undefined ? this.#list(target) : this.#existing(target);
      case "POST":
        return this.#create(target, bodyOf(request));
      case "PUT":
        return this.#update(target, bodyOf(request) as FakeObject);
      case "PATCH":
        return this.#patch(target, bodyOf(request), request.headers?.["content-type"] ?? "");
      case "DELETE":
        return target.name === undefined ? this.#deleteAll(target) : this.#delete(target);
      default:
        return fail(405, "MethodNotAllowed", `${request.method} is not supported`);
    }
  }

  #list(target: Target): unknown {
    const matches = filterOf(target);
    const items = this.all(target.collection).filter((object) => matches(object as FakeObject));
    return { kind: "List", apiVersion: "v1", metadata: { resourceVersion: String(this.#version) }, items };
  }

  #existing(target: Target): FakeObject {
    const object = this.#objects.get(keyOf(target));
    return object ?? fail(404, "NotFound", `${target.collection.split("/").at(-1)} "${target.name}" not found`);
  }

  #create(target: Target, body: unknown): unknown {
    if (target.subresource === "binding") {
      const pod = this.#existing(target);
      const node = (body as { target: { name: string } }).target.name;
      const spec = pod["spec"] as { nodeName?: string };
      if (spec.nodeName)
        return fail(409, "Conflict", `pod ${target.name} is already assigned to node ${spec.nodeName}`);
      return this.#store("MODIFIED", target, { ...pod, spec: { ...spec, nodeName: node } });
    }
    const object = body as FakeObject;
    const generated = `${object.metadata.generateName ?? ""}${randomUUID().slice(0, 5)}`;
    const name = object.metadata.name || generated;
    const full = { ...target, name };
    if (this.#objects.has(keyOf(full))) return fail(409, "AlreadyExists", `"${name}" already exists`);
    const metadata: ObjectMeta = {
      ...object.metadata,
      name,
      ...(target.namespace ? { namespace: target.namespace } : {}),
    };
    return this.#store("ADDED", full, { ...object, metadata });
  }

  #update(target: Target, object: FakeObject): unknown {
    const old = this.#existing(target);
    const version = object.metadata.resourceVersion;
    if (version && version !== old.metadata.resourceVersion) {
      return fail(409, "Conflict", "the object has been modified; please apply your changes to the latest version");
    }
    return this.#replace(target, old, object);
  }

  #patch(target: Target, patch: unknown, type: string): unknown {
    const old = this.#existing(target);
    const changed = type.startsWith("application/json-patch")
      ? jsonPatch(old, patch as { op: string; path: string; value?: unknown }[])
      : (mergePatch(old, patch) as FakeObject);
    const version = (patch as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion;
    if (version && version !== old.metadata.resourceVersion)
      return fail(409, "Conflict", "the object has been modified");
    return this.#replace(target, old, changed);
  }

  /** Status and spec are written apart; the last finalizer's removal ends an object that is being deleted. */
  #replace(target: Target, old: FakeObject, object: FakeObject): unknown {
    const next: FakeObject =
      target.subresource === "status" ? { ...old, status: object["status"] } : { ...object, status: old["status"] };
    if (next["status"] === undefined) delete next["status"];
    const specChanged = JSON.stringify(next["spec"]) !== JSON.stringify(old["spec"]);
    const { uid, creationTimestamp, deletionTimestamp } = old.metadata;
    next.metadata = {
      ...next.metadata,
      ...(uid === undefined ? {} : { uid }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      generation: (old.metadata.generation ?? 1) + (specChanged ? 1 : 0),
    };
    const finalizers = (next["spec"] as { finalizers?: string[] } | undefined)?.finalizers ?? [];
    if (deletionTimestamp && [...(next.metadata.finalizers ?? []), ...finalizers].length === 0)
      return this.#remove(target, next);
    if (same(old, next)) return old;
    return this.#store("MODIFIED", target, next);
  }

  #delete(target: Target): unknown {
    const old = this.#existing(target);
    const held = (old["spec"] as { finalizers?: string[] } | undefined)?.finalizers ?? [];
    if ((old.metadata.finalizers?.length ?? 0) + held.length === 0) return this.#remove(target, old);
    if (old.metadata.deletionTimestamp) return old;
    const metadata = { ...old.metadata, deletionTimestamp: new Date().toISOString() };
    return this.#store("MODIFIED", target, { ...old, metadata });
  }

  #deleteAll(target: Target): unknown {
    const matches = filterOf(target);
    for (const object of this.all<KubeObject>(target.collection)) {
      if (matches(object as FakeObject)) this.#delete({ ...target, name: object.metadata.name });
    }
    return { kind: "Status", status: "Success" };
  }

  #remove(target: Target, old: FakeObject): FakeObject {
    this.#objects.delete(keyOf(target));
    const object = { ...old, metadata: { ...old.metadata, resourceVersion: String(++this.#version) } };
    this.#publish({ type: "DELETED", version: this.#version, collection: target.collection, object, old });
    return object;
  }

  #store(type: string, target: Target, object: FakeObject): FakeObject {
    const old = this.#objects.get(keyOf(target));
    const stored: FakeObject = {
      ...object,
      metadata: {
        uid: randomUUID(),
        creationTimestamp: new Date().toISOString(),
        generation: 1,
        ...object.metadata,
        resourceVersion: String(++this.#version),
      },
    };
    this.#objects.set(keyOf(target), stored);
    const event = { type: type || (old ? "MODIFIED" : "ADDED"), version: this.#version, collection: target.collection };
    this.#publish({ ...event, object: stored, ...(old ? { old } : {}) });
    return stored;
  }

  #publish(event: FakeEvent): void {
    this.#history.push(event);
    for (const watch of this.#watches) watch.offer(event);
  }

  #watch(target: Target, signal: AbortSignal | undefined): ApiResponse {
    const initial = target.query.get("sendInitialEvents") === "true";
    if (initial && !this.watchList)
      return answer(422, failure(422, "Invalid", "sendInitialEvents is forbidden for watch"));
    const from = Number(target.query.get("resourceVersion") ?? 0);
    const watch = new FakeWatch(target.collection, filterOf(target), () => this.#watches.delete(watch));
    if (!initial && from < this.#compacted) {
      watch.send("ERROR", failure(410, "Expired", `too old resource version: ${from} (${this.#compacted})`));
      watch.end();
    } else {
      this.#watches.add(watch);
      if (initial) this.#sendInitial(watch, target);
      else for (const event of this.#history) if (event.version > from) watch.offer(event);
    }
    signal?.addEventListener("abort", () => watch.fail(signal.reason), { once: true });
    return { status: 200, headers: { "content-type": "application/json" }, body: watch };
  }

  #sendInitial(watch: FakeWatch, target: Target): void {
    const matches = filterOf(target);
    for (const object of this.all(target.collection)) if (matches(object as FakeObject)) watch.send("ADDED", object);
    const annotations = { "k8s.io/initial-events-end": "true" };
    watch.send("BOOKMARK", { metadata: { resourceVersion: String(this.#version), annotations } });
  }
}

/** The body of one watch: chunks waiting to be read. */
class FakeWatch implements AsyncIterable<Uint8Array> {
  readonly #collection: string;
  readonly #matches: (object: FakeObject) => boolean;
  readonly #onEnd: () => void;
  readonly #last = new Map<string, string>();
  #queue: string[] = [];
  #wake: (() => void) | undefined;
  #ended: { readonly error?: unknown } | undefined;

  constructor(collection: string, matches: (object: FakeObject) => boolean, onEnd: () => void) {
    this.#collection = collection;
    this.#matches = matches;
    this.#onEnd = onEnd;
  }

  offer(event: FakeEvent): void {
    if (event.collection !== this.#collection) return;
    const is = this.#matches(event.object);
    const was = event.old !== undefined && this.#matches(event.old);
    if (event.type === "DELETED" ? was : was && !is) this.send("DELETED", event.object);
    else if (is) this.send(was ? "MODIFIED" : "ADDED", event.object);
  }

  send(type: string, object: unknown): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    const { namespace, name } = (object as { metadata?: ObjectMeta }).metadata ?? { name: "" };
    if (type !== "BOOKMARK") this.#last.set(`${namespace}/${name}`, line);
    this.#queue.push(line);
    this.#wake?.();
  }

  repeat(): void {
    this.#queue.push(...this.#last.values());
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#ended ??= { error };
    this.#onEnd();
    this.#wake?.();
  }

  end(): void {
    this.#ended ??= {};
    this.#onEnd();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        // Chunks are cut in the middle of lines, as a network does.
        const text = Buffer.from(this.#queue.splice(0).join(""));
        for (let at = 0; at < text.length; at += 1000) yield text.subarray(at, at + 1000);
        if (this.#queue.length > 0) continue;
        if (this.#ended && "error" in this.#ended) throw this.#ended.error;
        if (this.#ended) return;
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    } finally {
      this.#onEnd();
    }
  }
}

class FakeFailure extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message);
    this.status = status;
  }
}

/** The legacy discovery documents of the resources in resources.ts. */
function discovery(path: string): unknown {
  const all = Object.values(resources);
  if (path === "/apis") {
    const names = [...new Set(all.map(({ group }) => group))].filter((name) => name !== "");
    return { groups: names.map((name) => ({ name, versions: [{ version: "v1" }] })) };
  }
  const groupVersion = path.replace(/^\/apis?\//, "");
  const found = all.filter((one) => apiVersionOf(one) === groupVersion);
  if (found.length === 0) return undefined;
  const verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
  return {
    groupVersion,
    resources: found.map(({ plural, kind, namespaced }) => ({ name: plural, kind, namespaced, verbs })),
  };
}

function failure(code: number, reason: string, message: string): Status {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

function fail(code: number, reason: string, message: string): never {
  throw new FakeFailure(failure(code, reason, message));
}

function answer(status: number, body: unknown): ApiResponse {
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    status,
    headers: { "content-type": "application/json" },
    body: (async function* () {
      yield bytes;
    })(),
  };
}

function bodyOf(request: ApiRequest): unknown {
  return JSON.parse(typeof request.body === "string" ? request.body : Buffer.from(request.body ?? "{}").toString());
}

/** Takes `/api/v1/namespaces/x/pods/y/status?…` apart. */
function parseTarget(path: string): Target {
  const url = new URL(path, "http://fake");
  const parts = url.pathname
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
  const root = parts.splice(0, parts[0] === "api" ? 2 : 3);
  let namespace: string | undefined;
  // `/api/v1/namespaces/x` alone and its subresources are the Namespace itself.
  if (parts[0] === "namespaces" && parts[2] !== undefined && !["status", "finalize"].includes(parts[2])) {
    namespace = parts[1];
    parts.splice(0, 2);
  }
  const [plural = "", name, subresource] = parts;
  return {
    collection: `/${[...root, plural].join("/")}`,
    query: url.searchParams,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function keyOf(target: Target): string {
  return `${target.collection}|${target.namespace ?? ""}/${target.name ?? ""}`;
}

function filterOf(target: Target): (object: FakeObject) => boolean {
  const labels: Requirement[] = parseSelector(target.query.get("labelSelector") ?? "");
  const fields: FieldRequirement[] = parseFieldSelector(target.query.get("fieldSelector") ?? "");
  return (object) => {
    if (target.namespace !== undefined && object.metadata.namespace !== target.namespace) return false;
    if (target.name !== undefined && object.metadata.name !== target.name) return false;
    if (!matchesRequirements(labels, object.metadata.labels)) return false;
    return fields.every(({ field, value, equal }) => (fieldOf(object, field) === value) === equal);
  };
}

function fieldOf(object: unknown, field: string): string {
  const value = field
    .split(".")
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], object);
  return value === undefined ? "" : String(value);
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** RFC 6902: add, replace and remove of object members. */
function jsonPatch(
  object: FakeObject,
  operations: readonly { op: string; path: string; value?: unknown }[],
): FakeObject {
  const copy = structuredClone(object);
  for (const { op, path, value } of operations) {
    const parts = path
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = parts.pop() ?? "";
    const parent = parts.reduce<Record<string, unknown>>((at, part) => at[part] as Record<string, unknown>, copy);
    if (op === "remove") delete parent[last];
    else if (op === "add" || op === "replace") parent[last] = value;
    else fail(400, "BadRequest", `the fake knows no JSON patch operation ${op}`);
  }
  return copy;
}

function same(a: FakeObject, b: FakeObject): boolean {
  const strip = (object: FakeObject) =>
    JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: "" } });
  return strip(a) === strip(b);
}
