import { afterEach, describe, expect, it } from "vitest";
import { type CronJob, type Job, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const template = { spec: { containers: [{ name: "c", image: "i" }], restartPolicy: "Never" as const } };
const tick = (more: Partial<CronJob["spec"]> = {}): CronJob => ({
  metadata: { name: "tick", namespace: "default" },
  spec: { schedule: "@every 1s", jobTemplate: { spec: { template } }, ...more },
});

describe("CronJobs with the API server", () => {
  it("start Jobs, note them, and keep a short history", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "Succeeded";
    await cluster.client.create(resources.cronJobs, tick({ successfulJobsHistoryLimit: 0 }));
    await cluster.until(
      async () => (await cluster.get(resources.cronJobs, "tick")).status?.lastSuccessfulTime !== undefined,
      true,
    );
    await cluster.patch(resources.cronJobs, "tick", { spec: { suspend: true } });
    await cluster.until(() => cluster.names(resources.jobs), []);
    await cluster.until(() => cluster.names(resources.pods), []);
    const created = /^SuccessfulCreate: Created job tick-\d+$/;
    await cluster.until(async () => (await cluster.events("tick")).some((one) => created.test(one)), true);
    expect((await cluster.get(resources.cronJobs, "tick")).status?.active).toBeUndefined();
  });

  it("know a Job that somebody made from them by hand, and take it along when they go", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "ready";
    const cronJob = await cluster.client.create(resources.cronJobs, tick({ suspend: true }));
    const { uid = "" } = cronJob.metadata;
    // As kubectl create job --from=cronjob/tick.
    const byHand: Job = {
      metadata: {
        name: "now",
        namespace: "default",
        annotations: { "cronjob.kubernetes.io/instantiate": "manual" },
        ownerReferences: [{ apiVersion: "batch/v1", kind: "CronJob", name: "tick", uid, controller: true }],
      },
      spec: { template },
    };
    await cluster.client.create(resources.jobs, byHand);
    await cluster.until(async () => (await cluster.get(resources.jobs, "now")).status?.ready, 1);
    await cluster.until(
      () => cluster.events("tick"),
      ["UnexpectedJob: Saw a job that the controller did not create or forgot: now"],
    );
    await cluster.client.delete(resources.cronJobs, "tick", "default", { propagationPolicy: "Background" });
    await cluster.until(() => cluster.names(resources.jobs), []);
    await cluster.until(() => cluster.names(resources.pods), []);
  });
});
