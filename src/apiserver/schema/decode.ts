import { errorMessage } from "#base/errors.ts";
import { storedQuantity } from "#base/quantity.ts";
import { type Dict, isDict, setField } from "../object.ts";
import { type Dialect, goName, goType, mismatch as mismatchOf, TypeMismatch } from "./mismatch.ts";
import type { Field, ObjectType, Schema } from "./schema.ts";

export { TypeMismatch } from "./mismatch.ts";

/**
 * Brings JSON into the form that a Go server would give back: unknown fields go (and are reported), null, empty lists
 * and zero values of fields that are not pointers go, quantities and timestamps get their canonical form.
 * Throws TypeMismatch.
 * @param unknown collects the paths of unknown fields
 */
export function decodeObject(
  schema: Schema,
  type: string,
  value: unknown,
  unknown: string[],
  dialect: Dialect = "json",
): Dict {
  if (!isDict(value))
    throw new TypeMismatch(`json: cannot unmarshal ${goType(value)} into Go value of type ${goName(type)}`);
  return decodeStruct({ schema, unknown, dialect }, schema.type(type), value, "");
}

/** Why a whole number beyond 2^53 is refused: rounded silently it would be another. */
export const inexact = "cannot be kept exactly by this server, whose whole numbers go up to 2^53";

interface Context {
  readonly schema: Schema;
  readonly unknown: string[];
  readonly dialect: Dialect;
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
    if (!Array.isArray(value)) throw mismatch(context, type, field, value, path, "list");
    // Lists that Go writes without omitempty (Role.rules, EndpointSlice.endpoints) stay when empty.
    if (value.length === 0 && !field.required) return undefined;
    return value.map((item, i) => decodeOne(context, type, field, item ?? {}, `${path}[${i}]`));
  }
  if (field.shape === "map") {
    if (!isDict(value)) throw mismatch(context, type, field, value, path, "map");
    const out: Dict = {};
    for (const key in value)
      setField(out, key, decodeOne(context, type, field, value[key] ?? emptyOf(field), `${path}.${key}`));
    return Object.keys(out).length === 0 ? undefined : out;
  }
  const decoded = decodeOne(context, type, field, value, path);
  // An IntOrString is a struct in Go, which omitempty never leaves out: maxUnavailable: 0 is not 25 %.
  if (field.pointer || field.required || field.kind === "IntOrString") return decoded;
  return isZero(decoded) ? undefined : decoded;
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
      if (!isDict(value)) throw mismatch(context, type, field, value, path);
      return decodeStruct(context, context.schema.type(field.type), value, path);
    case "string":
    case "Duration":
      if (typeof value !== "string") throw mismatch(context, type, field, value, path);
      return value;
    case "bool":
      if (typeof value !== "boolean") throw mismatch(context, type, field, value, path);
      return value;
    case "int32":
    case "int64":
      if (typeof value !== "number" || !Number.isInteger(value)) throw mismatch(context, type, field, value, path);
      if (field.kind === "int32" && value !== (value | 0)) throw mismatch(context, type, field, value, path);
      if (!Number.isSafeInteger(value)) throw new TypeMismatch(`${path}: ${value} ${inexact}`);
      return value;
    case "double":
      if (typeof value !== "number") throw mismatch(context, type, field, value, path);
      return value;
    case "bytes":
      return decodeBytes(context, type, field, value, path);
    case "Time":
    case "MicroTime":
      if (typeof value !== "string") throw mismatch(context, type, { ...field, kind: "string" }, value, path);
      return decodeTime(value, field.kind === "MicroTime");
    case "Quantity":
      return decodeQuantity(value);
    case "IntOrString":
      if (typeof value !== "string" && !Number.isInteger(value)) throw mismatch(context, type, field, value, path);
      return value;
    case "FieldsV1":
    case "RawExtension":
      return value;
    case "ExtraValue":
      if (!Array.isArray(value)) throw mismatch(context, type, field, value, path);
      for (const text of value)
        if (typeof text !== "string") throw mismatch(context, type, { ...field, kind: "string" }, text, path);
      return value;
  }
}

function decodeBytes(context: Context, type: ObjectType, field: Field, value: unknown, path: string): string {
  if (typeof value !== "string") throw mismatch(context, type, field, value, path);
  const text = value.replace(/[\r\n]/g, "");
  const bad = base64Fault(text);
  if (bad !== undefined) throw new TypeMismatch(`illegal base64 data at input byte ${bad}`);
  return text;
}

/** Where Go's decoder finds that a text is no base64; undefined when it is. */
function base64Fault(text: string): number | undefined {
  const [body = ""] = /^[A-Za-z0-9+/]*/.exec(text) ?? [];
  const rest = text.slice(body.length);
  const open = body.length % 4;
  if (rest === "") return open === 0 ? undefined : body.length - open;
  if (rest[0] !== "=" || open < 2) return body.length;
  if (open === 3) return rest.length > 1 ? body.length + 1 : undefined;
  if (rest.length === 1) return text.length;
  if (rest[1] !== "=") return body.length + 1;
  return rest.length > 2 ? body.length + 2 : undefined;
}

/** A time of whole seconds in UTC as nearly all are written, on a day that every month has: nothing about it changes. */
const plainTime = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;

/** RFC 3339 text in UTC, seconds or microseconds. */
function decodeTime(value: string, micro: boolean): string | undefined {
  if (value === "") return undefined;
  if (!micro && plainTime.test(value)) return value;
  const match = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(value);
  const time = match ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new TypeMismatch(
      `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05${micro ? ".000000" : ""}Z07:00": cannot parse ${JSON.stringify(value)} as "2006"`,
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

function mismatch(
  { dialect }: Context,
  owner: ObjectType,
  field: Field,
  value: unknown,
  path: string,
  want: "list" | "map" | "one" = "one",
): TypeMismatch {
  // Paths name fields only: neither list indexes nor map keys.
  const whole = path.replace(/\[\d+\]/g, "");
  const names =
    field.shape === "map" && want === "one"
      ? whole.slice(0, whole.lastIndexOf(`${field.name}.`) + field.name.length)
      : whole;
  return mismatchOf({ owner, field, value, path: names, want }, dialect);
}
