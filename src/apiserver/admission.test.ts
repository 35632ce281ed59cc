import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "./object.ts";
import { ask } from "./testing/client.ts";
import type { LocalServer } from "./testing/local.ts";
import { inPod, pathOf, startForPods } from "./testing/refusals.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startForPods();
});
afterAll(() => local.server.stop());

describe("U01 admission with upstream's words (part: what pods run into)", () => {
  const make = (change: Dict, name: string) =>
    ask(local.api, "POST", pathOf("v1", "pods"), { metadata: { name }, ...inPod(change) });

  it("a missing ServiceAccount, PriorityClass or RuntimeClass", async () => {
    const account = await make({ serviceAccountName: "nobody" }, "a");
    expect([account.status, account.body.message]).toEqual([
      403,
      'pods "a" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    ]);
    const priority = await make({ priorityClassName: "none" }, "a");
    expect(priority.body.message).toBe('pods "a" is forbidden: no PriorityClass with name none was found');
    const runtime = await make({ runtimeClassName: "none" }, "a");
    expect(runtime.body.message).toBe('pods "a" is forbidden: pod rejected: RuntimeClass "none" not found');
  });

  it("a RuntimeClass adds its overhead and where it runs", async () => {
    await ask(local.api, "POST", "/apis/node.k8s.io/v1/runtimeclasses", {
      metadata: { name: "heavy" },
      handler: "heavy",
      overhead: { podFixed: { cpu: "250m" } },
      scheduling: { nodeSelector: { heavy: "true" } },
    });
    const made = await make({ runtimeClassName: "heavy" }, "with-class");
    expect(made.body.spec).toMatchObject({ overhead: { cpu: "250m" }, nodeSelector: { heavy: "true" } });
  });

  it("a claim gets the default class", async () => {
    await ask(local.api, "POST", "/apis/storage.k8s.io/v1/storageclasses", {
      metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "a.io/b",
    });
    const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    const claim = await ask(local.api, "POST", pathOf("v1", "persistentvolumeclaims"), {
      metadata: { name: "c" },
      spec,
    });
    expect(claim.body.spec).toMatchObject({ storageClassName: "standard", volumeMode: "Filesystem" });
  });

  it("nothing new in a namespace that is going", async () => {
    await ask(local.api, "POST", "/api/v1/namespaces", { metadata: { name: "going" } });
    await ask(local.api, "DELETE", "/api/v1/namespaces/going");
    const made = await ask(local.api, "POST", "/api/v1/namespaces/going/configmaps", { metadata: { name: "m" } });
    expect([made.status, made.body.message]).toEqual([
      403,
      'configmaps "m" is forbidden: unable to create new content in namespace going because it is being terminated',
    ]);
  });
});
