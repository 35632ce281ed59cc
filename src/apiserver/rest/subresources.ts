import { matchesSelector } from "#api/index.ts";
import type { TokenIssuer } from "../auth/tokens.ts";
import { badRequest, methodNotAllowed, noSuchPath, notFound, StatusError, tooManyRequests } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { alreadyBound } from "../kinds/pod.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { cloneJson, type Dict, isDict, type StoredObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import type { Store } from "../store/index.ts";
import { check, parseJson, readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { getObject } from "./list.ts";
import { keyOf, type Objects, timestamp } from "./objects.ts";
import { applyPatch, type Writes, writeOptions } from "./writes.ts";

/** Life of a requested token in seconds (kube-apiserver's limits and default). */
const tokenSeconds = { least: 600, ordinary: 3600, most: 2 ** 32 };

/** What subresources work with. */
export interface SubresourceDeps {
  readonly store: Store;
  readonly schema: Schema;
  readonly objects: Objects;
  readonly writes: Writes;
  readonly tokens: TokenIssuer;
}

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
    if (info.subresource === "scale" && kind.scale) return this.#scale(request);
    if (!(info.subresource in kind.subresources)) throw noSuchPath();
    switch (info.subresource) {
      case "binding":
        return this.#bind(request);
      case "eviction":
        return this.#evict(request);
      case "token":
        return this.#token(request);
      case "finalize":
        return this.#finalize(request);
      case "ephemeralcontainers":
        return this.#podPart(request, ["ephemeralContainers"]);
      case "resize":
        return this.#podPart(request, ["containers", "initContainers"]);
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

  /** Parts of a pod's spec that only a subresource may change. */
  async #podPart(request: KindCall, fields: readonly string[]): Promise<Reply> {
    const { kind, info, call } = request;
    if (info.verb === "get") return getObject(this.#deps.store, kind, info, call);
    const expected = { schema: this.#deps.schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type: kind.type };
    const strictness = { validation: "Ignore" as const, warn: () => {} };
    const patch = info.verb === "patch" ? parseJson(await call.body()) : undefined;
    const draft = info.verb === "update" ? await readObject(call, expected, strictness) : undefined;
    const change = (old: StoredObject): Dict => {
      const next =
        draft ??
        check(
          applyPatch(this.#deps.schema, call.headers["content-type"] ?? "", kind.type, old, patch),
          expected,
          strictness,
        );
      const spec = { ...(old.spec as Dict) };
      for (const field of fields) spec[field] = (next.spec as Dict | undefined)?.[field];
      return { ...old, spec };
    };
    const object = this.#deps.objects.update(kind, info.namespace, info.name, change, {
      ...writeOptions(request),
      subresource: info.subresource,
    });
    await this.#deps.store.settled();
    return jsonReply(object);
  }

  async #scale(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    const entry = this.#deps.store.get(kind.storage, keyOf(info.namespace, info.name));
    if (!entry) throw notFound(kind, info.name);
    if (info.verb === "get") return jsonReply(scaleOf(kind, entry.object));
    const expected = {
      schema: this.#deps.schema,
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      type: "autoscaling.v1.Scale",
    };
    const strictness = { validation: "Ignore" as const, warn: () => {} };
    const body = info.verb === "patch" ? parseJson(await call.body()) : undefined;
    const draft = info.verb === "update" ? await readObject(call, expected, strictness) : undefined;
    const change = (old: StoredObject): Dict => {
      const type = call.headers["content-type"]?.split(";")[0] ?? "";
      const next =
        draft ??
        check(applyPatch(this.#deps.schema, type, expected.type, scaleOf(kind, old), body), expected, strictness);
      const replicas = ((next.spec ?? {}) as { replicas?: number }).replicas ?? 0;
      if (replicas < 0)
        throw new StatusError(
          422,
          "Invalid",
          `Scale.autoscaling "${info.name}" is invalid: spec.replicas: Invalid value: ${replicas}: must be greater than or equal to 0`,
        );
      const asked = (next.metadata as { resourceVersion?: string } | undefined)?.resourceVersion;
      return {
        ...old,
        metadata: { ...old.metadata, ...(asked ? { resourceVersion: asked } : {}) },
        spec: { ...(old.spec as Dict), replicas },
      };
    };
    const object = this.#deps.objects.update(kind, info.namespace, info.name, change, {
      ...writeOptions(request),
      subresource: "scale",
    });
    await this.#deps.store.settled();
    return jsonReply(scaleOf(kind, object));
  }

  /** The scheduler's decision: sets spec.nodeName once. */
  async #bind(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    if (info.verb !== "create") throw methodNotAllowed();
    const expected = { schema: this.#deps.schema, apiVersion: "v1", kind: "Binding", type: "core.v1.Binding" };
    const binding = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
    const node = (binding.target as { name?: string } | undefined)?.name;
    if (!node) throw badRequest("target.name: Required value");
    const key = keyOf(info.namespace, info.name);
    const pod = this.#deps.store.get(kind.storage, key)?.object;
    if (!pod) throw notFound(kind, info.name);
    const spec = pod.spec as { nodeName?: string };
    if (pod.metadata.deletionTimestamp !== undefined) throw alreadyBound(info.name, "(being deleted)");
    if (spec.nodeName) throw alreadyBound(info.name, spec.nodeName);
    const { uid } = (binding.metadata ?? {}) as { uid?: string };
    if (uid && uid !== pod.metadata.uid)
      throw new StatusError(
        409,
        "Conflict",
        `Operation cannot be fulfilled on pods "${info.name}": Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`,
      );
    if (!writeOptions(request).dryRun) this.#deps.store.put(kind.storage, key, boundTo(pod, node, binding));
    await this.#deps.store.settled();
    return jsonReply({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
  }

  /** Deletes a pod when every disruption budget over it allows one more. */
  async #evict(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    if (info.verb !== "create") throw methodNotAllowed();
    const expected = {
      schema: this.#deps.schema,
      apiVersion: "policy/v1",
      kind: "Eviction",
      type: "policy.v1.Eviction",
    };
    const eviction = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
    const pod = this.#deps.store.get(kind.storage, keyOf(info.namespace, info.name))?.object;
    if (!pod) throw notFound(kind, info.name);
    const phase = (pod.status as { phase?: string } | undefined)?.phase;
    if (phase !== "Succeeded" && phase !== "Failed" && !pod.metadata.deletionTimestamp) this.#spendBudget(pod);
    const options = (eviction.deleteOptions ?? {}) as Dict;
    this.#deps.objects.delete(kind, info.namespace, info.name, options, writeOptions(request).dryRun);
    await this.#deps.store.settled();
    return jsonReply({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
  }

  #spendBudget(pod: StoredObject): void {
    const storage = "poddisruptionbudgets.policy";
    const budgets = this.#deps.store.list(storage).filter(({ object, namespace }) => {
      const { selector } = (object.spec ?? {}) as { selector?: Parameters<typeof matchesSelector>[0] };
      return namespace === pod.metadata.namespace && matchesSelector(selector, pod.metadata.labels);
    });
    if (budgets.length > 1)
      throw new StatusError(
        500,
        "InternalError",
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
      );
    const entry = budgets[0];
    if (!entry) return;
    const budget = cloneJson(entry.object);
    const status = (budget.status ?? {}) as {
      disruptionsAllowed?: number;
      currentHealthy?: number;
      desiredHealthy?: number;
      disruptedPods?: Record<string, string>;
    };
    if ((status.disruptionsAllowed ?? 0) <= 0) {
      const name = budget.metadata.name;
      throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", [
        {
          reason: "DisruptionBudget",
          message: `The disruption budget ${name} needs ${status.desiredHealthy ?? 0} healthy pods and has ${status.currentHealthy ?? 0} currently`,
        },
      ]);
    }
    status.disruptionsAllowed = (status.disruptionsAllowed as number) - 1;
    budget.status = status;
    this.#deps.store.put(storage, entry.key, budget);
  }

  async #token(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    if (info.verb !== "create") throw methodNotAllowed();
    const expected = {
      schema: this.#deps.schema,
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      type: "authentication.v1.TokenRequest",
    };
    const asked = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
    const account = this.#deps.store.get(kind.storage, keyOf(info.namespace, info.name))?.object;
    if (!account) throw notFound(kind, info.name);
    const spec = (isDict(asked.spec) ? asked.spec : {}) as {
      audiences?: string[];
      expirationSeconds?: number;
      boundObjectRef?: { kind: "Pod" | "Node" | "Secret"; name: string; uid?: string };
    };
    const seconds = spec.expirationSeconds ?? tokenSeconds.ordinary;
    if (seconds < tokenSeconds.least || seconds > tokenSeconds.most) {
      const text =
        seconds < tokenSeconds.least
          ? "may not specify a duration less than 10 minutes"
          : "may not specify a duration larger than 2^32 seconds";
      throw new StatusError(
        422,
        "Invalid",
        `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: ${seconds}: ${text}`,
      );
    }
    const audiences = spec.audiences?.length ? spec.audiences : [this.#deps.tokens.issuer];
    const bound = spec.boundObjectRef ? this.#bound(info.namespace, spec.boundObjectRef) : undefined;
    const subject = {
      namespace: info.namespace,
      name: info.name,
      uid: account.metadata.uid as string,
      audiences,
      seconds,
    };
    const { token, expires } = this.#deps.tokens.issue(
      { ...subject, ...(bound ? { bound: bound.binding, ...(bound.node ? { node: bound.node } : {}) } : {}) },
      Date.now(),
    );
    return jsonReply(
      {
        ...asked,
        metadata: {
          name: info.name,
          namespace: info.namespace,
          creationTimestamp: timestamp(),
        },
        spec: { ...spec, audiences, expirationSeconds: seconds },
        status: { token, expirationTimestamp: expires },
      },
      201,
    );
  }

  #bound(namespace: string, ref: { kind: "Pod" | "Node" | "Secret"; name: string; uid?: string }) {
    const plural = `${ref.kind.toLowerCase()}s`;
    const object = this.#deps.store.get(plural, ref.kind === "Node" ? ref.name : keyOf(namespace, ref.name))?.object;
    if (!object) throw notFound({ group: "", plural }, ref.name);
    const uid = object.metadata.uid as string;
    if (ref.uid && ref.uid !== uid) {
      throw new StatusError(
        409,
        "Conflict",
        `Operation cannot be fulfilled on ${plural} "${ref.name}": the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    const nodeName = (object.spec as { nodeName?: string } | undefined)?.nodeName;
    const node = ref.kind === "Pod" && nodeName ? this.#deps.store.get("nodes", nodeName)?.object : undefined;
    const binding = { kind: ref.kind, name: ref.name, uid };
    return node
      ? { binding, node: { name: node.metadata.name, uid: node.metadata.uid as string } }
      : { binding, node: undefined };
  }

  /** PUT of a namespace's finalizers; without any left the namespace goes. */
  async #finalize(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    if (info.verb !== "update") throw methodNotAllowed();
    const expected = { schema: this.#deps.schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type: kind.type };
    const draft = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
    const spec = (draft.spec ?? {}) as Dict;
    const object = this.#deps.objects.update(kind, "", info.name, (old) => ({ ...old, spec }), {
      ...writeOptions(request),
      subresource: "finalize",
    });
    await this.#deps.store.settled();
    return jsonReply(object);
  }
}

function boundTo(pod: StoredObject, node: string, binding: Dict): StoredObject {
  const next = cloneJson(pod);
  (next.spec as Dict).nodeName = node;
  const { annotations } = (binding.metadata ?? {}) as { annotations?: Record<string, string> };
  if (annotations) next.metadata.annotations = { ...next.metadata.annotations, ...annotations };
  const status = (next.status ?? {}) as { conditions?: Dict[] };
  const others = (status.conditions ?? []).filter((c) => c.type !== "PodScheduled");
  const condition = {
    type: "PodScheduled",
    status: "True",
    lastProbeTime: null,
    lastTransitionTime: timestamp(),
  };
  next.status = { ...status, conditions: [...others, condition] };
  return next;
}

function scaleOf(kind: Kind, object: StoredObject): StoredObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = kind.scale?.selector(object) ?? "";
  const meta = {
    name,
    ...(namespace ? { namespace } : {}),
    ...(uid ? { uid } : {}),
    ...(resourceVersion ? { resourceVersion } : {}),
    ...(creationTimestamp ? { creationTimestamp } : {}),
  };
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: meta,
    spec: { replicas: (object.spec as { replicas?: number }).replicas ?? 0 },
    status: {
      replicas: (object.status as { replicas?: number } | undefined)?.replicas ?? 0,
      ...(selector ? { selector } : {}),
    },
  };
}
