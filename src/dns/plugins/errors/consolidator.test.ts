import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogger } from "#base/log.ts";
import { Consolidator } from "./consolidator.ts";

describe("errors consolidate", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("writes one line per interval for errors that match, the others at once", () => {
    const lines: string[] = [];
    const log = createLogger("errors", { write: (line) => void lines.push(line.replace(/^.*\] /, "").trim()) });
    const rule = { intervalMs: 5000, pattern: /timeout$/, source: ".* timeout$", level: "error" };
    const consolidator = new Consolidator([rule], log);
    for (let i = 0; i < 3; i++) consolidator.error("i/o timeout", "line");
    consolidator.error("refused", "2 a. A: refused");
    expect(lines).toEqual(['"2 a. A: refused"']);
    vi.advanceTimersByTime(5000);
    expect(lines[1]).toBe(`"3 errors like '.* timeout$' occurred in last 5s"`);
    consolidator.error("i/o timeout", "line");
    consolidator.stop();
    expect(lines[2]).toContain("1 errors like");
  });

  it("writes the first of an interval at once with show_first", () => {
    const lines: string[] = [];
    const log = createLogger("errors", { write: (line) => void lines.push(line.replace(/^.*\] /, "").trim()) });
    const rule = { intervalMs: 5000, pattern: /timeout$/, source: "timeout$", level: "error", showFirst: true };
    const consolidator = new Consolidator([rule], log);
    for (let i = 0; i < 3; i++) consolidator.error("i/o timeout", "the line");
    expect(lines).toEqual(['"the line"']);
    consolidator.stop();
    expect(lines[1]).toContain("3 errors like");
  });
});
