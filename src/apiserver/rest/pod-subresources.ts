import { matchesSelector } from "#api/index.ts";
import { badRequest, methodNotAllowed, notFound, StatusError, tooManyRequests } from "../errors.ts";
import { alreadyBound } from "../kinds/pod.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { cloneJson, type Dict, type StoredObject } from "../object.ts";
import { check, parseJson, readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { getObject } from "./list.ts";
import { keyOf } from "./objects.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { timestamp } from "./time.ts";
import { applyPatch, writeOptions } from "./writes.ts";

/** Reads or changes parts of a pod's spec that only a subresource may change. */
export async function podPart(deps: SubresourceDeps, request: KindCall, fields: readonly string[]): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb === "get") return getObject(deps.store, kind, info, call);
  const expected = { schema: deps.schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type: kind.type };
  const strictness = { validation: "Ignore" as const, warn: () => {} };
  const patch = info.verb === "patch" ? parseJson(await call.body()) : undefined;
  const draft = info.verb === "update" ? await readObject(call, expected, strictness) : undefined;
  const change = (old: StoredObject): Dict => {
    const next =
      draft ??
      check(applyPatch(deps.schema, call.headers["content-type"] ?? "", kind.type, old, patch), expected, strictness);
    const spec = { ...(old.spec as Dict) };
    for (const field of fields) spec[field] = (next.spec as Dict | undefined)?.[field];
    return { ...old, spec };
  };
  const object = deps.objects.update(kind, info.namespace, info.name, change, {
    ...writeOptions(request),
    subresource: info.subresource,
  });
  await deps.store.settled();
  return jsonReply(object);
}

/** The scheduler's decision: sets spec.nodeName once. */
export async function bind(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb !== "create") throw methodNotAllowed();
  const expected = { schema: deps.schema, apiVersion: "v1", kind: "Binding", type: "core.v1.Binding" };
  const binding = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
  const node = (binding.target as { name?: string } | undefined)?.name;
  if (!node) throw badRequest("target.name: Required value");
  const key = keyOf(info.namespace, info.name);
  const pod = deps.store.get(kind.storage, key)?.object;
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
  if (!writeOptions(request).dryRun) deps.store.put(kind.storage, key, boundTo(pod, node, binding));
  await deps.store.settled();
  return jsonReply({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
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

/** Deletes a pod when every disruption budget over it allows one more. */
export async function evict(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb !== "create") throw methodNotAllowed();
  const expected = {
    schema: deps.schema,
    apiVersion: "policy/v1",
    kind: "Eviction",
    type: "policy.v1.Eviction",
  };
  const eviction = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
  const pod = deps.store.get(kind.storage, keyOf(info.namespace, info.name))?.object;
  if (!pod) throw notFound(kind, info.name);
  const { namespace, name } = info;
  deps.objects.admit({
    operation: "CREATE",
    kind,
    subresource: "eviction",
    namespace,
    name,
    old: pod,
    user: request.user,
  });
  const phase = (pod.status as { phase?: string } | undefined)?.phase;
  if (phase !== "Succeeded" && phase !== "Failed" && !pod.metadata.deletionTimestamp) spendBudget(deps, pod);
  const options = (eviction.deleteOptions ?? {}) as Dict;
  deps.objects.delete(kind, info.namespace, info.name, options, writeOptions(request).dryRun);
  await deps.store.settled();
  return jsonReply({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
}

function spendBudget(deps: SubresourceDeps, pod: StoredObject): void {
  const storage = "poddisruptionbudgets.policy";
  const budgets = deps.store.list(storage).filter(({ object, namespace }) => {
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
  deps.store.put(storage, entry.key, budget);
}
