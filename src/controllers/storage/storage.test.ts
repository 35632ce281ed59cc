import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KubeObject, resource, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";
import { claimsKept, classesKept, planProtection } from "./plan.ts";

// Source: kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection.

const finalizer = "kubernetes.io/pvc-protection";
const claim = (metadata: object): KubeObject => ({ metadata: { name: "c", namespace: "default", ...metadata } });

describe("what protects storage in use", () => {
  it("adds the finalizer where it is missing, and takes it from what is deleted and unused", () => {
    expect(planProtection(claim({}), finalizer, () => false)).toBe("add");
    expect(planProtection(claim({ finalizers: [finalizer] }), finalizer, () => false)).toBeUndefined();
    const going = claim({ finalizers: [finalizer], deletionTimestamp: "2026-01-01T00:00:00Z" });
    expect(planProtection(going, finalizer, () => true)).toBeUndefined();
    expect(planProtection(going, finalizer, () => false)).toBe("remove");
    const others = claim({ finalizers: ["a/b"], deletionTimestamp: "2026-01-01T00:00:00Z" });
    expect(planProtection(others, finalizer, () => false)).toBeUndefined();
  });

  it("is kept by pods that have a node, with their ephemeral volumes, and classes by claims", () => {
    const volumes = [
      { name: "v", persistentVolumeClaim: { claimName: "c" } },
      { name: "e", ephemeral: {} },
    ];
    const spec = { containers: [], volumes };
    const metadata = { name: "p", namespace: "default" };
    expect(claimsKept({ metadata, spec })).toEqual([]);
    expect(claimsKept({ metadata, spec: { ...spec, nodeName: "n" } })).toEqual(["default/c", "default/p-e"]);
    const status = {
      currentVolumeAttributesClassName: "silver",
      modifyVolumeStatus: { targetVolumeAttributesClassName: "gold" },
    };
    expect(classesKept({ ...claim({}), spec: { volumeAttributesClassName: "gold" }, status })).toEqual([
      ...["gold", "silver", "gold"],
    ]);
  });
});

describe("the controllers of pvc-protection, pv-protection and vac-protection", () => {
  const cluster = new InProcessCluster();
  beforeAll(async () => void (await cluster.start(1)));
  afterAll(() => cluster.stop());
  const claims = resource<KubeObject>("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim");
  const volumes = resource<KubeObject>("", "v1", "persistentvolumes", "PersistentVolume", false);
  const classes = resource<KubeObject>(
    "storage.k8s.io",
    "v1",
    "volumeattributesclasses",
    "VolumeAttributesClass",
    false,
  );

  const makeClaim = (name: string, more: object = {}) =>
    cluster.client.create(claims, {
      metadata: { name, namespace: "default" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...more },
    } as KubeObject);

  it("keep a claim while a pod with a node uses it", async () => {
    const made = await makeClaim("used");
    expect(made.metadata.finalizers).toEqual([finalizer]);
    await cluster.client.create(resources.pods, {
      metadata: { name: "user", namespace: "default" },
      spec: {
        nodeName: "node01",
        containers: [{ name: "c", image: "x" }],
        volumes: [{ name: "v", persistentVolumeClaim: { claimName: "used" } }],
      },
    });
    await makeClaim("free");
    await cluster.client.delete(claims, "used", "default");
    await cluster.client.delete(claims, "free", "default");
    await cluster.until(() => cluster.names(claims), ["used"]);
    await cluster.client.delete(resources.pods, "user", "default", { gracePeriodSeconds: 0 });
    await cluster.until(() => cluster.names(claims), []);
  });

  it("keep a volume while it is bound, and a class while a claim has it", async () => {
    await cluster.client.create(volumes, {
      metadata: { name: "pv" },
      spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } },
    } as KubeObject);
    const status = (phase: string) =>
      cluster.client.patch(volumes, "pv", undefined, { status: { phase } }, { type: "merge", subresource: "status" });
    await status("Bound");
    await cluster.client.create(classes, {
      metadata: { name: "gold" },
      driverName: "d.io",
      parameters: { a: "b" },
    } as KubeObject);
    await makeClaim("golden", { volumeAttributesClassName: "gold" });
    await cluster.client.delete(volumes, "pv", undefined);
    await cluster.client.delete(classes, "gold", undefined);
    const settled = async () => [await cluster.names(volumes), await cluster.names(classes)];
    await cluster.until(settled, [["pv"], ["gold"]]);
    await cluster.client.delete(claims, "golden", "default");
    await cluster.until(settled, [["pv"], []]);
    await status("Released");
    await cluster.until(settled, [[], []]);
  });
});
