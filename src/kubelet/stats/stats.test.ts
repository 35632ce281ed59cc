import { describe, expect, it } from "vitest";
import type { Pod } from "#api/index.ts";
import { cpuOf, memoryOf, type ProcessUsage, readProcesses } from "./processes.ts";
import { nanoCores, type RunningProcess, UsageSampler } from "./sampler.ts";
import { resourceMetrics, statsSummary } from "./summary.ts";

describe("what a process has used", () => {
  it("is read from /proc, whatever the program calls itself", () => {
    // proc(5): 14 utime, 15 stime, 16 cutime, 17 cstime.
    const stat =
      "12 (a (b) c) S 1 12 12 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 500 1000 25 18446744073709551615";
    expect(cpuOf(stat)).toBeCloseTo(1.1, 10);
    expect(memoryOf("1000 300 120 1 0 50 0")).toBe(180 * 4096);
  });

  it("shows this very process", () => {
    const own = readProcesses().find(({ pid }) => pid === process.pid);
    expect(own?.memoryBytes).toBeGreaterThan(1 << 20);
    expect(own?.cpuSeconds).toBeGreaterThan(0);
    expect(own?.namespace).toMatch(/^pid:\[\d+\]$/);
  });
});

const pod = (name: string): Pod => ({
  metadata: { name, namespace: "n", uid: name },
  spec: { containers: [{ name: "c", image: "i" }] },
});
const running = (name: string, pid: number) => ({
  pod: pod(name),
  podUid: name,
  container: "c",
  pid,
  startedAt: "2026-01-01T00:00:00Z",
});

/** A machine whose processes and clock are given by hand. */
function machine() {
  const state = {
    now: 1_767_225_600_000,
    waited: 0,
    processes: [] as ProcessUsage[],
    running: [] as RunningProcess[],
    onWait: () => {},
  };
  const sampler = new UsageSampler({
    processes: () => state.processes,
    running: () => state.running,
    now: () => state.now,
    wait: async (ms) => {
      state.now += ms;
      state.waited += ms;
      state.onWait();
    },
  });
  return { state, sampler };
}

const used = (pid: number, namespace: string, cpuSeconds: number, memoryBytes = 0): ProcessUsage => ({
  pid,
  namespace,
  cpuSeconds,
  memoryBytes,
});

describe("a node's sampler", () => {
  it("adds up a container's processes, and all for the node; a second the first time, then since the last time", async () => {
    const { state, sampler } = machine();
    state.running = [running("a", 10)];
    state.processes = [used(1, "node", 5, 100), used(10, "ns", 1, 10), used(11, "ns", 2, 20)];
    state.onWait = () => {
      state.processes = [used(1, "node", 5.25, 100), used(10, "ns", 1.5, 10), used(11, "ns", 2, 30)];
    };
    const first = await sampler.span();
    expect(state.waited).toBe(1000);
    const [key, usage] = [...first.to.containers][0] ?? ["", undefined];
    expect(usage).toEqual({ cpuSeconds: 3.5, memoryBytes: 40 });
    expect(nanoCores(first.from.containers.get(key), first.to.containers.get(key) ?? first.to.node, first)).toBe(5e8);
    expect(nanoCores(first.from.node, first.to.node, first)).toBe(7.5e8);
    // At once again: nothing new to say.
    expect(await sampler.span()).toBe(first);
    state.now += 10_000;
    const second = await sampler.span();
    expect(state.waited).toBe(1000);
    expect(second.from).toBe(first.to);
    // Long after, the old sample says nothing of now.
    state.now += 120_000;
    const third = await sampler.span();
    expect([state.waited, third.to.at - third.from.at]).toEqual([2000, 1000]);
  });

  it("a run that began meanwhile began at 0, and what has ended takes nothing away", async () => {
    const { state, sampler } = machine();
    state.processes = [used(1, "node", 9)];
    state.onWait = () => {
      state.running = [running("a", 10)];
      state.processes = [used(1, "node", 8), used(10, "ns", 0.1)];
    };
    const span = await sampler.span();
    const summary = statsSummary({ name: "node01", startedAt: "x" }, state.running as never, span);
    expect(summary).toMatchObject({
      node: { nodeName: "node01", cpu: { usageNanoCores: 0, usageCoreNanoSeconds: 8.1e9 } },
      pods: [
        {
          podRef: { name: "a", namespace: "n", uid: "a" },
          containers: [{ name: "c", cpu: { usageNanoCores: 1e8 } }],
          cpu: { usageNanoCores: 1e8 },
        },
      ],
      podwireWindowMilliseconds: 1000,
    });
  });

  it("tells its counters as upstream's /metrics/resource", () => {
    const { state, sampler } = machine();
    const one = running("a", 10);
    state.running = [one];
    state.processes = [used(1, "node", 1, 100), used(10, "ns", 2, 10)];
    const text = resourceMetrics([one], sampler.current());
    expect(text).toContain(
      "# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds\n# TYPE container_cpu_usage_seconds_total counter\n",
    );
    for (const line of [
      'container_cpu_usage_seconds_total{container="c",namespace="n",pod="a"} 2',
      'container_memory_working_set_bytes{container="c",namespace="n",pod="a"} 10',
      'container_start_time_seconds{container="c",namespace="n",pod="a"} 1767225600',
      "node_cpu_usage_seconds_total 3",
      "node_memory_working_set_bytes 110",
      'pod_cpu_usage_seconds_total{namespace="n",pod="a"} 2',
      "resource_scrape_error 0",
    ])
      expect(text.split("\n")).toContain(line);
  });
});
