import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Condition, type KubeObject, type Pod, resource, resources } from "#api/index.ts";
import { conditionOf } from "../objects.ts";
import { InProcessCluster } from "../testing/cluster.ts";

const priorityClasses = resource<KubeObject & { value: number }>(
  "scheduling.k8s.io",
  "v1",
  "priorityclasses",
  "PriorityClass",
  false,
);
const cpu = (amount: string): Partial<Pod["spec"]> => ({
  containers: [{ name: "c", image: "nginx", resources: { requests: { cpu: amount } } }],
});

describe("scheduler with the API server", () => {
  let plane: InProcessCluster;
  beforeEach(async () => {
    plane = new InProcessCluster();
    await plane.startControllers();
  });
  afterEach(async () => await plane.stop());
  const until = async (what: () => Promise<unknown>, expected: unknown) =>
    await expect.poll(what, { interval: 5, timeout: 15_000 }).toEqual(expected);
  const nodeOf = async (name: string) => (await plane.getPod(name))?.spec.nodeName;
  const scheduled = async (name: string): Promise<Condition | undefined> =>
    conditionOf((await plane.getPod(name))?.status?.conditions, "PodScheduled");

  it("binds, says so, and marks the pod", async () => {
    await plane.node("node01");
    await plane.pod("p");
    await until(() => nodeOf("p"), "node01");
    expect(await scheduled("p")).toMatchObject({ status: "True" });
    await until(() => plane.messages("Scheduled"), ["Successfully assigned default/p to node01"]);
  });

  it("holds a gated pod back without a complaint, until its last gate goes", async () => {
    await plane.node("node01");
    await plane.pod("p", { schedulingGates: [{ name: "example.com/wait" }] });
    await until(async () => (await scheduled("p"))?.reason, "SchedulingGated");
    expect(await scheduled("p")).toMatchObject({
      status: "False",
      message: "Scheduling is blocked due to non-empty scheduling gates",
    });
    const none = { spec: { schedulingGates: [] } };
    await plane.client.patch(resources.pods, "p", "default", none, { type: "merge" });
    await until(() => nodeOf("p"), "node01");
    expect(await plane.messages("FailedScheduling")).toEqual([]);
  });

  it("leaves pods of other schedulers alone", async () => {
    await plane.node("node01");
    await plane.pod("theirs", { schedulerName: "other" });
    await plane.pod("ours");
    await until(() => nodeOf("ours"), "node01");
    expect([await nodeOf("theirs"), await scheduled("theirs")]).toEqual([undefined, undefined]);
  });

  it("gives scarce room to the higher priority, and the rest to who waits when room is made", async () => {
    await plane.client.create(priorityClasses, { metadata: { name: "high" }, value: 1000 });
    await plane.pod("low", cpu("3"));
    await plane.pod("high", { ...cpu("3"), priorityClassName: "high" });
    await until(async () => (await scheduled("high"))?.message, "no nodes available to schedule pods");
    await until(async () => (await scheduled("low"))?.message, "no nodes available to schedule pods");
    await plane.node("node01"); // four cores: one of them fits
    await until(() => nodeOf("high"), "node01");
    await until(
      async () => (await scheduled("low"))?.message,
      "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: " +
        "1 No preemption victims found for incoming pod.",
    );
    await plane.client.delete(resources.pods, "high", "default", { gracePeriodSeconds: 0 });
    await until(() => nodeOf("low"), "node01");
  });

  it("says that it does not preempt where kube-scheduler would", async () => {
    await plane.client.create(priorityClasses, { metadata: { name: "high" }, value: 1000 });
    await plane.node("node01");
    await plane.pod("low", cpu("3"));
    await until(() => nodeOf("low"), "node01");
    await plane.pod("high", { ...cpu("3"), priorityClassName: "high" });
    await until(
      async () => (await scheduled("high"))?.message?.split("preemption: ")[1],
      "0/1 nodes are available: 1 Pods of lower priority could make room, but this scheduler does not preempt.",
    );
  });

  it("tries again when a label, a taint or a claim changes", async () => {
    await plane.node("node01");
    await plane.pod("selective", { nodeSelector: { disk: "ssd" } });
    await plane.pod("claimant", { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "data" } }] });
    await until(
      async () => (await scheduled("claimant"))?.message?.split(". ")[0],
      '0/1 nodes are available: persistentvolumeclaim "data" not found',
    );
    const labels = { metadata: { labels: { disk: "ssd" } } };
    await plane.client.patch(resources.nodes, "node01", undefined, labels, { type: "merge" });
    await until(() => nodeOf("selective"), "node01");
    const spec = { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/data" } };
    const volumes = resource<KubeObject>("", "v1", "persistentvolumes", "PersistentVolume", false);
    await plane.client.create(volumes, { metadata: { name: "pv" }, spec } as KubeObject);
    const claims = resource<KubeObject>("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim");
    const resourcesOf = { requests: { storage: "1Gi" } };
    await plane.client.create(claims, {
      metadata: { name: "data", namespace: "default" },
      spec: { accessModes: ["ReadWriteOnce"], resources: resourcesOf, volumeName: "pv" },
    } as KubeObject);
    await until(() => nodeOf("claimant"), "node01");
  });

  it("places hundreds of pods evenly, each once", async () => {
    const nodes = Array.from({ length: 10 }, (_, i) => `node${String(i).padStart(2, "0")}`);
    await plane.client.create(resources.services, {
      metadata: { name: "web", namespace: "default" },
      spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
    });
    for (const name of nodes) await plane.node(name);
    await Promise.all(Array.from({ length: 300 }, (_, i) => plane.pod(`p${i}`, cpu("10m"), { app: "web" })));
    const placed = async () =>
      (await plane.client.list<Pod>(resources.pods)).items.flatMap(({ spec }) => spec.nodeName ?? []);
    await expect.poll(async () => (await placed()).length, { interval: 250, timeout: 60_000 }).toBe(300);
    const counts = new Map<string, number>();
    for (const node of await placed()) counts.set(node, (counts.get(node) ?? 0) + 1);
    expect(nodes.map((name) => counts.get(name))).toEqual(nodes.map(() => 30));
  }, 90_000);
});
