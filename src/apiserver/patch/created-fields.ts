import { type Dict, isDict } from "../object.ts";
import type { Field, Schema } from "../schema/schema.ts";
import { inPlaceOf, standing } from "./compare.ts";
import { compareElements } from "./field-set.ts";
import { childNode, isDeclared, isLeaf, itemNode, itemsOf, type Node } from "./typed.ts";
import { type Ground, unowned } from "./updater.ts";

/**
 * The fields that the creation of an object makes its writer's: what compare() of nothing with the object calls
 * changed, without what nobody owns. It is the text of FieldsV1, in order, written in one pass: a creation needs no
 * sets to calculate with.
 * @returns empty where there is nothing to own
 */
export function createdFields(ground: Ground, object: Dict): string {
  const { schema, root } = ground;
  const visible = Object.keys(object).filter((key) => key !== "apiVersion" && key !== "kind" && ground.owns(key));
  const text = joined(
    visible.sort().map((key) => {
      const node = childNode(schema, root, key);
      if (key !== "metadata")
        return member(`f:${key}`, fieldText(schema, standing(schema, root, {}, key), object[key], node));
      const metadata = isDict(object.metadata) ? object.metadata : {};
      const owned = Object.keys(metadata).filter((name) => !unowned.has(`f:${name}`));
      const inside = structureText(schema, {}, metadata, owned.sort(), node);
      return inside === "" ? "" : member("f:metadata", `{${inside}}`);
    }),
  );
  return text === "" ? "" : `{${text}}`;
}

/** A member of a set; `below` is what stands under it, with its braces, and empty where it is none. */
function member(element: string, below: string): string {
  return below === "" ? "" : `${JSON.stringify(element)}:${below}`;
}

function joined(members: readonly string[]): string {
  return members.filter(Boolean).join(",");
}

/**
 * What stands under the element of a value that was not there (`before` is undefined) or that Go had empty; compare()'s
 * compareChild for that.
 * @returns empty where the element and all below it are no members
 */
function fieldText(schema: Schema, before: unknown, value: unknown, node: Node): string {
  if (value === undefined || (value === null && before === undefined)) return "";
  if (isHollow(value) || isLeaf(value, node)) return before !== undefined && isSameHollow(before, value) ? "" : "{}";
  const inside = Array.isArray(value)
    ? listText(schema, value, node)
    : structureText(schema, before, value as Dict, Object.keys(value as Dict).sort(), node);
  if (before === undefined) return inside === "" ? "{}" : `{".":{},${inside}}`;
  return inside === "" ? "" : `{${inside}}`;
}

function isHollow(value: unknown): boolean {
  if (value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (!isDict(value)) return false;
  for (const _ in value) return false;
  return true;
}

/** Whether a value is the empty list or structure that was there. */
function isSameHollow(before: unknown, value: unknown): boolean {
  return (
    value !== null && typeof value === "object" && isHollow(value) && Array.isArray(before) === Array.isArray(value)
  );
}

function listText(schema: Schema, list: readonly unknown[], node: Node): string {
  const inner = itemNode(schema, node.field as Field);
  const items = [...itemsOf(list, inner)];
  if (items.length > 1) items.sort(([a], [b]) => compareElements(a, b));
  return joined(
    items.map(([element, same]) =>
      member(element, same.length > 1 ? "{}" : fieldText(schema, undefined, same[0], inner)),
    ),
  );
}

function structureText(schema: Schema, before: unknown, value: Dict, keys: readonly string[], node: Node): string {
  const hollow = before === undefined ? inPlaceOf(node).filter((name) => value[name] === undefined) : [];
  const names = hollow.length === 0 ? keys : [...keys.filter((key) => value[key] !== undefined), ...hollow].sort();
  let text = "";
  for (const key of names) {
    const below = hollow.includes(key)
      ? "{}"
      : fieldText(schema, standing(schema, node, before, key), value[key], childNode(schema, node, key));
    if (below === "") continue;
    // The names of declared fields have nothing to escape.
    const element = isDeclared(node, key) ? `"f:${key}"` : JSON.stringify(`f:${key}`);
    text += `${text === "" ? "" : ","}${element}:${below}`;
  }
  return text;
}
