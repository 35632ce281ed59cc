import { describe, expect, it } from "vitest";
import { type ProbeOutcome, ProbeSchedule } from "./schedule.ts";

interface Seen {
  readonly attempts: number[];
  readonly counted: number[];
  /** When the result changed, and to what. */
  readonly results: [number, string][];
}

/** Runs a schedule in simulated time: attempts that take no time, and a line of output every so many ms. */
function simulate(schedule: ProbeSchedule, untilMs: number, lineMs: number, of: (at: number) => ProbeOutcome): Seen {
  const seen: Seen = { attempts: [], counted: [], results: [] };
  let line = lineMs;
  for (let now = 0; ; ) {
    now = Math.min(schedule.dueMs, line);
    if (now > untilMs) return seen;
    if (now === line) {
      line += lineMs;
      schedule.hint(now);
    }
    if (now < schedule.dueMs) continue;
    const before = schedule.result;
    schedule.begin(now);
    seen.attempts.push(now);
    if (schedule.record(of(now), now)) seen.counted.push(now);
    if (schedule.result !== before) seen.results.push([now, schedule.result]);
  }
}

const silent = Number.POSITIVE_INFINITY;
const failing = (): ProbeOutcome => "failure";

describe("when probes are made", () => {
  it("tries a readiness probe after 10, 20, 40 … ms, and counts one attempt a period", () => {
    const seen = simulate(new ProbeSchedule({ periodSeconds: 1 }, "readiness"), 4000, silent, failing);
    expect(seen.attempts.slice(0, 8)).toEqual([0, 10, 30, 70, 150, 310, 630, 1000]);
    expect(seen.counted).toEqual([1000, 2000, 3000, 4000]);
    expect(seen.results).toEqual([[3000, "failure"]]);
  });

  it("keeps to its period after the first success", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 1 }, "readiness");
    const seen = simulate(schedule, 5000, 100, (at) => (at < 70 || at > 2500 ? "failure" : "success"));
    expect(seen.attempts).toEqual([0, 10, 30, 70, 1000, 2000, 3000, 4000, 5000]);
    expect(seen.results).toEqual([
      [70, "success"],
      [5000, "failure"],
    ]);
  });

  // failureThreshold × periodSeconds is the time that a container has to start (Kubernetes documentation, "Configure
  // Liveness, Readiness and Startup Probes").
  it.each([1000, 100, 10, 1])("fails one that writes every %i ms and never comes up when upstream does", (lineMs) => {
    const schedule = new ProbeSchedule({ periodSeconds: 10, failureThreshold: 3 }, "startup");
    const seen = simulate(schedule, 600_000, lineMs, failing);
    expect(seen.counted.slice(0, 3)).toEqual([10_000, 20_000, 30_000]);
    expect(seen.counted.length).toBe(60);
    expect(seen.results).toEqual([[30_000, "failure"]]);
    // The doublings up to the period, 60 periods, and at most one more for each of these waits.
    expect(seen.attempts.length).toBeLessThanOrEqual(2 * (11 + 60));
    const gaps = seen.attempts.slice(1).map((at, i) => at - (seen.attempts[i] ?? 0));
    expect(Math.min(...gaps)).toBe(10);
  });

  it("brings an attempt forward when the container says something", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 100 }, "readiness");
    const seen = simulate(schedule, 50_000, 6000, (at) => (at >= 6000 ? "success" : "failure"));
    expect(seen.results).toEqual([[6000, "success"]]);
  });

  it("does not forget what was said during an attempt", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 100 }, "readiness");
    simulate(schedule, 6000, silent, failing);
    const dueMs = schedule.dueMs;
    schedule.begin(dueMs);
    expect(schedule.hint(dueMs + 1)).toBe(false);
    schedule.record("failure", dueMs + 5);
    expect(schedule.dueMs).toBe(dueMs + 15);
  });

  it("keeps a liveness probe to its period and thresholds, whatever the container writes", () => {
    const schedule = new ProbeSchedule({ initialDelaySeconds: 5, periodSeconds: 2, failureThreshold: 2 }, "liveness");
    const seen = simulate(schedule, 10_000, 100, failing);
    expect(seen.attempts).toEqual([5000, 7000, 9000]);
    expect(seen.results).toEqual([[7000, "failure"]]);
  });

  it("begins to count when it begins, long after the container's start", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 1, failureThreshold: 2 }, "readiness", 60_000);
    expect(simulate(schedule, 63_000, silent, failing).counted).toEqual([61_000, 62_000, 63_000]);
  });

  it("counts no two attempts for one that was late, and goes on at once after one that took long", () => {
    const late = new ProbeSchedule({ periodSeconds: 1 }, "liveness");
    late.begin(7000);
    late.record("success", 7001);
    expect(late.dueMs).toBe(8000);
    const long = new ProbeSchedule({ periodSeconds: 1, timeoutSeconds: 5 }, "liveness");
    long.begin(0);
    long.record("failure", 5000);
    expect(long.dueMs).toBe(5010);
  });

  it("changes a ready container's result only after failureThreshold, and back after successThreshold", () => {
    const probe = { periodSeconds: 1, failureThreshold: 2, successThreshold: 2 };
    const fails = (at: number) => at >= 1000 && at < 3000;
    const seen = simulate(new ProbeSchedule(probe, "readiness"), 5000, silent, (at) =>
      fails(at) ? "failure" : "success",
    );
    expect(seen.results).toEqual([
      [10, "success"],
      [2000, "failure"],
      [4000, "success"],
    ]);
  });

  // pkg/kubelet/prober/worker.go: "Prober error, throw away the result."
  it("throws away what comes of errors, which are told once a period", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 1, failureThreshold: 3 }, "liveness");
    const error = simulate(schedule, 9500, silent, (at) => (at === 2000 || at === 5000 ? "failure" : "error"));
    expect(error.counted.length).toBe(10);
    expect(error.results).toEqual([]);
    expect(schedule.result).toBe("unknown");
    // Two failures stand: an error between them and the third does not undo them.
    expect(simulate(schedule, 10_000, silent, failing).results).toEqual([[10_000, "failure"]]);
  });
});
