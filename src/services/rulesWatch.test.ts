import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
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
    const metrics = new Metrics();
    const end = watchRules(backend, { log, ...period, metrics, tookMs: () => tookMs, distrust });
    return { distrust, listeners, lines, metrics, end };
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
    vi.advanceTimersByTime(0);
    expect(distrust).toHaveBeenCalledTimes(1);
    expect(lines.join("")).toMatch(
      /^W.*"Somebody else changed the rules; putting them right" what="ip podwire-services"/,
    );
    end();
    expect(listeners.size).toBe(0);
  });

  it("somebody who changes them over and over is followed less and less often, at least each 30 s; after calm at once", () => {
    const { distrust, listeners, lines, metrics, end } = watch({});
    const change = () => {
      for (const listener of listeners) listener("ip podwire-services");
    };
    // Ten times a second for five minutes.
    for (let i = 0; i < 3000; i++) {
      change();
      vi.advanceTimersByTime(100);
    }
    // At once, after 1, 2, 4, 8 and 16 s, and then each 30 s.
    const times = 6 + Math.floor((300 - 31) / 30);
    expect(distrust.mock.calls.length).toBeGreaterThanOrEqual(times - 1);
    expect(distrust.mock.calls.length).toBeLessThanOrEqual(times + 1);
    expect(lines.length).toBeLessThanOrEqual(times + 2);
    expect(lines[1]).toMatch(
      /^W.*"Somebody else keeps changing the rules; waiting before they are put right" what="ip podwire-services" after="1s"/,
    );
    const text = metrics.text();
    expect(text).toMatch(/^podwire_services_foreign_changes_total 3000$/m);
    expect(text).toMatch(/^podwire_services_foreign_changes_held_back_total \d+$/m);
    vi.advanceTimersByTime(120_000);
    distrust.mockClear();
    change();
    vi.advanceTimersByTime(0);
    expect(distrust).toHaveBeenCalledTimes(1);
    change();
    end();
    vi.advanceTimersByTime(120_000);
    expect(distrust).toHaveBeenCalledTimes(1);
  });
});
