import { describe, expect, it } from "vitest";
import { equalJson } from "./json.ts";

describe("the same JSON", () => {
  it.each([
    [
      { a: 1, b: [{ c: null }] },
      { b: [{ c: null }], a: 1 },
    ],
    [{ a: 1, b: undefined }, { a: 1 }],
    [{ a: 1 }, { a: 1, b: undefined }],
    [[], []],
  ])("%j and %j", (a, b) => expect(equalJson(a, b)).toBe(true));

  it.each([
    [{ a: 1 }, { a: 1, b: null }],
    [{ a: 1, b: null }, { a: 1 }],
    [
      [1, 2],
      [2, 1],
    ],
    [[], {}],
    [{}, []],
    [null, {}],
    ["1", 1],
    [{}, JSON.parse('{"__proto__":{}}')],
    [JSON.parse('{"__proto__":{}}'), {}],
    [{}, JSON.parse('{"toString":"x"}')],
  ])("%j is not %j", (a, b) => expect(equalJson(a, b)).toBe(false));
});
