import { afterEach, describe, expect, it } from "vitest";
import { type KubeObject, resource, resources } from "#api/index.ts";
import { InProcessCluster } from "#controllers/testing/cluster.ts";
import { answer, type Part } from "./health.ts";
import { mayReadMetrics } from "./metrics-access.ts";

const planes: InProcessCluster[] = [];
afterEach(async () => {
  for (const plane of planes.splice(0)) await plane.stop();
});

async function ask(part: Part, url: string, plane: InProcessCluster, token?: string) {
  const controllers = plane.controllers;
  const found = { code: 0, text: "" };
  const response = {
    writeHead: (code: number) => {
      found.code = code;
    },
    end: (text: string) => {
      found.text = text;
    },
  };
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  await answer(part, { url, headers }, response as unknown as Parameters<typeof answer>[2], {
    health: () => ({ ok: true, text: "ok" }),
    mayRead: (bearer) => mayReadMetrics(plane.client, bearer),
    metrics: (of) => controllers.metrics(of === "kube-scheduler" ? "scheduler" : "controllers"),
  });
  return found;
}

describe("K02 (part: what the ports of controllers and scheduler answer)", () => {
  it("health to everybody, metrics to those who may read them", async () => {
    const plane = new InProcessCluster();
    planes.push(plane);
    await plane.startControllers();
    await plane.node("node01");
    await plane.pod("p");
    await expect.poll(async () => (await plane.getPod("p"))?.spec.nodeName, { timeout: 10_000 }).toBe("node01");
    for (const path of ["/healthz", "/livez", "/readyz"])
      expect(await ask("kube-scheduler", path, plane)).toEqual({ code: 200, text: "ok" });
    expect((await ask("kube-scheduler", "/livez?verbose", plane)).text).toBe(
      "[+]ping ok\n[+]informer-sync ok\nlivez check passed\n",
    );
    expect((await ask("kube-scheduler", "/nothing", plane)).code).toBe(404);

    const refused = await ask("kube-scheduler", "/metrics", plane);
    expect(refused.code).toBe(403);
    expect(JSON.parse(refused.text)).toMatchObject({
      kind: "Status",
      message: 'forbidden: User "system:anonymous" cannot get path "/metrics"',
    });
    expect((await ask("kube-scheduler", "/metrics", plane, "nonsense")).code).toBe(401);

    const rbac = (plural: string, kind: string) =>
      resource<KubeObject>("rbac.authorization.k8s.io", "v1", plural, kind, false);
    const rules = [{ nonResourceURLs: ["/metrics"], verbs: ["get"] }];
    await plane.client.create(rbac("clusterroles", "ClusterRole"), {
      metadata: { name: "metrics" },
      rules,
    } as KubeObject);
    await plane.client.create(rbac("clusterrolebindings", "ClusterRoleBinding"), {
      metadata: { name: "metrics" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "metrics" },
      subjects: [{ kind: "ServiceAccount", name: "default", namespace: "default" }],
    } as KubeObject);
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: { name: "" }, spec: {} };
    const options = { subresource: "token", namespace: "default" };
    const { status } = (await plane.client.post(resources.serviceAccounts, "default", request, options)) as unknown as {
      status: { token: string };
    };
    const scheduler = await ask("kube-scheduler", "/metrics", plane, status.token);
    expect(scheduler.code).toBe(200);
    expect(scheduler.text).toContain(
      'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1',
    );
    expect(scheduler.text).toContain('scheduler_pending_pods{queue="active"} 0');
    const manager = await ask("kube-controller-manager", "/metrics", plane, status.token);
    expect(manager.text).toContain('workqueue_depth{name="endpoints"} 0');
    expect(manager.text).toContain('node_collector_zone_size{zone=""} 1');
    expect(manager.text).toMatch(/^process_resident_memory_bytes \d+$/m);
  });
});
