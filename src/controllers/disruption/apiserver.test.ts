import { afterEach, describe, expect, it } from "vitest";
import {
  ApiError,
  type Deployment,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  resources,
} from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const web: Deployment = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "i" }] } },
  },
};
const budget = (name: string, spec: Partial<PodDisruptionBudget["spec"]>): PodDisruptionBudget => ({
  metadata: { name, namespace: "default" },
  spec: { selector: { matchLabels: { app: "web" } }, ...spec },
});

/** What an eviction is answered: 201, or the error's code, message and causes. */
async function evict(name: string, more: object = {}): Promise<unknown> {
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: "default" }, ...more };
  try {
    const answer = await cluster.client.post<{ code: number }>(resources.pods, name, body, {
      subresource: "eviction",
      namespace: "default",
    });
    return answer.code;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { details, message } = error.status;
    return { code: error.code, message, ...(details?.causes ? { causes: details.causes } : {}) };
  }
}
const refusal = (message: string) => ({
  code: 429,
  message: "Cannot evict pod as it would violate the pod's disruption budget.",
  causes: [{ reason: "DisruptionBudget", message }],
});
async function up(spec: Partial<PodDisruptionBudget["spec"]>): Promise<Pod[]> {
  cluster = await new InProcessCluster().start();
  await cluster.client.create(resources.deployments, web);
  await cluster.until(async () => (await cluster.get(resources.deployments, "web")).status?.availableReplicas, 3);
  await cluster.client.create(resources.podDisruptionBudgets, budget("guard", spec));
  await cluster.until(async () => (await status())?.observedGeneration, 1);
  return await cluster.all(resources.pods);
}
const status = async () => (await cluster.get(resources.podDisruptionBudgets, "guard")).status;

describe("disruption budgets with the API server", () => {
  it("let pods be evicted as far as the budget goes, and again when new ones are ready", async () => {
    const [first, second] = (await up({ minAvailable: 2 })).map(({ metadata }) => metadata.name) as [string, string];
    cluster.state = ({ metadata }) => (known.has(metadata.name) ? "ready" : "unready");
    const known = new Set(await cluster.names(resources.pods));
    expect(await evict(first, { deleteOptions: { dryRun: ["All"] } })).toBe(201);
    expect((await status())?.disruptionsAllowed).toBe(1);
    expect(await evict(first)).toBe(201);
    expect(await evict(second)).toEqual(
      refusal("The disruption budget guard needs 2 healthy pods and has 2 currently"),
    );
    await cluster.until(async () => (await status())?.conditions?.[0]?.reason, "InsufficientPods");
    cluster.state = () => "ready";
    await cluster.until(async () => (await status())?.disruptionsAllowed, 1);
    expect(await evict(second)).toBe(201);
  });

  it("say on the pod why it goes, and heed preconditions", async () => {
    const [pod] = await up({ maxUnavailable: "50%" });
    const name = pod?.metadata.name ?? "";
    // A finalizer keeps the pod to be looked at.
    await cluster.patch(resources.pods, name, { metadata: { finalizers: ["example.com/look"] } });
    expect(await evict(name, { deleteOptions: { preconditions: { uid: "other" } } })).toMatchObject({ code: 409 });
    expect(await evict("else", {})).toMatchObject({ code: 404, message: 'pods "else" not found' });
    expect((await status())?.disruptionsAllowed).toBe(2);
    expect(await evict(name, { deleteOptions: { preconditions: { uid: pod?.metadata.uid } } })).toBe(201);
    const { metadata, status: of } = await cluster.get(resources.pods, name);
    expect(metadata.deletionTimestamp).toBeDefined();
    expect(of?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "EvictionByEvictionAPI",
      message: "Eviction API: evicting",
    });
    await cluster.patch(resources.pods, name, { metadata: { finalizers: null } });
  });

  it("let pods that are not ready go, when enough others are or the budget always allows it", async () => {
    const names = (await up({ minAvailable: 3 })).map(({ metadata }) => metadata.name);
    const [broken = "", other = ""] = names;
    cluster.state = ({ metadata }) => (metadata.name === broken ? "unready" : "ready");
    await cluster.until(async () => (await status())?.currentHealthy, 2);
    expect(await evict(broken)).toEqual(
      refusal("The disruption budget guard needs 3 healthy pods and has 2 currently"),
    );
    const always = { spec: { unhealthyPodEvictionPolicy: "AlwaysAllow" } };
    await cluster.patch(resources.podDisruptionBudgets, "guard", always);
    expect(await evict(broken)).toBe(201);
    await cluster.until(async () => (await status())?.currentHealthy, 3);
    expect(await evict(other)).toMatchObject({ code: 429 });
  });

  it("are refused while the budget is new, and where there are several", async () => {
    const [pod] = await up({ minAvailable: 1 });
    const name = pod?.metadata.name ?? "";
    await cluster.stopControllers();
    await cluster.patch(resources.podDisruptionBudgets, "guard", { spec: { minAvailable: 2 } });
    expect(await evict(name)).toEqual(refusal("The disruption budget guard is still being processed by the server."));
    await cluster.client.create(resources.podDisruptionBudgets, budget("second", { minAvailable: 0 }));
    expect(await evict(name)).toEqual({
      code: 500,
      message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    });
  });

  it("fail safe where a share is asked of pods whose controller has no replicas", async () => {
    await up({ minAvailable: 1 });
    await cluster.client.create(resources.daemonSets, {
      metadata: { name: "agent", namespace: "default" },
      spec: {
        selector: { matchLabels: { app: "agent" } },
        template: { ...web.spec.template, metadata: { labels: { app: "agent" } } },
      },
    });
    const spec = { maxUnavailable: 1, selector: { matchLabels: { app: "agent" } } };
    await cluster.until(
      async () => (await cluster.names(resources.pods)).filter((one) => one.startsWith("agent")).length,
      2,
    );
    await cluster.client.create(resources.podDisruptionBudgets, budget("agents", spec));
    const message = "daemonsets.apps does not implement the scale subresource";
    await cluster.until(
      async () => (await cluster.get(resources.podDisruptionBudgets, "agents")).status?.conditions?.[0],
      expect.objectContaining({ status: "False", reason: "SyncFailed", message }),
    );
    await cluster.until(
      () => cluster.events("agents"),
      [`CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: ${message}`],
    );
  });

  it("ask custom owners for their scale", async () => {
    await up({ minAvailable: 1 });
    await cluster.client.write("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
    const widgets = { group: "example.com", version: "v1", plural: "widgets", kind: "Widget", namespaced: true };
    const widget: KubeObject & { spec: object } = { metadata: { name: "w", namespace: "default" }, spec: { size: 4 } };
    const make = async () =>
      (await cluster.client.create<KubeObject>(widgets, widget).catch(() => undefined))?.metadata.uid;
    let uid: string | undefined;
    await cluster.until(async () => {
      uid ??= await make();
      return uid !== undefined;
    }, true);
    const owner = { apiVersion: "example.com/v1", kind: "Widget", name: "w", uid: uid ?? "", controller: true };
    for (const name of ["w-0", "w-1"]) {
      const metadata = { name, namespace: "default", labels: { app: "widget" }, ownerReferences: [owner] };
      await cluster.client.create(resources.pods, { metadata, spec: { containers: [{ name: "c", image: "i" }] } });
    }
    const spec = { minAvailable: "50%", selector: { matchLabels: { app: "widget" } } };
    await cluster.client.create(resources.podDisruptionBudgets, budget("widgets", spec));
    await cluster.until(
      async () => (await cluster.get(resources.podDisruptionBudgets, "widgets")).status,
      expect.objectContaining({ expectedPods: 4, desiredHealthy: 2, currentHealthy: 2, disruptionsAllowed: 0 }),
    );
  });
});

const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", properties: { size: { type: "integer" } } },
              status: { type: "object", properties: { size: { type: "integer" } } },
            },
          },
        },
        subresources: { status: {}, scale: { specReplicasPath: ".spec.size", statusReplicasPath: ".status.size" } },
      },
    ],
  },
};
