import { describe, expect, it } from "vitest";
import { Warnings } from "./warnings.ts";

// Expected: k8s.io/apiserver/pkg/endpoints/filters/warning.go, truncateAtTotalRunes and truncateItemRunes.
function gathered(texts: readonly string[]): string[] {
  const warnings = new Warnings();
  for (const text of texts) warnings.push(text);
  return [...warnings];
}

const numbered = (count: number, length: number) =>
  Array.from({ length: count }, (_, i) => `${i} `.padEnd(length, "w"));

describe("the warnings of one answer", () => {
  it("come once each, in their order", () => expect(gathered(["b", "a", "b", ""])).toEqual(["b", "a"]));

  it("come whole up to 4096 characters", () => {
    const texts = numbered(4, 1024);
    expect(gathered(texts)).toEqual(texts);
  });

  it("are cut to 256 characters beyond that", () => {
    const texts = [...numbered(5, 1024), "short"];
    expect(gathered(texts)).toEqual([...texts.slice(0, 5).map((text) => text.slice(0, 256)), "short"]);
  });

  it("are left out where that is not enough", () => {
    const texts = numbered(100_000, 300);
    expect(gathered(texts)).toEqual(texts.slice(0, 16).map((text) => text.slice(0, 256)));
  });

  it("are cut between characters", () => {
    const text = "😀".repeat(4000);
    expect(gathered([text])).toEqual(["😀".repeat(256)]);
  });
});
