import { describe, expect, it } from "vitest";
import { boundBacktracking, compileRegExp } from "#base/goRegExp.ts";
import { customTable } from "./columns.ts";
import { parseJsonPath } from "./jsonpath.ts";
import type { JsonSchema } from "./model.ts";
import { applyDefaults } from "./prune.ts";

describe("JSONPath (kubernetes.io/docs/reference/kubectl/jsonpath)", () => {
  const object = {
    spec: { size: 3, names: ["a", "b", "c"], "dotted.key": "d", nested: [{ n: 1 }, { n: 2 }] },
    status: {
      conditions: [
        { type: "Ready", status: "True", age: 5 },
        { type: "Old", status: "False", age: 9 },
      ],
    },
    metadata: { labels: { "app.kubernetes.io/name": "x" } },
  };
  it.each<[string, unknown[]]>([
    [".spec.size", [3]],
    [".spec.none.size", []],
    [".spec.names[0]", ["a"]],
    [".spec.names[-1]", ["c"]],
    [".spec.names[1:]", ["b", "c"]],
    [".spec.names[*]", ["a", "b", "c"]],
    [".spec.names", [["a", "b", "c"]]],
    [".spec.nested[*].n", [1, 2]],
    [".spec['dotted.key']", ["d"]],
    [".spec.dotted\\.key", ["d"]],
    [".metadata.labels.app\\.kubernetes\\.io/name", ["x"]],
    ['.status.conditions[?(@.type=="Ready")].status', ["True"]],
    [".status.conditions[?(@.age>6)].type", ["Old"]],
    ['.status.conditions[?(@.type!="Ready")].status', ["False"]],
    [".status.conditions[?(@.missing)].status", []],
    ["..n", [1, 2]],
  ])("%s", (path, expected) => {
    expect(parseJsonPath(path).find(object)).toEqual(expected);
  });

  it("in which `..` comes again and again ends, on any object", () => {
    const deep = (depth: number): object => (depth === 0 ? { n: 1 } : { a: deep(depth - 1) });
    expect(parseJsonPath("..n").find(deep(1000))).toEqual([1]);
    expect(parseJsonPath("..a..n").find(deep(3))).toEqual([1, 1, 1]);
    expect(parseJsonPath(`${"..a".repeat(20)}..n`).find(deep(300))).toEqual([]);
    expect(parseJsonPath(`.list[?(@${"..a".repeat(20)}==1)]`).find({ list: [deep(300)] })).toEqual([]);
    const wide = Array.from({ length: 300_000 }, () => ({ n: 1 }));
    expect(parseJsonPath("..n").find({ wide })).toHaveLength(300_000);
  });

  it.each([".spec[", ".spec[?(@.a==)]", ".a b"])("refuses %s", (path) => {
    expect(() => parseJsonPath(path)).toThrow(SyntaxError);
  });
});

describe("printer columns", () => {
  const { row, columns } = customTable([
    { name: "S", type: "string", jsonPath: ".s" },
    { name: "I", type: "integer", jsonPath: ".i" },
    { name: "N", type: "number", jsonPath: ".n" },
    { name: "B", type: "boolean", jsonPath: ".b" },
    { name: "D", type: "date", jsonPath: ".d", priority: 1 },
  ]);
  const cells = (fields: object) =>
    row({ apiVersion: "v", kind: "K", metadata: { name: "x" }, ...fields }, Date.parse("2026-01-01T00:02:05Z"));

  it("have the value's text, number or age, and nothing for another type", () => {
    expect(columns.map((c) => [c.name, c.priority])).toEqual([
      ["Name", 0],
      ["S", 0],
      ["I", 0],
      ["N", 0],
      ["B", 0],
      ["D", 1],
    ]);
    expect(cells({ s: "a", i: 2.7, n: 1.5, b: true, d: "2026-01-01T00:00:00Z" })).toEqual([
      "x",
      "a",
      2,
      1.5,
      true,
      "2m5s",
    ]);
    expect(cells({ s: { b: 1, a: [2] }, i: "2", n: "1", b: 1, d: "soon" })).toEqual([
      "x",
      '{"a":[2],"b":1}',
      null,
      null,
      null,
      "<invalid>",
    ]);
    expect(cells({})).toEqual(["x", null, null, null, null, null]);
  });
});

describe("Go's regular expressions (github.com/google/re2/wiki/Syntax)", () => {
  it.each<[string, string, boolean]>([
    ["^[a-z]+$", "abc", true],
    ["(?i)^abc$", "ABC", true],
    ["^[[:alpha:]_]+$", "a_B", true],
    ["^\\Qa.b\\E$", "a.b", true],
    ["^\\Qa.b\\E$", "axb", false],
    ["^(?P<n>a)\\z", "a", true],
    ["\\Aa", "ba", false],
    ["a\\z", "a\n", false],
    ["(?m)\\Ab", "a\nb", false],
    ["(?m)^b", "a\nb", true],
    ["^\\pL+$", "é", true],
    ["^\\p{Greek}$", "λ", true],
    ["^\\x{61}$", "a", true],
    ["^[]a]+$", "]a", true],
    ["^[\\w\\-./]+$", "a-b./", true],
    ["^\\_$", "_", true],
  ])("%s on %s", (pattern, value, expected) => {
    expect(compileRegExp(pattern).test(value)).toBe(expected);
  });

  it.each(["(", "a(?=b)", "(a)\\1", "[a", "\\"])("refuses %s", (pattern) => {
    expect(() => compileRegExp(pattern)).toThrow(SyntaxError);
  });

  it("take no exponential time", { timeout: 5000 }, () => {
    boundBacktracking();
    expect(compileRegExp("^(a+)+$").test(`${"a".repeat(40)}b`)).toBe(false);
    expect(compileRegExp("\\A(a+)+\\z").test(`${"a".repeat(40)}b`)).toBe(false);
  });
});

describe("defaults", () => {
  const schema: JsonSchema = {
    type: "object",
    properties: {
      a: { type: "integer", default: 1 },
      nullable: { type: "string", nullable: true, default: "x" },
      inner: { type: "object", default: {}, properties: { b: { type: "string", default: "b" } } },
      absent: { type: "object", properties: { c: { type: "string", default: "c" } } },
      list: { type: "array", items: { type: "object", properties: { d: { type: "integer", default: 4 } } } },
      map: {
        type: "object",
        additionalProperties: { type: "object", properties: { e: { type: "integer", default: 5 } } },
      },
    },
  };
  it("are set where a field is missing, or null where null is not allowed", () => {
    const value = { a: null, nullable: null, list: [{}, { d: 1 }], map: { k: {} } };
    applyDefaults(schema, value);
    expect(value).toEqual({
      a: 1,
      nullable: null,
      inner: { b: "b" },
      list: [{ d: 4 }, { d: 1 }],
      map: { k: { e: 5 } },
    });
  });
  it("are copies", () => {
    const [one, two] = [{}, {}] as { inner?: { b: string } }[];
    applyDefaults(schema, one);
    (one?.inner as { b: string }).b = "changed";
    applyDefaults(schema, two);
    expect(two?.inner).toEqual({ b: "b" });
  });
});
