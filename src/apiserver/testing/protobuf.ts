import type { Dict } from "../object.ts";
import type { Field, Schema } from "../schema/schema.ts";

/** A writer of protobuf bodies that follows the table of fields from the other side: what a Go client would send. */

function varint(value: bigint): Buffer {
  const out: number[] = [];
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...out, Number(rest)]);
    out.push(Number(rest & 127n) | 128);
  }
}

/** A length-delimited field. */
export function bytesField(number: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(BigInt((number << 3) | 2)), varint(BigInt(bytes.length)), bytes]);
}

/** A varint field. */
export function intField(number: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(BigInt(number << 3)), varint(BigInt(value))]);
}

/** A message of a type of the schema. */
export function encodeMessage(schema: Schema, type: string, object: Dict): Buffer {
  const parts: Buffer[] = [];
  for (const field of schema.type(type).byNumber.values()) {
    if (field.inline) {
      const inner = encodeMessage(schema, field.type, object);
      if (inner.length > 0) parts.push(bytesField(field.number, inner));
      continue;
    }
    const value = object[field.name];
    if (value === undefined || value === null) continue;
    if (field.shape === "list") for (const item of value as unknown[]) parts.push(encodeOne(schema, field, item));
    else if (field.shape === "map") {
      for (const [key, item] of Object.entries(value as Dict)) {
        const entry = Buffer.concat([bytesField(1, key), encodeOne(schema, { ...field, number: 2 }, item)]);
        parts.push(bytesField(field.number, entry));
      }
    } else parts.push(encodeOne(schema, field, value));
  }
  return Buffer.concat(parts);
}

function encodeTime(value: string): Buffer {
  const nanos = /\.(\d+)/.exec(value)?.[1] ?? "";
  const seconds = intField(1, Math.floor(Date.parse(value) / 1000));
  return nanos ? Buffer.concat([seconds, intField(2, Number(nanos.padEnd(9, "0")))]) : seconds;
}

function encodeOne(schema: Schema, field: Field, value: unknown): Buffer {
  const { number } = field;
  switch (field.kind) {
    case "string":
      return bytesField(number, value as string);
    case "bool":
      return intField(number, value ? 1 : 0);
    case "int32":
    case "int64":
      return intField(number, value as number);
    case "bytes":
      return bytesField(number, Buffer.from(value as string, "base64"));
    case "struct":
      return bytesField(number, encodeMessage(schema, field.type, value as Dict));
    case "Quantity":
      return bytesField(number, bytesField(1, String(value)));
    case "Time":
    case "MicroTime":
      return bytesField(number, encodeTime(value as string));
    case "IntOrString":
      return bytesField(
        number,
        typeof value === "number"
          ? intField(2, value)
          : Buffer.concat([intField(1, 1), bytesField(3, value as string)]),
      );
    case "FieldsV1":
    case "RawExtension":
      return bytesField(number, bytesField(1, JSON.stringify(value)));
    default:
      throw new Error(`no encoder for ${field.kind}`);
  }
}

/** The envelope `k8s\0` with apiVersion, kind and the message. */
export function envelope(apiVersion: string, kind: string, raw: Buffer): Buffer {
  const typeMeta = Buffer.concat([bytesField(1, apiVersion), bytesField(2, kind)]);
  return Buffer.concat([Buffer.from("k8s\0"), bytesField(1, typeMeta), bytesField(2, raw)]);
}
