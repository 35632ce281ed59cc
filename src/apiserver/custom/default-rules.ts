import { equalJson } from "#base/json.ts";
import { FieldErrors } from "../errors.ts";
import { cloneJson, isDict } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { validateListTypes } from "./list-types.ts";
import type { JsonSchema } from "./model.ts";
import { pruneObject } from "./prune.ts";
import { children } from "./structural.ts";
import { SchemaValidator } from "./validate.ts";

/**
 * Validates the defaults of a schema against that schema (apiextensions-apiserver pkg/apiserver/schema/defaulting).
 */
export function validateDefaults(types: Schema, schema: JsonSchema, path: string, errors: FieldErrors): void {
  for (const [below, where] of children(schema, path)) {
    const top = path.endsWith(".openAPIV3Schema") && /\.properties\[(metadata|kind|apiVersion)\]$/.exec(where);
    if (top) {
      if (below.default !== undefined) errors.forbidden(`${where}.default`, `must not be set in top-level ${top[1]}`);
      continue;
    }
    if (below.default !== undefined) validateDefault(types, below, `${where}.default`, errors);
    validateDefaults(types, below, where, errors);
  }
}

function validateDefault(types: Schema, schema: JsonSchema, path: string, errors: FieldErrors): void {
  const value = schema.default;
  // Wrapped, so that pruning sees a value of any type.
  const holder: JsonSchema = { properties: { value: schema } };
  const found = new FieldErrors();
  const unknown: string[] = [];
  const pruned = pruneObject({ schema: types, unknown }, holder, { value: cloneJson(value) });
  if (unknown.length > 0 || (isDict(value) && !equalJson(pruned.value, value)))
    found.invalid(path, value, "must not have unknown fields");
  new SchemaValidator(path).validate(schema, value, undefined, found);
  validateListTypes(schema, value, path, found);
  // At the default's own place the field is its path, and the value has no name.
  errors.causes.push(...found.causes.map((c) => (c.field === "<nil>" ? { ...c, field: path } : c)));
}
