import { afterEach, describe, expect, it } from "vitest";
import { type ConfigMap, isNotFound, type OwnerReference, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const ownedBy = ({ metadata }: ConfigMap, blockOwnerDeletion = true): OwnerReference => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  name: metadata.name,
  uid: metadata.uid ?? "",
  blockOwnerDeletion,
});
function make(
  name: string,
  owners: OwnerReference[] = [],
  more: Partial<ConfigMap["metadata"]> = {},
): Promise<ConfigMap> {
  const metadata = { name, namespace: "default", ownerReferences: owners, ...more };
  return cluster.client.create(resources.configMaps, { metadata });
}
const remove = (name: string, propagationPolicy: string) =>
  cluster.client.delete(resources.configMaps, name, "default", { propagationPolicy });
const names = async () => (await cluster.names(resources.configMaps)).filter((name) => name !== "kube-root-ca.crt");

describe("garbage collection with the API server", () => {
  it("background: the owner goes at once, the others after it, through the generations", async () => {
    cluster = await new InProcessCluster().start(0);
    const owner = await make("owner");
    const child = await make("child", [ownedBy(owner)]);
    await make("grandchild", [ownedBy(child)]);
    await make("shared", [ownedBy(owner), ownedBy(await make("other"))]);
    await remove("owner", "Background");
    await cluster.until(names, ["other", "shared"]);
    const { ownerReferences } = (await cluster.get(resources.configMaps, "shared")).metadata;
    expect(ownerReferences?.map(({ name }) => name)).toEqual(["other"]);
  });

  it("foreground: the owner stays until those that block it are gone", async () => {
    cluster = await new InProcessCluster().start(0);
    const owner = await make("owner");
    await make("held", [ownedBy(owner)], { finalizers: ["example.com/hold"] });
    await make("free", [ownedBy(owner)]);
    await remove("owner", "Foreground");
    await cluster.until(names, ["held", "owner"]);
    expect((await cluster.get(resources.configMaps, "owner")).metadata.finalizers).toEqual(["foregroundDeletion"]);
    await cluster.patch(resources.configMaps, "held", { metadata: { finalizers: null } });
    await cluster.until(names, []);
  });

  it("foreground: what does not block is not waited for", async () => {
    cluster = await new InProcessCluster().start(0);
    const owner = await make("owner");
    await make("held", [ownedBy(owner, false)], { finalizers: ["example.com/hold"] });
    await remove("owner", "Foreground");
    await cluster.until(names, ["held"]);
    await cluster.patch(resources.configMaps, "held", { metadata: { finalizers: null } });
    await cluster.until(names, []);
  });

  it("orphan: dependents stay, without their reference", async () => {
    cluster = await new InProcessCluster().start(0);
    const owner = await make("owner");
    await make("child", [ownedBy(owner)]);
    await remove("owner", "Orphan");
    await cluster.until(names, ["child"]);
    expect((await cluster.get(resources.configMaps, "child")).metadata.ownerReferences ?? []).toEqual([]);
  });

  it("circles go as a whole", async () => {
    cluster = await new InProcessCluster().start(0);
    const first = await make("first");
    const second = await make("second", [ownedBy(first)]);
    await cluster.patch(resources.configMaps, "first", { metadata: { ownerReferences: [ownedBy(second)] } });
    await remove("first", "Foreground");
    await cluster.until(names, []);
  });

  it("owners that never were, or are in another namespace, count as gone; so they did while nobody looked", async () => {
    cluster = await new InProcessCluster().start(0);
    await cluster.client.create(resources.namespaces, { metadata: { name: "other" } });
    const far = await cluster.client.create(resources.configMaps, { metadata: { name: "far", namespace: "other" } });
    const owner = await make("owner");
    await make("child", [ownedBy(owner)]);
    await cluster.stopControllers();
    await remove("owner", "Background");
    await make("stray", [{ apiVersion: "v1", kind: "ConfigMap", name: "never", uid: "no-such-uid" }]);
    await make("abroad", [ownedBy(far)]);
    expect(await names()).toEqual(["abroad", "child", "stray"]);
    await cluster.startControllers();
    await cluster.until(names, []);
    await cluster.until(
      () => cluster.events("abroad"),
      [
        `OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: default, name: far, uid: ${far.metadata.uid}] does not exist in namespace "default"`,
      ],
    );
    expect(isNotFound(await cluster.client.get(resources.configMaps, "far", "other").catch((e) => e))).toBe(false);
  });
});
