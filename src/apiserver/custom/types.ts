import type { MergeRule } from "../schema/merge-keys.ts";
import { type Field, type FieldKind, isInPlace, type ObjectType } from "../schema/schema.ts";
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
  for (const step of steps)
    at =
      typeof at === "object" && at !== null && Object.hasOwn(at, step)
        ? (at as Record<string, unknown>)[step]
        : undefined;
  if (typeof at !== "object" || at === null) return undefined;
  return structure(name, root, pointer, at as JsonSchema);
}

/** Fields of a structure that may have more than are named: values of a map, or anything at all. */
class OpenFields extends Map<string, Field> {
  readonly #others: Field | "anything" | undefined;
  /** Declared, though nothing is known of their values. */
  readonly #free: ReadonlySet<string>;

  constructor(named: ReadonlyMap<string, Field>, free: ReadonlySet<string>, others: Field | "anything" | undefined) {
    super();
    this.#free = free;
    this.#others = others;
    for (const [key, field] of named) this.set(key, field);
  }

  override has(key: string): boolean {
    return this.#others !== undefined || this.#free.has(key) || super.has(key);
  }

  override get(key: string): Field | undefined {
    return super.get(key) ?? (typeof this.#others === "object" ? this.#others : undefined);
  }
}

function structure(name: string, root: string, pointer: string, schema: JsonSchema): ObjectType {
  const named = new Map<string, Field>();
  const free = new Set<string>();
  const add = (key: string, step: string, below: JsonSchema) => {
    const field = fieldOf(key, root, join(pointer, step), below);
    if (field) named.set(key, field);
    else free.add(key);
  };
  for (const [key, below] of Object.entries(schema.properties ?? {}))
    add(key, `properties/${encodeURIComponent(key)}`, below);
  if (schema["x-kubernetes-embedded-resource"] || pointer === "") {
    for (const key of ["apiVersion", "kind"]) named.set(key, { ...ordinary, name: key, kind: "string", type: "" });
    named.set("metadata", { ...ordinary, name: "metadata", kind: "struct", type: "meta.v1.ObjectMeta" });
  }
  const fields = new OpenFields(named, free, othersOf(root, pointer, schema));
  const inPlace = [...fields].filter(([, field]) => isInPlace(field)).map(([key]) => key);
  return { name, fields, byNumber: new Map(), inPlace, children: new Map() };
}

/** What fields that have no name in the schema are. */
function othersOf(root: string, pointer: string, schema: JsonSchema): Field | "anything" | undefined {
  const { additionalProperties } = schema;
  if (typeof additionalProperties === "object")
    return fieldOf("", root, join(pointer, "additionalProperties"), additionalProperties) ?? "anything";
  return additionalProperties === true || schema["x-kubernetes-preserve-unknown-fields"] ? "anything" : undefined;
}

const join = (pointer: string, step: string) => (pointer ? `${pointer}/${step}` : step);

const ordinary = {
  shape: "one",
  pointer: false,
  required: false,
  number: 0,
  inline: false,
  merge: {},
  atomic: false,
} as const;

const scalars: Readonly<Record<string, FieldKind>> = {
  string: "string",
  integer: "int64",
  number: "double",
  boolean: "bool",
};

/** A field by its schema; undefined when the schema says nothing of its type. */
function fieldOf(name: string, root: string, pointer: string, schema: JsonSchema): Field | undefined {
  if (schema.type === "array") {
    const merge = listRule(schema);
    const item = valueType(root, join(pointer, "items"), schema.items ?? {});
    return { ...ordinary, name, ...item, shape: "list", merge, atomic: !merge.applyKeys };
  }
  const atomic = schema["x-kubernetes-map-type"] === "atomic";
  const { additionalProperties } = schema;
  if (schema.type === "object" && typeof additionalProperties === "object") {
    const item = valueType(root, join(pointer, "additionalProperties"), additionalProperties);
    return { ...ordinary, name, ...item, shape: "map", atomic };
  }
  if (!schema.type && !schema["x-kubernetes-int-or-string"]) return undefined;
  const { default: value } = schema;
  const field = { ...ordinary, name, ...valueType(root, pointer, schema), atomic };
  return value === undefined ? field : { ...field, default: value };
}

function valueType(root: string, pointer: string, schema: JsonSchema): { kind: FieldKind; type: string } {
  if (schema.type === "object") return { kind: "struct", type: `${root}#${pointer}` };
  if (schema["x-kubernetes-int-or-string"]) return { kind: "IntOrString", type: "" };
  // Lists inside of lists and maps are owned with the item that they are.
  return { kind: scalars[schema.type ?? ""] ?? "RawExtension", type: "" };
}

function listRule(schema: JsonSchema): MergeRule {
  const type = schema["x-kubernetes-list-type"];
  if (type === "set") return { applyKeys: ["="] };
  const keys = schema["x-kubernetes-list-map-keys"];
  return type === "map" && keys ? { applyKeys: [...keys] } : {};
}
