import { describe, expect, it } from "vitest";
import type { ControllerRevision, Pod, StatefulSet, Volume } from "#api/index.ts";
import { planHistory, revisionData, surplusRevisions } from "../history/plan.ts";
import { claimOwners, isStale } from "./claims.ts";
import { planStatefulSet } from "./plan.ts";
import { claimsOf, podOf } from "./pods.ts";

const now = new Date("2026-01-01T00:01:00Z");
const template = (image: string) => ({
  metadata: { labels: { app: "db" } },
  spec: { containers: [{ name: "c", image }] },
});
function set(replicas: number, more: Partial<StatefulSet["spec"]> = {}, status?: StatefulSet["status"]): StatefulSet {
  const spec = { replicas, selector: { matchLabels: { app: "db" } }, serviceName: "db", template: template("new") };
  return {
    metadata: { name: "web", namespace: "default", uid: "s", generation: 2 },
    spec: { ...spec, ...more },
    ...(status ? { status } : {}),
  };
}
function revision(name: string, number: number, image: string): ControllerRevision {
  return { metadata: { name, namespace: "default", uid: name }, revision: number, data: revisionData(template(image)) };
}
const older = revision("web-old", 1, "old");
const newer = revision("web-new", 2, "new");

/** `0`: ready and new; `1o`: of the old revision; `2!`: not ready; `3t`: terminating; `4x`: failed. */
function pods(text: string, of = set(9)): Pod[] {
  return text.split(" ").flatMap((word) => {
    const match = /^(?<ordinal>\d+)(?<marks>[o!tx]*)$/.exec(word);
    if (!match?.groups) return [];
    const { ordinal = "", marks = "" } = match.groups;
    const pod = podOf(of, template("x"), marks.includes("o") ? "web-old" : "web-new", Number(ordinal));
    const ready = marks.includes("!") ? "False" : "True";
    const conditions = [{ type: "Ready", status: ready, lastTransitionTime: "2026-01-01T00:00:30Z" }] as const;
    const deletionTimestamp = marks.includes("t") ? { deletionTimestamp: "now" } : {};
    return {
      ...pod,
      metadata: { ...pod.metadata, uid: `pod-${ordinal}`, ...deletionTimestamp },
      status: { phase: marks.includes("x") ? "Failed" : "Running", conditions },
    };
  });
}
const ordinals = (list: readonly Pod[]) => list.map(({ metadata }) => metadata.name.replace("web-", "")).join(" ");
function steps(of: StatefulSet, present: string, current = newer) {
  const plan = planStatefulSet({ set: of, pods: pods(present, of), update: newer, current, collisions: 0, now });
  return { create: ordinals(plan.create), remove: ordinals(plan.remove) };
}

describe("StatefulSet plan", () => {
  const parallel = { podManagementPolicy: "Parallel" } as const;
  const cases: [string, StatefulSet, string, { create: string; remove: string }][] = [
    ["the first pod alone", set(3), "", { create: "0", remove: "" }],
    ["the next one when the first is ready", set(3), "0", { create: "1", remove: "" }],
    ["nothing while a predecessor is not ready", set(3), "0!", { create: "", remove: "" }],
    ["a gap before what follows", set(3), "0 2", { create: "1", remove: "" }],
    ["nothing while one terminates", set(3), "0 1t 2", { create: "", remove: "" }],
    ["a failed pod goes, to come back", set(2), "0x 1", { create: "", remove: "0" }],
    ["the highest goes first when scaled down", set(1), "0 1 2", { create: "", remove: "2" }],
    ["no scaling down while one below is not ready", set(1), "0! 1 2", { create: "", remove: "" }],
    ["the first that is not available may go", set(1), "0 1 2!", { create: "", remove: "2" }],
    ["a condemned one waits for the one that terminates", set(1), "0 1 2t", { create: "", remove: "" }],
    ["all at once in parallel", set(3, parallel), "1", { create: "0 2", remove: "" }],
    ["all surplus at once in parallel", set(1, parallel), "0! 1 2", { create: "", remove: "2 1" }],
    ["from ordinals.start on", set(2, { ordinals: { start: 5 } }), "5", { create: "6", remove: "" }],
    ["pods before ordinals.start go", set(2, { ordinals: { start: 1 } }), "0 1 2", { create: "", remove: "0" }],
    ["the highest outdated pod", set(3), "0o 1o 2o", { create: "", remove: "2" }],
    ["waits for the updated pod", set(3), "0o 1o 2!", { create: "", remove: "" }],
    ["then the next", set(3), "0o 1o 2", { create: "", remove: "1" }],
    ["nothing on OnDelete", set(3, { updateStrategy: { type: "OnDelete" } }), "0o 1o 2o", { create: "", remove: "" }],
    [
      "nothing below the partition",
      set(3, { updateStrategy: { rollingUpdate: { partition: 2 } } }),
      "0o 1o 2",
      { create: "", remove: "" },
    ],
    [
      "as many as may be unavailable",
      set(4, { updateStrategy: { rollingUpdate: { maxUnavailable: 2 } } }),
      "0o 1o 2o 3o",
      { create: "", remove: "3 2" },
    ],
    [
      "a share of them, rounded down",
      set(5, { ...parallel, updateStrategy: { rollingUpdate: { maxUnavailable: "50%" } } }),
      "0o 1o 2o 3o 4!",
      { create: "", remove: "3" },
    ],
    ["an outdated pod that never got ready, in parallel", set(3, parallel), "0o! 1o 2", { create: "", remove: "0" }],
  ];
  it.each(cases)("%s", (_, of, present, expected) => {
    expect(steps(of, present, older)).toEqual(expected);
  });

  it("does nothing while it is being deleted", () => {
    const going = { ...set(3), metadata: { ...set(3).metadata, deletionTimestamp: "now" } };
    expect(steps(going, "0x")).toEqual({ create: "", remove: "" });
  });

  it("makes pods below the partition of the current revision, others of the new one", () => {
    const of = set(3, { ...parallel, updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 1 } } });
    const { create } = planStatefulSet({ set: of, pods: [], update: newer, current: older, collisions: 0, now });
    const made = create.map(({ metadata, spec }) => [
      metadata.labels?.["controller-revision-hash"],
      spec.containers[0]?.image,
    ]);
    expect(made).toEqual([
      ["web-old", "old"],
      ["web-new", "new"],
      ["web-new", "new"],
    ]);
  });

  it("names pods, their host and their claims by ordinal", () => {
    const of = set(1, {
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } }],
    });
    const mount: Volume = { name: "data", emptyDir: {} };
    const base = template("new");
    const pod = podOf(of, { ...base, spec: { ...base.spec, volumes: [mount] } }, "web-new", 0);
    expect(pod.metadata.labels).toEqual({
      app: "db",
      "controller-revision-hash": "web-new",
      "statefulset.kubernetes.io/pod-name": "web-0",
      "apps.kubernetes.io/pod-index": "0",
    });
    expect(pod.metadata).toMatchObject({ name: "web-0", ownerReferences: [{ kind: "StatefulSet", controller: true }] });
    expect(pod.spec).toMatchObject({ hostname: "web-0", subdomain: "db" });
    expect(pod.spec.volumes).toEqual([{ name: "data", persistentVolumeClaim: { claimName: "data-web-0" } }]);
    expect(claimsOf(of, 0)).toEqual([
      {
        metadata: { name: "data-web-0", namespace: "default", labels: { app: "db" } },
        spec: { accessModes: ["ReadWriteOnce"] },
      },
    ]);
  });

  it("counts ready, available, current and updated pods; a complete update makes the new revision current", () => {
    const of = set(3, { minReadySeconds: 60 });
    const plan = planStatefulSet({
      set: of,
      pods: pods("0o 1o! 2", of),
      update: newer,
      current: older,
      collisions: 0,
      now,
    });
    expect(plan.status).toEqual({
      observedGeneration: 2,
      replicas: 3,
      readyReplicas: 2,
      currentReplicas: 2,
      updatedReplicas: 1,
      availableReplicas: 0,
      currentRevision: "web-old",
      updateRevision: "web-new",
      collisionCount: 0,
    });
    expect(plan.lookAgainMs).toBe(30_000);
    const done = planStatefulSet({
      set: set(2),
      pods: pods("0 1"),
      update: newer,
      current: older,
      collisions: 0,
      now,
    }).status;
    expect(done).toMatchObject({ currentRevision: "web-new", currentReplicas: 2, updatedReplicas: 2 });
  });

  it("takes orphans of its names and lets go of pods whose labels no longer match", () => {
    const [zero, one] = pods("0 1") as [Pod, Pod];
    const orphan = { ...zero, metadata: { ...zero.metadata, ownerReferences: [] } };
    const stranger = { ...orphan, metadata: { ...orphan.metadata, name: "other-1" } };
    const strayed = { ...one, metadata: { ...one.metadata, labels: { app: "else" } } };
    const input = { update: newer, current: newer, collisions: 0, now };
    const plan = planStatefulSet({ set: set(2), pods: [orphan, stranger, strayed], ...input });
    expect(ordinals(plan.adopt)).toBe("0");
    expect(ordinals(plan.release)).toBe("1");
  });

  it("lets claims go with the set or with their pod, as the retention policy says", () => {
    const [pod] = pods("0") as [Pod];
    const claim = { metadata: { name: "data-web-0", namespace: "default", uid: "c" } };
    const owners = (whenDeleted: "Retain" | "Delete", whenScaled: "Retain" | "Delete", condemned: boolean) => {
      const of = set(1, { persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled } });
      return claimOwners(of, pod, claim, condemned)?.map(({ kind }) => kind);
    };
    expect(owners("Retain", "Retain", true)).toBeUndefined();
    expect(owners("Delete", "Retain", true)).toEqual(["StatefulSet"]);
    expect(owners("Retain", "Delete", false)).toBeUndefined();
    expect(owners("Retain", "Delete", true)).toEqual(["Pod"]);
    expect(owners("Delete", "Delete", true)).toEqual(["Pod"]);
    expect(owners("Delete", "Delete", false)).toEqual(["StatefulSet"]);
    const owned = { apiVersion: "v1", kind: "Pod", name: "web-0", uid: "earlier" };
    expect(isStale({ metadata: { ...claim.metadata, ownerReferences: [owned] } }, pod)).toBe(true);
    expect(isStale({ metadata: { ...claim.metadata, ownerReferences: [{ ...owned, uid: "pod-0" }] } }, pod)).toBe(
      false,
    );
  });
});

describe("ControllerRevisions", () => {
  const rules = {
    of: { group: "apps", version: "v1", plural: "statefulsets", kind: "StatefulSet", namespaced: true },
    hashLabel: "controller.kubernetes.io/hash",
  };

  it("makes one for a new template, named by its hash", () => {
    const { create } = planHistory(set(1), [older], rules, 0);
    const hash = create?.metadata.labels?.["controller.kubernetes.io/hash"] ?? "";
    expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]+$/);
    expect(create).toMatchObject({
      metadata: { name: `web-${hash}`, labels: { app: "db" }, ownerReferences: [{ uid: "s", controller: true }] },
      revision: 2,
      data: { spec: { template: { $patch: "replace", spec: { containers: [{ image: "new" }] } } } },
    });
    expect(planHistory(set(1), [older], rules, 1).create?.metadata.name).not.toBe(create?.metadata.name);
  });

  it("keeps the present one, and gives an older one that is wanted again the highest number", () => {
    expect(planHistory(set(1), [newer, older], rules, 0)).toEqual({ present: newer });
    expect(planHistory(set(1, { template: template("old") }), [newer, older], rules, 0)).toEqual({
      present: older,
      renumber: 3,
    });
  });

  it("forgets the oldest beyond the limit, never those in use", () => {
    const all = [1, 2, 3, 4, 5].map((n) => revision(`web-${n}`, n, String(n)));
    const limited = set(1, { revisionHistoryLimit: 2 });
    const names = surplusRevisions(limited, all, new Set(["web-1", "web-5"])).map(({ metadata }) => metadata.name);
    expect(names).toEqual(["web-2"]);
  });
});
