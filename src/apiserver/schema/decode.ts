import { errorMessage } from "#base/errors.ts";
import { storedQuantity } from "#base/quantity.ts";
import { type Dict, isDict, setField } from "../object.ts";
import type { Field, ObjectType, Schema } from "./schema.ts";

/** A value has another JSON type than its field; the text is Go's. */
export class TypeMismatch extends Error {}

/**
 * Brings JSON into the form that a Go server would give back: unknown fields go (and are reported), null, empty lists
 * and zero values of fields that are not pointers go, quantities and timestamps get their canonical form.
 * Throws TypeMismatch.
 * @param unknown collects the paths of unknown fields
 */
export function decodeObject(schema: Schema, type: string, value: unknown, unknown: string[]): Dict {
  if (!isDict(value))
    throw new TypeMismatch(`json: cannot unmarshal ${goType(value)} into Go value of type ${goName(type)}`);
  return decodeStruct({ schema, unknown }, schema.type(type), value, "");
}

interface Context {
  readonly schema: Schema;
  readonly unknown: string[];
}

function decodeStruct(context: Context, type: ObjectType, value: Dict, path: string): Dict {
  const out: Dict = {};
  for (const key in value) {
    const field = type.fields.get(key);
    const here = path ? `${path}.${key}` : key;
    if (!field) {
      context.unknown.push(here);
      continue;
    }
    const item = value[key];
    if (item === null || item === undefined) continue;
    const decoded = decodeField(context, type, field, item, here);
    if (decoded !== undefined) out[key] = decoded;
  }
  return out;
}

function decodeField(context: Context, type: ObjectType, field: Field, value: unknown, path: string): unknown {
  if (field.shape === "list") {
    if (!Array.isArray(value)) throw mismatch(type, field, value, path, "[]");
    // Lists that Go writes without omitempty (Role.rules, EndpointSlice.endpoints) stay when empty.
    if (value.length === 0 && !field.required) return undefined;
    return value.map((item, i) => decodeOne(context, type, field, item ?? {}, `${path}[${i}]`));
  }
  if (field.shape === "map") {
    if (!isDict(value)) throw mismatch(type, field, value, path, "map");
    const out: Dict = {};
    for (const key in value)
      setField(out, key, decodeOne(context, type, field, value[key] ?? emptyOf(field), `${path}.${key}`));
    return Object.keys(out).length === 0 ? undefined : out;
  }
  const decoded = decodeOne(context, type, field, value, path);
  return isZero(decoded) && !field.pointer && !field.required ? undefined : decoded;
}

function emptyOf(field: Field): unknown {
  return field.kind === "struct" ? {} : field.kind === "Quantity" ? "0" : "";
}

/** A zero that Go's omitempty leaves out. */
function isZero(value: unknown): boolean {
  return value === "" || value === 0 || value === false;
}

function decodeOne(context: Context, type: ObjectType, field: Field, value: unknown, path: string): unknown {
  switch (field.kind) {
    case "struct":
      if (!isDict(value)) throw mismatch(type, field, value, path, goName(field.type));
      return decodeStruct(context, context.schema.type(field.type), value, path);
    case "string":
    case "Duration":
      if (typeof value !== "string") throw mismatch(type, field, value, path, "string");
      return value;
    case "bool":
      if (typeof value !== "boolean") throw mismatch(type, field, value, path, "bool");
      return value;
    case "int32":
    case "int64":
      if (typeof value !== "number" || !Number.isInteger(value)) throw mismatch(type, field, value, path, field.kind);
      if (field.kind === "int32" && value !== (value | 0)) throw mismatch(type, field, value, path, field.kind);
      return value;
    case "double":
      if (typeof value !== "number") throw mismatch(type, field, value, path, "float64");
      return value;
    case "bytes":
      return decodeBytes(type, field, value, path);
    case "Time":
    case "MicroTime":
      return decodeTime(value, field.kind === "MicroTime");
    case "Quantity":
      return decodeQuantity(value);
    case "IntOrString":
      if (typeof value !== "string" && !Number.isInteger(value))
        throw mismatch(type, field, value, path, "intstr.IntOrString");
      return value;
    case "FieldsV1":
    case "RawExtension":
      return value;
    case "ExtraValue":
      if (!Array.isArray(value)) throw mismatch(type, field, value, path, "v1.ExtraValue");
      for (const text of value) if (typeof text !== "string") throw mismatch(type, field, text, path, "string");
      return value;
  }
}

function decodeBytes(type: ObjectType, field: Field, value: unknown, path: string): string {
  if (typeof value !== "string") throw mismatch(type, field, value, path, "[]uint8");
  const bad = /[^A-Za-z0-9+/=\r\n]/.exec(value);
  if (bad) throw new TypeMismatch(`illegal base64 data at input byte ${bad.index}`);
  const text = value.replace(/[\r\n]/g, "");
  if (text.length % 4 !== 0)
    throw new TypeMismatch(`illegal base64 data at input byte ${text.length - (text.length % 4)}`);
  return text;
}

/** RFC 3339 text in UTC, seconds or microseconds. */
function decodeTime(value: unknown, micro: boolean): string | undefined {
  if (typeof value !== "string")
    throw new TypeMismatch(`json: cannot unmarshal ${goType(value)} into Go value of type string`);
  if (value === "") return undefined;
  const match = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(value);
  const time = match ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new TypeMismatch(
      `parsing time "${JSON.stringify(value).slice(1, -1)}" as "2006-01-02T15:04:05Z07:00": cannot parse "${value}" as "2006"`,
    );
  }
  const seconds = new Date(Math.floor(time / 1000) * 1000).toISOString().slice(0, 19);
  if (!micro) return `${seconds}Z`;
  return `${seconds}.${(match?.[1] ?? ".").slice(1, 7).padEnd(6, "0")}Z`;
}

/** A quantity's text. Throws TypeMismatch with apimachinery's message. */
function decodeQuantity(value: unknown): string {
  // What is neither text nor number is, as JSON, no quantity either.
  const text = typeof value === "string" ? value.trim() : typeof value === "number" ? String(value) : "{}";
  try {
    return storedQuantity(text);
  } catch (error) {
    throw new TypeMismatch(errorMessage(error));
  }
}

function mismatch(type: ObjectType, field: Field, value: unknown, path: string, want: string): TypeMismatch {
  const names = path.replace(/\[\d+\]/g, "");
  const target = want === "[]" ? `[]${goElement(field)}` : want === "map" ? `map[string]${goElement(field)}` : want;
  const literal = typeof value === "number" && want.startsWith("int") ? `number ${value}` : goType(value);
  return new TypeMismatch(
    `json: cannot unmarshal ${literal} into Go struct field ${type.name.split(".").at(-1)}.${names} of type ${target}`,
  );
}

function goElement(field: Field): string {
  if (field.kind === "struct") return goName(field.type);
  return field.kind === "bytes" ? "[]uint8" : field.kind === "Quantity" ? "resource.Quantity" : field.kind;
}

/** `core.v1.Container` → `v1.Container`. */
function goName(type: string): string {
  return type.split(".").slice(1).join(".");
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return typeof value === "boolean" ? "bool" : typeof value;
}
