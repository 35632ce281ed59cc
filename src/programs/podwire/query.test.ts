import { describe, expect, it } from "vitest";
import type { ClusterStatus } from "#lab/parent/index.ts";
import { statusText } from "./query.ts";

type NodeStatus = ClusterStatus["nodes"][number];

describe("podwire status", () => {
  const node = (name: string, machine: NodeStatus["machine"], state: NodeStatus["state"]): NodeStatus => ({
    name,
    address: "192.168.1.10",
    hostAddress: "127.1.2.10",
    state,
    machine,
  });
  const status: ClusterStatus = {
    name: "lab",
    state: "degraded",
    reasons: ["node node01 is stopped: podwire node start node01"],
    kubeconfig: "/run/kubeconfig",
    urls: { api: "https://127.1.2.1:6443" },
    outside: "off",
    nodes: [
      node("controlplane", "running", "Ready"),
      node("node01", "stopped", "Ready"),
      node("node02", "paused", "Ready"),
      node("node03", "running", "NotReady"),
    ],
    processes: [],
    timeline: {},
  };

  it("tells a machine without power as stopped, though the API still has its node as ready", () => {
    const states = [...statusText(status).matchAll(/^(\w+) .* 127\.1\.2\.10 +(\w+)$/gm)].map(([, name, is]) => [
      name,
      is,
    ]);
    expect(states).toEqual([
      ["controlplane", "Ready"],
      ["node01", "stopped"],
      ["node02", "paused"],
      ["node03", "NotReady"],
    ]);
  });
});
