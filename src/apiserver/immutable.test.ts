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
