import { badRequest } from "../errors.ts";
import { cloneJson, type Dict, equalJson, isDict, setField } from "../object.ts";
import type { Field, ObjectType, Schema } from "../schema/schema.ts";

const orderPrefix = "$setElementOrder/";
const deletePrefix = "$deleteFromPrimitiveList/";

/**
 * Applies a strategic merge patch and returns a new object. Understands `$patch: replace|delete|merge`, `$retainKeys`,
 * `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`.
 * Source: k8s.io/apimachinery/pkg/util/strategicpatch and SIG API Machinery's strategic-merge-patch.md.
 */
export function applyStrategicPatch(schema: Schema, typeName: string, target: Dict, patch: Dict): Dict {
  return mergeStruct(schema, schema.type(typeName), target, patch) ?? {};
}

/** Undefined: the structure is to be removed. */
function mergeStruct(
  schema: Schema,
  type: ObjectType | undefined,
  target: Dict | undefined,
  patch: Dict,
): Dict | undefined {
  const directive = patch.$patch;
  if (directive === "delete") return undefined;
  if (directive === "replace") return withoutDirectives(patch);
  if (directive !== undefined && directive !== "merge")
    throw badRequest(
      `Unknown patch type found: ${typeof directive === "string" ? directive : JSON.stringify(directive)}`,
    );
  const out: Dict = { ...target };
  const retain = patch.$retainKeys;
  if (Array.isArray(retain)) for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key];
  for (const key of Object.keys(patch)) {
    if (key.startsWith(deletePrefix)) deletePrimitives(out, key.slice(deletePrefix.length), patch[key]);
    if (key.startsWith("$")) continue;
    const value = patch[key];
    if (value === null) {
      delete out[key];
      continue;
    }
    const merged = mergeField(schema, type?.fields.get(key), out[key], value, patch[`${orderPrefix}${key}`]);
    if (merged === undefined) delete out[key];
    else setField(out, key, merged);
  }
  for (const key of Object.keys(patch)) {
    const name = key.slice(orderPrefix.length);
    if (key.startsWith(orderPrefix) && patch[name] === undefined)
      reorder(out, name, patch[key], type?.fields.get(name));
  }
  return out;
}

function mergeField(
  schema: Schema,
  field: Field | undefined,
  target: unknown,
  value: unknown,
  order: unknown,
): unknown {
  if (Array.isArray(value)) return mergeList(schema, field, Array.isArray(target) ? target : [], value, order);
  if (!isDict(value)) return value;
  if (field?.merge.replace) return withoutDirectives(value);
  const inner = field?.kind === "struct" && field.shape === "one" ? schema.type(field.type) : undefined;
  return mergeStruct(schema, inner, isDict(target) ? target : undefined, value);
}

function mergeList(
  schema: Schema,
  field: Field | undefined,
  target: unknown[],
  patch: unknown[],
  order: unknown,
): unknown[] {
  const key = field?.merge.patchKey;
  if (!key) return withoutDirectives(patch).filter((item) => !isDict(item) || item.$patch === undefined);
  if (key === "=") {
    const out = [...target];
    for (const item of patch) if (!out.includes(item)) out.push(item);
    return Array.isArray(order) ? sortBy(out, order, (item) => item) : out;
  }
  if (patch.some((item) => isDict(item) && item.$patch === "replace")) {
    return patch.filter((item) => !isDict(item) || item.$patch !== "replace").map(withoutDirectives);
  }
  let out = [...target] as Dict[];
  const type = field.kind === "struct" ? schema.type(field.type) : undefined;
  for (const item of patch) {
    if (!isDict(item)) throw badRequest("invalid strategic merge patch: expected an object in a merging list");
    const id = item[key];
    if (id === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    if (item.$patch === "delete") {
      out = out.filter((o) => o[key] !== id);
      continue;
    }
    const at = out.findIndex((o) => o[key] === id);
    const merged = mergeStruct(schema, type, at < 0 ? undefined : (out[at] as Dict), item) ?? {};
    if (at < 0) out.push(merged);
    else out[at] = merged;
  }
  return Array.isArray(order)
    ? sortBy(
        out,
        order.map((o) => (isDict(o) ? o[key] : o)),
        (item) => (item as Dict)[key],
      )
    : out;
}

/**
 * Brings the items named in an order into that order; items that only the server knows keep their place relative to
 * their neighbours.
 */
function sortBy<T>(items: T[], order: readonly unknown[], id: (item: T) => unknown): T[] {
  const rank = new Map(order.map((value, i) => [value, i]));
  const named = items
    .filter((item) => rank.has(id(item)))
    .sort((a, b) => (rank.get(id(a)) as number) - (rank.get(id(b)) as number));
  const out: T[] = [];
  let next = 0;
  for (const item of items) out.push(rank.has(id(item)) ? (named[next++] as T) : item);
  return out;
}

function reorder(out: Dict, name: string, order: unknown, field: Field | undefined): void {
  const items = out[name];
  const key = field?.merge.patchKey;
  if (!Array.isArray(items) || !Array.isArray(order) || !key) return;
  if (key === "=") out[name] = sortBy(items, order, (item) => item);
  else
    out[name] = sortBy(
      items as Dict[],
      order.map((o) => (isDict(o) ? o[key] : o)),
      (item) => item[key],
    );
}

function deletePrimitives(out: Dict, name: string, values: unknown): void {
  const items = out[name];
  if (!Array.isArray(items) || !Array.isArray(values)) return;
  const rest = items.filter((item) => !values.some((v) => equalJson(v, item)));
  if (rest.length > 0) out[name] = rest;
  else delete out[name];
}

/** A copy without `$patch` and the other directives, at every depth, and without nulls. */
function withoutDirectives<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutDirectives) as T;
  if (!isDict(value)) return cloneJson(value);
  const out: Dict = {};
  for (const key of Object.keys(value)) {
    if (!key.startsWith("$") && value[key] !== null) setField(out, key, withoutDirectives(value[key]));
  }
  return out as T;
}
