import { FieldErrors, methodNotAllowed, notFound, StatusError } from "../errors.ts";
import { bindingConflict } from "../kinds/pod.ts";
import { cloneJson, type Dict, keyOf, type StoredObject } from "../object.ts";
import { readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { timestamp } from "./time.ts";
import { writeOptions } from "./write-options.ts";

/** The scheduler's decision: sets spec.nodeName once. As upstream, a binding owns no fields. */
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
  const attributes = { operation: "CREATE", kind, subresource: "binding", namespace: info.namespace, name } as const;
  deps.objects.admit({ ...attributes, old: pod, user: request.user });
  const spec = pod.spec as { nodeName?: string; schedulingGates?: unknown[] };
  if (pod.metadata.deletionTimestamp !== undefined)
    throw bindingConflict(name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (spec.nodeName) throw bindingConflict(name, `pod ${name} is already assigned to node "${spec.nodeName}"`);
  if (spec.schedulingGates?.length) throw bindingConflict(name, `pod ${name} has non-empty .spec.schedulingGates`);
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
