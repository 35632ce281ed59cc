import { afterEach, describe, expect, it } from "vitest";
import { isNotFound, type Job, type JobSpec, type Pod, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const job = (spec: Partial<JobSpec>): Job => ({
  metadata: { name: "work", namespace: "default" },
  spec: { template: { spec: { containers: [{ name: "c", image: "i" }], restartPolicy: "Never" } }, ...spec },
});
const get = () => cluster.get(resources.jobs, "work");
const status = async () => (await get()).status;
const conditions = async () =>
  ((await status())?.conditions ?? []).map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
const finalizers = async () =>
  (await cluster.all<Pod>(resources.pods)).flatMap(({ metadata }) => metadata.finalizers ?? []);

describe("Jobs with the API server", () => {
  it("complete, count their pods once, and let go of them", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "Succeeded";
    await cluster.client.create(resources.jobs, job({ completions: 5, parallelism: 2 }));
    await cluster.until(conditions, ["SuccessCriteriaMet=True CompletionsReached", "Complete=True CompletionsReached"]);
    const { succeeded, failed, active, uncountedTerminatedPods } = (await status()) ?? {};
    expect({ succeeded, failed, active, uncountedTerminatedPods }).toEqual({
      succeeded: 5,
      uncountedTerminatedPods: {},
    });
    expect(await cluster.names(resources.pods)).toHaveLength(5);
    await cluster.until(finalizers, []);
    await cluster.until(async () => (await cluster.events("work")).includes("Completed: Job completed"), true);
  });

  it("count pods that somebody deletes, and keep counting across a restart", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "unready";
    await cluster.client.create(resources.jobs, job({ completions: 2, parallelism: 2, backoffLimit: 5 }));
    await cluster.until(async () => (await status())?.active, 2);
    expect(await finalizers()).toEqual(["batch.kubernetes.io/job-tracking", "batch.kubernetes.io/job-tracking"]);
    const [first = ""] = await cluster.names(resources.pods);
    await cluster.client.delete(resources.pods, first, "default", { gracePeriodSeconds: 0 });
    await cluster.until(async () => [(await status())?.failed, (await status())?.active], [1, 2]);
    await cluster.stopControllers();
    cluster.state = () => "Succeeded";
    await cluster.until(
      async () => (await cluster.all(resources.pods)).map((pod) => pod.status?.phase),
      ["Succeeded", "Succeeded"],
    );
    for (const name of await cluster.names(resources.pods))
      await cluster.client.delete(resources.pods, name, "default");
    await cluster.startControllers();
    await cluster.until(async () => [(await status())?.failed, (await status())?.succeeded], [1, 2]);
    await cluster.until(() => cluster.names(resources.pods), []);
  });

  it("have begun though their pods are refused", async () => {
    cluster = await new InProcessCluster().start();
    const { template } = job({}).spec;
    const refused = { ...template, spec: { ...template.spec, serviceAccountName: "nobody" } };
    await cluster.client.create(resources.jobs, job({ template: refused }));
    await cluster.until(async () => typeof (await status())?.startTime, "string");
    expect(await cluster.names(resources.pods)).toEqual([]);
    expect((await status())?.ready).toBe(0);
  });

  it("fail at the back-off limit", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "Failed";
    await cluster.client.create(resources.jobs, job({ backoffLimit: 2 }));
    await cluster.until(conditions, ["FailureTarget=True BackoffLimitExceeded", "Failed=True BackoffLimitExceeded"]);
    expect((await status())?.failed).toBe(3);
    await cluster.until(
      async () =>
        (await cluster.events("work")).includes("BackoffLimitExceeded: Job has reached the specified backoff limit"),
      true,
    );
  });

  it("end at their deadline, whose reason stays though their pods then count as failed", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "ready";
    await cluster.client.create(resources.jobs, job({ activeDeadlineSeconds: 1, backoffLimit: 0 }));
    await cluster.until(conditions, ["FailureTarget=True DeadlineExceeded", "Failed=True DeadlineExceeded"]);
    expect(await status()).toMatchObject({ failed: 1 });
  });

  it("run once per index", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = ({ metadata }) => (metadata.generateName === "work-1-" ? "unready" : "Succeeded");
    await cluster.client.create(resources.jobs, job({ completionMode: "Indexed", completions: 3, parallelism: 3 }));
    await cluster.until(async () => (await status())?.completedIndexes, "0,2");
    const names = (await cluster.names(resources.pods)).map((name) => name.slice(0, -5));
    expect(names).toEqual(["work-0-", "work-1-", "work-2-"]);
    const middle = (await cluster.all(resources.pods))[1];
    expect(middle?.metadata.annotations).toMatchObject({ "batch.kubernetes.io/job-completion-index": "1" });
    expect(middle?.spec.hostname).toBe("work-1");
    cluster.state = () => "Succeeded";
    await cluster.until(async () => (await status())?.completedIndexes, "0-2");
    await cluster.until(async () => (await conditions()).at(-1), "Complete=True CompletionsReached");
  });

  it("suspend without counting failures, resume, and go after their time", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "ready";
    await cluster.client.create(resources.jobs, job({ completions: 2, parallelism: 2, ttlSecondsAfterFinished: 0 }));
    await cluster.until(async () => (await status())?.ready, 2);
    await cluster.patch(resources.jobs, "work", { spec: { suspend: true } });
    await cluster.until(() => cluster.names(resources.pods), []);
    await cluster.until(conditions, ["Suspended=True JobSuspended"]);
    expect((await status())?.failed).toBeUndefined();
    cluster.state = () => "Succeeded";
    await cluster.patch(resources.jobs, "work", { spec: { suspend: false } });
    await cluster.until(async () => isNotFound(await get().catch((error) => error)), true);
    await cluster.until(() => cluster.names(resources.pods), []);
    const said = expect.arrayContaining(["Suspended: Job suspended", "Resumed: Job resumed"]);
    await cluster.until(() => cluster.events("work"), said);
  });

  it("leave nothing behind when deleted in the middle, and say which fields they do not act on", async () => {
    cluster = await new InProcessCluster().start();
    cluster.state = () => "unready";
    const podFailurePolicy = { rules: [{ action: "FailJob", onExitCodes: { operator: "In", values: [1] } }] };
    await cluster.client.create(resources.jobs, job({ completions: 2, parallelism: 2, podFailurePolicy }));
    await cluster.until(async () => (await status())?.active, 2);
    await cluster.until(
      async () => (await cluster.events("work")).filter((one) => one.startsWith("UnsupportedFields")),
      ["UnsupportedFields: Fields that the Job controller does not act on: spec.podFailurePolicy"],
    );
    await cluster.client.delete(resources.jobs, "work", "default", { propagationPolicy: "Background" });
    await cluster.until(() => cluster.names(resources.pods), []);
  });
});
