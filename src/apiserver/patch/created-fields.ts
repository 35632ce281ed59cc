import { type Dict, isDict } from "../object.ts";
import type { Field, Schema } from "../schema/schema.ts";
import { inPlaceOf, standing } from "./compare.ts";
import { compareElements } from "./field-set.ts";
import { childNode, isLeaf, itemNode, itemsOf, type Node } from "./typed.ts";
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
  const text = visible
    .sort()
    .map((key) => {
      const node = childNode(schema, root, key);
      const below =
        key === "metadata"
          ? metadataText(schema, object, node)
          : fieldText(schema, standing(schema, root, {}, key), object[key], node);
      return below === "" ? "" : `${JSON.stringify(`f:${key}`)}:${below}`;
    })
    .filter(Boolean)
    .join(",");
  return text === "" ? "" : `{${text}}`;
}

/** The part of the metadata that can be owned; itself it never is. */
function metadataText(schema: Schema, { metadata }: Dict, node: Node): string {
  const fields = isDict(metadata) ? metadata : {};
  const owned = Object.keys(fields).filter((name) => !unowned.has(`f:${name}`));
  const inside = structureText(schema, {}, fields, owned.sort(), node);
  return inside === "" ? "" : `{${inside}}`;
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
  let text = "";
  for (const [element, same] of items) {
    const below = same.length > 1 ? "{}" : fieldText(schema, undefined, same[0], inner);
    if (below !== "") text += `${text === "" ? "" : ","}${JSON.stringify(element)}:${below}`;
  }
  return text;
}

function structureText(schema: Schema, before: unknown, value: Dict, keys: readonly string[], node: Node): string {
  const isNew = before === undefined;
  const hollow = isNew ? inPlaceOf(node).filter((name) => value[name] === undefined) : [];
  const names = hollow.length === 0 ? keys : [...keys.filter((key) => value[key] !== undefined), ...hollow].sort();
  let text = "";
  for (const key of names) {
    const child = childNode(schema, node, key);
    const below = hollow.includes(key)
      ? "{}"
      : fieldText(schema, isNew ? undefined : standing(schema, node, before, key), value[key], child);
    if (below === "") continue;
    // The names of declared fields have nothing to escape.
    const element = child.field && !child.item ? `"f:${key}":` : `${JSON.stringify(`f:${key}`)}:`;
    text += text === "" ? element + below : `,${element}${below}`;
  }
  return text;
}
