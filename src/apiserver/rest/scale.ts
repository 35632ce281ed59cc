import { internal, invalid, notFound } from "../errors.ts";
import { columns as scaleColumns } from "../kinds/define.ts";
import type { Kind } from "../kinds/definition.ts";
import { age } from "../kinds/print.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { type Dict, keyOf, type StoredObject } from "../object.ts";
import { type Applied, applyConfiguration } from "../patch/managed-fields.ts";
import { fieldPath, parentEntries, scaleEntries } from "../patch/scale-managers.ts";
import { acceptedForm } from "./accept.ts";
import { readApplied, readConfiguration } from "./apply.ts";
import { check, type Expected } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { includeObject } from "./list.ts";
import { flag } from "./list-options.ts";
import type { WriteOptions } from "./objects.ts";
import { patchTypeOf } from "./patches.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { subresourceWriter } from "./subresource-writer.ts";
import { partialMetadata, rowOf, tableJson } from "./table.ts";
import { timestamp } from "./time.ts";
import { writeOptions } from "./write-options.ts";

/** Reads or changes the number of replicas in the form of autoscaling/v1 Scale. */
export async function scale(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  const entry = deps.store.get(kind.storage, keyOf(info.namespace, info.name));
  if (!entry) throw notFound(kind, info.name);
  if (info.verb === "get") return shown(request, scaleOf(kind, kind.fromStored(entry.object)));
  const expected = {
    schema: deps.schema,
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    type: "autoscaling.v1.Scale",
  };
  const type = info.verb === "patch" ? patchTypeOf(call, kind) : undefined;
  const options = { ...writeOptions(request), subresource: "scale" };
  if (type === "apply") return applyScale(deps, request, expected, options);
  const next = await subresourceWriter(request, expected, type);
  const change = (old: StoredObject): Dict => withScale(kind, old, next(scaleOf(kind, old)));
  const object = deps.objects.update(kind, info.namespace, info.name, change, options);
  await deps.store.settled();
  return shown(request, scaleOf(kind, object));
}

/** Server-side apply of a Scale: it conflicts with whoever else owns the object's number of replicas. */
async function applyScale(
  deps: SubresourceDeps,
  request: KindCall,
  expected: Expected,
  options: WriteOptions,
): Promise<Reply> {
  const { kind, info, call } = request;
  const { schema, apiVersion, type } = expected;
  const configuration = readConfiguration(expected, request, await readApplied(request, await call.body()));
  const path = fieldPath(kind.scale?.custom?.fields ?? ["spec", "replicas"]);
  const { sets } = deps.objects;
  const owner = {
    manager: options.manager,
    apiVersion,
    subresource: "scale",
    now: timestamp(),
    statusApart: false,
    sets,
  };
  const force = flag(info.query, "force");
  let applied: Applied | undefined;
  let before: StoredObject["metadata"]["managedFields"];
  const change = (old: StoredObject): Dict => {
    before = old.metadata.managedFields;
    const live = scaleOf(kind, old);
    const entries = scaleEntries(before, path, sets);
    if (entries) live.metadata.managedFields = entries;
    applied = applyConfiguration(schema, type, live, configuration, owner, force);
    const wanted = check(applied.object, expected, { validation: "Ignore", warn: () => {} });
    return withScale(kind, old, wanted);
  };
  const finish = (object: StoredObject) => {
    const scale = scaleOf(kind, object);
    applied?.finish(scale);
    const entries = parentEntries(before, scale.metadata.managedFields, apiVersionOf(kind), path, sets);
    if (entries) object.metadata.managedFields = entries;
    else delete object.metadata.managedFields;
  };
  const object = deps.objects.update(kind, info.namespace, info.name, change, { ...options, finish });
  await deps.store.settled();
  return shown(request, scaleOf(kind, object));
}

/** The object with the number of replicas of a Scale. Throws StatusError 422. */
function withScale(kind: Kind, old: StoredObject, wanted: Dict): Dict {
  const replicas = ((wanted.spec ?? {}) as { replicas?: number }).replicas ?? 0;
  if (replicas < 0)
    throw invalid("Scale", "autoscaling", old.metadata.name, [
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
}

const columns = scaleColumns("Name", "Desired#", "Available#", "Age");

/** The answer in the form that the client takes. */
function shown({ info, call }: KindCall, scale: StoredObject): Reply {
  const form = acceptedForm(call.headers.accept);
  if (form === "object") return jsonReply(scale);
  if (form === "metadata") return jsonReply(partialMetadata(scale));
  const { replicas = 0 } = scale.spec as { replicas?: number };
  const { replicas: current = 0 } = scale.status as { replicas?: number };
  const cells = [scale.metadata.name, replicas, current, age(scale.metadata.creationTimestamp, Date.now())];
  return jsonReply(tableJson({}, JSON.stringify(columns), [rowOf(cells, scale, includeObject(info.query))]));
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
