import { methodNotAllowed, noSuchPath } from "../errors.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { bind } from "./binding.ts";
import { readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import { evict } from "./eviction.ts";
import type { KindCall } from "./handler.ts";
import { getObject } from "./list.ts";
import { ephemeralContainers, podPart, resize } from "./pod-parts.ts";
import { scale } from "./scale.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { issueToken } from "./token-request.ts";
import { writeOptions } from "./write-options.ts";

/** Subresources that are answered here; logs, exec and the proxies go to the node agents. */
export class Subresources {
  readonly #deps: SubresourceDeps;

  constructor(deps: SubresourceDeps) {
    this.#deps = deps;
  }

  /** Answers a request for a subresource. Throws StatusError. */
  answer(request: KindCall): Reply | Promise<Reply> {
    const { kind, info } = request;
    if (info.subresource === "status" && kind.status) return this.#part(request, "status");
    if (info.subresource === "scale" && kind.scale) return scale(this.#deps, request);
    if (!Object.hasOwn(kind.subresources, info.subresource)) throw noSuchPath();
    switch (info.subresource) {
      case "binding":
        return bind(this.#deps, request);
      case "eviction":
        return evict(this.#deps, request);
      case "approval":
        return this.#part(request, "approval");
      case "token":
        return issueToken(this.#deps, request);
      case "finalize":
        return this.#finalize(request);
      case "ephemeralcontainers":
        return podPart(this.#deps, request, ephemeralContainers);
      case "resize":
        if (request.info.verb !== "get") request.warnings.push("resources of running containers are not changed here");
        return podPart(this.#deps, request, resize);
      default:
        throw noSuchPath();
    }
  }

  #part(request: KindCall, subresource: string): Reply | Promise<Reply> {
    const { store, writes } = this.#deps;
    switch (request.info.verb) {
      case "get":
        return getObject(store, request.kind, request.info, request.call);
      case "update":
        return writes.update(request, subresource);
      case "patch":
        return writes.patch(request, subresource);
      default:
        throw methodNotAllowed();
    }
  }

  /** PUT of a namespace's finalizers; without any left the namespace goes. */
  async #finalize(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    if (info.verb !== "update") throw methodNotAllowed();
    const expected = { schema: this.#deps.schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type: kind.type };
    const draft = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
    const options = { ...writeOptions(request), subresource: "finalize" };
    const object = this.#deps.objects.update(kind, "", info.name, () => ({ spec: {}, ...draft }), options);
    await this.#deps.store.settled();
    return jsonReply(object);
  }
}
