import { describe, expect, it } from "vitest";
import type { DaemonSet, Node, Pod } from "#api/index.ts";
import { FailureBackoff } from "./backoff.ts";
import { planDaemonSet, targetNode } from "./plan.ts";

const now = new Date("2026-01-01T00:01:00Z");
const node = (name: string, spec: Node["spec"] = {}, labels: Record<string, string> = {}): Node => ({
  metadata: { name, labels },
  spec,
  status: { conditions: [{ type: "Ready", status: "True" }] },
});
const daemonSet = (spec: Partial<DaemonSet["spec"]> = {}): DaemonSet => ({
  metadata: { name: "ds", uid: "o", generation: 1 },
  spec: { selector: { matchLabels: { app: "a" } }, template: { spec: { containers: [] } }, ...spec },
});
const tainted = { taints: [{ key: "x", effect: "NoSchedule" as const }] };
const owner = [{ apiVersion: "apps/v1", kind: "DaemonSet", name: "ds", uid: "o", controller: true }];

/** `n1`: a ready pod of the present template there; `n1o`: of an older one; `!`: not ready; `t`: going; `x`: failed. */
function pods(text: string): Pod[] {
  return text.split(" ").flatMap((word, i) => {
    const match = /^(?<nodeName>n\d+)(?<marks>[o!tx]*)$/.exec(word);
    if (!match?.groups) return [];
    const { nodeName = "", marks = "" } = match.groups;
    const labels = { app: "a", "controller-revision-hash": marks.includes("o") ? "old" : "h" };
    const creationTimestamp = `2026-01-01T00:00:${10 + i}Z`;
    const ready = marks.includes("!") ? "False" : "True";
    return {
      metadata: {
        ...{ name: word, labels, ownerReferences: owner, creationTimestamp },
        ...(marks.includes("t") ? { deletionTimestamp: "now" } : {}),
      },
      spec: { containers: [], nodeName },
      status: {
        phase: marks.includes("x") ? "Failed" : "Running",
        conditions: [{ type: "Ready", status: ready, lastTransitionTime: "2026-01-01T00:00:30Z" }],
      },
    };
  });
}
const nodes = (count: number) => Array.from({ length: count }, (_, i) => node(`n${i + 1}`));
function steps(of: DaemonSet, count: number, present: string) {
  const plan = planDaemonSet(of, nodes(count), pods(present), "h", now);
  return { create: plan.create.join(" "), remove: plan.remove.map(({ metadata }) => metadata.name).join(" ") };
}
const rolling = (rollingUpdate: object): DaemonSet =>
  daemonSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });

describe("DaemonSet plan", () => {
  it("wants a pod on each node that selectors and tolerations allow, cordoned ones too", () => {
    const cordoned = { taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" as const }] };
    const all = [
      node("n1", {}, { disk: "ssd" }),
      node("n2", { unschedulable: true, ...cordoned }),
      node("n3", tainted),
    ];
    expect(planDaemonSet(daemonSet(), all, [], "h", now).create).toEqual(["n1", "n2"]);
    const selective = daemonSet({ template: { spec: { containers: [], nodeSelector: { disk: "ssd" } } } });
    expect(planDaemonSet(selective, all, [], "h", now).create).toEqual(["n1"]);
    const tolerant = daemonSet({ template: { spec: { containers: [], tolerations: [{ operator: "Exists" }] } } });
    expect(planDaemonSet(tolerant, all, [], "h", now).create).toEqual(["n1", "n2", "n3"]);
    const named = daemonSet({ template: { spec: { containers: [], nodeName: "n1" } } });
    expect(planDaemonSet(named, all, [], "h", now).create).toEqual(["n1"]);
  });

  it("keeps pods on nodes that got a NoSchedule taint, removes surplus and homeless ones and those that ended", () => {
    const all = [node("n1"), node("n2"), node("n3", tainted)];
    const plan = planDaemonSet(daemonSet(), all, pods("n1 n1 n3 n9 n2x"), "h", now);
    const names = plan.remove.map(({ spec }) => spec.nodeName);
    expect(names.sort()).toEqual(["n1", "n2", "n9"]);
    expect(plan.ended.map(({ spec }) => spec.nodeName)).toEqual(["n2"]);
    expect(plan.create).toEqual([]);
    expect(plan.status).toMatchObject({
      desiredNumberScheduled: 2,
      currentNumberScheduled: 2,
      numberMisscheduled: 2,
      updatedNumberScheduled: 2,
      numberReady: 2,
    });
  });

  it("takes orphans that match and lets go of pods that do not", () => {
    const [one, two] = pods("n1 n2") as [Pod, Pod];
    const orphan = { ...one, metadata: { ...one.metadata, ownerReferences: [] } };
    const strayed = { ...two, metadata: { ...two.metadata, labels: {} } };
    const plan = planDaemonSet(daemonSet(), nodes(2), [orphan, strayed], "h", now);
    expect(plan.adopt).toEqual([orphan]);
    expect(plan.release).toEqual([strayed]);
    expect(plan.create).toEqual(["n2"]);
  });

  it("knows a pod's node before it is bound", () => {
    const matchFields = [{ key: "metadata.name", operator: "In" as const, values: ["n7"] }];
    const affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } },
    };
    expect(targetNode({ metadata: { name: "a" }, spec: { containers: [], affinity } })).toBe("n7");
  });

  const cases: [string, DaemonSet, number, string, { create: string; remove: string }][] = [
    ["one old pod at a time", daemonSet(), 3, "n1o n2o n3o", { create: "", remove: "n1o" }],
    ["none while one is not ready", daemonSet(), 3, "n1! n2o n3o", { create: "", remove: "" }],
    ["none while one is going", daemonSet(), 3, "n1ot n2o n3o", { create: "", remove: "" }],
    [
      "as many as may be unavailable",
      rolling({ maxUnavailable: 2 }),
      3,
      "n1o n2o n3o",
      { create: "", remove: "n1o n2o" },
    ],
    ["a share, rounded up", rolling({ maxUnavailable: "34%" }), 3, "n1o n2o n3o", { create: "", remove: "n1o n2o" }],
    ["old pods that do not serve, at once", daemonSet(), 3, "n1o! n2o! n3o", { create: "", remove: "n1o! n2o!" }],
    [
      "nothing on OnDelete",
      daemonSet({ updateStrategy: { type: "OnDelete" } }),
      3,
      "n1o n2o! n3o",
      { create: "", remove: "" },
    ],
    [
      "surge: a second pod first",
      rolling({ maxSurge: 1, maxUnavailable: 0 }),
      2,
      "n1o n2o",
      { create: "n1", remove: "" },
    ],
    ["surge: waits for it", rolling({ maxSurge: 1, maxUnavailable: 0 }), 2, "n1o n1! n2o", { create: "", remove: "" }],
    [
      "surge: then the old one goes, and the next begins",
      rolling({ maxSurge: 1, maxUnavailable: 0 }),
      2,
      "n1o n1 n2o",
      { create: "n2", remove: "n1o" },
    ],
    ["surge: several at once", rolling({ maxSurge: "100%" }), 2, "n1o n2o", { create: "n1 n2", remove: "" }],
  ];
  it.each(cases)("replaces %s", (_, of, count, present, expected) => {
    expect(steps(of, count, present)).toEqual(expected);
  });

  it("counts pods as available after minReadySeconds", () => {
    const plan = planDaemonSet(daemonSet({ minReadySeconds: 60 }), nodes(2), pods("n1 n2!"), "h", now);
    expect(plan.status).toMatchObject({ numberReady: 1, numberUnavailable: 2 });
    expect(plan.lookAgainMs).toBe(30_000);
  });
});

describe("DaemonSet pods that fail", () => {
  it("stay for longer after each failure, per place", () => {
    const backoff = new FailureBackoff();
    const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000);
    expect(backoff.takeMs("ds/n1", at(0))).toBe(0);
    expect(backoff.takeMs("ds/n1", at(0.4))).toBe(600);
    expect(backoff.takeMs("ds/n2", at(0.4))).toBe(0);
    expect(backoff.takeMs("ds/n1", at(1))).toBe(0);
    expect(backoff.takeMs("ds/n1", at(2))).toBe(1000); // 2 s after the second
    backoff.forget("ds/");
    expect(backoff.takeMs("ds/n1", at(2))).toBe(0);
  });
});
