import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FirstReports } from "./firstReports.ts";
import { Passes } from "./passes.ts";

describe("first reports of pods", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function setUp() {
    const reports = new FirstReports();
    const told: string[] = [];
    const passes = new Passes(
      async () => {},
      () => {},
    );
    const begin = (name: string) => reports.begin(passes, () => told.push(name));
    return { begin, told, passes };
  }

  it("come after a tenth of a second, and not of a pod that is ready by then", async () => {
    const { begin, told } = setUp();
    begin("slow");
    const quick = begin("quick");
    await vi.advanceTimersByTimeAsync(99);
    quick();
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(["slow"]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(told).toEqual(["slow"]);
  });

  it("wait while very many pods start, three seconds at most", async () => {
    const { begin, told } = setUp();
    const ends = Array.from({ length: 21 }, (_, i) => begin(`p${i}`));
    await vi.advanceTimersByTimeAsync(1000);
    expect(told).toEqual([]);
    ends[0]?.();
    await vi.advanceTimersByTimeAsync(100);
    expect(told).toHaveLength(20);
    expect(told).not.toContain("p0");
    begin("late");
    await vi.advanceTimersByTimeAsync(2900);
    expect(told).toHaveLength(20);
    await vi.advanceTimersByTimeAsync(200);
    expect(told).toHaveLength(21);
  });

  it("end with the pod's passes", async () => {
    const { begin, told, passes } = setUp();
    begin("p");
    passes.end();
    await vi.advanceTimersByTimeAsync(5000);
    expect(told).toEqual([]);
  });
});
