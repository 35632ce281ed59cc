import { isDict } from "../../object.ts";
import type { JsonSchema } from "../model.ts";
import { schemaOf } from "../prune.ts";

/** Words that mean something in CEL, so that a field of this name is written `__word__`. */
const reserved = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/** A field's name as rules write it (k8s.io/apiserver/pkg/cel/escaping.go). */
export function escapeField(name: string): string {
  if (reserved.has(name)) return `__${name}__`;
  return name.replace(/__|[.\-/]/g, (found) => {
    switch (found) {
      case "__":
        return "__underscores__";
      case ".":
        return "__dot__";
      case "-":
        return "__dash__";
      default:
        return "__slash__";
    }
  });
}

/** A duration's length in seconds and nanoseconds as CEL's own type wants it, made by the caller. */
export type MakeDuration = (text: string) => unknown;

/**
 * A value as CEL sees it by its schema: integers are whole numbers of their own, timestamps, durations and bytes have
 * their types, fields of structures are escaped. What the schema does not know is not seen.
 */
export function celValue(schema: JsonSchema, value: unknown, duration: MakeDuration): unknown {
  if (value === undefined || value === null || typeof value === "boolean") return value ?? null;
  if (typeof value === "number") return schema.type === "number" || !Number.isInteger(value) ? value : BigInt(value);
  if (typeof value === "string") return celText(schema.format, value, duration);
  if (Array.isArray(value)) return value.map((item) => celValue(schema.items ?? {}, item, duration));
  const out = new Map<string, unknown>();
  if (!isDict(value)) return out;
  const isMap = schema.additionalProperties !== undefined;
  for (const key of Object.keys(value)) {
    const below = schemaOf(schema, key);
    if (below === false && !isTypeMeta(schema, key)) continue;
    const name = isMap ? key : escapeField(key);
    out.set(name, celValue(typeof below === "object" ? below : {}, value[key], duration));
  }
  return out;
}

const anything: JsonSchema = { "x-kubernetes-preserve-unknown-fields": true };

/** The whole object: of the metadata only the names are seen. */
export function celObject(schema: JsonSchema, value: unknown, duration: MakeDuration): unknown {
  const out = celValue(schema, value, duration);
  if (!(out instanceof Map) || !isDict(value)) return out;
  const meta = isDict(value.metadata) ? value.metadata : {};
  for (const key of ["apiVersion", "kind"]) if (value[key] !== undefined) out.set(key, value[key]);
  const names: Record<string, unknown> = {};
  for (const key of ["name", "generateName"]) if (meta[key] !== undefined) names[key] = meta[key];
  out.set("metadata", celValue(anything, names, duration));
  return out;
}

function isTypeMeta(schema: JsonSchema, key: string): boolean {
  return schema["x-kubernetes-embedded-resource"] === true && ["apiVersion", "kind", "metadata"].includes(key);
}

function celText(format: string | undefined, value: string, duration: MakeDuration): unknown {
  switch (format) {
    case "date":
    case "date-time":
    case "datetime": {
      const time = new Date(value);
      return Number.isNaN(time.getTime()) ? value : time;
    }
    case "duration":
      return duration(value);
    case "byte":
      return new Uint8Array(Buffer.from(value, "base64"));
    default:
      return value;
  }
}
