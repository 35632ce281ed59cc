import { describe, expect, it } from "vitest";
import { subidRange } from "./index.ts";

describe("ranges of subordinate ids", () => {
  it("are found by user name or uid, when large enough", () => {
    const text = "other:100000:65536\nann:300000:1000\nann:400000:65536\n1007:500000:70000\n";
    expect(subidRange(text, "ann", 1000)).toEqual({ first: 400_000, count: 65_536 });
    expect(subidRange(text, "bob", 1007)).toEqual({ first: 500_000, count: 65_536 });
    expect(subidRange(text, "carl", 1008)).toBeUndefined();
    expect(subidRange("", "ann", 1000)).toBeUndefined();
  });
});
