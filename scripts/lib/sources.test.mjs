import { describe, expect, it } from "vitest";
import { brokenPromises, unknownRows } from "./documents.mjs";
import { importsOf, testNames } from "./sources.mjs";

describe("reading sources", () => {
  it("finds every kind of import, with its line", () => {
    const text = [
      'import { a } from "#base/a.ts";',
      'import type { B } from "./b.ts";',
      "import {",
      "  c,",
      '} from "./c.ts";',
      'import "reflect-metadata";',
      'export { d } from "./d.ts";',
      'export * from "./e.ts";',
      'const f = await import("./f.ts");',
      ' * import { no } from "./comment.ts";',
      'export const text = "from";',
    ].join("\n");
    expect(importsOf(text).map(({ target, line }) => `${line} ${target}`)).toEqual([
      "1 #base/a.ts",
      "2 ./b.ts",
      "5 ./c.ts",
      "6 reflect-metadata",
      "7 ./d.ts",
      "8 ./e.ts",
      "9 ./f.ts",
    ]);
  });

  it("finds the rows that tests name", () => {
    const text = [
      'describe("N07 host-local", () => {',
      '  it("P01, K02 both (part: ports)", f);',
      "  it.each(x)(",
      '    "L01–L03 three", f);',
      '  it("plain", f);',
      "});",
    ].join("\n");
    expect(testNames(text)).toMatchObject([
      { rows: ["N07"], part: false },
      { rows: ["P01", "K02"], part: true },
      { rows: ["L01", "L02", "L03"] },
    ]);
  });

  it("takes a name for a part where the group or every test says so", () => {
    const text = [
      'describe("N07 host-local", () => {',
      '  it("files (part: files)", f);',
      "  it.each([",
      '    ["a", "b"],',
      '  ])("%s (part: ranges)", f);',
      "});",
      'describe("K01 nodes (part: names)", () => {',
      '  describe("inside", () => {',
      '    it("K02 ports", f);',
      "  });",
      "});",
      'describe.skipIf(!has("x"))("L01 whole", () => {',
      '  it("one (part: one)", f);',
      '  it("all", f);',
      "});",
      'it("L02 alone", f);',
    ].join("\n");
    expect(testNames(text).map(({ rows, part }) => [rows[0], part])).toEqual([
      ["N07", true],
      ["K01", true],
      ["K02", true],
      ["L01", false],
      ["L02", false],
    ]);
  });

  it("knows every row that a test names", () => {
    expect(unknownRows()).toEqual([]);
  });

  it("README and documents name what exists", () => {
    expect(brokenPromises()).toEqual([]);
  });
});
