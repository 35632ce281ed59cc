import { FieldErrors, methodNotAllowed, notFound, StatusError, unsupportedMediaType } from "../errors.ts";
import { bindingConflict } from "../kinds/pod.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { cloneJson, type Dict, type StoredObject } from "../object.ts";
import { type Expected, readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { getObject } from "./list.ts";
import { keyOf } from "./objects.ts";
import { patchTypeOf, readPatch } from "./patches.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { timestamp } from "./time.ts";
import { strictness, writeOptions } from "./write-options.ts";

/** Reads or changes parts of a pod's spec that only a subresource may change. */
export async function podPart(deps: SubresourceDeps, request: KindCall, fields: readonly string[]): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb === "get") return getObject(deps.store, kind, info, call);
  const expected = { schema: deps.schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type: kind.type };
  const options = { ...writeOptions(request), subresource: info.subresource };
  const next = await podWriter(request, expected);
  const change = (old: StoredObject): Dict => {
    const wanted = next(old);
    const spec = { ...(old.spec as Dict) };
    for (const field of fields) spec[field] = (wanted.spec as Dict | undefined)?.[field];
    const { resourceVersion } = (wanted.metadata ?? {}) as { resourceVersion?: string };
    return { ...old, metadata: { ...old.metadata, ...(resourceVersion ? { resourceVersion } : {}) }, spec };
  };
  const object = deps.objects.update(kind, info.namespace, info.name, change, options);
  await deps.store.settled();
  return jsonReply(object);
}

/** What the request makes of the present pod. Throws StatusError. */
async function podWriter(request: KindCall, expected: Expected): Promise<(old: StoredObject) => Dict> {
  const { call, info } = request;
  if (info.verb === "update") {
    const draft = await readObject(call, expected, strictness(request));
    return () => draft;
  }
  if (info.verb !== "patch") throw methodNotAllowed();
  const type = patchTypeOf(call, request.kind);
  if (type === "apply") throw unsupportedMediaType(["application/strategic-merge-patch+json"]);
  const patch = readPatch(type, await call.body(), expected, strictness(request));
  return (old) => patch.apply(old);
}

/** The scheduler's decision: sets spec.nodeName once. */
export async function bind(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb !== "create") throw methodNotAllowed();
  const expected = { schema: deps.schema, apiVersion: "v1", kind: "Binding", type: "core.v1.Binding" };
  const binding = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
  const node = checkTarget(binding);
  const name = info.name || (binding.metadata as { name?: string } | undefined)?.name || "";
  const key = keyOf(info.namespace, name);
  const pod = deps.store.get(kind.storage, key)?.object;
  if (!pod) throw notFound(kind, name);
  const spec = pod.spec as { nodeName?: string };
  if (pod.metadata.deletionTimestamp !== undefined)
    throw bindingConflict(name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (spec.nodeName) throw bindingConflict(name, `pod ${name} is already assigned to node "${spec.nodeName}"`);
  const { uid } = (binding.metadata ?? {}) as { uid?: string };
  if (uid && uid !== pod.metadata.uid)
    throw new StatusError(
      409,
      "Conflict",
      `Operation cannot be fulfilled on pods "${name}": Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`,
    );
  if (!writeOptions(request).dryRun) deps.store.put(kind.storage, key, boundTo(pod, node, binding));
  await deps.store.settled();
  return jsonReply({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
}

/** The node of a Binding (core ValidatePodBinding). Throws StatusError 422. */
function checkTarget(binding: Dict): string {
  const { kind = "", name = "" } = (binding.target ?? {}) as { kind?: string; name?: string };
  const errors = new FieldErrors();
  if (kind !== "" && kind !== "Node") errors.unsupported("target.kind", kind, ["Node", "<empty>"]);
  if (name === "") errors.required("target.name");
  errors.throwIfAny("Binding", "", (binding.metadata as { name?: string } | undefined)?.name ?? "");
  return name;
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
