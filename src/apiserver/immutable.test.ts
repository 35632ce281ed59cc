import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "./object.ts";
import { ask } from "./testing/client.ts";
import type { LocalServer } from "./testing/local.ts";
import { inPod, pathOf, port, selector, startForPods, template } from "./testing/refusals.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startForPods();
});
afterAll(() => local.server.stop());

/** What an update may not change, by kind: a good object, a merge patch, the answer. */
const updates: readonly (readonly [string, Dict, Dict, string])[] = [
  [
    "v1 Pod pods",
    inPod({ activeDeadlineSeconds: 5 }),
    { spec: { activeDeadlineSeconds: 6 } },
    "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value",
  ],
  [
    "v1 Secret secrets",
    { immutable: true, stringData: { a: "b" } },
    { data: { a: "Yw==" } },
    "data: Forbidden: field is immutable when `immutable` is set",
  ],
  [
    "v1 ConfigMap configmaps",
    { immutable: true, data: { a: "b" } },
    { immutable: null },
    "immutable: Forbidden: field is immutable when `immutable` is set",
  ],
  [
    "v1 PersistentVolumeClaim persistentvolumeclaims",
    { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } } } },
    { spec: { resources: { requests: { storage: "1Gi" } } } },
    "spec.resources.requests.storage: Forbidden: field can not be less than previous value",
  ],
  [
    "apps/v1 StatefulSet statefulsets",
    { spec: { serviceName: "s", selector, template: template() } },
    { spec: { podManagementPolicy: "Parallel" } },
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
  ],
  [
    "batch/v1 Job jobs",
    { spec: { template: template({ restartPolicy: "Never" }) } },
    { spec: { template: { spec: { restartPolicy: "OnFailure" } } } },
    "spec.template: Invalid value: ",
  ],
];

describe("U01 immutable fields with upstream's words (part: what edits run into)", () => {
  it.each(updates)("%s", async (what, body, patch, text) => {
    const [apiVersion = "", kind = "", plural = ""] = what.split(" ");
    const path = pathOf(apiVersion, plural);
    const made = await ask(local.api, "POST", path, { apiVersion, kind, metadata: { name: "fixed" }, ...body });
    expect([made.status, made.status === 201 ? "" : made.body.message]).toEqual([201, ""]);
    const answer = await ask(local.api, "PATCH", `${path}/fixed`, patch, {
      "content-type": "application/merge-patch+json",
    });
    expect(answer.body.message).toContain(text);
    expect(answer.status).toBe(422);
  });

  it("a Service that becomes a ClusterIP gives back what only its old type had", async () => {
    const path = pathOf("v1", "services");
    await ask(local.api, "POST", path, { metadata: { name: "lb" }, spec: { type: "LoadBalancer", ports: [port] } });
    const patched = await ask(
      local.api,
      "PATCH",
      `${path}/lb`,
      { spec: { type: "ClusterIP" } },
      { "content-type": "application/merge-patch+json" },
    );
    expect([patched.status, patched.status === 200 ? "" : patched.body.message]).toEqual([200, ""]);
    const spec = patched.body.spec as Dict;
    expect([spec.externalTrafficPolicy, spec.allocateLoadBalancerNodePorts]).toEqual([undefined, undefined]);
    expect((spec.ports as { nodePort?: number }[])[0]?.nodePort).toBeUndefined();
  });
});

const plain = { spec: { selector, template: template() } };
/** What a status may not say, by kind: a good object, a status, the answer. */
const statuses: readonly (readonly [string, Dict, Dict, string])[] = [
  [
    "apps/v1 Deployment deployments",
    plain,
    { unavailableReplicas: -2 },
    "status.unavailableReplicas: Invalid value: -2: must be greater than or equal to 0",
  ],
  [
    "apps/v1 Deployment deployments",
    plain,
    { replicas: 1, readyReplicas: 1, availableReplicas: 2 },
    "[status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas, status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas]",
  ],
  [
    "apps/v1 ReplicaSet replicasets",
    plain,
    { replicas: 1, fullyLabeledReplicas: 2 },
    "status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas",
  ],
  [
    "apps/v1 StatefulSet statefulsets",
    { spec: { serviceName: "s", selector, template: template() } },
    { replicas: 2, availableReplicas: 1 },
    "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas",
  ],
  [
    "apps/v1 DaemonSet daemonsets",
    plain,
    { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: -1 },
    "status.numberReady: Invalid value: -1: must be greater than or equal to 0",
  ],
  [
    "policy/v1 PodDisruptionBudget poddisruptionbudgets",
    { spec: { selector, minAvailable: 1 } },
    { disruptionsAllowed: -1, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    "status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0",
  ],
  [
    "batch/v1 Job jobs",
    { spec: { template: template({ restartPolicy: "Never" }) } },
    { active: -1 },
    "status.active: Invalid value: -1: must be greater than or equal to 0",
  ],
];

describe("U01 numbers in a status, with upstream's words (part: those of workloads)", () => {
  it.each(statuses)("%s", async (what, body, status, text) => {
    const [apiVersion = "", kind = "", plural = ""] = what.split(" ");
    const path = pathOf(apiVersion, plural);
    const made = await ask(local.api, "POST", path, {
      apiVersion,
      kind,
      metadata: { generateName: "status-" },
      ...body,
    });
    const name = (made.body.metadata as { name: string }).name;
    const merge = { "content-type": "application/merge-patch+json" };
    const answer = await ask(local.api, "PATCH", `${path}/${name}/status`, { status }, merge);
    expect(answer.body.message).toBe(
      `${kind}${apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : ""} "${name}" is invalid: ${text}`,
    );
    expect([answer.status, answer.body.reason]).toEqual([422, "Invalid"]);
  });

  it("a count of collisions never falls", async () => {
    const path = pathOf("apps/v1", "deployments");
    const merge = { "content-type": "application/merge-patch+json" };
    await ask(local.api, "POST", path, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "collided" },
      ...plain,
    });
    const write = (collisionCount: number) =>
      ask(local.api, "PATCH", `${path}/collided/status`, { status: { collisionCount } }, merge);
    expect((await write(2)).status).toBe(200);
    expect((await write(1)).body.message).toContain("status.collisionCount: Invalid value: 1: cannot be decremented");
  });
});

describe("U01 a namespace that is being deleted (part: how it looks)", () => {
  it("has a time of deletion, which a second delete leaves alone, and no grace", async () => {
    const path = "/api/v1/namespaces";
    await ask(local.api, "POST", path, { apiVersion: "v1", kind: "Namespace", metadata: { name: "going" } });
    const first = await ask(local.api, "DELETE", `${path}/going`);
    const { deletionTimestamp, deletionGracePeriodSeconds } = first.body.metadata;
    expect([typeof deletionTimestamp, deletionGracePeriodSeconds]).toEqual(["string", undefined]);
    expect(first.body.status).toMatchObject({ phase: "Terminating" });
    const second = await ask(local.api, "DELETE", `${path}/going`);
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });
});
