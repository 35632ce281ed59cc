import { randomUUID } from "node:crypto";
import type { ApiRequest, ApiResponse, Transport } from "../transport.ts";
import type { KubeObject, ObjectMeta } from "../types.ts";
import { jsonPatch, mergePatch, strategicPatch } from "./patch.ts";
import {
  answer,
  bodyOf,
  discovery,
  type FakeEvent,
  FakeFailure,
  type FakeObject,
  fail,
  failure,
  filterOf,
  keyOf,
  parseTarget,
  same,
  type Target,
} from "./requests.ts";
import { FakeWatch } from "./watch.ts";

interface DeleteBody {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/**
 * An API server in memory for tests: CRUD with resource versions and conflicts, merge, strategic merge and JSON patches, deletion with
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
    request.signal?.throwIfAborted();
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

  /** Becomes a server that has lost everything, its versions too. */
  reset(): void {
    this.breakWatches();
    this.#objects.clear();
    this.#history = [];
    this.#version = 1000;
    this.#compacted = 0;
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
        return target.name === undefined
          ? this.#deleteAll(target)
          : this.#delete(target, request.body ? (bodyOf(request) as DeleteBody) : {});
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
    const merge = type.startsWith("application/strategic") ? strategicPatch : mergePatch;
    const changed = type.startsWith("application/json-patch")
      ? jsonPatch(old, patch as { op: string; path: string; value?: unknown }[])
      : (merge(old, patch) as FakeObject);
    const version = (patch as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion;
    if (version && version !== old.metadata.resourceVersion)
      return fail(409, "Conflict", "the object has been modified");
    return this.#replace(target, old, changed);
  }

  /** Status and spec are written apart; the last finalizer's removal ends an object that is being deleted. */
  #replace(target: Target, old: FakeObject, object: FakeObject): unknown {
    const next: FakeObject =
      target.subresource === "status"
        ? { ...old, metadata: { ...old.metadata, ...annotationsOf(object) }, status: object["status"] }
        : { ...object, status: old["status"] };
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
    const hadFinalizers = (old.metadata.finalizers?.length ?? 0) > 0 || target.subresource === "finalize";
    if (deletionTimestamp && hadFinalizers && [...(next.metadata.finalizers ?? []), ...finalizers].length === 0)
      return this.#remove(target, next);
    if (same(old, next)) return old;
    return this.#store("MODIFIED", target, next);
  }

  #delete(target: Target, body: DeleteBody): unknown {
    const old = this.#existing(target);
    const { uid, resourceVersion } = body.preconditions ?? {};
    if ((uid && uid !== old.metadata.uid) || (resourceVersion && resourceVersion !== old.metadata.resourceVersion)) {
      return fail(409, "Conflict", "Precondition failed");
    }
    // A bound pod stays until its kubelet has ended it.
    const bound = target.collection === "/api/v1/pods" && (old["spec"] as { nodeName?: string }).nodeName !== undefined;
    const graceful = bound && body.gracePeriodSeconds !== 0;
    const held = (old["spec"] as { finalizers?: string[] } | undefined)?.finalizers ?? [];
    if ((old.metadata.finalizers?.length ?? 0) + held.length === 0 && !graceful) return this.#remove(target, old);
    if (old.metadata.deletionTimestamp) return old;
    const metadata = { ...old.metadata, deletionTimestamp: new Date().toISOString() };
    return this.#store("MODIFIED", target, { ...old, metadata });
  }

  #deleteAll(target: Target): unknown {
    const matches = filterOf(target);
    for (const object of this.all<KubeObject>(target.collection)) {
      if (matches(object as FakeObject)) this.#delete({ ...target, name: object.metadata.name }, {});
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
    if (from > this.#version) {
      const status = failure(504, "Timeout", `Too large resource version: ${from}, current: ${this.#version}`);
      return answer(504, { ...status, details: { causes: [{ reason: "ResourceVersionTooLarge" }] } });
    }
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

/** A write to the status may change annotations too, as Kubernetes lets it. */
function annotationsOf({ metadata }: FakeObject): Pick<ObjectMeta, "annotations"> {
  return metadata.annotations === undefined ? {} : { annotations: metadata.annotations };
}
