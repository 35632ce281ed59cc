import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "../../object.ts";
import { ask } from "../../testing/client.ts";
import { type LocalServer, startLocalServer } from "../../testing/local.ts";

// Source: kubernetes.io/docs/concepts/policy/resource-quotas and tasks/administer-cluster/quota-api-object,
// tasks/administer-cluster/manage-resources/quota-memory-cpu-namespace; k8s.io/apiserver/pkg/admission/plugin/resourcequota.

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
});
afterAll(() => local.server.stop());

const merged = { "content-type": "application/merge-patch+json" };

async function namespace(name: string, spec: Dict): Promise<string> {
  await ask(local.api, "POST", "/api/v1/namespaces", { metadata: { name } });
  const path = `/api/v1/namespaces/${name}`;
  await ask(local.api, "POST", `${path}/serviceaccounts`, { metadata: { name: "default" } });
  const made = await ask(local.api, "POST", `${path}/resourcequotas`, { metadata: { name: "q" }, spec });
  expect(made.status).toBe(201);
  return path;
}

const run = (path: string, name: string, resources: Dict = {}, spec: Dict = {}) =>
  ask(local.api, "POST", `${path}/pods`, {
    metadata: { name },
    spec: { containers: [{ name: "c", image: "x", resources }], ...spec },
  });

async function used(path: string): Promise<unknown> {
  const { body } = await ask(local.api, "GET", `${path}/resourcequotas/q`);
  return (body.status as Dict | undefined)?.used;
}
const usedBecomes = (path: string, amounts: Dict) => expect.poll(() => used(path), { interval: 5 }).toEqual(amounts);

describe("ResourceQuota", () => {
  it("counts what pods request and refuses what would be too much", async () => {
    const path = await namespace("compute", {
      hard: { "requests.cpu": "1", "requests.memory": "1Gi", "limits.cpu": "2", "limits.memory": "2Gi", pods: "3" },
    });
    const resources = { limits: { memory: "800Mi", cpu: "800m" }, requests: { memory: "600Mi", cpu: "400m" } };
    expect((await run(path, "one", resources)).status).toBe(201);
    await usedBecomes(path, {
      "limits.cpu": "800m",
      "limits.memory": "800Mi",
      pods: "1",
      "requests.cpu": "400m",
      "requests.memory": "600Mi",
    });
    const second = { limits: { memory: "1Gi", cpu: "800m" }, requests: { memory: "700Mi", cpu: "400m" } };
    const refused = await run(path, "two", second);
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'pods "two" is forbidden: exceeded quota: q, requested: requests.memory=700Mi, used: requests.memory=600Mi, limited: requests.memory=1Gi',
    ]);
    const silent = await run(path, "three", { requests: { cpu: "1m", memory: "1Mi" } });
    expect(silent.body.message).toBe(
      'pods "three" is forbidden: failed quota: q: must specify limits.cpu for: c; limits.memory for: c',
    );
    await ask(local.api, "DELETE", `${path}/pods/one`);
    await usedBecomes(path, {
      "limits.cpu": "0",
      "limits.memory": "0",
      pods: "0",
      "requests.cpu": "0",
      "requests.memory": "0",
    });
  });

  it("counts no pod that has ended", async () => {
    const path = await namespace("ended", { hard: { pods: "1", "count/pods": "5" } });
    await run(path, "one");
    expect((await run(path, "two")).body.message).toBe(
      'pods "two" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
    );
    await ask(local.api, "PATCH", `${path}/pods/one/status`, { status: { phase: "Succeeded" } }, merged);
    expect((await run(path, "two")).status).toBe(201);
    await usedBecomes(path, { "count/pods": "2", pods: "1" });
  });

  it("counts objects, Services by their ports and claims by their class", async () => {
    const path = await namespace("objects", {
      hard: {
        configmaps: "1",
        "count/deployments.apps": "0",
        persistentvolumeclaims: "2",
        "requests.storage": "5Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
        "services.nodeports": "2",
        "services.loadbalancers": "0",
      },
    });
    const claim = (name: string, storage: string, storageClassName: string) =>
      ask(local.api, "POST", `${path}/persistentvolumeclaims`, {
        metadata: { name },
        spec: { accessModes: ["ReadWriteOnce"], storageClassName, resources: { requests: { storage } } },
      });
    expect((await claim("a", "3Gi", "silver")).status).toBe(201);
    expect((await claim("b", "3Gi", "silver")).body.message).toBe(
      'persistentvolumeclaims "b" is forbidden: exceeded quota: q, requested: requests.storage=3Gi, used: requests.storage=3Gi, limited: requests.storage=5Gi',
    );
    expect((await claim("b", "2Gi", "gold")).body.message).toContain(
      "gold.storageclass.storage.k8s.io/requests.storage=2Gi",
    );
    const service = (type: string, ports: number[]) => ({
      metadata: { name: "s" },
      spec: { type, ports: ports.map((port) => ({ port, name: `p${port}` })) },
    });
    expect((await ask(local.api, "POST", `${path}/services`, service("NodePort", [1, 2, 3]))).body.message).toBe(
      'services "s" is forbidden: exceeded quota: q, requested: services.nodeports=3, used: services.nodeports=0, limited: services.nodeports=2',
    );
    expect((await ask(local.api, "POST", `${path}/services`, service("ClusterIP", [1]))).status).toBe(201);
    const grown = await ask(local.api, "PATCH", `${path}/services/s`, { spec: { type: "LoadBalancer" } }, merged);
    expect(grown.body.message).toBe(
      'services "s" is forbidden: exceeded quota: q, requested: services.loadbalancers=1, used: services.loadbalancers=0, limited: services.loadbalancers=0',
    );
    const labels = { app: "d" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } };
    const deployment = { metadata: { name: "d" }, spec: { selector: { matchLabels: labels }, template } };
    const refused = await ask(local.api, "POST", "/apis/apps/v1/namespaces/objects/deployments", deployment);
    expect(refused.body.message).toBe(
      'deployments.apps "d" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0',
    );
    expect((await ask(local.api, "POST", `${path}/configmaps?dryRun=All`, { metadata: { name: "a" } })).status).toBe(
      201,
    );
    expect((await ask(local.api, "POST", `${path}/configmaps`, { metadata: { name: "a" } })).status).toBe(201);
    expect((await ask(local.api, "POST", `${path}/configmaps`, { metadata: { name: "b" } })).status).toBe(403);
  });

  it("counts custom objects as others", async () => {
    const names = { plural: "eventsources", kind: "EventSource", singular: "eventsource", listKind: "EventSourceList" };
    const schema = { openAPIV3Schema: { type: "object" } };
    const versions = [{ name: "v1", served: true, storage: true, schema }];
    const definition = await ask(local.api, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: "eventsources.example.com" },
      spec: { group: "example.com", scope: "Namespaced", names, versions },
    });
    expect(definition.status).toBe(201);
    const path = await namespace("custom", { hard: { "count/eventsources.example.com": "1" } });
    const make = (name: string) =>
      ask(local.api, "POST", "/apis/example.com/v1/namespaces/custom/eventsources", {
        apiVersion: "example.com/v1",
        kind: "EventSource",
        metadata: { name },
      });
    expect((await make("a")).status).toBe(201);
    await usedBecomes(path, { "count/eventsources.example.com": "1" });
    expect((await make("b")).body.message).toBe(
      'eventsources.example.com "b" is forbidden: exceeded quota: q, requested: count/eventsources.example.com=1, used: count/eventsources.example.com=1, limited: count/eventsources.example.com=1',
    );
  });

  it("follows its own change and looks at pods in its scope only", async () => {
    const path = await namespace("scoped", { hard: { pods: "0" }, scopes: ["BestEffort"] });
    expect((await run(path, "asks", { requests: { cpu: "1" } })).status).toBe(201);
    expect((await run(path, "best")).status).toBe(403);
    await ask(local.api, "PATCH", `${path}/resourcequotas/q`, { spec: { hard: { pods: "1" } } }, merged);
    expect((await run(path, "best")).status).toBe(201);
    await usedBecomes(path, { pods: "1" });
  });
});
