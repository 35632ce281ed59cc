import { expect, it } from "vitest";
import { TimeLimit, TimeLimitError } from "./timeLimit.ts";

it("gives what the work gives, and throws what it throws", () => {
  const limit = new TimeLimit(1000);
  expect(limit.run(() => 7)).toBe(7);
  expect(() => limit.run(() => JSON.parse("{"))).toThrow(SyntaxError);
});

it("breaks off a pattern that backtracks without end, and goes on afterwards", () => {
  const limit = new TimeLimit(50);
  expect(() => limit.run(() => /^(\p{L}+)+$/u.test(`${"a".repeat(40)}!`))).toThrow(TimeLimitError);
  expect(limit.run(() => "next")).toBe("next");
});
