import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ProbeTarget } from "./attempt.ts";
import { type ProbeKind, Prober } from "./prober.ts";

const S = 1000;

interface Told {
  readonly events: [seconds: number, what: string][];
  readonly results: [seconds: number, result: string][];
  attempts: number;
}

/** Probes by a command for so many seconds, in simulated time, a container that writes a line every 100 ms. */
async function chatty(kind: ProbeKind, seconds: number, command: ProbeTarget["exec"]): Promise<Told> {
  const told: Told = { events: [], results: [], attempts: 0 };
  const at = () => Math.round(performance.now() / S);
  const exec: ProbeTarget["exec"] = (...of) => {
    told.attempts++;
    return command(...of);
  };
  const probe = { exec: { command: ["check"] }, periodSeconds: 10, failureThreshold: 3 };
  const events = {
    onUnhealthy: (_: ProbeKind, what: string) => void told.events.push([at(), what]),
    onResult: (_: ProbeKind, result: string) => void told.results.push([at(), result]),
  };
  const prober = new Prober(kind, probe, { podIP: "10.0.0.1", container: { name: "c" }, exec }, events, 0);
  prober.start();
  for (let ms = 0; ms < seconds * S; ms += 100) {
    await vi.advanceTimersByTimeAsync(100);
    prober.hint();
  }
  prober.stop();
  return told;
}

describe("a probe of a container that writes all the time and never comes up", () => {
  beforeEach(() => void vi.useFakeTimers({ now: 0 }));
  afterEach(() => void vi.useRealTimers());

  it("fails at startup after failureThreshold periods, each with its event, and is not made any more", async () => {
    const told = await chatty("startup", 100, async () => ({ exitCode: 1, output: "not yet" }));
    expect(told.results).toEqual([[30, "failure"]]);
    expect(told.events).toEqual([10, 20, 30].map((seconds) => [seconds, "probe failed: not yet"]));
    // 0, 10, 30 … 5110 ms, three periods, and one more in each of these waits.
    expect(told.attempts).toBeLessThanOrEqual(2 * (10 + 3));
  });

  it("keeps the container alive when the command is missing, and says so", async () => {
    const told = await chatty("liveness", 65, () => Promise.reject(new Error("no such file")));
    expect(told.results).toEqual([]);
    const what = "probe errored and resulted in unknown state: no such file";
    expect(told.events).toEqual([0, 10, 20, 30, 40, 50, 60].map((seconds) => [seconds, what]));
  });
});
