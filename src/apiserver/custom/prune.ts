import { type Dict, isDict, setField } from "../object.ts";
import { decodeObject } from "../schema/decode.ts";
import type { Schema } from "../schema/schema.ts";
import type { JsonSchema } from "./model.ts";

/** What pruning works with. */
export interface PruneContext {
  readonly schema: Schema;
  /** Collects the paths of fields that no schema knows. */
  readonly unknown: string[];
}

/**
 * Brings a custom object into the form that is kept: metadata as any object's, fields that the schema does not know go
 * (and are reported), as does null where it is not allowed. Returns a copy. Throws TypeMismatch for metadata that is
 * none.
 */
export function pruneObject(context: PruneContext, schema: JsonSchema, value: Dict): Dict {
  return pruneResource(context, schema, value, "");
}

function pruneResource(context: PruneContext, schema: JsonSchema, value: Dict, path: string): Dict {
  const { apiVersion, kind, metadata, ...fields } = value;
  const out: Dict = {};
  if (apiVersion !== undefined) out.apiVersion = apiVersion;
  if (kind !== undefined) out.kind = kind;
  if (metadata !== undefined && metadata !== null) {
    const unknown: string[] = [];
    out.metadata = decodeObject(context.schema, "meta.v1.ObjectMeta", metadata, unknown);
    context.unknown.push(...unknown.map((field) => `${join(path, "metadata")}.${field}`));
  }
  return pruneDict(context, schema, fields, path, out);
}

const join = (path: string, key: string) => (path ? `${path}.${key}` : key);

function pruneValue(context: PruneContext, schema: JsonSchema, value: unknown, path: string): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) return value.map((item, i) => pruneValue(context, items, item, `${path}[${i}]`));
    return value;
  }
  if (!isDict(value)) return value;
  return schema["x-kubernetes-embedded-resource"]
    ? pruneResource(context, schema, value, path)
    : pruneDict(context, schema, value, path);
}

function pruneDict(context: PruneContext, schema: JsonSchema, value: Dict, path: string, out: Dict = {}): Dict {
  for (const key in value) {
    const below = schemaOf(schema, key);
    if (below === false) context.unknown.push(join(path, key));
    else if (below === true) setField(out, key, value[key]);
    else if (value[key] !== null || below.nullable || below.default !== undefined)
      setField(out, key, pruneValue(context, below, value[key], join(path, key)));
  }
  return out;
}

/** The schema of a field; true: anything is allowed, false: there is no such field. */
export function schemaOf(schema: JsonSchema, key: string): JsonSchema | boolean {
  const { properties, additionalProperties } = schema;
  if (properties && Object.hasOwn(properties, key)) return properties[key] as JsonSchema;
  if (additionalProperties !== undefined && additionalProperties !== false) return additionalProperties;
  return schema["x-kubernetes-preserve-unknown-fields"] === true;
}

/** The schema of a field that is specified by name. */
export function propertyOf(schema: JsonSchema, key: string): JsonSchema | undefined {
  const { properties } = schema;
  return properties && Object.hasOwn(properties, key) ? properties[key] : undefined;
}

/** Sets defaults in place, for fields that are missing, or null where null is not allowed. */
export function applyDefaults(schema: JsonSchema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items) defaultItems(schema.items, value);
    return;
  }
  if (!isDict(value)) return;
  const { properties = {}, additionalProperties } = schema;
  for (const key in properties) {
    const below = properties[key] as JsonSchema;
    if (below.default !== undefined && needsDefault(below, Object.hasOwn(value, key) ? value[key] : undefined))
      setField(value, key, structuredClone(below.default));
  }
  for (const key in value) {
    const below = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    if (typeof below !== "object") continue;
    if (value[key] === null && below.default !== undefined && needsDefault(below, null))
      setField(value, key, structuredClone(below.default));
    applyDefaults(below, value[key]);
  }
}

function defaultItems(items: JsonSchema, list: unknown[]): void {
  list.forEach((item, i) => {
    if (item === null && items.default !== undefined && needsDefault(items, null))
      list[i] = structuredClone(items.default);
    applyDefaults(items, list[i]);
  });
}

function needsDefault(schema: JsonSchema, value: unknown): boolean {
  return value === undefined || (value === null && !schema.nullable);
}
