import { describe, expect, it } from "vitest";
import { FieldErrors } from "../errors.ts";
import { hasFormat } from "./formats.ts";
import { validateListTypes } from "./list-types.ts";
import type { JsonSchema } from "./model.ts";
import { SchemaValidator } from "./validate.ts";

/** What a value of field `f` is told, as `field: message`. */
function problems(schema: JsonSchema, value: unknown, old?: unknown): string[] {
  const errors = new FieldErrors();
  const root: JsonSchema = { type: "object", properties: { f: schema } };
  new SchemaValidator().validate(root, { f: value }, old === undefined ? undefined : { f: old, other: 1 }, errors);
  validateListTypes(root, { f: value }, "", errors);
  return errors.causes.map((c) => `${c.field}: ${c.message}`);
}

/**
 * Texts are those of k8s.io/kube-openapi/pkg/validation/errors/schema.go (typeFail, maxIncFail, …) as
 * apiextensions-apiserver pkg/apiserver/validation/validation.go hands them on.
 */
const table: readonly (readonly [string, JsonSchema, unknown, readonly string[]])[] = [
  ["a right type", { type: "integer" }, 3, []],
  ["a whole number for a number", { type: "number" }, 3, []],
  ["3.0 for an integer", { type: "integer" }, 3.0, []],
  [
    "another type",
    { type: "integer" },
    "3",
    ['f: Invalid value: "string": f in body must be of type integer: "string"'],
  ],
  ["a fraction", { type: "integer" }, 1.5, ['f: Invalid value: "number": f in body must be of type integer: "number"']],
  [
    "a list for an object",
    { type: "object" },
    [],
    ['f: Invalid value: "array": f in body must be of type object: "array"'],
  ],
  [
    "a whole number that would be rounded",
    { type: "integer" },
    2 ** 53,
    ["f: Invalid value: 9007199254740992: cannot be kept exactly by this server, whose whole numbers go up to 2^53"],
  ],
  ["null", { type: "string" }, null, ['f: Invalid value: "null": f in body must be of type string: "null"']],
  ["null where it is allowed", { type: "string", nullable: true }, null, []],
  ["a number or a text", { "x-kubernetes-int-or-string": true }, "80%", []],
  [
    "neither",
    { "x-kubernetes-int-or-string": true },
    true,
    ['f: Invalid value: "boolean": f in body must be of type integer,string: "boolean"'],
  ],
  ["one of an enum", { type: "string", enum: ["a", "b"] }, "a", []],
  [
    "none of an enum",
    { type: "string", enum: ["b", "a"] },
    "c",
    ['f: Unsupported value: "c": supported values: "b", "a"'],
  ],
  [
    "none of an enum of numbers",
    { type: "integer", enum: [1, 2] },
    3,
    ['f: Unsupported value: 3: supported values: "1", "2"'],
  ],
  ["a maximum", { type: "integer", maximum: 3 }, 3, []],
  [
    "too much",
    { type: "integer", maximum: 3 },
    4,
    ["f: Invalid value: 4: f in body should be less than or equal to 3"],
  ],
  [
    "too little",
    { type: "integer", minimum: 1 },
    0,
    ["f: Invalid value: 0: f in body should be greater than or equal to 1"],
  ],
  [
    "an exclusive maximum",
    { type: "integer", maximum: 3, exclusiveMaximum: true },
    3,
    ["f: Invalid value: 3: f in body should be less than 3"],
  ],
  [
    "an exclusive minimum",
    { type: "number", minimum: 0, exclusiveMinimum: true },
    0,
    ["f: Invalid value: 0: f in body should be greater than 0"],
  ],
  ["a multiple", { type: "number", multipleOf: 0.5 }, 1.5, []],
  ["no multiple", { type: "integer", multipleOf: 2 }, 3, ["f: Invalid value: 3: f in body should be a multiple of 2"]],
  ["a pattern", { type: "string", pattern: "^[a-z]+$" }, "abc", []],
  [
    "no match",
    { type: "string", pattern: "^[a-z]+$" },
    "A",
    ["f: Invalid value: \"A\": f in body should match '^[a-z]+$'"],
  ],
  [
    "too short",
    { type: "string", minLength: 2 },
    "é",
    ['f: Invalid value: "é": f in body should be at least 2 chars long'],
  ],
  ["too long", { type: "string", maxLength: 2 }, "abc", ["f: Too long: may not be more than 2 bytes"]],
  ["characters, not bytes", { type: "string", maxLength: 2 }, "💡é", []],
  [
    "too few items",
    { type: "array", minItems: 1 },
    [],
    ["f: Invalid value: 0: f in body should have at least 1 items"],
  ],
  ["too many items", { type: "array", maxItems: 1 }, [1, 2], ["f: Too many: 2: must have at most 1 items"]],
  [
    "too few properties",
    { type: "object", minProperties: 1, additionalProperties: true },
    {},
    ["f: Invalid value: 0: f in body should have at least 1 properties"],
  ],
  [
    "too many properties",
    { type: "object", maxProperties: 1, additionalProperties: true },
    { a: 1, b: 2 },
    ["f: Too many: 2: must have at most 1 items"],
  ],
  ["a required field", { type: "object", required: ["a"] }, {}, ["f.a: Required value"]],
  [
    "values of a map",
    { type: "object", additionalProperties: { type: "string" } },
    { k: 1 },
    ['f.k: Invalid value: "integer": f.k in body must be of type string: "integer"'],
  ],
  [
    "items",
    { type: "array", items: { type: "string" } },
    ["a", 1],
    ['f[1]: Invalid value: "integer": f[1] in body must be of type string: "integer"'],
  ],
  [
    "a format",
    { type: "string", format: "date-time" },
    "today",
    ['f: Invalid value: "today": f in body must be of type date-time: "today"'],
  ],
  [
    "anyOf",
    { type: "object", anyOf: [{ required: ["a"] }, { required: ["b"] }] },
    {},
    ['<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)', "f.a: Required value"],
  ],
  [
    "oneOf without any",
    { type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }] },
    {},
    [
      '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found none valid',
      "f.a: Required value",
    ],
  ],
  [
    "oneOf with two",
    { type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }] },
    { a: 1, b: 1 },
    ['<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
  ],
  ["oneOf with one", { type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }] }, { a: 1 }, []],
  [
    "allOf",
    { type: "integer", allOf: [{ minimum: 2 }, { maximum: 1 }] },
    1,
    [
      "f: Invalid value: 1: f in body should be greater than or equal to 2",
      '<nil>: Invalid value: "": "f" must validate all the schemas (allOf)',
    ],
  ],
  [
    "not",
    { type: "integer", not: { minimum: 2 } },
    3,
    ['<nil>: Invalid value: "": "f" must not validate the schema (not)'],
  ],
  ["not, when it does not hold", { type: "integer", not: { minimum: 2 } }, 1, []],
  ["a set", { type: "array", "x-kubernetes-list-type": "set" }, ["a", "b", "a"], ['f[2]: Duplicate value: "a"']],
  [
    "a keyed list",
    { type: "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"] },
    [{ k: "a" }, { k: "b" }, { k: "a", v: 1 }],
    ['f[2]: Duplicate value: {"k":"a"}'],
  ],
];

describe("custom resources: values against schemas (part: messages)", () => {
  it.each(table)("%s", (_, schema, value, expected) => {
    expect(problems(schema, value)).toEqual(expected);
  });

  it("leaves alone what was wrong before and has not changed", () => {
    const schema: JsonSchema = {
      type: "object",
      properties: { a: { type: "integer", maximum: 1 }, b: { type: "integer", maximum: 1 } },
    };
    expect(problems(schema, { a: 5, b: 0 }, { a: 5, b: 1 })).toEqual([]);
    expect(problems(schema, { a: 6, b: 0 }, { a: 5, b: 1 })).toHaveLength(1);
  });

  it("tells items of keyed lists apart by their keys", () => {
    const schema: JsonSchema = {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
      items: { type: "object", properties: { k: { type: "string" }, v: { type: "integer", maximum: 1 } } },
    };
    const bad = { k: "bad", v: 5 };
    expect(problems(schema, [{ k: "new", v: 1 }, bad], [bad])).toEqual([]);
    expect(problems(schema, [{ k: "new", v: 5 }, bad], [bad])).toHaveLength(1);
  });

  it("knows the formats", () => {
    const good: Record<string, string> = {
      ipv4: "10.0.0.1",
      ipv6: "fd00::1",
      cidr: "10.0.0.0/8",
      mac: "01:23:45:67:89:ab",
      uuid: "a987fbc9-4bed-3078-cf07-9141ba07c9f3",
      email: "a@example.com",
      hostname: "a.example.com",
      uri: "https://example.com/x",
      byte: "YWJj",
      date: "2026-02-28",
      "date-time": "2026-02-28T10:00:00Z",
      duration: "1h30m",
      hexcolor: "#ff00ff",
      unheardOf: "anything",
    };
    for (const [format, text] of Object.entries(good))
      expect([format, hasFormat(format, text)]).toEqual([format, true]);
    const bad: Record<string, string> = {
      ipv4: "10.0.0.256",
      cidr: "10.0.0.0/33",
      date: "2026-02-30",
      "date-time": "2026-02-28",
      duration: "soon",
      byte: "a",
      uuid: "x",
      // Nothing to try a million ways.
      hostname: `${"a".repeat(200)}!`,
    };
    for (const [format, text] of Object.entries(bad))
      expect([format, hasFormat(format, text)]).toEqual([format, false]);
  });
});
