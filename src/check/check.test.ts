import { describe, expect, it } from "vitest";
import { connectivityFindings, type ProbeReport, parseListening, portFindings } from "./index.ts";

const pods = [
  { name: "default/a", ip: "10.244.1.2", node: "node01" },
  { name: "default/b", ip: "10.244.2.2", node: "node02" },
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
      "default/c has none",
      "default/a → default/b: no answer",
      "default/b → default/a: arrives from 192.168.1.12",
      "node01 → default/a: no answer",
      "default/a has not 10.244.1.2",
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
  });

  it("reads /proc/net/tcp", () => {
    const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1
   1: 0100007F:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 12346 1
`;
    expect(parseListening(text)).toEqual([{ port: 8080, inode: "12345" }]);
  });
});
