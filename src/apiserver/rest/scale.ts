import { internal, invalid, methodNotAllowed, notFound } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import type { Dict, StoredObject } from "../object.ts";
import { type Expected, readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { keyOf } from "./objects.ts";
import { patchTypeOf, readPatch } from "./patches.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { strictness, writeOptions } from "./write-options.ts";

/** Reads or changes the number of replicas in the form of autoscaling/v1 Scale. */
export async function scale(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info } = request;
  const entry = deps.store.get(kind.storage, keyOf(info.namespace, info.name));
  if (!entry) throw notFound(kind, info.name);
  if (info.verb === "get") return jsonReply(scaleOf(kind, kind.fromStored(entry.object)));
  const expected = {
    schema: deps.schema,
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    type: "autoscaling.v1.Scale",
  };
  const options = { ...writeOptions(request), subresource: "scale" };
  const next = await scaleWriter(request, expected);
  const change = (old: StoredObject): Dict => {
    const wanted = next(scaleOf(kind, old));
    const replicas = ((wanted.spec ?? {}) as { replicas?: number }).replicas ?? 0;
    if (replicas < 0)
      throw invalid("Scale", "autoscaling", info.name, [
        {
          reason: "FieldValueInvalid",
          message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
          field: "spec.replicas",
        },
      ]);
    const asked = (wanted.metadata as { resourceVersion?: string } | undefined)?.resourceVersion;
    const metadata = { ...old.metadata, ...(asked ? { resourceVersion: asked } : {}) };
    if (kind.scale?.custom) return { ...kind.scale.custom.withReplicas(old, replicas), metadata };
    return { ...old, metadata, spec: { ...(old.spec as Dict), replicas } };
  };
  const object = deps.objects.update(kind, info.namespace, info.name, change, options);
  await deps.store.settled();
  return jsonReply(scaleOf(kind, object));
}

/** What the request makes of the present Scale. Throws StatusError. */
async function scaleWriter(request: KindCall, expected: Expected): Promise<(scale: StoredObject) => Dict> {
  const { call, info } = request;
  if (info.verb === "update") {
    const draft = await readObject(call, expected, strictness(request));
    return () => draft;
  }
  if (info.verb !== "patch") throw methodNotAllowed();
  const type = patchTypeOf(call, request.kind);
  // A Scale has one field to own: applying it is setting it.
  const patch = readPatch(type === "apply" ? "merge" : type, await call.body(), expected, strictness(request));
  return (scale) => patch.apply(scale);
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
