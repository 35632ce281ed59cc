import { describe, expect, it } from "vitest";
import { formatGoDuration, parseGoDuration } from "./goDuration.ts";

describe("Go's durations", () => {
  // Texts and values of Go's own documentation (pkg.go.dev/time#ParseDuration, #Duration.String).
  it.each([
    ["0", 0],
    ["5s", 5000],
    ["300ms", 300],
    ["-1.5h", -5_400_000],
    ["2h45m", 9_900_000],
    ["1h15m30.918s", 4_530_918],
    ["1us", 0.001],
  ])("reads %s", (text, ms) => {
    expect(parseGoDuration(text)).toBeCloseTo(ms, 6);
  });
  it.each(["", "5", "s", "1d", "1h 5m", "abc", "1m-5s"])("refuses %j", (text) => {
    expect(parseGoDuration(text)).toBeUndefined();
  });
  it.each([
    [0, "0s"],
    [250, "250ms"],
    [1500, "1.5s"],
    [30_000, "30s"],
    [900_000, "15m0s"],
    [3_600_000, "1h0m0s"],
    [86_400_000, "24h0m0s"],
    [4_530_918, "1h15m30.918s"],
    [0.001, "1µs"],
    [-1000, "-1s"],
  ])("writes %s ms as %s", (ms, text) => {
    expect(formatGoDuration(ms)).toBe(text);
  });
});
