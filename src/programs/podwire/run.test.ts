import { describe, expect, it } from "vitest";
import { variables } from "./run.ts";

describe("podwire run -e", () => {
  it("sets a value, or takes this shell's", () => {
    expect(variables(["A=1", "B", "C=x=y", "D=", "NONE"], { B: "own" })).toEqual({ A: "1", B: "own", C: "x=y", D: "" });
  });
  it("refuses what has no name", () => {
    for (const text of ["=x", ""]) expect(() => variables([text], {})).toThrow("invalid environment variable");
  });
});
