import { describe, expect, it } from "vitest";
import type { Pod } from "#api/index.ts";
import { connectivityFindings, networkPods, type ProbeReport, parseListening, portFindings } from "./index.ts";

const pods = [
  { name: "default/a", pod: "default/a", ip: "10.244.1.2", node: "node01" },
  { name: "default/b", pod: "default/b", ip: "10.244.2.2", node: "node02" },
];
const report = (node: string, arrivals: ProbeReport["arrivals"], rest: Partial<ProbeReport> = {}): ProbeReport => ({
  node,
  arrivals,
  missing: [],
  listening: [],
  ...rest,
});
const good = [
  report("node01", [
    { from: "default/a", to: "default/a", seen: "10.244.1.2" },
    { from: "default/a", to: "default/b", seen: "::ffff:10.244.1.2" },
    { from: "node01", to: "default/b", seen: "10.244.1.0" },
  ]),
  report("node02", [{ from: "default/b", to: "default/a", seen: "10.244.2.2" }]),
];

describe("P01 findings of the connectivity check (part: judgement)", () => {
  it("are all fine when every datagram arrives from the pod's own address", () => {
    expect(connectivityFindings(pods, [], good).map((f) => f.ok)).toEqual([true, true, true, true, true, true]);
  });

  it("name the pair that is cut off, the translated address, the pod without one", () => {
    const bad = [
      report(
        "node01",
        [
          { from: "default/a", to: "default/b" },
          { from: "node01", to: "default/a" },
        ],
        { missing: ["default/a"] },
      ),
      report("node02", [{ from: "default/b", to: "default/a", seen: "192.168.1.12" }]),
    ];
    const details = connectivityFindings(pods, ["default/c"], bad).flatMap((f) => f.details);
    expect(details).toEqual([
      "default/c has no address",
      "default/a → default/b: no answer",
      "default/b → default/a: arrives from 192.168.1.12",
      "node01 → default/a: no answer",
      "default/a has not 10.244.1.2",
    ]);
  });
});

describe("P01 what the connectivity check tests (part: choice of pods)", () => {
  const pod = (name: string, spec: Pod["spec"], status?: Pod["status"], deletionTimestamp?: string): Pod => ({
    metadata: { namespace: "default", name, ...(deletionTimestamp ? { deletionTimestamp } : {}) },
    spec,
    ...(status ? { status } : {}),
  });
  const on = { nodeName: "node01", containers: [] };

  it("every scheduled pod that has not ended, stuck ones too; not those of the node's own network", () => {
    const { withAddress, without } = networkPods([
      pod("runs", on, { phase: "Running", podIP: "10.244.1.2" }),
      pod("stuck", on, { phase: "Pending" }),
      pod("new", on),
      pod("waits", { containers: [] }, { phase: "Pending" }),
      pod("done", on, { phase: "Succeeded" }),
      pod("failed", on, { phase: "Failed" }),
      pod("module", { ...on, hostNetwork: true }, { phase: "Running" }),
      pod("leaving", on, { phase: "Running" }, "2026-01-01T00:00:00Z"),
    ]);
    expect(withAddress).toEqual([{ name: "default/runs", pod: "default/runs", ip: "10.244.1.2", node: "node01" }]);
    expect(without).toEqual(["default/stuck", "default/new"]);
  });

  it("each address of a pod by itself", () => {
    const podIPs = [{ ip: "10.244.1.2" }, { ip: "fd00::2" }];
    const { withAddress } = networkPods([pod("a", on, { phase: "Running", podIP: "10.244.1.2", podIPs })]);
    expect(withAddress.map(({ name, pod: of, ip }) => [name, of, ip])).toEqual([
      ["default/a (10.244.1.2)", "default/a", "10.244.1.2"],
      ["default/a (fd00::2)", "default/a", "fd00::2"],
    ]);
    const arrivals = withAddress.map(({ name, ip }) => ({ from: name, to: name, seen: ip }));
    expect(connectivityFindings(withAddress, [], [report("node01", arrivals)]).map(({ claim }) => claim)).toEqual([
      "every pod has an address (1 pods)",
      "every pod reaches every pod on its node (2 paths: 1 IPv4, 1 IPv6)",
      "every pod reaches every pod on other nodes (nothing to test: 0 paths)",
      "no address is translated on the way (2 paths: 1 IPv4, 1 IPv6)",
      "nodes reach all pods (nothing to test: 0 paths)",
      "a pod sees itself under the address that others see (2 addresses)",
    ]);
  });

  it("nothing is proved where there is nothing to test", () => {
    expect(connectivityFindings([], [], []).map(({ ok }) => ok)).toEqual([null, null, null, null, null, null]);
    expect(connectivityFindings([], ["default/c"], []).map(({ ok }) => ok)).toEqual([
      false,
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("K02 findings on required ports (part: judgement)", () => {
  it("say who listens, and what is missing", () => {
    const nodes = [
      { metadata: { name: "controlplane", labels: { "node-role.kubernetes.io/control-plane": "" } } },
      { metadata: { name: "node01" } },
    ];
    const reports = [
      report("controlplane", [], { listening: [{ port: 6443, pid: 7, program: "kube-apiserver" }] }),
      report("node01", [], { listening: [{ port: 10250, pid: 3, program: "kubelet" }] }),
    ];
    const findings = portFindings(nodes, [], reports);
    expect(findings.find((f) => f.claim.startsWith("controlplane listens on 6443"))).toMatchObject({
      ok: true,
      details: ["by kube-apiserver (pid 7)"],
    });
    expect(findings.find((f) => f.claim.startsWith("controlplane listens on 10250"))).toMatchObject({
      ok: false,
      details: ["nobody listens"],
    });
    expect(findings.find((f) => f.claim.startsWith("node01 listens on 10250"))?.ok).toBe(true);
    expect(findings.find((f) => f.claim === "node01 listens on 10256, kube-proxy")?.ok).toBe(false);
  });

  it("reads /proc/net/tcp", () => {
    const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1
   1: 0100007F:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 12346 1
`;
    expect(parseListening(text)).toEqual([{ port: 8080, inode: "12345" }]);
  });
});
