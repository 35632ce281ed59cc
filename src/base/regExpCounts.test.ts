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

  // The second use is another one to V8: it would make native code then.
  it.each([
    ["^(?:[a-z0-9-]{1,63}\\.){1,15}$", "www.example.org.", ["www.example.org."]],
    ["^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\\.example\\.org\\.$", "www.example.org.", ["www.example.org.", "ww"]],
    ["^([a-z]{1,20})(?P<rest>.{0,100})$", "ab1", ["ab1", "ab", "1"]],
    ["^(?:(a)|b){17}$", "b".repeat(16).concat("a"), ["b".repeat(16).concat("a"), "a"]],
    ["(?i:ab){1,20}", "aBAb.", ["aBAb"]],
    ["(?i)^(?:[a-z0-9-]{1,63}\\.){1,15}$", "WWW.example.org.", ["WWW.example.org."]],
    ["(?m)\\Aa{1,20}$", "aa\nb", ["aa"]],
    // Go takes the first alternative that matches, whatever the others would add.
    ["^(?:a|abc){1,20}", "abca", ["a"]],
    ["^(?:a|abc){2,20}", "abca", ["abca"]],
    ["^(?:a|ab){0,20}?$", "aba", ["aba"]],
    ["^(?:b*?){1,20}(a|b)", "bbb", ["b", "b"]],
  ])("match with %j at each use", (pattern, text, expected) => {
    boundBacktracking();
    const compiled = compileRegExp(pattern, "captures");
    for (let use = 0; use < 4; use++) expect([...(compiled.exec(text) ?? [])]).toEqual(expected);
  });

  it("match and capture the same when they are written out", () => {
    const free = fc.tuple(
      fc.constantFrom("a", "[ab]", "(?:a|b)", "(?:a|ab)", "(?:ab?|b)", "\\x61", "(?:ab*?)"),
      fc.constantFrom("", "{2}", "{0,20}", "{3,}", "{2,18}?", "{1,17}", "{17}", "{0}", "?"),
    );
    const capturing = fc.tuple(
      fc.constantFrom("(a|b)", "(a|ab)", "((a)|b)", "(?:(a)b)", "(a{0,17}b?)"),
      fc.constantFrom("", "{2}", "{3,}", "{3,}?", "{17}", "{0}", "?", "{0,2}"),
    );
    const pattern = fc
      .tuple(fc.array(fc.oneof(free, capturing), { minLength: 1, maxLength: 3 }), fc.constantFrom("", "{2}", "{2,}"))
      .map(([parts, times]) => `^(?:${parts.map((part) => part.join("")).join("")})${times}`)
      // A group that captures and is repeated up to 34 times is refused.
      .filter((source) => !source.includes("(a{0,17}b?){0,2}"));
    fc.assert(
      fc.property(pattern, fc.stringMatching(/^[ab]{0,30}$/), (source, text) => {
        const before = new RegExp(source).exec(text);
        const compiled = compileRegExp(source, "captures");
        for (let use = 0; use < 3; use++) {
          const after = compiled.exec(text);
          expect(after && [...after]).toEqual(before && [...before]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("leaves others as they are, and refuses what Go refuses", () => {
    expect(withoutLargeCounts("^(a{2}){8}$", true)).toBeUndefined();
    expect(withoutLargeCounts("a{18}b{2,4}", true)).toBe(`${"a".repeat(18)}b{2,4}`);
    expect(() => compileRegExp("(a{100}){11}")).toThrow("invalid repeat count");
    expect(() => compileRegExp("a{1001}")).toThrow("invalid repeat count");
    const nested = (depth: number) => `${"(".repeat(depth)}a${")".repeat(depth)}`;
    expect(() => compileRegExp(nested(20_000))).toThrow(SyntaxError);
    expect(() => compileRegExp(`${nested(1001)}{20}`)).toThrow("expression nests too deeply");
  });

  it.each([
    ["long", "a{1000}".repeat(200), "a".repeat(200_000), "counts make more than 20000 characters"],
    ["wide", `(?:${"(?:a|b)".repeat(40)}){1000}`, "ab".repeat(20_000), "counts make more than 20000 characters"],
    ["capturing", "^(a|abc){1,20}", "abca", "a group that captures cannot be repeated up to 20 times: use (?:…)"],
  ])("refuse a %s pattern where captures are read, and only there", (_, pattern, text, message) => {
    expect(() => compileRegExp(pattern, "captures")).toThrow(message);
    const compiled = compileRegExp(pattern);
    for (let use = 0; use < 3; use++) expect(compiled.test(text)).toBe(true);
  });
});
