import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet } from "#api/index.ts";
import { planDeployment, sizeAnnotations } from "./plan.ts";
import { annotations, limits, templateHash, total } from "./replicasets.ts";
import { deploymentStatus } from "./status.ts";

const template = (image: string) => ({
  metadata: { labels: { app: "a" } },
  spec: { containers: [{ name: "c", image }] },
});

function deployment(image: string, spec: Partial<DeploymentSpec> = {}): Deployment {
  return {
    metadata: { name: "web", namespace: "default", uid: "d", generation: 1 },
    spec: { replicas: 3, selector: { matchLabels: { app: "a" } }, template: template(image), ...spec },
  };
}

/** Carries plans out on ReplicaSets in memory, with pods that become available when told to. */
class World {
  replicaSets: ReplicaSet[] = [];
  #clock = 0;

  /** One step; returns whether anything was done. */
  step(wanted: Deployment): boolean {
    const left = this.replicaSets.some(
      (one) => (one.status?.replicas ?? 0) > 0 && one !== planDeployment(wanted, this.replicaSets, false).current,
    );
    const plan = planDeployment(wanted, this.replicaSets, left);
    if (plan.create) {
      const { metadata } = plan.create;
      const uid = metadata.name;
      const creationTimestamp = String(this.#clock++).padStart(6, "0");
      this.replicaSets.push({ ...plan.create, metadata: { ...metadata, uid, creationTimestamp }, status: {} });
    }
    for (const { replicaSet, annotations: notes } of plan.annotate) this.#change(replicaSet, notes, {});
    for (const { replicaSet, replicas } of plan.scale) this.#change(replicaSet, sizeAnnotations(wanted), { replicas });
    this.replicaSets = this.replicaSets.filter(
      (one) => !plan.remove.some(({ metadata }) => metadata.uid === one.metadata.uid),
    );
    return plan.create !== undefined || plan.annotate.length + plan.scale.length + plan.remove.length > 0;
  }

  /** The ReplicaSet controller: pods exist as asked for; of each set, at most `ready` more become available. */
  settle(ready: number): boolean {
    let moved = false;
    this.replicaSets = this.replicaSets.map((one) => {
      const replicas = one.spec.replicas ?? 1;
      const before = one.status?.availableReplicas ?? 0;
      const availableReplicas = Math.min(replicas, before + ready);
      moved ||= availableReplicas !== before || replicas !== one.status?.replicas;
      return { ...one, status: { replicas, readyReplicas: availableReplicas, availableReplicas } };
    });
    return moved;
  }

  run(wanted: Deployment): void {
    for (let i = 0; i < 500; i++) if (![this.step(wanted), this.settle(1)].some(Boolean)) return;
    throw new Error("the rollout does not come to rest");
  }

  #change(target: ReplicaSet, notes: Record<string, string>, spec: { replicas?: number }): void {
    this.replicaSets = this.replicaSets.map((one) =>
      one.metadata.uid === target.metadata.uid
        ? {
            ...one,
            metadata: { ...one.metadata, annotations: { ...one.metadata.annotations, ...notes } },
            spec: { ...one.spec, ...spec },
          }
        : one,
    );
  }

  sizes(): Record<string, number> {
    const sizes: Record<string, number> = {};
    for (const { spec } of this.replicaSets) sizes[spec.template.spec.containers[0]?.image ?? ""] = spec.replicas ?? 1;
    return sizes;
  }
}

describe("Deployment plan", () => {
  it("makes a ReplicaSet with hash, selector, revision and owner", () => {
    const plan = planDeployment(deployment("one"), [], false);
    const hash = plan.create?.metadata.labels?.["pod-template-hash"] ?? "";
    expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]+$/);
    expect(plan.create).toMatchObject({
      metadata: {
        name: `web-${hash}`,
        annotations: {
          [annotations.revision]: "1",
          [annotations.desiredReplicas]: "3",
          [annotations.maxReplicas]: "4",
        },
        ownerReferences: [{ kind: "Deployment", name: "web", controller: true, blockOwnerDeletion: true }],
      },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: "a", "pod-template-hash": hash } },
        template: { metadata: { labels: { app: "a", "pod-template-hash": hash } } },
      },
    });
  });

  it("hashes equal templates equally, whatever the order of keys, and collisions differently", () => {
    const a = { metadata: { labels: { x: "1", y: "2" } }, spec: { containers: [] } };
    const b = { spec: { containers: [] }, metadata: { labels: { y: "2", x: "1" } } };
    expect(templateHash(a, 0)).toBe(templateHash(b, 0));
    expect(templateHash(a, 1)).not.toBe(templateHash(a, 0));
  });

  it("comes to the same state forwards, backwards and at once", () => {
    const world = new World();
    world.run(deployment("one"));
    expect(world.sizes()).toEqual({ one: 3 });
    world.run(deployment("two"));
    world.run(deployment("three", { replicas: 5 }));
    expect(world.sizes()).toEqual({ one: 0, two: 0, three: 5 });
    world.run(deployment("one"));
    expect(world.sizes()).toEqual({ one: 3, two: 0, three: 0 });
    const one = world.replicaSets.find(({ spec }) => spec.template.spec.containers[0]?.image === "one");
    expect(one?.metadata.annotations).toMatchObject({
      [annotations.revision]: "4",
      [annotations.revisionHistory]: "1",
    });
  });

  it("keeps within surge and availability at every step of a rolling update (property)", () => {
    const amount = fc.oneof(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 100 }).map((n) => `${n}%`),
    );
    const scenario = fc.record({
      from: fc.integer({ min: 0, max: 9 }),
      to: fc.integer({ min: 0, max: 9 }),
      maxSurge: amount,
      maxUnavailable: amount,
      readiness: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }),
    });
    fc.assert(
      fc.property(scenario, ({ from, to, maxSurge, maxUnavailable, readiness }) => {
        const strategy = { type: "RollingUpdate" as const, rollingUpdate: { maxSurge, maxUnavailable } };
        const world = new World();
        world.run(deployment("one", { replicas: from, strategy }));
        const wanted = deployment("two", { replicas: to, strategy });
        const { surge, unavailable } = limits(wanted);
        for (const ready of readiness) {
          const before = total(world.replicaSets, "availableReplicas");
          world.step(wanted);
          world.settle(0);
          const asked = world.replicaSets.reduce((sum, { spec }) => sum + (spec.replicas ?? 1), 0);
          expect(asked).toBeLessThanOrEqual(Math.max(from, to) + surge);
          const available = total(world.replicaSets, "availableReplicas");
          if (available < before) expect(available).toBeGreaterThanOrEqual(to - unavailable);
          world.settle(ready);
        }
        world.run(wanted);
        expect(world.sizes()["two"] ?? 0).toBe(to);
        expect(world.sizes()["one"] ?? 0).toBe(0);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it("Recreate: takes all old pods away before the first new one", () => {
    const strategy = { type: "Recreate" as const };
    const world = new World();
    world.run(deployment("one", { strategy }));
    const wanted = deployment("two", { strategy });
    world.step(wanted);
    expect(world.sizes()).toEqual({ one: 0 });
    expect(planDeployment(wanted, world.replicaSets, true).create).toBeUndefined();
    world.run(wanted);
    expect(world.sizes()).toEqual({ one: 0, two: 3 });
  });

  it("paused: sizes follow, templates do not", () => {
    const world = new World();
    world.run(deployment("one"));
    world.run(deployment("two", { paused: true, replicas: 5 }));
    expect(world.sizes()).toEqual({ one: 5 });
    world.run(deployment("two", { replicas: 5 }));
    expect(world.sizes()).toEqual({ one: 0, two: 5 });
  });

  it("shares a change of size out in the middle of a rollout", () => {
    const world = new World();
    world.run(deployment("one", { replicas: 10 }));
    const two = (replicas: number) => deployment("two", { replicas });
    for (let i = 0; i < 4; i++) {
      world.step(two(10));
      world.settle(1);
    }
    const before = world.sizes();
    world.step(two(20));
    const after = world.sizes();
    expect(after["one"]).toBeGreaterThan(before["one"] ?? 0);
    expect(after["two"]).toBeGreaterThan(before["two"] ?? 0);
    expect((after["one"] ?? 0) + (after["two"] ?? 0)).toBe(25);
    world.run(two(20));
    expect(world.sizes()).toEqual({ one: 0, two: 20 });
  });

  it("removes the oldest revisions beyond the history limit", () => {
    const world = new World();
    for (const image of ["a", "b", "c", "d"]) world.run(deployment(image, { revisionHistoryLimit: 2 }));
    expect(world.sizes()).toEqual({ b: 0, c: 0, d: 3 });
  });

  it("does nothing for a Deployment that is being deleted", () => {
    const gone = deployment("one");
    const plan = planDeployment({ ...gone, metadata: { ...gone.metadata, deletionTimestamp: "x" } }, [], false);
    expect(plan).toMatchObject({ scale: [], annotate: [], remove: [] });
    expect(plan.create).toBeUndefined();
  });
});

describe("Deployment status", () => {
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000);

  it("goes from created over progressing to complete, in upstream's words", () => {
    const wanted = deployment("one");
    const world = new World();
    world.step(wanted);
    const name = world.replicaSets[0]?.metadata.name;
    const first = deploymentStatus(wanted, world.replicaSets[0], world.replicaSets, at(0), { type: "created" });
    expect(first.status.conditions).toMatchObject([
      {
        type: "Progressing",
        status: "True",
        reason: "NewReplicaSetCreated",
        message: `Created new replica set "${name}"`,
      },
      {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      },
    ]);
    expect(first.status.unavailableReplicas).toBe(3);
    world.settle(1);
    const second = deploymentStatus(
      { ...wanted, status: first.status },
      world.replicaSets[0],
      world.replicaSets,
      at(1),
    );
    expect(second.status.conditions?.[1]).toMatchObject({
      reason: "ReplicaSetUpdated",
      message: `ReplicaSet "${name}" is progressing.`,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    });
    world.settle(3);
    const third = deploymentStatus(
      { ...wanted, status: second.status },
      world.replicaSets[0],
      world.replicaSets,
      at(2),
    );
    expect(third.status).toMatchObject({ replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 });
    expect(third.status.unavailableReplicas).toBeUndefined();
    expect(third.status.conditions).toMatchObject([
      { reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." },
      { reason: "NewReplicaSetAvailable", message: `ReplicaSet "${name}" has successfully progressed.` },
    ]);
    expect(third.lookAgainMs).toBeUndefined();
  });

  it("times out after the deadline and not before", () => {
    const wanted = deployment("one", { progressDeadlineSeconds: 60 });
    const world = new World();
    world.step(wanted);
    const [current] = world.replicaSets;
    const { status } = deploymentStatus(wanted, current, world.replicaSets, at(0), { type: "created" });
    const early = deploymentStatus({ ...wanted, status }, current, world.replicaSets, at(59));
    expect(early.lookAgainMs).toBe(1000);
    const late = deploymentStatus({ ...wanted, status }, current, world.replicaSets, at(60));
    expect(late.status.conditions?.[1]).toMatchObject({ status: "False", reason: "ProgressDeadlineExceeded" });
  });

  const progress = (status: DeploymentStatus) => status.conditions?.find(({ type }) => type === "Progressing");

  it("begins the deadline anew when it is resumed, and knows none at its highest value", () => {
    const world = new World();
    const wanted = deployment("one", { progressDeadlineSeconds: 60 });
    world.step(wanted);
    const [current] = world.replicaSets;
    const sets = world.replicaSets;
    const first = deploymentStatus(wanted, current, sets, at(0), { type: "created" }).status;
    const paused = { ...wanted, spec: { ...wanted.spec, paused: true }, status: first };
    const second = deploymentStatus(paused, current, sets, at(10)).status;
    expect(progress(second)).toMatchObject({ status: "Unknown", reason: "DeploymentPaused" });
    const third = deploymentStatus({ ...wanted, status: second }, current, sets, at(500));
    expect(progress(third.status)).toMatchObject({ status: "Unknown", reason: "DeploymentResumed" });
    expect(third.lookAgainMs).toBe(60_000);
    const endless = deployment("one", { progressDeadlineSeconds: 2147483647 });
    expect(progress(deploymentStatus(endless, current, sets, at(0), { type: "created" }).status)).toBeUndefined();
  });

  it("stays complete when a pod fails later", () => {
    const world = new World();
    const wanted = deployment("one", { progressDeadlineSeconds: 60 });
    world.run(wanted);
    const done = deploymentStatus(wanted, world.replicaSets[0], world.replicaSets, at(0)).status;
    const broken = world.replicaSets.map((one) => ({
      ...one,
      status: { replicas: 3, readyReplicas: 2, availableReplicas: 2 },
    }));
    const later = deploymentStatus({ ...wanted, status: done }, broken[0], broken, at(500)).status;
    expect(progress(later)).toMatchObject({ status: "True", reason: "NewReplicaSetAvailable" });
  });

  it("shows what keeps a ReplicaSet from creating pods, and for how many pods it waits to end", () => {
    const world = new World();
    const wanted = deployment("one");
    world.step(wanted);
    const failure = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "forbidden" } as const;
    const sets = world.replicaSets.map((one) => ({
      ...one,
      status: { replicas: 0, terminatingReplicas: 2, conditions: [failure] },
    }));
    const { status } = deploymentStatus(wanted, sets[0], sets, at(0));
    expect(status.conditions?.at(-1)).toMatchObject(failure);
    expect(status.terminatingReplicas).toBe(2);
    const healed = deploymentStatus({ ...wanted, status }, world.replicaSets[0], world.replicaSets, at(1)).status;
    expect(healed.conditions?.map(({ type }) => type)).not.toContain("ReplicaFailure");
  });
});
