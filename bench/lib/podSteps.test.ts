import { describe, expect, it } from "vitest";
import { slowestTable } from "./podSteps.ts";
import type { PodTimes } from "./podWatch.ts";

describe("table of the slowest pods", () => {
  it("shows the five that took longest, the slowest first, each with what it waited for", () => {
    const pods = [3, 1, 7, 5, 2, 6].map((n): PodTimes => {
      const created = 1000 * n;
      return { name: `p${n}`, created, written: created + 1, scheduled: created + 2, running: created + 10 * n };
    });
    const { rows } = slowestTable("t", pods, ({ created, running = 0 }) => running - created);
    expect(rows).toEqual([
      ["pod", "p7", "p6", "p5", "p3", "p2"],
      ["the API server has written it", "1 ms", "1 ms", "1 ms", "1 ms", "1 ms"],
      ["it is scheduled", "2 ms", "2 ms", "2 ms", "2 ms", "2 ms"],
      ["it is Running", "70 ms", "60 ms", "50 ms", "30 ms", "20 ms"],
      ["it has answered", "NaN ms", "NaN ms", "NaN ms", "NaN ms", "NaN ms"],
    ]);
  });
});
