import { describe, expect, it } from "vitest";
import type { CronJob, Job } from "#api/index.ts";
import { planCronJob } from "./plan.ts";

const now = new Date("2026-01-01T10:00:30Z");
type Spec = CronJob["spec"];
function cronJob(
  spec: Partial<Spec> = {},
  status: CronJob["status"] = { lastScheduleTime: "2026-01-01T09:45:00Z" },
): CronJob {
  const template = { spec: { containers: [{ name: "c" }] } };
  return {
    metadata: { name: "tick", namespace: "default", uid: "cj", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      schedule: "*/15 * * * *",
      jobTemplate: { metadata: { labels: { a: "b" } }, spec: { template } },
      ...spec,
    },
    status,
  };
}
function job(name: string, end?: "Complete" | "Failed", startTime = "2026-01-01T09:00:00Z"): Job {
  const conditions = end ? [{ type: end, status: "True" } as const] : [];
  return {
    metadata: { name, namespace: "default", uid: name },
    spec: { template: { spec: { containers: [] } } },
    status: { startTime, conditions, ...(end === "Complete" ? { completionTime: "2026-01-01T09:30:00Z" } : {}) },
  };
}
const active = (...names: string[]) => ({
  lastScheduleTime: "2026-01-01T09:45:00Z",
  active: names.map((name) => ({ kind: "Job", name, uid: name })),
});
const reasons = (plan: ReturnType<typeof planCronJob>) => plan.events.map(({ reason }) => reason);

describe("CronJob plan", () => {
  it("starts the Job that is due, named by its minute, and waits for the next time", () => {
    const plan = planCronJob(cronJob(), [], now);
    const minute = Date.UTC(2026, 0, 1, 10) / 60_000;
    expect(plan.create?.metadata).toMatchObject({
      name: `tick-${minute}`,
      labels: { a: "b" },
      annotations: { "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T10:00:00Z" },
      ownerReferences: [{ apiVersion: "batch/v1", kind: "CronJob", name: "tick", uid: "cj", controller: true }],
    });
    expect(plan.scheduled?.toISOString()).toBe("2026-01-01T10:00:00.000Z");
    expect(plan.lookAgainMs).toBe(14.5 * 60_000);
    const done = planCronJob(cronJob({}, { lastScheduleTime: "2026-01-01T10:00:00Z" }), [], now);
    expect(done.create).toBeUndefined();
  });

  it("starts nothing while it is suspended or being deleted", () => {
    expect(planCronJob(cronJob({ suspend: true }), [], now).create).toBeUndefined();
    const gone = { ...cronJob(), metadata: { ...cronJob().metadata, deletionTimestamp: "now" } };
    expect(planCronJob(gone, [], now).create).toBeUndefined();
  });

  it("keeps to its concurrency policy", () => {
    const running = [job("old")];
    expect(planCronJob(cronJob({}, active("old")), running, now).create).toBeDefined();
    const forbid = planCronJob(cronJob({ concurrencyPolicy: "Forbid" }, active("old")), running, now);
    expect([forbid.create, reasons(forbid)]).toEqual([undefined, ["JobAlreadyActive"]]);
    const replace = planCronJob(cronJob({ concurrencyPolicy: "Replace" }, active("old")), running, now);
    expect(replace.remove).toEqual(running);
    expect(replace.create).toBeDefined();
  });

  it("does not catch up beyond the starting deadline", () => {
    const late = new Date("2026-01-01T10:03:00Z");
    expect(planCronJob(cronJob({ startingDeadlineSeconds: 60 }), [], late).create).toBeUndefined();
    expect(planCronJob(cronJob({ startingDeadlineSeconds: 240 }), [], late).create).toBeDefined();
  });

  it("starts only the last of many missed times, and says so", () => {
    const plan = planCronJob(cronJob({}, { lastScheduleTime: "2025-10-01T00:00:00Z" }), [], now);
    expect(plan.scheduled?.toISOString()).toBe("2026-01-01T10:00:00.000Z");
    expect(reasons(plan)).toEqual(["TooManyMissedTimes"]);
    const daily = cronJob({ schedule: "0 3 * * *" }, { lastScheduleTime: "2025-01-01T00:00:00Z" });
    expect(planCronJob(daily, [], now).scheduled?.toISOString()).toBe("2026-01-01T03:00:00.000Z");
  });

  it("follows its Jobs: which run, which ended, which it does not know", () => {
    const jobs = [job("done", "Complete"), job("on"), job("stranger")];
    const plan = planCronJob(cronJob({ suspend: true }, active("done", "on", "lost")), jobs, now);
    expect(plan.status.active).toEqual([{ kind: "Job", name: "on", uid: "on" }]);
    expect(plan.status.lastSuccessfulTime).toBe("2026-01-01T09:30:00Z");
    expect(plan.events.map(({ message }) => message)).toEqual([
      "Saw completed job: done, condition: Complete",
      "Active job went missing: lost",
      "Saw a job that the controller did not create or forgot: stranger",
    ]);
  });

  it("keeps three that succeeded and one that failed, the newest", () => {
    const at = (hour: number) => `2026-01-01T0${hour}:00:00Z`;
    const jobs = [1, 2, 3, 4, 5].map((n) => job(`s${n}`, "Complete", at(n)));
    jobs.push(job("f1", "Failed", at(1)), job("f2", "Failed", at(2)));
    const { remove } = planCronJob(cronJob({ suspend: true }), jobs, now);
    expect(remove.map(({ metadata }) => metadata.name)).toEqual(["s1", "s2", "f1"]);
  });

  it("goes by its time zone and names schedules and zones that cannot be read", () => {
    const tokyo = planCronJob(cronJob({ schedule: "0 19 * * *", timeZone: "Asia/Tokyo" }), [], now);
    expect(tokyo.scheduled?.toISOString()).toBe("2026-01-01T10:00:00.000Z");
    const [zone] = planCronJob(cronJob({ timeZone: "Mars/Base" }), [], now).events;
    expect(zone).toEqual({
      type: "Warning",
      reason: "UnknownTimeZone",
      message: 'invalid timeZone: "Mars/Base": unknown time zone Mars/Base',
    });
    const [schedule] = planCronJob(cronJob({ schedule: "60 * * * *" }), [], now).events;
    expect(schedule).toEqual({
      type: "Warning",
      reason: "UnparseableSchedule",
      message: 'unparseable schedule: "60 * * * *" : end of range (60) above maximum (59): 60',
    });
  });
});
