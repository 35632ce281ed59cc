import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "../object.ts";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

// Source: kubernetes.io/docs/concepts/policy/limit-range and tasks/administer-cluster/manage-resources,
// k8s.io/kubernetes/plugin/pkg/admission/limitranger.

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
});
afterAll(() => local.server.stop());

async function namespace(name: string, ...limits: Dict[]): Promise<string> {
  const path = `/api/v1/namespaces/${name}`;
  await ask(local.api, "POST", "/api/v1/namespaces", { metadata: { name } });
  await ask(local.api, "POST", `${path}/serviceaccounts`, { metadata: { name: "default" } });
  const made = await ask(local.api, "POST", `${path}/limitranges`, { metadata: { name: "l" }, spec: { limits } });
  expect(made.status).toBe(201);
  return path;
}

const run = (path: string, ...resources: Dict[]) =>
  ask(local.api, "POST", `${path}/pods`, {
    metadata: { name: "x" },
    spec: { containers: resources.map((r, i) => ({ name: `c${i}`, image: "x", resources: r })) },
  });

describe("LimitRange", () => {
  it("gives containers what they leave open, and says so on the pod", async () => {
    const item = { type: "Container", default: { cpu: "500m", memory: "512Mi" }, defaultRequest: { cpu: "100m" } };
    const path = await namespace("defaults", item);
    const { body } = await run(path, {}, { limits: { cpu: "1" } });
    expect((body.spec as { containers: Dict[] }).containers.map((c) => c.resources)).toEqual([
      { limits: { cpu: "500m", memory: "512Mi" }, requests: { cpu: "100m", memory: "512Mi" } },
      { limits: { cpu: "1", memory: "512Mi" }, requests: { cpu: "1", memory: "512Mi" } },
    ]);
    expect(body.metadata.annotations).toEqual({
      "kubernetes.io/limit-ranger":
        "LimitRanger plugin set: cpu, memory request for container c0; cpu, memory limit for container c0; memory request for container c1; memory limit for container c1",
    });
    expect(body.status).toMatchObject({ qosClass: "Burstable" });
  });

  it.each<[string, Dict, Dict[], string]>([
    [
      "max",
      { type: "Container", max: { memory: "1Gi" }, min: { memory: "500Mi" } },
      [{ limits: { memory: "1536Mi" }, requests: { memory: "800Mi" } }],
      "maximum memory usage per Container is 1Gi, but limit is 1536Mi",
    ],
    [
      "min",
      { type: "Container", max: { memory: "1Gi" }, min: { memory: "500Mi" } },
      [{ limits: { memory: "800Mi" }, requests: { memory: "100Mi" } }],
      "minimum memory usage per Container is 500Mi, but request is 100Mi",
    ],
    [
      "several",
      { type: "Container", min: { cpu: "1" }, maxLimitRequestRatio: { memory: "2" } },
      [{ limits: { memory: "300Mi" }, requests: { cpu: "500m", memory: "100Mi" } }],
      "[minimum cpu usage per Container is 1, but request is 500m, memory max limit to request ratio per Container is 2, but provided ratio is 3.000000]",
    ],
    [
      "pod",
      { type: "Pod", max: { cpu: "1" } },
      [{ limits: { cpu: "700m" } }, { limits: { cpu: "700m" } }],
      "maximum cpu usage per Pod is 1, but limit is 1400m",
    ],
    ["pod-silent", { type: "Pod", max: { cpu: "1" } }, [{}], "maximum cpu usage per Pod is 1.  No limit is specified"],
  ])("refuses a pod: %s", async (name, item, resources, why) => {
    const refused = await run(await namespace(name, item), ...resources);
    expect([refused.status, refused.body.message]).toEqual([403, `pods "x" is forbidden: ${why}`]);
  });

  it("bounds the size of claims", async () => {
    const item = { type: "PersistentVolumeClaim", min: { storage: "1Gi" }, max: { storage: "2Gi" } };
    const path = await namespace("claims", item);
    const claim = (storage: string) =>
      ask(local.api, "POST", `${path}/persistentvolumeclaims`, {
        metadata: { name: "x" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } } },
      });
    const refusal = 'persistentvolumeclaims "x" is forbidden: ';
    expect((await claim("500Mi")).body.message).toBe(
      `${refusal}minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi`,
    );
    expect((await claim("5Gi")).body.message).toBe(
      `${refusal}maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi`,
    );
    expect((await claim("2Gi")).status).toBe(201);
  });
});
