import { badRequest, unclassified } from "../errors.ts";
import { cloneJson, type Dict, isDict, setField } from "../object.ts";
import type { Field, ObjectType, Schema } from "../schema/schema.ts";
import { goValue } from "./typed-validate.ts";

const orderPrefix = "$setElementOrder/";
const deletePrefix = "$deleteFromPrimitiveList/";

/**
 * Applies a strategic merge patch and returns a new object. Understands `$patch: replace|delete|merge`, `$retainKeys`,
 * `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`. Throws StatusError.
 * Source: k8s.io/apimachinery/pkg/util/strategicpatch and SIG API Machinery's strategic-merge-patch.md.
 */
export function applyStrategicPatch(schema: Schema, typeName: string, target: Dict, patch: Dict): Dict {
  return mergeMap(schema, schema.type(typeName), target, patch);
}

function mergeMap(schema: Schema, type: ObjectType | undefined, target: Dict, patch: Dict): Dict {
  if (Object.hasOwn(patch, "$patch")) return byDirective(patch);
  const out: Dict = retained(target, patch);
  for (const key of Object.keys(patch))
    if (key.startsWith(deletePrefix)) deletePrimitives(out, key.slice(deletePrefix.length), patch[key]);
  const ordered = new Set<string>();
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(orderPrefix)) continue;
    const name = key.slice(orderPrefix.length);
    ordered.add(name);
    reorder(schema, type?.fields.get(name), out, name, patch);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$") || ordered.has(key)) continue;
    mergeKey(schema, type?.fields.get(key), out, key, value);
  }
  return out;
}

function mergeKey(schema: Schema, field: Field | undefined, out: Dict, key: string, value: unknown): void {
  const before = Object.hasOwn(out, key) ? out[key] : undefined;
  if (value === null) delete out[key];
  else if (isDict(value) && isDict(before)) {
    const inner = field?.kind === "struct" && field.shape === "one" ? schema.type(field.type) : undefined;
    setField(out, key, field?.merge.replace ? fresh(value) : mergeMap(schema, inner, before, value));
  } else if (Array.isArray(value) && Array.isArray(before)) {
    const merged = field?.merge.patchKey ? mergeList(schema, field, before, value) : value.map(fresh);
    setField(out, key, merged);
  } else if (isDict(value) && Object.hasOwn(value, "$patch")) delete out[key];
  else setField(out, key, fresh(value));
}

/** What a map with a `$patch` of its own comes to. */
function byDirective(patch: Dict): Dict {
  const { $patch: directive, ...rest } = patch;
  if (directive === "replace") return fresh(rest);
  if (directive === "delete") return {};
  throw unclassified(`unknown patch type: ${goValue(directive)} in map: ${goValue(patch)}`);
}

/** A copy of a map without what `$retainKeys` does not name. */
function retained(target: Dict, patch: Dict): Dict {
  const keep = patch.$retainKeys;
  if (keep === undefined) return { ...target };
  const named = Array.isArray(keep) ? new Set<unknown>(keep) : undefined;
  const stray = Object.keys(patch).some((k) => patch[k] !== null && !k.startsWith("$") && !named?.has(k));
  if (!named || stray) throw badRequest("invalid patch format of retainKeys");
  return Object.fromEntries(Object.entries(target).filter(([key]) => named.has(key)));
}

/** Merges the list that an order is given for, and brings it into that order. */
function reorder(schema: Schema, field: Field | undefined, out: Dict, name: string, patch: Dict): void {
  const order = patch[`${orderPrefix}${name}`];
  const [before, given] = [out[name], patch[name]];
  for (const list of [order, before, given]) {
    if (list !== undefined && list !== null && !Array.isArray(list))
      throw unclassified(`expected a []interface {}, but received a ${goTypeOf(list)}`);
  }
  const key = field?.merge.patchKey;
  if (!key) throw badRequest("invalid patch format of setElementOrder list");
  const [wanted, old, next] = [order, before, given].map((list) => (list ?? []) as unknown[]) as [
    unknown[],
    unknown[],
    unknown[],
  ];
  checkOrder(next, wanted, key);
  if (!given && !before) return;
  const merged = given ? (before ? mergeList(schema, field, old, next) : next.filter(kept).map(fresh)) : old;
  out[name] = arrange(merged, wanted, old, key);
}

/** The items of a patch must come in the order that goes with it. */
function checkOrder(patch: readonly unknown[], order: readonly unknown[], key: string): void {
  if (order.length === 0 || patch.length === 0) return;
  const ids = order.map((item) => idOf(item, key));
  let at = 0;
  for (const item of patch) {
    if (isDict(item) && Object.hasOwn(item, "$patch")) continue;
    while (at < ids.length && ids[at] !== idOf(item, key)) at++;
    if (at++ >= ids.length)
      throw unclassified(
        `The order in patch list:\n${goValue([...patch])}\n doesn't match $setElementOrder list:\n${goValue([...order])}\n`,
      );
  }
}

function mergeList(schema: Schema, field: Field, before: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const key = field.merge.patchKey as string;
  if (key === "=") return arrange([...new Set([...before, ...patch])], patch, before, key);
  const { list, items, replace } = specialItems(before, patch, key);
  // As it was given, with items of the same key, too: a dual-stack node has two addresses of a type.
  if (replace) return items.map(fresh);
  const type = field.kind === "struct" ? schema.type(field.type) : undefined;
  const out = [...list] as Dict[];
  // The first of those with the same key; looked up, since both lists may have a hundred thousand items.
  const places = new Map<unknown, number>();
  for (const [at, item] of out.entries()) if (!places.has(idOf(item, key))) places.set(idOf(item, key), at);
  for (const item of items) {
    const id = idOf(item, key);
    const at = places.get(id);
    if (at === undefined) places.set(id, out.push(fresh(item)) - 1);
    else out[at] = mergeMap(schema, type, out[at] as Dict, item);
  }
  return arrange(out, items, list, key);
}

/** Carries out the items with a directive; the rest of the patch is left. */
function specialItems(
  before: readonly unknown[],
  patch: readonly unknown[],
  key: string,
): { list: readonly unknown[]; items: Dict[]; replace: boolean } {
  const deleted = new Set<unknown>();
  const items: Dict[] = [];
  let replace = false;
  for (const item of patch) {
    if (!isDict(item)) throw unclassified(`expected a map[string]interface {}, but received a ${goTypeOf(item)}`);
    const directive = item.$patch;
    if (directive === undefined) items.push(item);
    else if (directive === "delete") deleted.add(idOf(item, key));
    else if (directive === "replace") replace = true;
    else if (directive === "merge") throw unclassified("merging lists cannot yet be specified in the patch");
    else throw unclassified(`unknown patch type: ${goValue(directive)} in map: ${goValue(item)}`);
  }
  for (const item of items) idOf(item, key);
  const list = deleted.size === 0 ? before : before.filter((other) => !deleted.has(idOf(other, key)));
  return { list, items, replace };
}

/**
 * Items named in an order in that order, and among them those that only the server has: each before the first named
 * one that stood behind it.
 */
function arrange(items: unknown[], order: readonly unknown[], before: readonly unknown[], key: string): unknown[] {
  const rank = new Map(order.map((item, i) => [idOf(item, key), i]));
  const place = new Map(before.map((item, i) => [idOf(item, key), i]));
  const of = (item: unknown) => idOf(item, key);
  const named = items
    .filter((item) => rank.has(of(item)))
    .sort((a, b) => (rank.get(of(a)) as number) - (rank.get(of(b)) as number));
  const others = items
    .filter((item) => !rank.has(of(item)))
    .sort((a, b) => (place.get(of(a)) ?? 0) - (place.get(of(b)) ?? 0));
  const out: unknown[] = [];
  let next = 0;
  for (const item of named) {
    const at = place.get(of(item));
    const stoodBefore = () => {
      const left = next < others.length ? place.get(of(others[next])) : undefined;
      return left !== undefined && at !== undefined && left < at;
    };
    while (stoodBefore()) out.push(others[next++]);
    out.push(item);
  }
  return [...out, ...others.slice(next)];
}

/** What tells an item of a merging list from others. Throws StatusError where its key is missing. */
function idOf(item: unknown, key: string): unknown {
  if (key === "=") return item;
  const id = isDict(item) ? item[key] : undefined;
  if (id === undefined) throw unclassified(`map: ${goValue(item)} does not contain declared merge key: ${key}`);
  return id;
}

function deletePrimitives(out: Dict, name: string, values: unknown): void {
  const items = out[name];
  if (!Array.isArray(items) || !Array.isArray(values)) return;
  const unwanted = new Set<unknown>(values);
  out[name] = items.filter((item) => !unwanted.has(item));
}

function kept(value: unknown): boolean {
  return !isDict(value) || !Object.hasOwn(value, "$patch");
}

/** A copy without directives, what has a `$patch` and nulls, at every depth. */
function fresh<T>(value: T): T {
  if (Array.isArray(value)) return value.filter(kept).map(fresh) as T;
  if (!isDict(value)) return cloneJson(value);
  const out: Dict = {};
  for (const [key, inner] of Object.entries(value))
    if (!key.startsWith("$") && inner !== null && kept(inner)) setField(out, key, fresh(inner));
  return out as T;
}

function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isDict(value)) return "map[string]interface {}";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  return typeof value === "boolean" ? "bool" : value === null ? "<nil>" : "string";
}
