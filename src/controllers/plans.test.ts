import { describe, expect, it } from "vitest";
import type { KubeObject, Node, OwnerReference, Pod, ReplicaSet } from "#api/index.ts";
import { invalidOwnerText, planDependent, planOwner, reachOf } from "./garbage/plan.ts";
import { planNode } from "./nodes/lifecycle.ts";
import { allocateSubnets, subnetPools } from "./nodes/subnets.ts";
import { planReplicaSet, rankForRemoval } from "./replicaset/plan.ts";

const now = new Date("2026-01-01T00:01:00Z");
const owned = (uid: string): OwnerReference[] => [{ apiVersion: "v1", kind: "X", name: "x", uid, controller: true }];

function pod(
  name: string,
  more: Partial<Pod["metadata"]> = {},
  status: Pod["status"] = { phase: "Running" },
  spec: Partial<Pod["spec"]> = {},
): Pod {
  const metadata = { name, namespace: "default", labels: { app: "a" }, ownerReferences: owned("o"), ...more };
  return { metadata, spec: { containers: [{ name: "c" }], ...spec }, status };
}
const readyAt = (time: string) => ({
  phase: "Running" as const,
  conditions: [{ type: "Ready", status: "True" as const, lastTransitionTime: time }],
});

describe("ReplicaSet plan", () => {
  const replicaSet = (replicas: number, more: Partial<ReplicaSet["spec"]> = {}): ReplicaSet => ({
    metadata: { name: "rs", namespace: "default", uid: "o", generation: 3 },
    spec: {
      replicas,
      selector: { matchLabels: { app: "a" } },
      template: { metadata: { labels: { app: "a" } }, spec: { containers: [] } },
      ...more,
    },
  });

  it("counts only its own active pods", () => {
    const pods = [
      pod("a"),
      pod("other", { ownerReferences: owned("else") }),
      pod("ended", {}, { phase: "Failed" }),
      pod("leaving", { deletionTimestamp: "now" }),
      pod("orphan", { ownerReferences: [] }),
      pod("strayed", { labels: { app: "b" } }),
    ];
    const plan = planReplicaSet(replicaSet(4), pods, now);
    expect(plan.create).toBe(2);
    expect(plan.adopt.map(({ metadata }) => metadata.name)).toEqual(["orphan"]);
    expect(plan.release.map(({ metadata }) => metadata.name)).toEqual(["strayed"]);
    expect(plan.status).toMatchObject({ replicas: 2, terminatingReplicas: 1, observedGeneration: 3 });
  });

  it("is at rest when the numbers fit and while it is being deleted", () => {
    expect(planReplicaSet(replicaSet(1), [pod("a")], now)).toMatchObject({
      create: 0,
      remove: [],
      adopt: [],
      release: [],
    });
    const gone = { ...replicaSet(5), metadata: { ...replicaSet(5).metadata, deletionTimestamp: "now" } };
    expect(planReplicaSet(gone, [pod("a")], now)).toMatchObject({ create: 0, remove: [] });
  });

  it("counts a pod as available after minReadySeconds and says when that will be", () => {
    const plan = planReplicaSet(
      replicaSet(2, { minReadySeconds: 30 }),
      [pod("a", {}, readyAt("2026-01-01T00:00:40Z")), pod("b", {}, readyAt("2026-01-01T00:00:10Z"))],
      now,
    );
    expect(plan.status).toMatchObject({ readyReplicas: 2, availableReplicas: 1 });
    expect(plan.lookAgainMs).toBe(10_000);
  });

  it("notes failures in a condition and takes it off again", () => {
    const failed = planReplicaSet(replicaSet(1), [], now, { reason: "FailedCreate", message: "no" }).status;
    expect(failed.conditions).toMatchObject([{ type: "ReplicaFailure", status: "True", reason: "FailedCreate" }]);
    // The next failure is about another pod: a status that changed would have it tried again at once.
    const again = { reason: "FailedCreate", message: "no, and another" };
    expect(planReplicaSet({ ...replicaSet(1), status: failed }, [], now, again).status.conditions).toEqual(
      failed.conditions,
    );
    expect(planReplicaSet({ ...replicaSet(1), status: failed }, [pod("a")], now).status.conditions).toBeUndefined();
  });

  it("takes pods first from nodes that are doubled up, by ReplicaSets of the same owner too", () => {
    const at = (name: string, nodeName: string) => pod(name, {}, readyAt("2026-01-01T00:00:00Z"), { nodeName });
    const mine = [at("a", "n1"), at("b", "n2")];
    const sibling = { ...at("c", "n2"), metadata: { ...at("c", "n2").metadata, ownerReferences: owned("else") } };
    const first = (related: Pod[]) =>
      planReplicaSet(replicaSet(1), mine, now, undefined, related).remove.map(({ metadata }) => metadata.name);
    expect(first([sibling])).toEqual(["b"]);
    expect(first([{ ...sibling, spec: { ...sibling.spec, nodeName: "n1" } }])).toEqual(["a"]);
  });

  it("lets those go first that serve least", () => {
    const on = { nodeName: "n1" };
    const pods = [
      pod("old-ready", { creationTimestamp: "1" }, readyAt("2026-01-01T00:00:00Z"), on),
      pod("new-ready", { creationTimestamp: "2" }, readyAt("2026-01-01T00:00:30Z"), on),
      pod("unready", {}, { phase: "Running" }, on),
      pod("pending", {}, { phase: "Pending" }, on),
      pod("unassigned", {}, { phase: "Pending" }),
      pod(
        "dear",
        { annotations: { "controller.kubernetes.io/pod-deletion-cost": "9" } },
        readyAt("2026-01-01T00:00:30Z"),
        on,
      ),
    ];
    const names = (list: readonly Pod[]) => list.map(({ metadata }) => metadata.name);
    const expected = ["unassigned", "pending", "unready", "new-ready", "old-ready", "dear"];
    expect(names(rankForRemoval(pods))).toEqual(expected);
    expect(names(rankForRemoval([...pods].reverse()))).toEqual(expected);
  });
});

describe("node subnets", () => {
  const node = (name: string, ...podCIDRs: string[]): Node => ({ metadata: { name }, spec: { podCIDRs } });

  it("gives the lowest free subnet, or the wish", () => {
    const pools = subnetPools(["10.244.0.0/16"]);
    expect(allocateSubnets(pools, [])).toEqual(["10.244.0.0/24"]);
    expect(allocateSubnets(pools, [node("a", "10.244.0.0/24"), node("b", "10.244.2.0/24")])).toEqual(["10.244.1.0/24"]);
    expect(allocateSubnets(pools, [], 2)).toEqual(["10.244.2.0/24"]);
    expect(allocateSubnets(pools, [node("a", "10.244.2.0/24")], 2)).toEqual(["10.244.0.0/24"]);
    expect(allocateSubnets(pools, [node("a", "10.244.0.0/23")])).toEqual(["10.244.2.0/24"]);
  });

  it("gives one of each family in dual stack", () => {
    const pools = subnetPools(["10.244.0.0/16", "fd00:10:244::/56"]);
    const first = allocateSubnets(pools, []) ?? [];
    expect(first).toEqual(["10.244.0.0/24", "fd00:10:244::/64"]);
    expect(allocateSubnets(pools, [node("a", ...first)])).toEqual(["10.244.1.0/24", "fd00:10:244:1::/64"]);
  });

  it("ends with the pool and refuses impossible sizes", () => {
    const pools = subnetPools(["10.244.0.0/23"]);
    expect(allocateSubnets(pools, [node("a", "10.244.0.0/24"), node("b", "10.244.1.0/24")])).toBeUndefined();
    expect(() => subnetPools(["10.244.0.0/25"])).toThrow(
      "a node's subnet of /24 does not fit into the pod network 10.244.0.0/25",
    );
  });
});

describe("node lifecycle", () => {
  const node = (status: "True" | "False", more: Node["spec"] = {}): Node => ({
    metadata: { name: "n" },
    spec: more,
    status: { conditions: [{ type: "Ready", status }] },
  });
  const keys = (taints: readonly { key: string; effect: string }[] | undefined) =>
    taints?.map(({ key, effect }) => `${key}:${effect}`);

  it("taints by condition, keeps others' taints, and untaints", () => {
    const own = { key: "mine", effect: "NoSchedule" as const };
    const down = planNode(node("False", { taints: [own] }), false, now);
    expect(keys(down.taints)).toEqual([
      "mine:NoSchedule",
      "node.kubernetes.io/not-ready:NoSchedule",
      "node.kubernetes.io/not-ready:NoExecute",
    ]);
    const taints = down.taints ?? [];
    expect(planNode(node("False", { taints }), false, now)).toEqual({});
    expect(keys(planNode(node("True", { taints }), false, now).taints)).toEqual(["mine:NoSchedule"]);
    expect(keys(planNode(node("True", { unschedulable: true }), false, now).taints)).toEqual([
      "node.kubernetes.io/unschedulable:NoSchedule",
    ]);
  });

  it("makes a silent node Unknown and unreachable", () => {
    const plan = planNode(node("True"), true, now);
    expect(plan.conditions).toMatchObject([
      {
        type: "Ready",
        status: "Unknown",
        reason: "NodeStatusUnknown",
        message: "Kubelet stopped posting node status.",
      },
    ]);
    expect(keys(plan.taints)).toEqual([
      "node.kubernetes.io/unreachable:NoSchedule",
      "node.kubernetes.io/unreachable:NoExecute",
    ]);
    expect(planNode({ metadata: { name: "n" } }, true, now).conditions).toMatchObject([
      { reason: "NodeStatusNeverUpdated" },
    ]);
  });
});

describe("garbage plan", () => {
  const object = (ownerReferences: OwnerReference[], finalizers: string[] = []): KubeObject => ({
    metadata: { name: "x", uid: "u", ownerReferences, finalizers },
  });
  const link = (uid: string, blockOwnerDeletion = false): OwnerReference => ({
    apiVersion: "v1",
    kind: "K",
    name: uid,
    uid,
    blockOwnerDeletion,
  });
  const state = ({ uid }: OwnerReference) => uid as "solid" | "absent" | "waiting";

  it("keeps what has an owner, unlinks dead ones, deletes what has none left", () => {
    expect(planDependent(object([]), state, [])).toEqual({ action: "keep" });
    expect(planDependent(object([link("solid")]), state, [])).toEqual({ action: "keep" });
    expect(planDependent(object([link("solid"), link("absent")]), state, [])).toMatchObject({
      action: "unlink",
      ownerReferences: [{ uid: "solid" }],
    });
    expect(planDependent(object([link("absent")]), state, [])).toEqual({
      action: "delete",
      propagationPolicy: "Background",
    });
    expect(planDependent(object([link("waiting", true)]), state, [object([])])).toEqual({
      action: "delete",
      propagationPolicy: "Foreground",
    });
    expect(planDependent(object([link("absent")], ["orphan"]), state, [object([])])).toMatchObject({
      propagationPolicy: "Orphan",
    });
  });

  it("ends circles of owners that would wait for each other", () => {
    const above: KubeObject = {
      metadata: { name: "a", uid: "waiting", deletionTimestamp: "now", finalizers: ["foregroundDeletion"] },
    };
    expect(planDependent(object([link("waiting", true)]), state, [above])).toEqual({
      action: "delete",
      propagationPolicy: "Foreground",
      ownerReferences: [link("waiting", false)],
    });
  });

  it("looks for owners in the dependent's namespace only", () => {
    const inside = { metadata: { name: "x", namespace: "one" } };
    const at = (namespace: string) => ({ metadata: { name: "o", namespace } });
    expect(reachOf(inside, true, at("one"))).toBe("possible");
    expect(reachOf(inside, true, undefined)).toBe("possible");
    expect(reachOf(inside, true, at("two"))).toBe("absent");
    expect(reachOf(inside, false, { metadata: { name: "node" } })).toBe("possible");
    expect(reachOf(object([]), true, at("one"))).toBe("unresolvable");
    expect(invalidOwnerText(inside, link("o"))).toBe(
      'ownerRef [v1/K, namespace: one, name: o, uid: o] does not exist in namespace "one"',
    );
  });

  it("serves foreground and orphan deletion step by step", () => {
    const going = (finalizers: string[]): KubeObject => ({
      metadata: { name: "o", uid: "o", deletionTimestamp: "now", finalizers },
    });
    const blocking = object([link("o", true)]);
    const loose = object([link("o")]);
    expect(planOwner(going(["foregroundDeletion"]), [blocking, loose])).toEqual({
      orphan: [],
      collect: [blocking, loose],
    });
    expect(planOwner(going(["keep", "foregroundDeletion"]), [loose])).toEqual({
      orphan: [],
      collect: [loose],
      finalizers: ["keep"],
    });
    expect(planOwner(going(["orphan"]), [blocking])).toEqual({ orphan: [blocking], collect: [] });
    expect(planOwner(going(["orphan"]), [])).toEqual({ orphan: [], collect: [], finalizers: [] });
    expect(planOwner({ metadata: { name: "o", finalizers: ["orphan"] } }, [blocking])).toEqual({
      orphan: [],
      collect: [],
    });
  });
});
