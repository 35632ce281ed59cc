import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogger } from "#base/log.ts";
import type { ServiceBackend } from "./backends/index.ts";
import { watchRules } from "./rulesWatch.ts";

/** A backend that is told of others' changes by the test. */
function listening() {
  const listeners = new Set<(what: string) => void>();
  const backend: Pick<ServiceBackend, "onForeignChange"> = {
    onForeignChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return { backend: backend as ServiceBackend, listeners };
}

describe("V06 watching the rules (part: when they are read again)", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watch({ syncPeriodMs, tookMs = 0 }: { readonly syncPeriodMs?: number; readonly tookMs?: number }) {
    const { backend, listeners } = listening();
    const distrust = vi.fn();
    const lines: string[] = [];
    const log = createLogger("proxy", { write: (line) => void lines.push(line) });
    const period = syncPeriodMs === undefined ? {} : { syncPeriodMs };
    const end = watchRules(backend, { log, ...period, tookMs: () => tookMs, distrust });
    return { distrust, listeners, lines, end };
  }

  it("reads them each syncPeriod, and not before", () => {
    const { distrust, end } = watch({ syncPeriodMs: 30_000 });
    vi.advanceTimersByTime(29_999);
    expect(distrust).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(distrust).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60_000);
    expect(distrust).toHaveBeenCalledTimes(3);
    end();
    vi.advanceTimersByTime(60_000);
    expect(distrust).toHaveBeenCalledTimes(3);
  });

  it("reads for at most a twentieth of the time: what takes 5 s is read every 100 s", () => {
    const { distrust, end } = watch({ syncPeriodMs: 10_000, tookMs: 5000 });
    vi.advanceTimersByTime(99_999);
    expect(distrust).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(distrust).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(100_000);
    expect(distrust).toHaveBeenCalledTimes(2);
    end();
  });

  it("without a period the clock is no reason; somebody else's change is one at once, and is logged", () => {
    const { distrust, listeners, lines, end } = watch({});
    vi.advanceTimersByTime(3_600_000);
    expect(distrust).not.toHaveBeenCalled();
    for (const listener of listeners) listener("ip podwire-services");
    expect(distrust).toHaveBeenCalledTimes(1);
    expect(lines.join("")).toMatch(
      /^W.*"Somebody else changed the rules; putting them right" what="ip podwire-services"/,
    );
    end();
    expect(listeners.size).toBe(0);
  });
});
