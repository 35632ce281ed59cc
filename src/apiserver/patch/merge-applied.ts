import { cloneJson, type Dict, type FieldSet, isDict, setField } from "../object.ts";
import type { Field, Schema } from "../schema/schema.ts";
import { isEmpty, isMember, place, readableElement } from "./field-set.ts";
import { childNode, isDeclared, isLeaf, itemElement, itemNode, itemsOf, type Node } from "./typed.ts";

/** Merging and removing by fields. Source: structured-merge-diff v6, typed/merge.go and typed/remove.go. */

/** A list names an item twice that server-side apply tells apart by its keys. */
export class DuplicateItem extends Error {}

/**
 * Merges an applied configuration into a live value: keyed lists item by item, sets as unions, the rest by field.
 * Throws DuplicateItem.
 */
export function mergeApplied(schema: Schema, live: unknown, applied: unknown, node: Node): unknown {
  if (applied === undefined) return live;
  if (isLeaf(applied, node)) return cloneJson(applied);
  if (Array.isArray(applied)) return mergeList(schema, Array.isArray(live) ? live : [], applied, node);
  const out: Dict = isDict(live) ? { ...live } : {};
  for (const [key, value] of Object.entries(applied as Dict)) {
    const before = Object.hasOwn(out, key) ? out[key] : undefined;
    setField(out, key, mergeApplied(schema, before, value, childNode(schema, node, key)));
  }
  return out;
}

/** Shared items come in the configuration's order, those that only the server has keep their place between them. */
function mergeList(schema: Schema, live: readonly unknown[], applied: readonly unknown[], node: Node): unknown[] {
  const inner = itemNode(schema, node.field as Field);
  const left = live.map((item) => itemElement(item, inner));
  const right = applied.map((item) => itemElement(item, inner));
  const old = itemsOf(live, inner);
  const wanted = itemsOf(applied, inner);
  for (const [element, items] of wanted)
    if (items.length > 1) throw new DuplicateItem(`duplicate entries for key ${readableElement(element)}`);
  const shared = right.filter((element) => old.has(element));
  // The first of them that is still to come.
  let next = 0;
  const merged = new Set<string>();
  const out: unknown[] = [];
  const takeRight = (element: string, item: unknown) => {
    merged.add(element);
    const before = old.get(element);
    // Items that are there twice cannot be merged with.
    out.push(mergeApplied(schema, before?.length === 1 ? before[0] : undefined, item, inner));
    if (shared[next] === element) next++;
  };
  let [l, r] = [0, 0];
  while (l < left.length || r < right.length) {
    const mine = left[l];
    const both = l < left.length && r < right.length;
    if (both && mine === right[r]) {
      takeRight(right[r] as string, applied[r++]);
      l++;
    } else if (both && wanted.has(mine as string) && shared[next] !== undefined && shared[next] !== mine) l++;
    else if (l < left.length && !wanted.has(mine as string)) out.push(live[l++]);
    else {
      if (l < left.length && merged.has(mine as string)) l++;
      if (r < right.length) takeRight(right[r] as string, applied[r++]);
    }
  }
  return out;
}

/** A value without the members of a set. What is left empty by it becomes null. */
export function removeFields(schema: Schema, value: unknown, set: FieldSet, node: Node): unknown {
  if (isLeaf(value, node)) return value;
  if (Array.isArray(value)) {
    const inner = itemNode(schema, node.field as Field);
    const out: unknown[] = [];
    for (const item of value) {
      const mine = set[itemElement(item, inner)];
      if (!mine) out.push(item);
      else if (!isMember(mine)) out.push(removeFields(schema, item, mine, inner));
    }
    return out.length > 0 ? out : null;
  }
  const out: Dict = {};
  for (const [key, child] of Object.entries(value as Dict)) {
    const mine = set[`f:${key}`];
    if (mine && isMember(mine)) continue;
    setField(out, key, mine ? removeFields(schema, child, mine, childNode(schema, node, key)) : child);
  }
  return Object.keys(out).length > 0 ? out : null;
}

/** A set to which every declared field on the way to a member belongs too; entries of maps and lists do not. */
export function withNamedFields(schema: Schema, set: FieldSet, node: Node): FieldSet {
  const out: FieldSet = {};
  for (const element in set) {
    if (element === ".") continue;
    const mine = set[element] as FieldSet;
    const named = element.startsWith("f:");
    const key = element.slice(2);
    const inner = named ? childNode(schema, node, key) : node.field && !node.item ? itemNode(schema, node.field) : node;
    const member = isMember(mine) || (named && !isEmpty(mine) && isDeclared(node, key));
    place(out, element, withNamedFields(schema, mine, inner), member);
  }
  return out;
}
