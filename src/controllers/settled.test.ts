import { afterEach, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { InProcessCluster } from "./testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const template = (app: string, more: object = {}) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: "c", image: "i" }], ...more },
});
const named = (name: string) => ({ name, namespace: "default" });
const selector = (app: string) => ({ matchLabels: { app } });

describe("controllers that start in a settled cluster", () => {
  it("write nothing, whatever kinds of workloads there are", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = ({ metadata }) => (metadata.labels?.["job-name"] ? "Succeeded" : "ready");
    const { client } = cluster;
    await client.create(resources.deployments, {
      metadata: named("web"),
      spec: { replicas: 2, selector: selector("web"), template: template("web") },
    });
    await client.create(resources.statefulSets, {
      metadata: named("db"),
      spec: { replicas: 2, selector: selector("db"), template: template("db") },
    });
    await client.create(resources.daemonSets, {
      metadata: named("agent"),
      spec: { selector: selector("agent"), template: template("agent") },
    });
    await client.create(resources.replicationControllers, {
      metadata: named("old"),
      spec: { replicas: 1, selector: { app: "old" }, template: template("old") },
    });
    await client.create(resources.jobs, {
      metadata: named("work"),
      spec: { completions: 2, template: template("work", { restartPolicy: "Never" }) },
    });
    await client.create(resources.cronJobs, {
      metadata: named("tick"),
      spec: { schedule: "@yearly", jobTemplate: { spec: { template: template("tick", { restartPolicy: "Never" }) } } },
    });
    await client.create(resources.podDisruptionBudgets, {
      metadata: named("guard"),
      spec: { minAvailable: 1, selector: selector("web") },
    });
    const done = async () => [
      (await cluster.get(resources.deployments, "web")).status?.availableReplicas,
      (await cluster.get(resources.statefulSets, "db")).status?.availableReplicas,
      (await cluster.get(resources.daemonSets, "agent")).status?.numberAvailable,
      (await cluster.get(resources.replicationControllers, "old")).status?.availableReplicas,
      (await cluster.get(resources.jobs, "work")).status?.conditions?.at(-1)?.type,
      (await cluster.get(resources.podDisruptionBudgets, "guard")).status?.disruptionsAllowed,
    ];
    await cluster.until(done, [2, 2, 2, 1, "Complete", 1]);
    // Events are sent half a second after what they tell of; the stop waits for them.
    await cluster.stopControllers();
    const before = cluster.server.revision;
    await cluster.startControllers();
    await new Promise((after) => setTimeout(after, 800));
    expect(cluster.server.revision).toBe(before);
    expect(cluster.warnings()).toEqual([]);
  });
});
