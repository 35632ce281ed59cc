import { type Dict, type FieldSet, isDict } from "../object.ts";
import { isAtomicType } from "../schema/merge-keys.ts";
import type { Field, Node, Schema } from "../schema/schema.ts";
import { place } from "./field-set.ts";

/**
 * Values seen through their types, as server-side apply sees them: what a path element leads to, and where a value is
 * owned as a whole. Source: sigs.k8s.io/structured-merge-diff v6, typed.
 */

export type { Node } from "../schema/schema.ts";

const nowhere: Node = { type: undefined, field: undefined, item: false };

/** The node of a whole object. */
export function rootNode(schema: Schema, type: string): Node {
  return { type: schema.type(type), field: undefined, item: false };
}

/** Whether a value at this node is owned as a whole. */
export function isLeaf(value: unknown, node: Node): boolean {
  const { field, type, item } = node;
  if (Array.isArray(value)) return item || field?.shape !== "list" || !field.merge.applyKeys;
  if (!isDict(value)) return true;
  if (type && isAtomicType(type.name)) return true;
  if (item || !field) return false;
  return field.atomic || field.kind === "FieldsV1" || field.kind === "RawExtension";
}

/** The node of a map's or structure's entry. */
export function childNode(schema: Schema, node: Node, key: string): Node {
  const { type, field, item } = node;
  if (field?.shape === "map" && !item) return itemNode(schema, field);
  const known = type?.children.get(key);
  if (known) return known;
  const child = type?.fields.get(key);
  if (!child) return nowhere;
  const inner = child.kind === "struct" && child.shape === "one" ? schema.type(child.type) : undefined;
  const made = { type: inner, field: child, item: false };
  type?.children.set(key, made);
  return made;
}

/** The node of the items of a list or map. */
export function itemNode(schema: Schema, field: Field): Node {
  return { type: field.kind === "struct" ? schema.type(field.type) : undefined, field, item: true };
}

/** Whether a key is a declared field of a structure, not an entry of a map. */
export function isDeclared(node: Node, key: string): boolean {
  if (node.field?.shape === "map" && !node.item) return false;
  return node.type?.fields.has(key) ?? false;
}

/** What a key that a list's item leaves out counts as: a required one has Go's zero value. */
function keyDefault(field: Field | undefined): unknown {
  if (field?.default !== undefined) return field.default;
  if (field?.name === "protocol" && !field.type) return "TCP";
  if (!field?.required) return undefined;
  return field.kind === "string" ? "" : 0;
}

/** The path element of a list's item: `k:{"containerPort":80,"protocol":"TCP"}` or `v:"x"`. */
export function itemElement(item: unknown, node: Node): string {
  const keys = node.field?.merge.applyKeys ?? [];
  if (keys[0] === "=" || !isDict(item)) return `v:${JSON.stringify(item)}`;
  const id: Dict = {};
  for (const key of keys.length > 1 ? [...keys].sort() : keys) {
    const value = item[key] ?? keyDefault(node.type?.fields.get(key));
    if (value !== undefined) id[key] = value;
  }
  return `k:${JSON.stringify(id)}`;
}

/** The items of a list by path element, in order; an element that occurs several times has several. */
export function itemsOf(list: readonly unknown[], node: Node): Map<string, unknown[]> {
  const out = new Map<string, unknown[]>();
  for (const item of list) {
    const element = itemElement(item, node);
    const known = out.get(element);
    if (known) known.push(item);
    else out.set(element, [item]);
  }
  return out;
}

/** All fields of a value: leaves, items of keyed lists, entries of maps, and structures and maps that are empty. */
export function fieldsOf(schema: Schema, value: unknown, node: Node): FieldSet {
  const out: FieldSet = {};
  if (isLeaf(value, node)) return out;
  if (Array.isArray(value)) {
    const inner = itemNode(schema, node.field as Field);
    for (const [element, items] of itemsOf(value, inner)) {
      place(out, element, items.length > 1 ? {} : fieldsOf(schema, items[0], inner), true);
    }
    return out;
  }
  for (const [key, child] of Object.entries(value as Dict)) {
    if (child === undefined) continue;
    const inner = childNode(schema, node, key);
    const empty = child === null || (isDict(child) && Object.keys(child).length === 0);
    const member = empty || isLeaf(child, inner) || !isDeclared(node, key);
    place(out, `f:${key}`, fieldsOf(schema, child, inner), member);
  }
  return out;
}
