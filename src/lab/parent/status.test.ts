import { describe, expect, it } from "vitest";
import type { Node, Pod, PodStatus } from "#api/index.ts";
import { resolveConfig } from "#lab/config/index.ts";
import { degradedReasons } from "./status.ts";

const config = resolveConfig({ nodes: 2 });
const node = (name: string, status: "True" | "False", annotations = {}): Node => ({
  metadata: { name, annotations },
  status: { conditions: [{ type: "Ready", status, ...(status === "False" ? { message: "no network" } : {}) }] },
});
const pod = (status: PodStatus): Pod => ({
  metadata: { name: "web", namespace: "shop" },
  spec: { containers: [] },
  status,
});
const nodes = [node("controlplane", "True"), node("node01", "True")];
const now = Date.parse("2026-11-21T04:00:10Z");
const healthy = { config, started: true, now, nodes, pods: [], processes: [], machines: new Map() };

describe("why a cluster is degraded", () => {
  it("a healthy one has no reason", () => {
    const running = pod({ phase: "Running", containerStatuses: [], conditions: [] });
    expect(degradedReasons({ ...healthy, pods: [running] })).toEqual([]);
  });

  it.each<[string, Partial<Parameters<typeof degradedReasons>[0]>, string]>([
    [
      "a node that is not ready",
      { nodes: [nodes[0] as Node, node("node01", "False")] },
      "node node01 is not ready (no network)",
    ],
    ["a node that is not there", { nodes: nodes.slice(0, 1) }, "node node01 is not ready"],
    ["its own failure", { failure: "the lab's engine ended" }, "the lab's engine ended"],
    [
      "a port of the host",
      { closed: ["NodePort 30080 of node01 is not open"] },
      "NodePort 30080 of node01 is not open",
    ],
    [
      "a process",
      {
        processes: [
          { name: "kubelet/node01", machine: "node01", state: "restarting", pid: 0, restarts: 1, reason: "signal 9" },
        ],
      },
      "kubelet/node01 is being restarted (signal 9)",
    ],
    [
      "a node without power",
      { machines: new Map([["node01", { state: "stopped" }]]) },
      "node node01 is stopped: podwire node start node01",
    ],
    [
      "a node whose first process ended",
      { machines: new Map([["node01", { state: "stopped", reason: "signal 9" }]]) },
      "node node01 ended (signal 9): podwire node start node01",
    ],
    [
      "a pod without a node",
      {
        pods: [
          pod({
            phase: "Pending",
            conditions: [unscheduled("2026-11-21T04:00:00Z")],
          }),
        ],
      },
      "pod shop/web: Unschedulable: 0/2 nodes",
    ],
    [
      "an init container",
      { pods: [pod({ initContainerStatuses: [waiting("CrashLoopBackOff")] })] },
      "pod shop/web: CrashLoopBackOff: again",
    ],
    [
      "a container",
      { pods: [pod({ containerStatuses: [waiting("ErrImagePull")] })] },
      "pod shop/web: ErrImagePull: again",
    ],
  ])("%s", (_name, change, reason) => {
    expect(degradedReasons({ ...healthy, ...change })).toEqual([reason]);
  });

  it("says nothing of a pod that a node may still take", () => {
    const young = pod({ phase: "Pending", conditions: [unscheduled("2026-11-21T04:00:08Z")] });
    expect(degradedReasons({ ...healthy, pods: [young] })).toEqual([]);
  });

  it("says nothing of a container that is being made", () => {
    expect(degradedReasons({ ...healthy, pods: [pod({ containerStatuses: [waiting("ContainerCreating")] })] })).toEqual(
      [],
    );
  });
});

function unscheduled(lastTransitionTime: string) {
  return {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message: "0/2 nodes",
    lastTransitionTime,
  } as const;
}

function waiting(reason: string) {
  return {
    name: "main",
    image: "x",
    imageID: "",
    ready: false,
    restartCount: 0,
    state: { waiting: { reason, message: "again" } },
  };
}
