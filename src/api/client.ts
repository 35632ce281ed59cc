import { ApiError } from "./errors.ts";
import { readJsonLines, readText } from "./lines.ts";
import { apiVersionOf, type Resource, resourcePath } from "./resources.ts";
import type { ApiRequest, ApiResponse, Transport } from "./transport.ts";
import type { KubeObject, Status, WatchEvent } from "./types.ts";

/** Which objects of a resource. Selectors are in the API's text form. */
export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

/** What to watch, and from where. */
export interface WatchOptions extends ListOptions {
  /** Events after this version. Empty with sendInitialEvents: the present state first, closed by a BOOKMARK. */
  readonly resourceVersion: string;
  /** Aborting ends the iteration with the signal's reason. */
  readonly signal: AbortSignal;
  /** WatchList (KEP-3157). */
  readonly sendInitialEvents?: boolean;
  /** The server ends the watch after so many seconds. */
  readonly timeoutSeconds?: number;
  /** Called once the server has taken the watch, which may be long before the first event. */
  readonly onOpen?: () => void;
}

/** How to patch. */
export interface PatchOptions {
  readonly type: "json" | "merge" | "strategic" | "apply";
  readonly subresource?: string;
  readonly fieldManager?: string;
  /** For apply: take over fields of other managers. */
  readonly force?: boolean;
}

/** Options of create and update. */
export interface WriteOptions {
  readonly subresource?: string;
  readonly fieldManager?: string;
}

const patchTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

/** Typed calls to an API server. Error answers throw ApiError; a broken connection throws what the transport throws. */
export class Client {
  readonly transport: Transport;
  readonly #userAgent: string;

  constructor(transport: Transport, options: { readonly userAgent?: string } = {}) {
    this.transport = transport;
    this.#userAgent = options.userAgent ?? "podwire";
  }

  /** Reads one object. */
  get<T extends KubeObject>(of: Resource<T>, name: string, namespace?: string): Promise<T> {
    return this.#json("GET", resourcePath(of, namespace, name));
  }

  /** Reads a collection as of one resource version. */
  async list<T extends KubeObject>(
    of: Resource<T>,
    options: ListOptions = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const path = resourcePath(of, options.namespace) + queryOf(selectorQuery(options));
    const answer = await this.#json<{ items?: T[] | null; metadata?: { resourceVersion?: string } }>(
      "GET",
      path,
      undefined,
      options.signal,
    );
    return { items: answer.items ?? [], resourceVersion: answer.metadata?.resourceVersion ?? "" };
  }

  /** Creates an object in its metadata.namespace; with a subresource, posts to that of the object's name. */
  create<T extends KubeObject>(of: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.post(of, options.subresource === undefined ? undefined : object.metadata.name, withType(of, object), {
      ...options,
      ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
    });
  }

  /** Posts any body: bindings, token requests, evictions. */
  post<A>(
    of: Resource,
    name: string | undefined,
    body: unknown,
    options: WriteOptions & { readonly namespace?: string } = {},
  ): Promise<A> {
    const path = resourcePath(of, options.namespace, name, options.subresource);
    return this.#json("POST", path + queryOf({ fieldManager: options.fieldManager }), body);
  }

  /** Replaces an object; fails with a conflict when its resourceVersion is not the newest. */
  update<T extends KubeObject>(of: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const path = resourcePath(of, namespace, name, options.subresource);
    return this.#json("PUT", path + queryOf({ fieldManager: options.fieldManager }), withType(of, object));
  }

  /** Changes parts of an object; the server retries conflicts unless the patch names a resourceVersion. */
  patch<T extends KubeObject>(
    of: Resource<T>,
    name: string,
    namespace: string | undefined,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T> {
    const query = queryOf({
      fieldManager: options.fieldManager,
      force: options.force === undefined ? undefined : String(options.force),
    });
    const path = resourcePath(of, namespace, name, options.subresource) + query;
    return this.#json("PATCH", path, patch, undefined, patchTypes[options.type]);
  }

  /**
   * Deletes an object. The body is meta/v1 DeleteOptions: propagationPolicy, gracePeriodSeconds, preconditions.
   * Returns the object when it stays for a while with a deletionTimestamp (grace period, finalizers).
   * @param signal aborting it rejects with its reason; the server may have deleted the object all the same
   */
  async delete<T extends KubeObject>(
    of: Resource<T>,
    name: string,
    namespace?: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const answer = await this.#json<T>("DELETE", resourcePath(of, namespace, name), body, signal);
    return answer.metadata?.deletionTimestamp === undefined ? undefined : answer;
  }

  /**
   * Deletes the objects of a namespace, page by page so that no request takes long. The body is as in delete();
   * objects that stay for a while are left with a deletionTimestamp.
   */
  async deleteAll(of: Resource, namespace: string, body?: unknown): Promise<void> {
    let next: string | undefined;
    do {
      const path = resourcePath(of, namespace) + queryOf({ limit: "500", continue: next });
      const page = await this.#json<{ metadata?: { continue?: string } }>("DELETE", path, body);
      next = page.metadata?.continue;
    } while (next);
  }

  /**
   * The events of a watch, bookmarks included. Ends when the server ends it; throws ApiError for an ERROR event
   * (isGone: list again) and for a refused request.
   */
  async *watch<T extends KubeObject>(
    of: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, void> {
    const query = queryOf({
      ...selectorQuery(options),
      watch: "true",
      allowWatchBookmarks: "true",
      sendInitialEvents: options.sendInitialEvents ? "true" : undefined,
      resourceVersionMatch: options.sendInitialEvents ? "NotOlderThan" : undefined,
      timeoutSeconds: options.timeoutSeconds === undefined ? undefined : String(options.timeoutSeconds),
    });
    const path = resourcePath(of, options.namespace) + query;
    const answer = await this.#checked({ method: "GET", path, signal: options.signal });
    options.onOpen?.();
    for await (const line of answer.events ?? readJsonLines(answer.body)) {
      const event = line as { type: string; object: KubeObject };
      if (event.type === "ERROR") throw new ApiError(event.object as unknown as Status);
      yield event as WatchEvent<T>;
    }
  }

  /** Reads any JSON document, such as those of discovery. */
  read<A>(path: string): Promise<A> {
    return this.#json("GET", path);
  }

  /** Sends a JSON document to a path that is no plain object: `…/namespaces/NAME/finalize`. */
  write<A>(method: "POST" | "PUT", path: string, body: unknown): Promise<A> {
    return this.#json(method, path, body);
  }

  /** A request as it is, with the client's user agent; error answers are answers here. */
  raw(request: ApiRequest): Promise<ApiResponse> {
    return this.transport.request({
      ...request,
      headers: { accept: "application/json", "user-agent": this.#userAgent, ...request.headers },
    });
  }

  async #json<A>(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
    contentType = "application/json",
  ): Promise<A> {
    const answer = await this.#checked({
      method,
      path,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": contentType } }),
      ...(signal === undefined ? {} : { signal }),
    });
    return JSON.parse(await readText(answer.body)) as A;
  }

  async #checked(request: ApiRequest): Promise<ApiResponse> {
    const answer = await this.raw(request);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw new ApiError(statusOf(answer.status, await readText(answer.body)));
  }
}

function withType<T extends KubeObject>(of: Resource<T>, object: T): T {
  return object.kind === undefined ? { apiVersion: apiVersionOf(of), kind: of.kind, ...object } : object;
}

function selectorQuery(options: ListOptions): Record<string, string | undefined> {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    resourceVersion: options.resourceVersion,
  };
}

/** `?a=b&c=d` of the parameters that are set, or nothing. */
function queryOf(parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** An error body is a Status; anything else (a proxy's page) is put into one. */
function statusOf(code: number, text: string): Status {
  try {
    const body = JSON.parse(text) as Status;
    if (body.kind === "Status") return { ...body, code: body.code ?? code };
  } catch {
    // Not JSON: the text itself is the message.
  }
  return { kind: "Status", status: "Failure", code, message: text.trim() || `HTTP status ${code}` };
}
