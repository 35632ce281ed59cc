import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { admissionPlugins } from "./admission/names.ts";
import type { Dict } from "./object.ts";
import { ask } from "./testing/client.ts";
import { type LocalServer, startLocalServer } from "./testing/local.ts";
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

describe("admission plugins that are off do nothing", () => {
  let off: LocalServer;
  beforeAll(async () => {
    off = await startLocalServer({ disabledPlugins: admissionPlugins });
  });
  afterAll(() => off.server.stop());

  it("a pod in no namespace with an account and a class that are not there is as it was written", async () => {
    const spec = {
      ...inPod({}).spec,
      serviceAccountName: "nobody",
      priorityClassName: "none",
      runtimeClassName: "none",
    };
    const { status, body } = await ask(off.api, "POST", "/api/v1/namespaces/nowhere/pods", {
      metadata: { name: "plain" },
      spec,
    });
    expect(status).toBe(201);
    expect(body.spec).toMatchObject(spec);
    for (const field of ["tolerations", "priority", "volumes", "overhead"]) expect(body.spec).not.toHaveProperty(field);
  });

  it("Pod Security, LimitRanges and quotas bind nobody", async () => {
    await ask(off.api, "POST", "/api/v1/namespaces", {
      metadata: { name: "bound", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
    await ask(off.api, "POST", "/api/v1/namespaces/bound/limitranges", {
      metadata: { name: "limits" },
      spec: { limits: [{ type: "Container", default: { cpu: "1" }, min: { cpu: "1" } }] },
    });
    await ask(off.api, "POST", "/api/v1/namespaces/bound/resourcequotas", {
      metadata: { name: "none" },
      spec: { hard: { pods: "0" } },
    });
    const pod = { metadata: { name: "p" }, ...inPod({ hostNetwork: true }) };
    expect((await ask(off.api, "POST", "/api/v1/namespaces/bound/pods", pod)).status).toBe(201);
  });

  it("nodes, claims and Ingresses get no taint, finalizer and class", async () => {
    const node = await ask(off.api, "POST", "/api/v1/nodes", { metadata: { name: "n" } });
    expect(node.body.spec ?? {}).not.toHaveProperty("taints");
    const mark = { "storageclass.kubernetes.io/is-default-class": "true" };
    await ask(off.api, "POST", "/apis/storage.k8s.io/v1/storageclasses", {
      metadata: { name: "standard", annotations: mark },
      provisioner: "a.io/b",
    });
    const claim = await ask(off.api, "POST", pathOf("v1", "persistentvolumeclaims"), {
      metadata: { name: "c" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
    expect(claim.status).toBe(201);
    expect(claim.body.metadata).not.toHaveProperty("finalizers");
    expect(claim.body.spec).not.toHaveProperty("storageClassName");
    await ask(off.api, "POST", "/apis/networking.k8s.io/v1/ingressclasses", {
      metadata: { name: "nginx", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
      spec: { controller: "a.io/b" },
    });
    const ingress = await ask(off.api, "POST", pathOf("networking.k8s.io/v1", "ingresses"), {
      metadata: { name: "i" },
      spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } },
    });
    expect(ingress.status).toBe(201);
    expect(ingress.body.spec).not.toHaveProperty("ingressClassName");
  });

  it("the cluster's own namespaces may go", async () => {
    expect((await ask(off.api, "DELETE", "/api/v1/namespaces/kube-public")).status).toBe(200);
  });
});
