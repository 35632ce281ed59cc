import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { DEADLINE_VERDICT, timeLeft, verdictOf } from "./deadline.ts";

describe("a pod's active deadline", () => {
  const start = "2026-11-21T04:00:00Z";
  const at = (seconds: number) => Date.parse(start) + seconds * 1000;

  it("counts from the time the node took the pod", () => {
    const pod = testPod({ activeDeadlineSeconds: 60 });
    expect(timeLeft(pod, start, at(0))).toBe(60_000);
    expect(timeLeft(pod, start, at(60))).toBe(0);
    expect(timeLeft(pod, start, at(61))).toBe(-1000);
    expect(timeLeft(testPod(), start, at(61))).toBeUndefined();
  });
});

describe("what an earlier agent has decided about a pod", () => {
  it.each([
    [DEADLINE_VERDICT, DEADLINE_VERDICT],
    [
      { phase: "Failed", reason: "Evicted", message: "full" },
      { phase: "Failed", reason: "Evicted", message: "full" },
    ],
    [{ phase: "Failed" }, undefined],
    [{ phase: "Running", reason: "Evicted" }, undefined],
    [undefined, undefined],
  ] as const)("%j", (status, verdict) => {
    expect(verdictOf(status ? { status } : {})).toEqual(verdict);
  });
});
