import { describe, expect, it } from "vitest";
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from "#api/index.ts";
import { failedStatus, planBudget } from "./plan.ts";

const now = new Date("2026-01-01T00:05:00Z");
type Spec = PodDisruptionBudget["spec"];
function budget(spec: Spec, status?: PodDisruptionBudgetStatus): PodDisruptionBudget {
  return { metadata: { name: "pdb", namespace: "default", generation: 3 }, spec, ...(status ? { status } : {}) };
}
function pod(name: string, ready = true, owner = "rs"): Pod {
  const ownerReferences = owner
    ? [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: owner, controller: true }]
    : [];
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" } as const];
  return {
    metadata: { name, namespace: "default", ownerReferences },
    spec: { containers: [] },
    status: { phase: "Running", conditions },
  };
}
const pods = (ready: number, unready = 0) => [
  ...Array.from({ length: ready }, (_, i) => pod(`r${i}`)),
  ...Array.from({ length: unready }, (_, i) => pod(`u${i}`, false)),
];
const scale = (replicas: number) => () => ({ uid: "rs", replicas });
function numbers(spec: Spec, present: readonly Pod[], replicas: number) {
  const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = planBudget(
    budget(spec),
    present,
    scale(replicas),
    now,
  ).status;
  return [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods];
}

describe("PodDisruptionBudget plan", () => {
  // Columns of the result: disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods.
  const cases: [string, Spec, Pod[], number, number[]][] = [
    ["minAvailable as a number", { minAvailable: 2 }, pods(3), 3, [1, 3, 2, 3]],
    ["minAvailable counts what is there, not what is wanted", { minAvailable: 2 }, pods(2), 5, [0, 2, 2, 2]],
    ["minAvailable as a share is rounded up", { minAvailable: "50%" }, pods(5), 5, [2, 5, 3, 5]],
    ["maxUnavailable as a number", { maxUnavailable: 1 }, pods(3), 3, [1, 3, 2, 3]],
    ["maxUnavailable is of what the controller wants", { maxUnavailable: 1 }, pods(2), 3, [0, 2, 2, 3]],
    ["maxUnavailable as a share is rounded up", { maxUnavailable: "25%" }, pods(5), 5, [2, 5, 3, 5]],
    ["maxUnavailable above all", { maxUnavailable: 9 }, pods(3), 3, [3, 3, 0, 3]],
    ["what is not ready is not healthy", { minAvailable: 2 }, pods(2, 1), 3, [0, 2, 2, 3]],
    ["no pods allow nothing", { minAvailable: 0 }, [], 0, [0, 0, 0, 0]],
    ["no bound at all allows nothing", {}, pods(3), 3, [0, 3, 0, 0]],
  ];
  it.each(cases)("%s", (_, spec, present, replicas, expected) => {
    expect(numbers(spec, present, replicas)).toEqual(expected);
  });

  it("counts evicted pods as gone for two minutes, then says that they stayed", () => {
    const status = {
      disruptionsAllowed: 0,
      currentHealthy: 3,
      desiredHealthy: 2,
      expectedPods: 3,
      disruptedPods: { r0: "2026-01-01T00:04:00Z", r1: "2026-01-01T00:02:59Z", gone: "2026-01-01T00:04:00Z" },
    };
    const plan = planBudget(budget({ minAvailable: 1 }, status), pods(3), scale(3), now);
    expect(plan.status).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1, observedGeneration: 3 });
    expect(plan.status.disruptedPods).toEqual({ r0: "2026-01-01T00:04:00Z" });
    expect(plan.notDeleted.map(({ metadata }) => metadata.name)).toEqual(["r1"]);
    expect(plan.lookAgainMs).toBe(60_000);
  });

  it("counts pods with names that every object of JavaScript has", () => {
    const present = ["constructor", "valueof", "tostring"].map((name) => pod(name));
    const status = { ...planBudget(budget({ minAvailable: 1 }), present, scale(3), now).status, disruptedPods: {} };
    const plan = planBudget(budget({ minAvailable: 1 }, status), present, scale(3), now);
    expect(plan.status).toMatchObject({ currentHealthy: 3, disruptionsAllowed: 2 });
    expect(plan.notDeleted).toEqual([]);
  });

  it("says in a condition whether disruptions are allowed, with the time of the last change", () => {
    const first = planBudget(budget({ minAvailable: 1 }), pods(2), scale(2), now).status;
    const condition = { type: "DisruptionAllowed", message: "", observedGeneration: 3 };
    expect(first.conditions).toEqual([
      { ...condition, status: "True", reason: "SufficientPods", lastTransitionTime: "2026-01-01T00:05:00Z" },
    ]);
    const later = new Date("2026-01-01T00:06:00Z");
    const second = planBudget(budget({ minAvailable: 1 }, first), pods(1, 1), scale(2), later).status;
    expect(second.conditions).toEqual([
      { ...condition, status: "False", reason: "InsufficientPods", lastTransitionTime: "2026-01-01T00:06:00Z" },
    ]);
    const failed = failedStatus(budget({ maxUnavailable: 1 }, first), "why", later);
    expect(failed).toMatchObject({ disruptionsAllowed: 0, currentHealthy: 2 });
    expect(failed.conditions).toMatchObject([{ status: "False", reason: "SyncFailed", message: "why" }]);
  });

  it("names pods without a controller where a share is asked for", () => {
    const mixed = [...pods(2), pod("bare", true, "")];
    expect(planBudget(budget({ maxUnavailable: "50%" }), mixed, scale(2), now).unmanaged).toHaveLength(1);
    expect(planBudget(budget({ minAvailable: 1 }), mixed, scale(2), now).unmanaged).toEqual([]);
  });
});
