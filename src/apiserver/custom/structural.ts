import { compileRegExp } from "#base/goRegExp.ts";
import { equalJson } from "#base/json.ts";
import { FieldErrors } from "../errors.ts";
import { isDict } from "../object.ts";
import { validateListExtensions } from "./list-extensions.ts";
import type { JsonSchema } from "./model.ts";
import { propertyOf } from "./prune.ts";

/** Where a schema stands: what may be left out depends on it. */
type Level = "root" | "item" | "field";

const types = ["array", "boolean", "integer", "number", "object", "string"];

/** Fields of JSONSchemaProps that version 1 does not take. */
const unsupportedFields = ["id", "patternProperties", "additionalItems", "definitions", "dependencies", "$ref"];

const intOrString = [{ type: "integer" }, { type: "string" }];

/**
 * Validates that a schema is structural: every field has a type, and logical junctors only restrict what is specified
 * outside of them. Source: apiextensions-apiserver pkg/apiserver/schema/validation.go, complete.go and
 * pkg/apis/apiextensions/validation/validation.go.
 */
export function validateStructural(schema: JsonSchema, path: string, errors: FieldErrors): void {
  const found = new FieldErrors();
  validateLevel(schema, "root", path, found);
  validateComplete(schema, path, found);
  validatePatterns(schema, path, found);
  // Sorted as upstream does it, where the order of maps is random.
  const text = (cause: { field?: string; message: string }) => `${cause.field}: ${cause.message}`;
  errors.take(found.causes.sort((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0)));
}

/** Validates what holds for schemas anywhere, inside of junctors too. */
export function validateForm(schema: JsonSchema, path: string, errors: FieldErrors): void {
  const raw = schema as Readonly<Record<string, unknown>>;
  for (const field of unsupportedFields)
    if (raw[field] !== undefined) errors.forbidden(`${path}.${field}`, `${field} is not supported`);
  if (schema.uniqueItems)
    errors.forbidden(
      `${path}.uniqueItems`,
      "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    );
  if (schema.type === "null")
    errors.forbidden(`${path}.type`, "type cannot be set to null, use nullable as an alternative");
  else if (schema.type && !types.includes(schema.type)) errors.unsupported(`${path}.type`, schema.type, types);
  if (Array.isArray(schema.items)) errors.forbidden(`${path}.items`, "items must be a schema object and not an array");
  const closed = schema.additionalProperties !== undefined && schema.additionalProperties !== true;
  if (closed && Object.keys(schema.properties ?? {}).length > 0)
    errors.forbidden(`${path}.additionalProperties`, "additionalProperties and properties are mutual exclusive");
  if (schema["x-kubernetes-preserve-unknown-fields"] === false)
    errors.invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined");
  validateListExtensions(schema, path, errors);
  for (const [below, where] of children(schema, path)) validateForm(below, where, errors);
  for (const [below, where] of junctors(schema, path)) validateForm(below, where, errors);
}

function validatePatterns(schema: JsonSchema, path: string, errors: FieldErrors): void {
  for (const [below, where] of children(schema, path)) validatePatterns(below, where, errors);
  for (const [below, where] of junctors(schema, path)) validatePatterns(below, where, errors);
  if (!schema.pattern) return;
  try {
    compileRegExp(schema.pattern);
  } catch (error) {
    errors.invalid(
      `${path}.pattern`,
      schema.pattern,
      `must be a valid regular expression, but isn't: error parsing regexp: ${(error as Error).message}`,
    );
  }
}

/** The schemas of an object's fields and a list's items, with their paths. */
export function* children(schema: JsonSchema, path: string): Generator<[JsonSchema, string, Level]> {
  if (isDict(schema.items)) yield [schema.items, `${path}.items`, "item"];
  for (const [key, below] of Object.entries(schema.properties ?? {}))
    yield [below, `${path}.properties[${key}]`, "field"];
  if (isDict(schema.additionalProperties)) yield [schema.additionalProperties, `${path}.additionalProperties`, "field"];
}

/** The schemas inside of allOf, anyOf, oneOf and not. */
function* junctors(schema: JsonSchema, path: string): Generator<[JsonSchema, string]> {
  for (const name of ["anyOf", "allOf", "oneOf"] as const)
    for (const [i, below] of (schema[name] ?? []).entries()) yield [below, `${path}.${name}[${i}]`];
  if (schema.not) yield [schema.not, `${path}.not`];
}

function validateLevel(schema: JsonSchema, level: Level, path: string, errors: FieldErrors): void {
  if (schema.type === "array" && !schema.items) errors.required(`${path}.items`, "must be specified");
  if (level === "root" && schema.additionalProperties !== undefined)
    errors.forbidden(`${path}.additionalProperties`, "must not be used at the root");
  validateType(schema, level, path, errors);
  validateExtensions(schema, path, errors);
  if (level === "root" || schema["x-kubernetes-embedded-resource"]) validateTypeMeta(schema, level, path, errors);
  for (const [below, where] of nestedJunctors(schema, path)) validateNested(below, where, errors);
  for (const [below, where, of] of children(schema, path)) {
    if (level === "root" && where === `${path}.properties[metadata]`) continue;
    validateLevel(below, of, where, errors);
  }
}

function validateType(schema: JsonSchema, level: Level, path: string, errors: FieldErrors): void {
  const embedded = schema["x-kubernetes-embedded-resource"];
  const free = schema["x-kubernetes-int-or-string"] || schema["x-kubernetes-preserve-unknown-fields"];
  if (embedded && schema.type !== "object") {
    const text = "must be object if x-kubernetes-embedded-resource is true";
    if (schema.type) errors.invalid(`${path}.type`, schema.type, text);
    else errors.required(`${path}.type`, text);
  } else if (!schema.type && !free) {
    errors.required(
      `${path}.type`,
      {
        root: "must not be empty at the root",
        item: "must not be empty for specified array items",
        field: "must not be empty for specified object fields",
      }[level],
    );
  }
  if (level === "root" && schema.type && schema.type !== "object")
    errors.invalid(`${path}.type`, schema.type, "must be object at the root");
}

function validateExtensions(schema: JsonSchema, path: string, errors: FieldErrors): void {
  const embedded = schema["x-kubernetes-embedded-resource"];
  const preserve = schema["x-kubernetes-preserve-unknown-fields"];
  if (schema["x-kubernetes-int-or-string"]) {
    const text = "must be false if x-kubernetes-int-or-string is true";
    if (preserve) errors.invalid(`${path}.x-kubernetes-preserve-unknown-fields`, true, text);
    if (embedded) errors.invalid(`${path}.x-kubernetes-embedded-resource`, true, text);
  }
  if (!embedded) return;
  if (schema.additionalProperties !== undefined)
    errors.forbidden(`${path}.additionalProperties`, "must not be used if x-kubernetes-embedded-resource is set");
  if (!preserve && Object.keys(schema.properties ?? {}).length === 0)
    errors.required(
      `${path}.properties`,
      "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
    );
}

function validateTypeMeta(schema: JsonSchema, level: Level, path: string, errors: FieldErrors): void {
  const { kind, apiVersion, metadata } = schema.properties ?? {};
  if (kind && kind.type !== "string")
    errors.invalid(`${path}.properties[kind].type`, kind.type ?? "", "must be string");
  if (apiVersion && apiVersion.type !== "string")
    errors.invalid(`${path}.properties[apiVersion].type`, apiVersion.type ?? "", "must be string");
  if (!metadata) return;
  if (metadata.type !== "object")
    errors.invalid(`${path}.properties[metadata].type`, metadata.type ?? "", "must be object");
  if (level !== "root") return;
  const names = Object.keys(metadata.properties ?? {});
  const { type: _t, description: _d, properties: _p, required: _r, ...others } = metadata;
  if (names.some((n) => n !== "name" && n !== "generateName") || Object.keys(others).length > 0)
    errors.forbidden(
      `${path}.properties[metadata]`,
      "must not specify anything other than name and generateName, but metadata is implicitly specified",
    );
}

/** Junctors, without the two forms in which an int-or-string says what it is. */
function* nestedJunctors(schema: JsonSchema, path: string): Generator<[JsonSchema, string]> {
  const skipAnyOf = equalJson(schema.anyOf, intOrString);
  for (const [below, where] of junctors(schema, path)) {
    if (skipAnyOf && where.startsWith(`${path}.anyOf[`)) continue;
    if (where === `${path}.allOf[0]` && equalJson(below.anyOf, intOrString)) {
      const { anyOf: _, ...rest } = below;
      yield [rest, where];
    } else yield [below, where];
  }
}

/** Fields that may not stand inside of a junctor, and what they would have to be. */
const structuralOnly: readonly (readonly [string, string])[] = [
  ["type", "must be empty to be structural"],
  ["additionalProperties", "must be undefined to be structural"],
  ["default", "must be undefined to be structural"],
  ["title", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["nullable", "must be false to be structural"],
  ["externalDocs", "must be undefined to be structural"],
  ["x-kubernetes-preserve-unknown-fields", "must be false to be structural"],
  ["x-kubernetes-embedded-resource", "must be false to be structural"],
  ["x-kubernetes-int-or-string", "must be false to be structural"],
  ["x-kubernetes-list-map-keys", "must be empty to be structural"],
  ["x-kubernetes-list-type", "must be undefined to be structural"],
  ["x-kubernetes-map-type", "must be undefined to be structural"],
  ["x-kubernetes-validations", "must be empty to be structural"],
];

function validateNested(schema: JsonSchema, path: string, errors: FieldErrors): void {
  const raw = schema as Readonly<Record<string, unknown>>;
  for (const [field, text] of structuralOnly) if (raw[field] !== undefined) errors.forbidden(`${path}.${field}`, text);
  if (schema.properties?.metadata)
    errors.forbidden(`${path}.properties[metadata]`, "must not be specified in a nested context");
  for (const [below, where] of children(schema, path)) validateNested(below, where, errors);
  for (const [below, where] of nestedJunctors(schema, path)) validateNested(below, where, errors);
}

/** Every field that a junctor restricts is specified outside of it too. */
function validateComplete(schema: JsonSchema, path: string, errors: FieldErrors): void {
  for (const [below, where] of junctors(schema, path)) compareComplete(schema, below, path, where, errors);
  for (const [below, where] of children(schema, path)) validateComplete(below, where, errors);
}

function compareComplete(
  schema: JsonSchema,
  nested: JsonSchema,
  path: string,
  where: string,
  errors: FieldErrors,
): void {
  if (nested.items) {
    if (schema.items) compareComplete(schema.items, nested.items, `${path}.items`, `${where}.items`, errors);
    else errors.required(`${path}.items`, `because it is defined in ${where}.items`);
  }
  for (const [key, below] of Object.entries(nested.properties ?? {})) {
    const outside = propertyOf(schema, key);
    const at = `properties[${key}]`;
    if (outside) compareComplete(outside, below, `${path}.${at}`, `${where}.${at}`, errors);
    else errors.required(`${path}.${at}`, `because it is defined in ${where}.${at}`);
  }
  for (const [below, inner] of junctors(nested, where)) compareComplete(schema, below, path, inner, errors);
}
