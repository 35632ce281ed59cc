import { type Dict, isDict, setField } from "../object.ts";
import { decodeObject, TypeMismatch } from "../schema/decode.ts";
import type { Schema } from "../schema/schema.ts";

/** How the fields of JSONSchemaProps are made up; `?` marks pointers, whose zero values are kept. */
const shapes: Readonly<Record<string, string>> = {
  id: "string",
  $schema: "string",
  $ref: "string",
  description: "string",
  type: "string",
  format: "string",
  title: "string",
  default: "json",
  maximum: "number?",
  exclusiveMaximum: "bool",
  minimum: "number?",
  exclusiveMinimum: "bool",
  maxLength: "integer?",
  minLength: "integer?",
  pattern: "string",
  maxItems: "integer?",
  minItems: "integer?",
  uniqueItems: "bool",
  multipleOf: "number?",
  enum: "jsons",
  maxProperties: "integer?",
  minProperties: "integer?",
  required: "strings",
  items: "schema",
  allOf: "schemas",
  oneOf: "schemas",
  anyOf: "schemas",
  not: "schema",
  properties: "map",
  additionalProperties: "schema",
  patternProperties: "map",
  dependencies: "object",
  additionalItems: "schema",
  definitions: "map",
  externalDocs: "object",
  example: "json",
  nullable: "bool",
  "x-kubernetes-preserve-unknown-fields": "bool?",
  "x-kubernetes-embedded-resource": "bool",
  "x-kubernetes-int-or-string": "bool",
  "x-kubernetes-list-map-keys": "strings",
  "x-kubernetes-list-type": "string?",
  "x-kubernetes-map-type": "string?",
  "x-kubernetes-validations": "rules",
};

/** The fields of a ValidationRule. */
const ruleShapes: Readonly<Record<string, string>> = {
  rule: "string",
  message: "string",
  messageExpression: "string",
  reason: "string?",
  fieldPath: "string",
  optionalOldSelf: "bool?",
};

const goTypes: Readonly<Record<string, string>> = {
  string: "string",
  number: "float64",
  integer: "int64",
  bool: "bool",
  strings: "[]string",
  jsons: "[]v1.JSON",
  schemas: "[]v1.JSONSchemaProps",
  rules: "[]v1.ValidationRule",
  map: "map[string]v1.JSONSchemaProps",
  object: "map",
  schema: "v1.JSONSchemaProps",
};

/** Brings a CustomResourceDefinition into the form that is kept. Throws TypeMismatch. */
export function decodeDefinition(schema: Schema, type: string, value: Dict, unknown: string[]): Dict {
  const out = decodeObject(schema, type, value, unknown);
  const spec = out.spec as { versions?: { schema?: { openAPIV3Schema?: unknown } }[] } | undefined;
  spec?.versions?.forEach((version, i) => {
    const root = version.schema?.openAPIV3Schema;
    if (version.schema && root !== undefined)
      version.schema.openAPIV3Schema = decodeSchema(root, `spec.versions[${i}].schema.openAPIV3Schema`, unknown);
  });
  return out;
}

function decodeSchema(value: unknown, path: string, unknown: string[]): Dict {
  return decodeFields(shapes, "JSONSchemaProps", value, path, unknown);
}

function decodeFields(
  table: Readonly<Record<string, string>>,
  type: string,
  value: unknown,
  path: string,
  unknown: string[],
): Dict {
  if (!isDict(value)) throw mismatch(type, path, value, `v1.${type}`);
  const out: Dict = {};
  for (const key in value) {
    const here = `${path}.${key}`;
    const shape = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!shape) {
      unknown.push(here);
      continue;
    }
    const pointer = shape.endsWith("?");
    const name = pointer ? shape.slice(0, -1) : shape;
    const item = value[key];
    // A default of null says something, all other nulls do not.
    if (item === undefined || (item === null && name !== "json")) continue;
    const decoded = decodeValue(name, type, item, here, unknown);
    if (pointer || !isEmpty(decoded, name)) out[key] = decoded;
  }
  return out;
}

/** What Go's omitempty leaves out. */
function isEmpty(value: unknown, shape: string): boolean {
  if (shape === "json" || shape === "schema") return false;
  if (Array.isArray(value)) return value.length === 0;
  if (isDict(value)) return Object.keys(value).length === 0;
  return value === "" || value === false;
}

function decodeValue(shape: string, type: string, value: unknown, path: string, unknown: string[]): unknown {
  const wrong = () => mismatch(type, path, value, goTypes[shape] ?? shape);
  switch (shape) {
    case "json":
      return value;
    case "string":
    case "number":
      if (typeof value !== shape) throw wrong();
      return value;
    case "bool":
      if (typeof value !== "boolean") throw wrong();
      return value;
    case "integer":
      if (!Number.isInteger(value)) throw wrong();
      return value;
    case "schema":
      return decodeUnion(value, path, unknown);
    case "map":
    case "object":
      if (!isDict(value)) throw wrong();
      return shape === "object" ? value : decodeMap(value, path, unknown);
    default:
      if (!Array.isArray(value)) throw wrong();
      return value.map((item, i) => decodeItem(shape, type, item, `${path}[${i}]`, unknown));
  }
}

/** A schema, or where the type allows it a boolean or a list, which validation judges. */
function decodeUnion(value: unknown, path: string, unknown: string[]): unknown {
  const field = path.slice(path.lastIndexOf(".") + 1);
  if (typeof value === "boolean" && field.startsWith("additional")) return value;
  if (Array.isArray(value) && field === "items")
    return value.map((one, i) => decodeSchema(one, `${path}[${i}]`, unknown));
  return decodeSchema(value, path, unknown);
}

function decodeMap(value: Dict, path: string, unknown: string[]): Dict {
  const out: Dict = {};
  for (const key in value) setField(out, key, decodeSchema(value[key], `${path}.${key}`, unknown));
  return out;
}

function decodeItem(shape: string, type: string, item: unknown, path: string, unknown: string[]): unknown {
  if (shape === "jsons") return item;
  if (shape === "schemas") return decodeSchema(item, path, unknown);
  if (shape === "rules") return { rule: "", ...decodeFields(ruleShapes, "ValidationRule", item, path, unknown) };
  if (typeof item !== "string") throw mismatch(type, path, item, "string");
  return item;
}

function mismatch(type: string, path: string, value: unknown, want: string): TypeMismatch {
  const literal = Array.isArray(value)
    ? "array"
    : value === null
      ? "null"
      : typeof value === "boolean"
        ? "bool"
        : typeof value === "number" && want === "int64"
          ? `number ${value}`
          : typeof value;
  return new TypeMismatch(
    `json: cannot unmarshal ${literal} into Go struct field ${type}.${path.replace(/\[\d+\]/g, "")} of type ${want}`,
  );
}
