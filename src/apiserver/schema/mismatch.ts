import type { Field, ObjectType } from "./schema.ts";

/** A value has another JSON type than its field; the text is Go's. */
export class TypeMismatch extends Error {}

/** Whose words a mismatch is told in: those of the JSON decoder, or of the converter behind strategic merge patches. */
export type Dialect = "json" | "converter";

/** Where a value that does not fit stands. */
export interface Misfit {
  readonly owner: ObjectType;
  readonly field: Field;
  readonly value: unknown;
  /** With list indexes and map keys. */
  readonly path: string;
  /** How the field's value as a whole is wrong, or one inside. */
  readonly want: "list" | "map" | "one";
}

/** The error of a misfit. */
export function mismatch(misfit: Misfit, dialect: Dialect): TypeMismatch {
  return new TypeMismatch(dialect === "json" ? jsonText(misfit) : converterText(misfit));
}

function jsonText({ owner, field, value, path, want }: Misfit): string {
  const element = goElement(field);
  const target = want === "list" ? `[]${element}` : want === "map" ? `map[string]${element}` : element;
  const numeric = typeof value === "number" && want === "one" && /^(int|intstr|Quantity)/.test(element);
  const literal = numeric ? `number ${value}` : goType(value);
  return `json: cannot unmarshal ${literal} into Go struct field ${shortName(owner.name)}.${path} of type ${element === "intstr.IntOrString" ? "int32" : target}`;
}

/** k8s.io/apimachinery/pkg/runtime/converter.go. */
function converterText({ field, value, want }: Misfit): string {
  const kind = unstructuredKind(value);
  if (want === "list") return `cannot restore slice from ${kind}`;
  if (want === "map") return `cannot restore map from ${kind}`;
  if (field.kind === "struct") return `cannot restore struct from: ${kind}`;
  const target = goElement(field);
  if (typeof value === "number") {
    if (target === "string")
      return Number.isInteger(value) ? "cannot convert int64 to string" : "unrecognized type: string";
    if (target.startsWith("int")) return `cannot convert float64 to ${target}`;
  }
  return `unrecognized type: ${target === "[]uint8" ? "slice" : target}`;
}

function unstructuredKind(value: unknown): string {
  if (Array.isArray(value)) return "slice";
  if (typeof value === "object") return "map";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  return typeof value === "boolean" ? "bool" : "string";
}

function goElement(field: Field): string {
  switch (field.kind) {
    case "struct":
      return goName(field.type);
    case "bytes":
      return "[]uint8";
    case "Quantity":
      return "resource.Quantity";
    case "double":
      return "float64";
    case "IntOrString":
      return "intstr.IntOrString";
    case "Duration":
      return "string";
    case "ExtraValue":
      return "v1.ExtraValue";
    default:
      return field.kind;
  }
}

/** `core.v1.Container` → `v1.Container`. */
export function goName(type: string): string {
  return type.split(".").slice(1).join(".");
}

/** `core.v1.Container` → `Container`. */
function shortName(type: string): string {
  return type.split(".").at(-1) as string;
}

/** The name that Go's JSON decoder has for a value. */
export function goType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return typeof value === "boolean" ? "bool" : typeof value;
}
