import { unclassified } from "../errors.ts";
import { type Dict, isDict } from "../object.ts";
import type { Field, Schema } from "../schema/schema.ts";
import { readableElement } from "./field-set.ts";
import { childNode, itemElement, itemNode, type Node, rootNode } from "./typed.ts";

/**
 * Whether an applied configuration fits its type, with the words of structured-merge-diff's typed/validate.go. Types
 * are coarse here (numbers, texts, booleans); the finer ones are looked at once the object is put together.
 */

/** Throws upstream's answer, which is unclassified, for a configuration that does not fit. */
export function validateConfiguration(schema: Schema, type: string, configuration: Dict): void {
  const errors: string[] = [];
  visit(schema, configuration, rootNode(schema, type), "", errors);
  if (errors.length === 0) return;
  const { apiVersion, kind, metadata } = configuration as { apiVersion: string; kind: string; metadata?: Dict };
  const version = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
  const { namespace = "", name = "" } = (metadata ?? {}) as { namespace?: string; name?: string };
  const text = errors.length === 1 ? errors[0] : ["errors:", ...errors.map((e) => `  ${e}`)].join("\n");
  throw unclassified(`failed to create typed patch object (${namespace}/${name}; ${version}, Kind=${kind}): ${text}`);
}

function visit(schema: Schema, value: unknown, node: Node, path: string, errors: string[]): void {
  const { field, item } = node;
  if (value === null || value === undefined || opaque(node)) return;
  if (field?.shape === "list" && !item) visitList(schema, value, node, path, errors);
  else if (!field || (field.shape === "map" && !item) || field.kind === "struct")
    visitMap(schema, value, node, path, errors);
  else {
    const problem = scalarProblem(field, value);
    if (problem) errors.push(`${path}: ${problem}`);
  }
}

/** Values of any form, and those whose form nothing is known of. */
function opaque({ field, type }: Node): boolean {
  if (field) return field.kind === "FieldsV1" || field.kind === "RawExtension";
  return type === undefined;
}

function visitList(schema: Schema, value: unknown, node: Node, path: string, errors: string[]): void {
  if (!Array.isArray(value)) {
    errors.push(`${path}: expected list, got ${shown(value)}`);
    return;
  }
  const inner = itemNode(schema, node.field as Field);
  const keys = node.field?.merge.applyKeys;
  const seen = new Set<string>();
  for (const [i, item] of value.entries()) {
    if (!keys) {
      visit(schema, item, inner, `${path}[${i}]`, errors);
      continue;
    }
    const problem = elementProblem(item, keys, inner);
    if (problem) {
      errors.push(`${path}: element ${i}: ${problem}`);
      return;
    }
    const element = itemElement(item, inner);
    if (seen.has(element)) errors.push(`${path}: duplicate entries for key ${readableElement(element)}`);
    seen.add(element);
    visit(schema, item, inner, path + readableElement(element), errors);
  }
}

/** Why an item has no path element. */
function elementProblem(item: unknown, keys: readonly string[], node: Node): string | undefined {
  if (keys[0] === "=") {
    if (isDict(item)) return "associative list without keys has an element that's a map type";
    if (Array.isArray(item)) return "not supported: associative list with lists as elements";
    return item === null ? "associative list without keys has an element that's an explicit null" : undefined;
  }
  if (item === null) return "associative list with keys may not have a null element";
  if (!isDict(item)) return "associative list with keys may not have non-map elements";
  if (itemElement(item, node) !== "k:{}") return undefined;
  const names = keys.map((k) => JSON.stringify(k)).join(" ");
  return `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`;
}

function visitMap(schema: Schema, value: unknown, node: Node, path: string, errors: string[]): void {
  if (!isDict(value)) {
    errors.push(`${path}: expected map, got ${shown(value)}`);
    return;
  }
  const isStruct = !(node.field?.shape === "map" && !node.item);
  for (const key of Object.keys(value).sort()) {
    const here = `${path}.${key}`;
    if (isStruct && node.type && !node.type.fields.has(key)) {
      errors.push(`${here}: field not declared in schema`);
      return;
    }
    visit(schema, value[key], childNode(schema, node, key), here, errors);
  }
}

function scalarProblem(field: Field, value: unknown): string | undefined {
  switch (field.kind) {
    case "int32":
    case "int64":
    case "double":
      return typeof value === "number" ? undefined : `expected numeric (int or float), got ${goTypeOf(value)}`;
    case "bool":
      return typeof value === "boolean" ? undefined : `expected boolean, got ${shown(value)}`;
    case "string":
    case "bytes":
    case "Duration":
      return typeof value === "string"
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    default:
      return typeof value === "object" ? `expected any scalar, got ${shown(value)}` : undefined;
  }
}

/** A value as structured-merge-diff prints it: Go's `%v` of the structure around it. */
function shown(value: unknown): string {
  return `&{${goValue(value)}}`;
}

/** A value as Go's `%v` prints it. */
export function goValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goValue).join(" ")}]`;
  if (!isDict(value)) return value === null ? "<nil>" : String(value);
  return `map[${Object.keys(value)
    .sort()
    .map((k) => `${k}:${goValue(value[k])}`)
    .join(" ")}]`;
}

/** The Go type of a decoded value. */
function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  return isDict(value) ? "map[string]interface {}" : typeof value === "boolean" ? "bool" : "string";
}

/** A value in Go's own syntax (`%#v`). */
function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (!isDict(value)) return JSON.stringify(value);
  const entries = Object.keys(value)
    .sort()
    .map((k) => `${JSON.stringify(k)}:${goSyntax(value[k])}`);
  return `map[string]interface {}{${entries.join(", ")}}`;
}
