import { equalJson } from "#base/json.ts";
import { type Dict, type FieldSet, isDict } from "../object.ts";
import { type Field, isInPlace, type Schema } from "../schema/schema.ts";
import { isEmpty, place } from "./field-set.ts";
import { childNode, isLeaf, itemNode, itemsOf, type Node } from "./typed.ts";

/** What differs between two values: fields added or modified, and fields gone. */
export interface Difference {
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/**
 * Compares two values of one node, absent ones as undefined; both have the form that the server gives them.
 * Source: structured-merge-diff v6, typed/compare.go.
 */
export function compare(schema: Schema, before: unknown, after: unknown, node: Node): Difference {
  const out = { changed: {}, removed: {} };
  if (before !== after) compareInto(schema, before, after, node, out);
  return out;
}

function compareInto(schema: Schema, before: unknown, after: unknown, node: Node, out: Difference): void {
  const some = after ?? before;
  if (Array.isArray(some)) {
    const inner = itemNode(schema, node.field as Field);
    const old = itemsOf(Array.isArray(before) ? before : [], inner);
    const now = itemsOf(Array.isArray(after) ? after : [], inner);
    for (const element of new Set([...old.keys(), ...now.keys()])) {
      compareItems(schema, { element, old: old.get(element) ?? [], now: now.get(element) ?? [], node: inner }, out);
    }
    return;
  }
  const old: Dict = isDict(before) ? before : {};
  const now: Dict = isDict(after) ? after : {};
  for (const key in now)
    compareChild(schema, `f:${key}`, standing(schema, node, before, key), now[key], childNode(schema, node, key), out);
  if (before === undefined) addInPlace(node, now, out.changed);
  if (after === undefined) addInPlace(node, old, out.removed);
  for (const key in old) {
    if (Object.hasOwn(now, key) && now[key] !== undefined) continue;
    compareChild(schema, `f:${key}`, old[key], standing(schema, node, after, key), childNode(schema, node, key), out);
  }
}

/** A structure comes and goes with those that it holds in place, empty ones too. */
function addInPlace(node: Node, holder: Dict, out: FieldSet): void {
  for (const name of inPlaceOf(node)) if (holder[name] === undefined) out[`f:${name}`] = {};
}

/** Names of the structures that the value at a node holds in place. */
export function inPlaceOf(node: Node): readonly string[] {
  return !node.type || (node.field?.shape === "map" && !node.item) ? [] : node.type.inPlace;
}

/** A field's value as Go would have it: a structure that is held in place is there, empty, as soon as its holder is. */
export function standing(schema: Schema, node: Node, holder: unknown, key: string): unknown {
  if (!isDict(holder)) return undefined;
  const value = Object.hasOwn(holder, key) ? holder[key] : undefined;
  if (value !== undefined) return value;
  const { field, item } = childNode(schema, node, key);
  if (item || !field) return undefined;
  if (field.shape === "list") return field.required ? [] : undefined;
  return isInPlace(field) ? {} : undefined;
}

interface Items {
  readonly element: string;
  readonly old: readonly unknown[];
  readonly now: readonly unknown[];
  readonly node: Node;
}

/** Items of one path element; several of the same count as one whole. */
function compareItems(schema: Schema, { element, old, now, node }: Items, out: Difference): void {
  if (old.length <= 1 && now.length <= 1) {
    compareChild(schema, element, old[0], now[0], node, out);
  } else if (old.length >= 2 && now.length >= 2) {
    if (!equalJson(old, now)) out.changed[element] = {};
  } else if (old.length >= 2) {
    if (now.length > 0) compareChild(schema, element, undefined, now[0], node, out);
    out.removed[element] = {};
  } else {
    if (old.length > 0) compareChild(schema, element, old[0], undefined, node, out);
    out.changed[element] = {};
  }
}

function compareChild(
  schema: Schema,
  element: string,
  before: unknown,
  after: unknown,
  node: Node,
  out: Difference,
): void {
  if (before === after || (absent(before) && absent(after))) return;
  if (wholly(before, after, node)) {
    if (after === undefined) out.removed[element] = {};
    else if (before === undefined || !equalJson(before, after)) out.changed[element] = {};
    return;
  }
  const inner = { changed: {}, removed: {} };
  compareInto(schema, before, after, node, inner);
  place(out.changed, element, inner.changed, before === undefined);
  place(out.removed, element, inner.removed, after === undefined);
}

/** An explicit null says as little as nothing at all. */
function absent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Whether the two are compared as wholes: scalars, atomic ones, and two empty ones. */
function wholly(before: unknown, after: unknown, node: Node): boolean {
  const hollow = (value: unknown) =>
    absent(value) || (Array.isArray(value) ? value.length === 0 : isDict(value) && noKeys(value));
  if (hollow(before) && hollow(after)) return true;
  return isLeaf(after ?? before, node) || (before !== undefined && isLeaf(before, node) && !hollow(before));
}

function noKeys(value: Dict): boolean {
  return isEmpty(value as FieldSet);
}
