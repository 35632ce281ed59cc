import { internal, notFound, StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import type { Dict, StoredObject } from "../object.ts";
import { check, parseJson, readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { keyOf } from "./objects.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { applyPatch, writeOptions } from "./writes.ts";

/** Reads or changes the number of replicas in the form of autoscaling/v1 Scale. */
export async function scale(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  const entry = deps.store.get(kind.storage, keyOf(info.namespace, info.name));
  if (!entry) throw notFound(kind, info.name);
  if (info.verb === "get") return jsonReply(scaleOf(kind, kind.fromStored(entry.object)));
  const expected = {
    schema: deps.schema,
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
      draft ?? check(applyPatch(deps.schema, type, expected.type, scaleOf(kind, old), body), expected, strictness);
    const replicas = ((next.spec ?? {}) as { replicas?: number }).replicas ?? 0;
    if (replicas < 0)
      throw new StatusError(
        422,
        "Invalid",
        `Scale.autoscaling "${info.name}" is invalid: spec.replicas: Invalid value: ${replicas}: must be greater than or equal to 0`,
      );
    const asked = (next.metadata as { resourceVersion?: string } | undefined)?.resourceVersion;
    const metadata = { ...old.metadata, ...(asked ? { resourceVersion: asked } : {}) };
    if (kind.scale?.custom) return { ...kind.scale.custom.withReplicas(old, replicas), metadata };
    return { ...old, metadata, spec: { ...(old.spec as Dict), replicas } };
  };
  const object = deps.objects.update(kind, info.namespace, info.name, change, {
    ...writeOptions(request),
    subresource: "scale",
  });
  await deps.store.settled();
  return jsonReply(scaleOf(kind, object));
}

function countsOf(kind: Kind, object: StoredObject): { replicas: number; current: number } {
  const { custom } = kind.scale ?? {};
  if (!custom)
    return {
      replicas: (object.spec as { replicas?: number }).replicas ?? 0,
      current: (object.status as { replicas?: number } | undefined)?.replicas ?? 0,
    };
  const replicas = custom.replicas(object);
  if (replicas === undefined) throw internal(`the spec replicas field "${custom.path}" does not exist`);
  return { replicas, current: custom.current(object) ?? 0 };
}

function scaleOf(kind: Kind, object: StoredObject): StoredObject {
  const counts = countsOf(kind, object);
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
    spec: { replicas: counts.replicas },
    status: {
      replicas: counts.current,
      ...(selector ? { selector } : {}),
    },
  };
}
