import type { FieldErrors } from "../errors.ts";
import { type Dict, isDict } from "../object.ts";
import type { JsonSchema } from "./model.ts";
import { schemaOf } from "./prune.ts";

/**
 * Refuses repeated items in sets and repeated keys in keyed lists (apiextensions-apiserver
 * pkg/apiserver/schema/listtype).
 */
export function validateListTypes(schema: JsonSchema, value: unknown, path: string, errors: FieldErrors): void {
  if (Array.isArray(value)) {
    if (schema["x-kubernetes-list-type"] === "set") validateSet(value, path, errors);
    if (schema["x-kubernetes-list-type"] === "map")
      validateKeys(schema["x-kubernetes-list-map-keys"] ?? [], value, path, errors);
    const { items } = schema;
    if (items) value.forEach((item, i) => validateListTypes(items, item, `${path}[${i}]`, errors));
  } else if (isDict(value)) {
    for (const key in value) {
      const below = schemaOf(schema, key);
      if (typeof below === "object") validateListTypes(below, value[key], path ? `${path}.${key}` : key, errors);
    }
  }
}

function validateSet(list: readonly unknown[], path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  list.forEach((item, i) => {
    const text = JSON.stringify(item);
    if (seen.has(text)) errors.duplicate(`${path}[${i}]`, item);
    seen.add(text);
  });
}

function validateKeys(keys: readonly string[], list: readonly unknown[], path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  list.forEach((item, i) => {
    if (!isDict(item)) return;
    const id: Dict = {};
    for (const key of keys) if (item[key] !== undefined) id[key] = item[key];
    const text = JSON.stringify(id);
    if (seen.has(text)) errors.duplicate(`${path}[${i}]`, id);
    seen.add(text);
  });
}
