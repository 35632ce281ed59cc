import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundBacktracking, compileRegExp } from "./goRegExp.ts";
import { withoutLargeCounts } from "./regExpCounts.ts";

describe("counts in regular expressions", () => {
  it.each([
    ["^(([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\\.)*x$", `${"a".repeat(40)}.`],
    ["^([a-z]+)*[.]z{17}$", `${"a".repeat(40)}.`],
    ["^(([a-z]{2,17}){3,})+x$", "a".repeat(80)],
  ])("do not keep %j from an end", (pattern, text) => {
    boundBacktracking();
    // Backtracking alone would take years.
    expect(compileRegExp(pattern).test(text)).toBe(false);
  });

  it("match and capture the same when they are written out", () => {
    const piece = fc.constantFrom("a", "[ab]", "(a|b)", "(?:ab)", "(?<n>a)b", "((a)|b)", "\\x61", "b*?");
    const count = fc.constantFrom("", "{2}", "{0,20}", "{3,}", "{2,18}?", "{17}", "{0}", "?");
    const pattern = fc
      .array(fc.tuple(piece, count), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.map(([text, times], i) => `(?:${text.replace("<n>", `<n${i}>`)})${times}`).join(""));
    fc.assert(
      fc.property(pattern, fc.stringMatching(/^[ab]{0,30}$/), (source, text) => {
        const [before, after] = [source, withoutLargeCounts(source)].map((one) => new RegExp(`^${one}`).exec(text));
        expect(after && [...after]).toEqual(before && [...before]);
      }),
      { numRuns: 300 },
    );
  });

  it("leaves others as they are, and refuses what Go refuses", () => {
    expect(withoutLargeCounts("^(a{2}){8}$")).toBe("^(a{2}){8}$");
    expect(withoutLargeCounts("a{18}")).toBe("a".repeat(18));
    expect(() => compileRegExp("(a{100}){11}")).toThrow("invalid repeat count");
    expect(() => compileRegExp("a{1001}")).toThrow("invalid repeat count");
  });
});
