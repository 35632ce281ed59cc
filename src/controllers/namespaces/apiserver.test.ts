import { afterEach, describe, expect, it } from "vitest";
import { type Deployment, isNotFound, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";
import { remainConditions } from "./remains.ts";

let cluster: InProcessCluster;
afterEach(() => cluster?.stop());

const conditions = async () =>
  ((await cluster.get(resources.namespaces, "shop")).status?.conditions ?? []).map(
    ({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`,
  );
const web: Deployment = {
  metadata: { name: "web", namespace: "shop" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "i" }] } },
  },
};
const gone = async () => isNotFound(await cluster.get(resources.namespaces, "shop").catch((error: unknown) => error));

describe("namespaces with the API server", () => {
  it("say what they wait for, pods first, and go when it is gone", async () => {
    cluster = await new InProcessCluster().start(1);
    await cluster.client.create(resources.namespaces, { metadata: { name: "shop" } });
    const held = { name: "held", namespace: "shop", finalizers: ["example.com/hold"] };
    await cluster.client.create(resources.configMaps, { metadata: held });
    await cluster.until(
      async () => (await cluster.client.list(resources.serviceAccounts, { namespace: "shop" })).items.length,
      1,
    );
    const pod = { metadata: { ...held, name: "pod" }, spec: { containers: [{ name: "c", image: "i" }] } };
    await cluster.client.create(resources.pods, pod);
    await cluster.client.create(resources.deployments, web);
    await cluster.until(async () => (await cluster.client.list(resources.pods, { namespace: "shop" })).items.length, 3);
    await cluster.client.delete(resources.namespaces, "shop");
    const fine = [
      "NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered",
      "NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: All legacy kube types successfully parsed",
      "NamespaceDeletionContentFailure=False ContentDeleted: All content successfully deleted, may be waiting on finalization",
    ];
    const finalizers =
      "NamespaceFinalizersRemaining=True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances";
    const remaining = (what: string) =>
      `NamespaceContentRemaining=True SomeResourcesRemain: Some resources are remaining: ${what} has 1 resource instances`;
    await cluster.until(conditions, [...fine, remaining("pods."), finalizers]);
    const { items } = await cluster.client.list(resources.configMaps, { namespace: "shop" });
    expect(items.every(({ metadata }) => metadata.deletionTimestamp === undefined)).toBe(true);
    const free = { metadata: { finalizers: null } };
    await cluster.client.patch(resources.pods, "pod", "shop", free, { type: "merge" });
    await cluster.until(conditions, [...fine, remaining("configmaps."), finalizers]);
    await cluster.client.patch(resources.configMaps, "held", "shop", free, { type: "merge" });
    await cluster.until(gone, true);
  });

  it("go with more objects than a page of a collection holds", async () => {
    cluster = await new InProcessCluster().start(1);
    await cluster.client.create(resources.namespaces, { metadata: { name: "shop" } });
    const many = Array.from({ length: 1100 }, (_, i) => ({ metadata: { name: `m${i}`, namespace: "shop" } }));
    await Promise.all(many.map((map) => cluster.client.create(resources.configMaps, map)));
    await cluster.client.delete(resources.namespaces, "shop");
    await cluster.until(gone, true);
    expect((await cluster.client.list(resources.configMaps, { namespace: "shop" })).items).toEqual([]);
  });

  it("keep their account and the cluster's CA in order, whatever is done to them", async () => {
    cluster = await new InProcessCluster().start(0);
    const rootCa = async () =>
      (await cluster.get(resources.configMaps, "kube-root-ca.crt").catch(() => undefined))?.data;
    await cluster.until(rootCa, { "ca.crt": "CA" });
    await cluster.patch(resources.configMaps, "kube-root-ca.crt", { data: { "ca.crt": "forged", more: "x" } });
    await cluster.until(rootCa, { "ca.crt": "CA" });
    await cluster.client.delete(resources.configMaps, "kube-root-ca.crt", "default");
    await cluster.until(rootCa, { "ca.crt": "CA" });
    const before = (await cluster.get(resources.serviceAccounts, "default")).metadata.uid;
    await cluster.client.delete(resources.serviceAccounts, "default", "default");
    await cluster.until(async () => {
      const account = await cluster.get(resources.serviceAccounts, "default").catch(() => undefined);
      return account !== undefined && account.metadata.uid !== before;
    }, true);
  });
});

describe("conditions of a namespace that is being deleted", () => {
  it("name what cannot be asked and what cannot be deleted", () => {
    const undiscovered = ["metrics.k8s.io/v1beta1: the server is currently unable to handle the request"];
    const failures = ["secrets: no", "configmaps: never"];
    const now = new Date("2026-01-01T00:00:00Z");
    const found = remainConditions({ counts: {}, finalizers: {}, failures, undiscovered }, [], now);
    expect(found.filter(({ status }) => status === "True").map(({ message }) => message)).toEqual([
      "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: the server is currently unable to handle the request",
      "Failed to delete all resource types, 2 remaining: configmaps: never, secrets: no",
    ]);
    expect(remainConditions({ counts: {}, finalizers: {}, failures, undiscovered }, found, new Date())).toEqual(found);
  });
});
