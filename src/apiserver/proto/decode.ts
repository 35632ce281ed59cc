import { errorMessage } from "#base/errors.ts";
import { badRequest } from "../errors.ts";
import { type Dict, setField } from "../object.ts";
import type { Field, ObjectType, Schema } from "../schema/schema.ts";

/**
 * Decodes protobuf request bodies: the envelope `k8s\0` + runtime.Unknown{typeMeta=1, raw=2}, then the object.
 * Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf, and the field numbers of the generated table.
 */

const magic = Buffer.from("k8s\0");

/** The object in an envelope as JSON, with apiVersion and kind from the envelope. Throws StatusError 400. */
export function decodeProtobuf(schema: Schema, bytes: Buffer, type: string): Dict {
  if (!bytes.subarray(0, 4).equals(magic))
    throw badRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  try {
    let apiVersion = "";
    let kind = "";
    let raw: Buffer = Buffer.alloc(0);
    for (const { number, value } of readFields(bytes.subarray(4))) {
      if (number === 2 && Buffer.isBuffer(value)) raw = value;
      if (number !== 1 || !Buffer.isBuffer(value)) continue;
      for (const inner of readFields(value)) {
        if (inner.number === 1) apiVersion = String(inner.value);
        if (inner.number === 2) kind = String(inner.value);
      }
    }
    const object = decodeMessage(schema, schema.type(type), raw, 0);
    return { ...object, ...(apiVersion ? { apiVersion } : {}), ...(kind ? { kind } : {}) };
  } catch (error) {
    // Cut short, or a field of another wire type than the table says: there is nothing in here but the client's bytes.
    throw badRequest(`proto: ${errorMessage(error)}`);
  }
}

interface WireField {
  readonly number: number;
  readonly value: Buffer | bigint;
}

/** Splits a message into fields. Throws RangeError where it is cut short. */
function* readFields(bytes: Buffer): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("unexpected EOF");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("integer overflow");
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError("unexpected EOF");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        yield { number, value: take(8) };
        break;
      case 2:
        yield { number, value: take(Number(varint())) };
        break;
      case 5:
        yield { number, value: take(4) };
        break;
      default:
        throw new RangeError(`illegal wireType ${tag & 7}`);
    }
  }
}

/** Deepest nesting of messages; the API's own types stay far below. */
const depthLimit = 64;

function decodeMessage(schema: Schema, type: ObjectType, bytes: Buffer, depth: number): Dict {
  if (depth > depthLimit) throw new RangeError("message nested too deeply");
  const out: Dict = {};
  for (const { number, value } of readFields(bytes)) {
    const field = type.byNumber.get(number);
    if (!field) continue;
    if (field.inline) {
      Object.assign(out, decodeMessage(schema, schema.type(field.type), value as Buffer, depth + 1));
    } else if (field.shape === "list") {
      ((out[field.name] ??= []) as unknown[]).push(decodeValue(schema, field, value, depth));
    } else if (field.shape === "map") {
      decodeEntry(schema, field, value as Buffer, (out[field.name] ??= {}) as Dict, depth);
    } else {
      const decoded = decodeValue(schema, field, value, depth);
      if (decoded !== undefined && !isAbsent(field, decoded)) out[field.name] = decoded;
    }
  }
  return out;
}

/** Structures that are no pointers in Go are written even when empty; those left out in JSON say so by being empty. */
function isAbsent(field: Field, value: unknown): boolean {
  if (field.pointer || field.required || field.kind === "IntOrString") return false;
  return value === "" || value === 0 || value === false;
}

function decodeEntry(schema: Schema, field: Field, bytes: Buffer, out: Dict, depth: number): void {
  let key = "";
  let value: unknown = field.kind === "struct" ? {} : field.kind === "ExtraValue" ? [] : "";
  for (const entry of readFields(bytes)) {
    if (entry.number === 1) key = String(entry.value);
    if (entry.number === 2) value = decodeValue(schema, field, entry.value, depth);
  }
  setField(out, key, value);
}

function decodeValue(schema: Schema, field: Field, value: Buffer | bigint, depth: number): unknown {
  switch (field.kind) {
    case "string":
      return (value as Buffer).toString("utf8");
    case "bool":
      return value !== 0n;
    case "int32":
    case "int64":
      return Number(BigInt.asIntN(64, value as bigint));
    case "double":
      return (value as Buffer).readDoubleLE(0);
    case "bytes":
      return (value as Buffer).toString("base64");
    case "struct":
      return decodeMessage(schema, schema.type(field.type), value as Buffer, depth + 1);
    case "Time":
      return decodeTime(value as Buffer, 0);
    case "MicroTime":
      return decodeTime(value as Buffer, 6);
    case "Duration":
      return `${Number(number(value as Buffer, 1)) / 1e9}s`;
    case "Quantity":
      return text(value as Buffer, 1);
    case "IntOrString":
      return number(value as Buffer, 1) === 1n
        ? text(value as Buffer, 3)
        : Number(BigInt.asIntN(64, number(value as Buffer, 2)));
    case "FieldsV1":
    case "RawExtension":
      return JSON.parse(text(value as Buffer, 1) || "{}");
    case "ExtraValue":
      return [...readFields(value as Buffer)].filter((f) => f.number === 1).map((f) => String(f.value));
  }
}

function number(bytes: Buffer, wanted: number): bigint {
  for (const f of readFields(bytes)) if (f.number === wanted && typeof f.value === "bigint") return f.value;
  return 0n;
}

function text(bytes: Buffer, wanted: number): string {
  for (const f of readFields(bytes)) if (f.number === wanted) return String(f.value);
  return "";
}

/** Timestamp{seconds=1, nanos=2}; an empty message is the zero time, which JSON leaves out. */
function decodeTime(bytes: Buffer, digits: number): string | undefined {
  if (bytes.length === 0) return undefined;
  const date = new Date(Number(BigInt.asIntN(64, number(bytes, 1))) * 1000);
  if (Number.isNaN(date.getTime())) throw new RangeError("time out of range");
  const seconds = date.toISOString().slice(0, 19);
  return digits ? `${seconds}.${String(number(bytes, 2)).padStart(9, "0").slice(0, 6)}Z` : `${seconds}Z`;
}
