import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arranged } from "./arranged.ts";

describe("the order of a list's endpoints", () => {
  it.each([
    ["new ones come at the end", "ab", "abc", "abc"],
    ["the last one takes the place of one that is gone", "abcd", "acd", "adc"],
    ["one takes another's place", "abc", "adc", "adc"],
    ["whatever the order of the wish", "abc", "cba", "abc"],
    ["another list altogether", "ab", "xyz", "xyz"],
    ["none", "ab", "", ""],
    ["one that stands twice", "ab", "aab", "aba"],
  ])("%s", (_, before, wanted, expected) => {
    expect(arranged([...before], [...wanted]).join("")).toBe(expected);
  });

  it("is all that is wanted, and what stays within the length keeps its place", () => {
    const names = fc.uniqueArray(fc.constantFrom(..."abcdefgh"));
    fc.assert(
      fc.property(names, names, (before, wanted) => {
        const after = arranged(before, wanted);
        expect([...after].sort()).toEqual([...wanted].sort());
        for (const [place, name] of before.slice(0, wanted.length).entries())
          if (wanted.includes(name)) expect(after[place]).toBe(name);
      }),
      { seed: 3 },
    );
  });
});
