import type { FieldErrors } from "../errors.ts";
import { isDict } from "../object.ts";
import type { JsonSchema } from "./model.ts";
import { schemaOf } from "./prune.ts";

/** Validates that embedded resources say what they are (apiextensions-apiserver pkg/apiserver/schema/objectmeta). */
export function validateEmbedded(schema: JsonSchema, value: unknown, path: string, errors: FieldErrors): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) value.forEach((item, i) => validateEmbedded(items, item, `${path}[${i}]`, errors));
    return;
  }
  if (!isDict(value)) return;
  if (schema["x-kubernetes-embedded-resource"]) {
    for (const field of ["apiVersion", "kind"]) {
      if (typeof value[field] === "string" && value[field] !== "") continue;
      if (value[field] === undefined || value[field] === "") errors.required(`${path}.${field}`, "must not be empty");
      else errors.typeInvalid(`${path}.${field}`, value[field], "must be a string");
    }
  }
  for (const key in value) {
    const below = schemaOf(schema, key);
    if (typeof below === "object") validateEmbedded(below, value[key], path ? `${path}.${key}` : key, errors);
  }
}
