import type { V1Container, V1EphemeralContainer, V1PodSpec } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { FieldErrors } from "../errors.ts";
import { qosClass } from "../kinds/pod.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { type Dict, isDict, type StoredObject } from "../object.ts";
import { applyObject, type Part, readApplied } from "./apply.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { getObject } from "./list.ts";
import { patchTypeOf } from "./patches.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { subresourceWriter } from "./subresource-writer.ts";
import { writeOptions } from "./write-options.ts";

/** Reads or changes a part of a pod's spec that only a subresource may change. Throws StatusError. */
export async function podPart(deps: SubresourceDeps, request: KindCall, part: Part): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb === "get") return getObject(deps.store, kind, info, call);
  const expected = { schema: deps.schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type: kind.type };
  const type = info.verb === "patch" ? patchTypeOf(call, kind) : undefined;
  const options = { ...writeOptions(request), subresource: info.subresource };
  let object: StoredObject;
  if (type === "apply")
    object = applyObject(deps, request, await readApplied(request, await call.body()), options, part).object;
  else {
    const next = await subresourceWriter(request, expected, type);
    const change = (old: StoredObject): Dict => part.with(old, next(old));
    object = deps.objects.update(kind, info.namespace, info.name, change, options);
  }
  await deps.store.settled();
  return jsonReply(object);
}

/** Containers that are put into a running pod: more of them, never fewer or others. */
export const ephemeralContainers: Part = {
  only: (configuration) => withSpec(configuration, (spec) => pick(spec, ["ephemeralContainers"])),
  with(old, wanted) {
    const before = specOf(old).ephemeralContainers ?? [];
    const now = specOf(wanted).ephemeralContainers;
    const errors = new FieldErrors();
    if (isMirror(old)) errors.forbidden("", "static pods do not support ephemeral containers");
    else checkAdded(before, now ?? [], errors);
    errors.throwIfAny("Pod", "", old.metadata.name);
    return changed(old, wanted, { ephemeralContainers: now });
  },
};

function checkAdded(
  before: readonly V1EphemeralContainer[],
  now: readonly V1EphemeralContainer[],
  errors: FieldErrors,
): void {
  for (const container of before) {
    const same = now.find(({ name }) => name === container.name);
    const why = `existing ephemeral containers ${JSON.stringify(container.name)} may not be`;
    if (!same) errors.forbidden("spec.ephemeralContainers", `${why} removed`);
    else if (!equalJson(same, container)) errors.forbidden("spec.ephemeralContainers", `${why} changed`);
  }
}

const lists = ["containers", "initContainers"] as const;
const resizable = ["resources", "resizePolicy"] as const;

/** CPU and memory of a pod's containers. */
export const resize: Part = {
  only: (configuration) =>
    withSpec(configuration, (spec) =>
      Object.fromEntries(
        lists
          .filter((list) => Array.isArray(spec[list]))
          .map((list) => [
            list,
            (spec[list] as unknown[]).map((c) => (isDict(c) ? pick(c, ["name", ...resizable]) : c)),
          ]),
      ),
    ),
  with(old, wanted) {
    const [before, now] = [specOf(old), specOf(wanted)];
    const errors = new FieldErrors();
    const next: Record<string, V1Container[] | undefined> = {};
    if (isMirror(old)) errors.forbidden("", "static pods cannot be resized");
    for (const list of lists) {
      const [was, is] = [before[list] ?? [], now[list] ?? []];
      if (was.length !== is.length) errors.forbidden(`spec.${list}`, `${list} may not be added or removed`);
      else if (was.some(({ name }, i) => name !== is[i]?.name))
        errors.forbidden(`spec.${list}`, `${list} may not be renamed or reordered`);
      else if (before[list])
        next[list] = was.map((c, i) => resized(c, is[i] as V1Container, `spec.${list}[${i}]`, errors));
    }
    const spec = { ...before, ...next } as V1PodSpec;
    if (errors.causes.length === 0 && qosClass(spec) !== qosClass(before))
      errors.invalid("spec", qosClass(spec), "Pod QOS Class may not change as a result of resizing");
    errors.throwIfAny("Pod", "", old.metadata.name);
    return changed(old, wanted, next);
  },
};

/** A container with another's resources; only amounts of CPU and memory may differ. */
function resized(old: V1Container, wanted: V1Container, path: string, errors: FieldErrors): V1Container {
  for (const field of ["limits", "requests"] as const) {
    const [was, is] = [old.resources?.[field] ?? {}, wanted.resources?.[field] ?? {}];
    const compute = (name: string) => name === "cpu" || name === "memory";
    if (Object.keys(was).some((name) => compute(name) && is[name] === undefined))
      errors.forbidden(`${path}.resources.${field}`, `resource ${field} cannot be removed`);
    const rest = (amounts: Record<string, string>) =>
      Object.fromEntries(Object.entries(amounts).filter(([name]) => !compute(name)));
    if (!equalJson(rest(was), rest(is))) errors.forbidden("spec", "only cpu and memory resources are mutable");
  }
  const next: Record<string, unknown> = { ...old };
  for (const field of resizable) {
    if (wanted[field] === undefined) delete next[field];
    else next[field] = wanted[field];
  }
  return next as unknown as V1Container;
}

/** The old pod with some fields of its spec replaced, as the version of the pod that the request names. */
function changed(old: StoredObject, wanted: Dict, fields: Dict): Dict {
  const { resourceVersion } = (wanted.metadata ?? {}) as { resourceVersion?: string };
  const metadata = { ...old.metadata, ...(resourceVersion ? { resourceVersion } : {}) };
  return { ...old, metadata, spec: { ...(old.spec as Dict), ...fields } };
}

const specOf = (object: Dict) => (object.spec ?? { containers: [] }) as unknown as V1PodSpec;

const isMirror = ({ metadata }: StoredObject) => metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;

function withSpec(configuration: Dict, change: (spec: Dict) => Dict): Dict {
  const { spec, status: _, ...rest } = configuration;
  return isDict(spec) ? { ...rest, spec: change(spec) } : rest;
}

function pick(from: Dict, fields: readonly string[]): Dict {
  return Object.fromEntries(fields.filter((field) => from[field] !== undefined).map((field) => [field, from[field]]));
}
