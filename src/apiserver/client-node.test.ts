import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  type KubernetesObject,
  PatchStrategy,
  setHeaderOptions,
  Watch,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "./testing/client.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

let test: TestServer;
let config: KubeConfig;
let core: CoreV1Api;
let apps: AppsV1Api;

beforeAll(async () => {
  test = await startTestServer({ store: { historyLimit: 20 } });
  config = new KubeConfig();
  config.loadFromFile(test.kubeconfig);
  core = config.makeApiClient(CoreV1Api);
  apps = config.makeApiClient(AppsV1Api);
});
afterAll(() => test.stop());

interface Seen {
  readonly type: string;
  readonly object: KubernetesObject & { code?: number; reason?: string };
}

/** Watches with the client's own watch; `next` waits for one more event. */
async function watching(path: string, query: Record<string, string | boolean>) {
  const seen: Seen[] = [];
  let wake = () => {};
  const controller = await new Watch(config).watch(
    path,
    query,
    (type, object) => {
      seen.push({ type, object });
      wake();
    },
    () => wake(),
  );
  const next = async (): Promise<Seen> => {
    while (seen.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return seen.shift() as Seen;
  };
  return { next, stop: () => controller.abort() };
}

describe("@kubernetes/client-node as an oracle", () => {
  const path = "/api/v1/namespaces/default/configmaps";
  const named = (name: string) => ({ name, namespace: "default" });

  it("sees additions, changes, deletions, bookmarks and what is forgotten", async () => {
    const watcher = await watching(path, {
      sendInitialEvents: true,
      resourceVersionMatch: "NotOlderThan",
      allowWatchBookmarks: true,
      labelSelector: "oracle",
    });
    const mark = await watcher.next();
    expect([mark.type, mark.object.metadata?.annotations?.["k8s.io/initial-events-end"]]).toEqual(["BOOKMARK", "true"]);
    const body = { metadata: { name: "w", labels: { oracle: "1" } }, data: { a: "b" } };
    await core.createNamespacedConfigMap({ namespace: "default", body });
    expect((await watcher.next()).type).toBe("ADDED");
    await core.replaceNamespacedConfigMap({ ...named("w"), body: { ...body, data: { a: "c" } } });
    expect(await watcher.next()).toMatchObject({ type: "MODIFIED", object: { data: { a: "c" } } });
    await core.deleteNamespacedConfigMap(named("w"));
    expect((await watcher.next()).type).toBe("DELETED");
    watcher.stop();
    const local = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
    for (let i = 0; i < 30; i++) await ask(local, "POST", path, { metadata: { name: `f${i}` } });
    const late = await watching(path, { resourceVersion: mark.object.metadata?.resourceVersion as string });
    expect(await late.next()).toMatchObject({ type: "ERROR", object: { code: 410, reason: "Expired" } });
    late.stop();
  });

  it("patches in all four ways", async () => {
    const labels = { app: "o" };
    const spec = {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x:1" }] } },
    };
    await apps.createNamespacedDeployment({ namespace: "default", body: { metadata: { name: "o" }, spec } });
    const patch = (strategy: PatchStrategy, body: object) =>
      apps.patchNamespacedDeployment(
        {
          ...named("o"),
          body,
          ...(strategy === PatchStrategy.ServerSideApply ? { fieldManager: "oracle", force: true } : {}),
        },
        setHeaderOptions("Content-Type", strategy),
      );
    const json = await patch(PatchStrategy.JsonPatch, [{ op: "replace", path: "/spec/replicas", value: 2 }]);
    expect(json.spec?.replicas).toBe(2);
    const merge = await patch(PatchStrategy.MergePatch, {
      metadata: { annotations: { a: "b" } },
      spec: { paused: true },
    });
    expect([merge.spec?.paused, merge.metadata?.annotations]).toEqual([true, { a: "b" }]);
    const strategic = await patch(PatchStrategy.StrategicMergePatch, {
      spec: { template: { spec: { containers: [{ name: "d", image: "y:1" }] } } },
    });
    expect(strategic.spec?.template.spec?.containers.map((c) => c.name)).toEqual(["d", "c"]);
    const applied = await patch(PatchStrategy.ServerSideApply, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "o" },
      spec: { ...spec, replicas: 5 },
    });
    expect(applied.spec?.replicas).toBe(5);
    expect(applied.metadata?.managedFields?.find((e) => e.manager === "oracle")?.operation).toBe("Apply");
  });
});
