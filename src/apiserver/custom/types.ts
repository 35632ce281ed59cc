import type { MergeRule } from "../schema/merge-keys.ts";
import type { Field, ObjectType } from "../schema/schema.ts";
import type { JsonSchema } from "./model.ts";

/**
 * Structures of custom objects in the form that field ownership works with (server-side apply). Names are
 * `<root>#<JSON pointer into the schema>`; each is made when first asked for.
 */

/** Makes the structure of a name. Undefined when the name leads nowhere. */
export function customType(root: string, schema: JsonSchema, name: string): ObjectType | undefined {
  const pointer = name.slice(root.length + 1);
  const steps = pointer === "" ? [] : pointer.split("/").map(decodeURIComponent);
  let at: unknown = schema;
  for (const step of steps) at = (at as Record<string, unknown> | undefined)?.[step];
  if (typeof at !== "object" || at === null) return undefined;
  return structure(name, root, pointer, at as JsonSchema);
}

function structure(name: string, root: string, pointer: string, schema: JsonSchema): ObjectType {
  const fields = new Map<string, Field>();
  const own = schema["x-kubernetes-embedded-resource"] || pointer === "";
  for (const [key, below] of Object.entries(schema.properties ?? {}))
    fields.set(key, fieldOf(key, root, join(pointer, `properties/${encodeURIComponent(key)}`), below));
  if (own) fields.set("metadata", metadataField);
  return { name, fields, byNumber: new Map() };
}

const join = (pointer: string, step: string) => (pointer ? `${pointer}/${step}` : step);

const ordinary = { pointer: false, required: false, number: 0, inline: false, merge: {} } as const;

const metadataField: Field = {
  ...ordinary,
  name: "metadata",
  kind: "struct",
  type: "meta.v1.ObjectMeta",
  shape: "one",
  atomic: false,
};

function fieldOf(name: string, root: string, pointer: string, schema: JsonSchema): Field {
  const struct = (at: string) => ({ kind: "struct" as const, type: `${root}#${at}` });
  const scalar = { kind: "string" as const, type: "" };
  if (schema.type === "array") {
    const object = schema.items?.type === "object" || schema.items?.type === "array";
    const merge = listRule(schema);
    const of = object ? struct(join(pointer, "items")) : scalar;
    return { ...ordinary, name, ...of, shape: "list", merge, atomic: !merge.applyKeys };
  }
  const atomic = schema["x-kubernetes-map-type"] === "atomic";
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    const of = schema.additionalProperties.type === "object" ? struct(join(pointer, "additionalProperties")) : scalar;
    return { ...ordinary, name, ...of, shape: "map", atomic };
  }
  const of = schema.type === "object" ? struct(pointer) : scalar;
  return {
    ...ordinary,
    name,
    ...of,
    shape: "one",
    atomic,
    ...(schema.default === undefined ? {} : { default: schema.default }),
  };
}

function listRule(schema: JsonSchema): MergeRule {
  const type = schema["x-kubernetes-list-type"];
  if (type === "set") return { applyKeys: ["="] };
  const keys = schema["x-kubernetes-list-map-keys"];
  return type === "map" && keys ? { applyKeys: [...keys] } : {};
}
