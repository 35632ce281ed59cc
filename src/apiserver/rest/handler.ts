import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Authority } from "../auth/authority.ts";
import {
  badRequest,
  internal,
  methodNotAllowed,
  noSuchPath,
  StatusError,
  unavailable,
  unclassified,
} from "../errors.ts";
import type { Kind, User } from "../kinds/definition.ts";
import type { Registry } from "../kinds/registry.ts";
import { type Store, StoreFailedError, TooLargeError } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";
import { componentStatuses } from "./component-status.ts";
import type { Discovery } from "./discovery.ts";
import type { YamlReader } from "./go-yaml.ts";
import { getObject, listObjects } from "./list.ts";
import { pretty, wantsPretty } from "./pretty.ts";
import { parseRequest, type RequestInfo } from "./request-info.ts";
import type { RequestMetrics } from "./request-metrics.ts";
import type { ResourceMetrics } from "./resource-metrics.ts";
import type { Reviews } from "./reviews.ts";
import type { Subresources } from "./subresources.ts";
import { Warnings } from "./warnings.ts";
import { watchObjects } from "./watch.ts";
import type { Writes } from "./writes.ts";

/** Answers paths that are no resources: health, version, OpenAPI, key sets. */
export type PathHandler = (path: string, call: Call) => Reply | undefined | Promise<Reply | undefined>;

/** A request with its user and its kind. */
export interface KindCall {
  readonly call: Call;
  readonly user: User;
  readonly info: RequestInfo;
  readonly kind: Kind;
  /** Texts for Warning headers. */
  readonly warnings: Warnings;
  /** Throws the 403 of who may not create what their update of it finds missing. */
  mayCreate(): void;
}

/** What the handler routes to. */
export interface HandlerDeps {
  readonly authority: Authority;
  readonly registry: Registry;
  readonly discovery: Discovery;
  readonly store: Store;
  readonly writes: Writes;
  readonly subresources: Subresources;
  readonly reviews: Reviews;
  readonly paths: PathHandler;
  readonly resourceMetrics: ResourceMetrics;
  readonly metrics: RequestMetrics;
  readonly yaml: YamlReader;
  readonly log: Logger;
}

/** Routes every request: who, may they, what, and turns errors into Status answers. */
export class Handler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  /** For calls' bodies. */
  get yaml(): YamlReader {
    return this.#deps.yaml;
  }

  /** Who asks and what for; throws StatusError when they may not. */
  admit(call: Call, info = this.#parse(call)): { user: User; info: RequestInfo } {
    const user = this.#deps.authority.authenticate(call, info.path);
    this.#deps.authority.authorize(user, info);
    return { user, info };
  }

  /** Answers a request. Never rejects. */
  async handle(call: Call): Promise<Reply> {
    const end = this.#deps.metrics.begin(call);
    const warnings = new Warnings();
    let info: RequestInfo | undefined;
    try {
      info = this.#parse(call);
      const { user } = this.admit(call, info);
      const made = await this.#route(call, user, info, warnings);
      const reply = wantsPretty(call) ? pretty(made) : made;
      const said = [...warnings].map(warningText).join(", ");
      return end(info, said === "" ? reply : { ...reply, headers: { ...reply.headers, warning: said } });
    } catch (error) {
      return end(info, this.#failure(error, call));
    }
  }

  #parse(call: Call): RequestInfo {
    try {
      return parseRequest(call.method, call.url);
    } catch {
      throw badRequest("the path is not valid percent encoding");
    }
  }

  async #route(call: Call, user: User, info: RequestInfo, warnings: Warnings): Promise<Reply> {
    const { registry, discovery, paths, reviews } = this.#deps;
    if (!info.isResource) {
      const reply = discovery.answer(info.path, call) ?? (await paths(info.path, call));
      if (reply) return reply;
      throw noSuchPath();
    }
    const review = registry.review(info.group, info.version, info.resource);
    if (info.oldWatch) {
      if (review || info.subresource) throw noSuchPath();
      if (call.method !== "GET") throw methodNotAllowed();
    }
    if (review && review.namespaced !== (info.namespace !== "")) throw noSuchPath();
    const mayCreate = () => this.#deps.authority.authorize(user, { ...info, verb: "create" });
    if (review?.plural === "bindings") return this.#bind({ call, user, info, warnings, mayCreate });
    if (review) return reviews.answer(review, call, user, info);
    const kind = registry.kind(info.group, info.version, info.resource);
    if (!kind || !inScope(kind, info)) throw noSuchPath();
    const scoped = kind.namespaced ? info : { ...info, namespace: "" };
    refuseCustom(kind, info);
    if (kind.warning && call.user === undefined) warnings.push(kind.warning);
    return this.#resource({ call, user, info: scoped, kind, warnings, mayCreate });
  }

  /** The older way to bind a pod: its name is the body's. */
  #bind(request: Omit<KindCall, "kind">): Reply | Promise<Reply> {
    const pods = this.#deps.registry.kind("", "v1", "pods");
    if (!pods || request.info.name || !request.info.namespace) throw methodNotAllowed();
    return this.#deps.subresources.answer({
      ...request,
      kind: pods,
      info: { ...request.info, subresource: "binding" },
    });
  }

  async #resource(request: KindCall): Promise<Reply> {
    const { info, kind, call } = request;
    const { store, writes, subresources } = this.#deps;
    // Discovery and behaviour are one: namespaces are not deleted by the collection.
    if (!info.subresource && !kind.verbs.includes(info.verb)) throw methodNotAllowed();
    if (kind.namespaced && !info.namespace && !["list", "watch"].includes(info.verb)) {
      // A collection of all namespaces can only be read.
      throw info.verb === "create"
        ? badRequest("an empty namespace may not be set during creation")
        : methodNotAllowed();
    }
    if (kind.group === "metrics.k8s.io") return this.#deps.resourceMetrics.answer(request);
    if (kind.plural === "componentstatuses" && kind.group === "") return componentStatuses(request);
    if (["get", "list", "watch"].includes(info.verb)) await store.readable();
    if (info.subresource) return subresources.answer(request);
    // A client that cannot read the answer shall not find out after the write.
    acceptedForm(call.headers.accept);
    switch (info.verb) {
      case "get":
        return getObject(store, kind, info, call);
      case "list":
        return listObjects(store, kind, info, call);
      case "watch":
        return watchObjects(store, kind, info, call);
      case "create":
        if (info.name) throw methodNotAllowed();
        return writes.create(request);
      case "update":
        if (!info.name) throw methodNotAllowed();
        return writes.update(request);
      case "patch":
        if (!info.name) throw methodNotAllowed();
        return writes.patch(request);
      case "delete":
        return writes.delete(request);
      case "deletecollection":
        return writes.deleteCollection(request);
      default:
        throw methodNotAllowed();
    }
  }

  #failure(error: unknown, call: Call): Reply {
    if (error instanceof StatusError) return errorReply(error);
    if (error instanceof StoreFailedError) return errorReply(unavailable(error.message));
    if (error instanceof TooLargeError) return errorReply(unclassified(error.message));
    this.#deps.log.error("Request failed", {
      method: call.method,
      path: call.url,
      error: error instanceof Error ? (error.stack ?? error.message) : errorMessage(error),
    });
    return errorReply(internal(errorMessage(error)));
  }
}

/**
 * Whether a path stands at its kind's scope. What was allowed in a namespace shall not reach beyond it: in the path of
 * a kind of the whole cluster there is none, except for a namespace's own name.
 */
function inScope(kind: Kind, info: RequestInfo): boolean {
  if (kind.namespaced) return info.namespace !== "" || info.name === "";
  if (info.inNamespace) return false;
  return info.namespace === "" || (kind.group === "" && kind.plural === "namespaces");
}

/** Refuses what a definition's state does not allow. */
function refuseCustom(kind: Kind, info: RequestInfo): void {
  if (!kind.custom) return;
  if (kind.custom.refusal) throw internal(kind.custom.refusal);
  if (kind.custom.terminating() && info.verb === "create")
    throw new StatusError(
      405,
      "MethodNotAllowed",
      "create not allowed while custom resource definition is terminating",
      { group: kind.group, kind: kind.plural },
    );
}

/** The answer of an error. */
export function errorReply(error: StatusError): Reply {
  const { retryAfterSeconds } = (error.details ?? {}) as { retryAfterSeconds?: number };
  const retry: Record<string, string> = retryAfterSeconds ? { "retry-after": String(retryAfterSeconds) } : {};
  return jsonReply(error.toStatus(), error.code, { ...retry, ...error.headers });
}

/** RFC 7234 5.5 with code 299, as kubectl prints it. */
function warningText(text: string): string {
  const safe = text
    .replace(/[^\x20-\x7e]/g, "?")
    .replace(/\\/g, "\\\\")
    .replace(/"/g, '\\"');
  return `299 - "${safe}"`;
}
