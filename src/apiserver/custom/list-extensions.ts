import type { FieldErrors } from "../errors.ts";
import { isDict } from "../object.ts";
import type { JsonSchema } from "./model.ts";
import { propertyOf } from "./prune.ts";

/** Validates x-kubernetes-map-type, x-kubernetes-list-type and x-kubernetes-list-map-keys of one schema. */
export function validateListExtensions(schema: JsonSchema, path: string, errors: FieldErrors): void {
  const mapType = schema["x-kubernetes-map-type"];
  const listType = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (mapType !== undefined) {
    wantType(schema, "object", "x-kubernetes-map-type", path, errors);
    if (mapType !== "atomic" && mapType !== "granular")
      errors.unsupported(`${path}.x-kubernetes-map-type`, mapType, ["atomic", "granular"]);
  }
  if (listType !== undefined) {
    wantType(schema, "array", "x-kubernetes-list-type", path, errors);
    if (!["atomic", "set", "map"].includes(listType))
      errors.unsupported(`${path}.x-kubernetes-list-type`, listType, ["atomic", "set", "map"], false);
  }
  if (keys.length > 0 && listType !== "map") {
    const text = "must be map if x-kubernetes-list-map-keys is non-empty";
    if (listType === undefined) errors.required(`${path}.x-kubernetes-list-type`, text);
    else errors.invalid(`${path}.x-kubernetes-list-type`, listType, text);
  }
  if (listType === "map") validateMapKeys(schema, keys, path, errors);
  if (!isDict(schema.items)) return;
  const items: JsonSchema = schema.items;
  if (listType === "set" && schema.type === "array") validateSetItems(items, path, errors);
  if ((listType === "set" || listType === "map") && items.nullable)
    errors.forbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`);
}

function wantType(schema: JsonSchema, type: string, extension: string, path: string, errors: FieldErrors): void {
  if (schema.type === type) return;
  const text = `must be ${type} if ${extension} is specified`;
  if (schema.type) errors.invalid(`${path}.type`, schema.type, text);
  else errors.required(`${path}.type`, text);
}

function validateSetItems(items: JsonSchema, path: string, errors: FieldErrors): void {
  if (items.type === "array" && items["x-kubernetes-list-type"] !== "atomic" && items["x-kubernetes-list-type"])
    errors.invalid(
      `${path}.items.x-kubernetes-list-type`,
      items["x-kubernetes-list-type"],
      "must be atomic as item of a list with x-kubernetes-list-type=set",
    );
  if (items.type === "object" && items["x-kubernetes-map-type"] !== "atomic")
    errors.invalid(
      `${path}.items.x-kubernetes-map-type`,
      items["x-kubernetes-map-type"] ?? null,
      "must be atomic as item of a list with x-kubernetes-list-type=set",
    );
}

function validateMapKeys(schema: JsonSchema, keys: readonly string[], path: string, errors: FieldErrors): void {
  if (keys.length === 0)
    errors.required(`${path}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map");
  const { items } = schema;
  if (!items) {
    errors.required(`${path}.items`, "must have a schema if x-kubernetes-list-type is map");
    return;
  }
  if (items.type !== "object") {
    errors.invalid(
      `${path}.items.type`,
      items.type ?? "",
      "must be object if parent array's x-kubernetes-list-type is map",
    );
    return;
  }
  if (new Set(keys).size < keys.length)
    errors.invalid(`${path}.x-kubernetes-list-map-keys`, keys, "must not contain duplicate entries");
  for (const key of keys) {
    const property = propertyOf(items, key);
    if (!property) {
      errors.invalid(`${path}.x-kubernetes-list-map-keys`, keys, "entries must all be names of item properties");
      continue;
    }
    const at = `${path}.items.properties[${key}]`;
    if (property.type === "array" || property.type === "object")
      errors.invalid(
        `${at}.type`,
        items.type ?? "",
        "must be a scalar type if parent array's x-kubernetes-list-type is map",
      );
    if (property.default === undefined && !items.required?.includes(key))
      errors.required(
        `${at}.default`,
        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
      );
    if (property.nullable)
      errors.forbidden(`${at}.nullable`, "this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
  }
}
