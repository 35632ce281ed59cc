import { compileRegExp } from "#base/goRegExp.ts";
import { equalJson } from "#base/json.ts";
import { FieldErrors } from "../errors.ts";
import { type Dict, isDict } from "../object.ts";
import { inexact } from "../schema/decode.ts";
import { hasFormat } from "./formats.ts";
import type { JsonSchema } from "./model.ts";
import { schemaOf } from "./prune.ts";

/**
 * Validation of values against a schema with the wording of k8s.io/kube-openapi/pkg/validation and of
 * apiextensions-apiserver/pkg/apiserver/validation.
 */
export class SchemaValidator {
  readonly #patterns = new Map<string, RegExp>();
  readonly #prefix: string;

  /** @param prefix where the value stands in the object that errors are about; empty: it is that object */
  constructor(prefix = "") {
    this.#prefix = prefix;
  }

  /**
   * Validates a value.
   * @param old the value before an update; what has not changed is not looked at (ratcheting)
   */
  validate(schema: JsonSchema, value: unknown, old: unknown, errors: FieldErrors): void {
    this.#value(schema, value, old, "", errors);
  }

  #value(schema: JsonSchema, value: unknown, old: unknown, path: string, errors: FieldErrors): void {
    if (old !== undefined && equalJson(value, old)) return;
    this.#type(schema, value, path, errors);
    if (value === null || value === undefined) {
      if (schema.enum) this.#enum(schema, value, path, errors);
      return;
    }
    this.#combinations(schema, value, old, path, errors);
    if (typeof value === "string") this.#string(schema, value, path, errors);
    else if (typeof value === "number") this.#number(schema, value, path, errors);
    else if (Array.isArray(value)) this.#list(schema, value, old, path, errors);
    if (schema.enum) this.#enum(schema, value, path, errors);
    if (isDict(value)) this.#dict(schema, value, old, path, errors);
  }

  #at(path: string): string {
    if (!path) return this.#prefix || "<nil>";
    return this.#prefix ? `${this.#prefix}.${path}` : path;
  }

  #type(schema: JsonSchema, value: unknown, path: string, errors: FieldErrors): void {
    const wanted = schema["x-kubernetes-int-or-string"] ? ["integer", "string"] : schema.type ? [schema.type] : [];
    const actual = jsonType(value);
    if (wanted.length === 0 || (value === null && schema.nullable)) return;
    if (actual === "integer" && wanted.includes("integer") && !Number.isSafeInteger(value))
      errors.invalid(this.#at(path), value, inexact);
    if (wanted.includes(actual) || (actual === "integer" && wanted.includes("number"))) return;
    errors.typeInvalid(this.#at(path), actual, `${path} in body must be of type ${wanted.join(",")}: "${actual}"`);
  }

  #enum(schema: JsonSchema, value: unknown, path: string, errors: FieldErrors): void {
    const allowed = schema.enum ?? [];
    if (allowed.some((one) => equalJson(one, value))) return;
    const shown = allowed.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
    errors.unsupported(this.#at(path), value, shown, false);
  }

  #string(schema: JsonSchema, value: string, path: string, errors: FieldErrors): void {
    const { maxLength, minLength, pattern, format } = schema;
    const length = maxLength === undefined && minLength === undefined ? 0 : codePoints(value);
    if (maxLength !== undefined && length > maxLength) errors.tooLong(this.#at(path), maxLength);
    if (minLength !== undefined && length < minLength)
      errors.invalid(this.#at(path), value, `${path} in body should be at least ${minLength} chars long`);
    if (pattern && !this.#matches(pattern, value))
      errors.invalid(this.#at(path), value, `${path} in body should match '${pattern}'`);
    if (format && !hasFormat(format, value))
      errors.typeInvalid(this.#at(path), value, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`);
  }

  #matches(pattern: string, value: string): boolean {
    let compiled = this.#patterns.get(pattern);
    if (!compiled) {
      compiled = compileRegExp(pattern);
      this.#patterns.set(pattern, compiled);
    }
    return compiled.test(value);
  }

  #number(schema: JsonSchema, value: number, path: string, errors: FieldErrors): void {
    const { multipleOf, minimum, maximum } = schema;
    const say = (text: string) => errors.invalid(this.#at(path), value, `${path} in body should be ${text}`);
    if (multipleOf !== undefined && multipleOf > 0 && !Number.isInteger(value / multipleOf))
      say(`a multiple of ${multipleOf}`);
    if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum))
      say(`less than ${schema.exclusiveMaximum ? "" : "or equal to "}${maximum}`);
    if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum))
      say(`greater than ${schema.exclusiveMinimum ? "" : "or equal to "}${minimum}`);
  }

  #list(schema: JsonSchema, value: readonly unknown[], old: unknown, path: string, errors: FieldErrors): void {
    const { items, minItems, maxItems } = schema;
    if (items) {
      const before = correlate(schema, old);
      value.forEach((item, i) => {
        this.#value(items, item, before?.get(itemKey(schema, item)), `${path}[${i}]`, errors);
      });
    }
    const count = value.length;
    if (minItems !== undefined && count < minItems)
      errors.invalid(this.#at(path), count, `${path} in body should have at least ${minItems} items`);
    if (maxItems !== undefined && count > maxItems) errors.tooMany(this.#at(path), count, maxItems);
    if (schema.uniqueItems && new Set(value.map((item) => JSON.stringify(item))).size < count)
      errors.invalid(this.#at(path), value, `${path} in body shouldn't contain duplicates`);
  }

  #dict(schema: JsonSchema, value: Dict, old: unknown, path: string, errors: FieldErrors): void {
    const { minProperties, maxProperties, required = [] } = schema;
    const count = minProperties === undefined && maxProperties === undefined ? 0 : Object.keys(value).length;
    if (minProperties !== undefined && count < minProperties)
      errors.invalid(this.#at(path), count, `${path} in body should have at least ${minProperties} properties`);
    if (maxProperties !== undefined && count > maxProperties) errors.tooMany(this.#at(path), count, maxProperties);
    for (const name of required)
      if (!Object.hasOwn(value, name)) errors.required(this.#at(path ? `${path}.${name}` : name));
    const before = isDict(old) ? old : {};
    for (const key in value) {
      const below = schemaOf(schema, key);
      if (typeof below !== "object") continue;
      const was = Object.hasOwn(before, key) ? before[key] : undefined;
      this.#value(below, value[key], was, path ? `${path}.${key}` : key, errors);
    }
  }

  #combinations(schema: JsonSchema, value: unknown, old: unknown, path: string, errors: FieldErrors): void {
    const { allOf, anyOf, oneOf, not } = schema;
    if (!allOf && !anyOf && !oneOf && !not) return;
    const tries = (list: readonly JsonSchema[]) =>
      list.map((one) => {
        const found = new FieldErrors();
        this.#value(one, value, old, path, found);
        return found;
      });
    const say = (text: string) => errors.invalid(this.#at(""), "", `"${path}" must ${text}`);
    if (anyOf) {
      const results = tries(anyOf);
      if (results.every(failed)) {
        say("validate at least one schema (anyOf)");
        errors.take(results[0]?.causes ?? []);
      }
    }
    if (oneOf) {
      const results = tries(oneOf);
      const good = results.filter((r) => !failed(r)).length;
      if (good !== 1)
        say(
          `validate one and only one schema (oneOf). ${good === 0 ? "Found none valid" : `Found ${good} valid alternatives`}`,
        );
      if (good === 0) errors.take(results[0]?.causes ?? []);
    }
    if (allOf) {
      const results = tries(allOf);
      for (const result of results) errors.take(result.causes);
      const good = results.filter((r) => !failed(r)).length;
      if (good < results.length)
        say(`validate all the schemas (allOf)${good === 0 && results.length > 0 ? ". None validated" : ""}`);
    }
    if (not && !tries([not]).some(failed)) say("not validate the schema (not)");
  }
}

const failed = (errors: FieldErrors) => errors.causes.length > 0;

/** The type of a value as schemas name it. */
function jsonType(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value === "object" ? "object" : typeof value;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The items of a keyed list by their keys; other lists have no items that could be told apart. */
export function correlate(schema: JsonSchema, old: unknown): Map<string, unknown> | undefined {
  if (schema["x-kubernetes-list-type"] !== "map" || !Array.isArray(old)) return undefined;
  return new Map(old.map((item) => [itemKey(schema, item), item]));
}

/** A list item's keys as text. */
export function itemKey(schema: JsonSchema, item: unknown): string {
  if (!isDict(item)) return "";
  return JSON.stringify((schema["x-kubernetes-list-map-keys"] ?? []).map((key) => item[key] ?? null));
}
