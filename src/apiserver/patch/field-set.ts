import { type Dict, equalJson, type FieldSet, isDict } from "../object.ts";
import type { Field, ObjectType, Schema } from "../schema/schema.ts";

/**
 * Sets of fields in FieldsV1 form: which fields of an object somebody owns.
 * A path element is `f:<field>`, `k:<keys of a list item as JSON>` or `v:<value of a set>`; an empty set is a leaf that
 * is a member; `.` in a set says that the element itself is a member beside what is below it.
 * Source: sigs.k8s.io/structured-merge-diff v6, fieldpath/serialize.go.
 */

/** How the value below a path element is made up. */
export interface Node {
  readonly type: ObjectType | undefined;
  readonly field: Field | undefined;
}

/** The node of a whole object. */
export function rootNode(schema: Schema, type: string): Node {
  return { type: schema.type(type), field: undefined };
}

/** One child of a value: its path element, its value and its node. */
export interface Child {
  readonly element: string;
  readonly value: unknown;
  readonly node: Node;
}

/** Children of a value as path elements; undefined when it is a leaf (scalar, or owned as a whole). */
export function children(schema: Schema, value: unknown, node: Node): Child[] | undefined {
  const { type, field } = node;
  if (Array.isArray(value)) {
    const keys = field?.merge.applyKeys;
    if (field?.shape !== "list" || !keys) return undefined;
    const itemType = field.kind === "struct" ? schema.type(field.type) : undefined;
    return value.map((item) => ({
      element: itemElement(item, keys, itemType),
      value: item,
      node: { type: itemType, field: undefined },
    }));
  }
  if (!isDict(value)) return undefined;
  if (field && (field.atomic || field.kind === "FieldsV1" || field.kind === "RawExtension")) return undefined;
  const out: Child[] = [];
  for (const key of Object.keys(value)) {
    if (value[key] === undefined || value[key] === null) continue;
    out.push({ element: `f:${key}`, value: value[key], node: childNode(schema, type, field, key) });
  }
  return out;
}

function childNode(schema: Schema, type: ObjectType | undefined, field: Field | undefined, key: string): Node {
  if (field?.shape === "map")
    return { type: field.kind === "struct" ? schema.type(field.type) : undefined, field: undefined };
  const child = type?.fields.get(key);
  if (!child) return { type: undefined, field: undefined };
  const inner = child.kind === "struct" && child.shape === "one" ? schema.type(child.type) : undefined;
  return { type: inner, field: child };
}

/** Defaults of keys that a list item may leave out. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: "TCP" };

/** `k:{"containerPort":80,"protocol":"TCP"}` or `v:"x"`. */
export function itemElement(item: unknown, keys: readonly string[], type: ObjectType | undefined): string {
  if (keys[0] === "=" || !isDict(item)) return `v:${JSON.stringify(item)}`;
  const id: Dict = {};
  for (const key of [...keys].sort()) {
    const value = item[key] ?? (type?.fields.has(key) ? keyDefaults[key] : undefined);
    if (value !== undefined) id[key] = value;
  }
  return `k:${JSON.stringify(id)}`;
}

/** All fields of a value: leaves, items of keyed lists, and structures and maps that are empty. */
export function fieldsOf(schema: Schema, value: unknown, node: Node): FieldSet {
  const set: FieldSet = {};
  for (const child of children(schema, value, node) ?? []) {
    const inner = fieldsOf(schema, child.value, child.node);
    if (child.element.startsWith("k:")) inner["."] = {};
    set[child.element] = inner;
  }
  return set;
}

/** What changed between two values: fields added or modified, and fields gone. */
export interface Difference {
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Compares two values of one node. */
export function compare(schema: Schema, before: unknown, after: unknown, node: Node): Difference {
  const changed: FieldSet = {};
  const removed: FieldSet = {};
  if (before === after) return { changed, removed };
  const old = new Map((children(schema, before, node) ?? []).map((c) => [c.element, c]));
  for (const child of children(schema, after, node) ?? []) {
    const was = old.get(child.element);
    old.delete(child.element);
    if (!was) {
      changed[child.element] = wholeSet(schema, child);
      continue;
    }
    if (was.value === child.value) continue;
    const nested =
      children(schema, child.value, child.node) !== undefined && children(schema, was.value, child.node) !== undefined;
    if (!nested) {
      if (!equalJson(was.value, child.value)) changed[child.element] = {};
      continue;
    }
    const inner = compare(schema, was.value, child.value, child.node);
    if (!isEmpty(inner.changed)) changed[child.element] = inner.changed;
    if (!isEmpty(inner.removed)) removed[child.element] = inner.removed;
  }
  for (const [element, child] of old) removed[element] = wholeSet(schema, child);
  return { changed, removed };
}

/** A new element with everything below it. List items, optional lists and maps are members themselves too. */
function wholeSet(schema: Schema, child: Child): FieldSet {
  const set: FieldSet = {};
  for (const inner of children(schema, child.value, child.node) ?? []) set[inner.element] = wholeSet(schema, inner);
  const { field } = child.node;
  const member = child.element.startsWith("k:") || (field !== undefined && field.shape !== "one" && !field.required);
  if (member && !isEmpty(set)) set["."] = {};
  return set;
}

/** Whether a set has no members at all (not to be mixed up with a leaf inside another set). */
export function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Members of either. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = { ...a };
  for (const [element, inner] of Object.entries(b)) {
    const mine = out[element];
    if (!mine) out[element] = inner;
    else {
      const member = isMember(mine) || isMember(inner);
      const merged = union(mine, inner);
      if (member && !isEmpty(merged)) merged["."] = {};
      out[element] = merged;
    }
  }
  return out;
}

function isMember(set: FieldSet): boolean {
  return isEmpty(set) || "." in set;
}

/** Members of a that are not members of b. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const [element, mine] of Object.entries(a)) {
    const other = b[element];
    if (!other) {
      out[element] = mine;
      continue;
    }
    const member = isMember(mine) && !isMember(other);
    const { ".": _, ...below } = difference(mine, other);
    if (!isEmpty(below)) out[element] = member ? { ...below, ".": {} } : below;
    else if (member) out[element] = {};
  }
  return out;
}

/** Members of both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return difference(a, difference(a, b));
}

/** Paths of all members, in the notation of conflict messages: `.spec.ports[port=80,protocol="TCP"].name`. */
export function paths(set: FieldSet, prefix = ""): string[] {
  const out: string[] = [];
  for (const [element, inner] of Object.entries(set)) {
    if (element === ".") continue;
    const path = prefix + readableElement(element);
    if (isMember(inner)) out.push(path);
    out.push(...paths(inner, path));
  }
  return out;
}

function readableElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  const keys = JSON.parse(rest) as Dict;
  return `[${Object.entries(keys)
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join(",")}]`;
}
