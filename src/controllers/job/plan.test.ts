import { describe, expect, it } from "vitest";
import type { Job, JobSpec, JobStatus, Pod } from "#api/index.ts";
import { formatIndexes, parseIndexes } from "./indexes.ts";
import { planJob, retryDelayMs } from "./plan.ts";
import { indexOf, jobPod, templateOf, trackingFinalizer } from "./pods.ts";

const now = new Date("2026-01-01T00:10:00Z");
const start = "2026-01-01T00:09:00Z";
const job = (spec: Partial<JobSpec>, status: JobStatus = { startTime: start }): Job => ({
  metadata: { name: "j", namespace: "default", uid: "o" },
  spec: { template: { spec: { containers: [{ name: "c" }], restartPolicy: "Never" } }, ...spec },
  status,
});
type Phase = "Pending" | "Running" | "Succeeded" | "Failed";
interface Marks {
  readonly going?: boolean;
  readonly counted?: boolean;
  readonly index?: number;
  readonly restarts?: number;
}
let serial = 0;
function pod(phase: Phase, { going, counted, index, restarts = 0 }: Marks = {}): Pod {
  const name = `p${serial++}`;
  const { metadata } = jobPod(job({}), { metadata: { name }, spec: { containers: [] } }, index);
  const owner = { apiVersion: "batch/v1", kind: "Job", name: "j", uid: "o", controller: true };
  return {
    metadata: {
      ...metadata,
      ...{ uid: name, ownerReferences: [owner] },
      ...(going ? { deletionTimestamp: "now" } : {}),
      ...(counted ? { finalizers: [] } : {}),
    },
    spec: { containers: [] },
    status: {
      phase,
      containerStatuses: [{ name: "c", image: "", imageID: "", ready: false, restartCount: restarts }],
    },
  };
}
const pods = (...phases: Phase[]) => phases.map((phase) => pod(phase));
const condition = (status: JobStatus, type: string) => status.conditions?.find((one) => one.type === type);

describe("Job plan", () => {
  const cases: [string, Partial<JobSpec>, Pod[], number, number][] = [
    ["one pod", { completions: 1, parallelism: 1 }, [], 1, 0],
    ["as many as may run", { completions: 5, parallelism: 2 }, pods("Running"), 1, 0],
    ["no more than are needed", { completions: 3, parallelism: 3 }, pods("Succeeded", "Succeeded", "Running"), 0, 0],
    ["another one for one that failed", { completions: 2, parallelism: 2 }, pods("Failed", "Running"), 1, 0],
    ["fewer when parallelism is lowered", { completions: 9, parallelism: 1 }, pods("Running", "Running"), 0, 1],
    ["a work queue: parallelism", { parallelism: 3 }, pods("Running"), 2, 0],
    ["a work queue that has an answer: none", { parallelism: 3 }, pods("Succeeded", "Running"), 0, 0],
    ["none while suspended", { completions: 2, parallelism: 2, suspend: true }, pods("Running"), 0, 1],
    ["a replacement at once for one that is going", { completions: 1 }, [pod("Running", { going: true })], 1, 0],
    [
      "a replacement only when it has ended, with that policy",
      { completions: 1, podReplacementPolicy: "Failed" },
      [pod("Running", { going: true })],
      0,
      0,
    ],
  ];
  it.each(cases)("runs %s", (_, spec, present, create, surplus) => {
    const plan = planJob(job({ backoffLimit: 6, ...spec }), present, now);
    expect([plan.create.length, plan.surplus.length]).toEqual([create, surplus]);
  });

  it("counts each pod once: first noted, then let go of, then counted", () => {
    const present = [pod("Succeeded"), pod("Failed"), pod("Running")];
    const of = job({ completions: 5, parallelism: 1 }, { startTime: start, succeeded: 2 });
    const first = planJob(of, present, now);
    expect(first.before?.uncountedTerminatedPods).toEqual({
      succeeded: [present[0]?.metadata.uid],
      failed: [present[1]?.metadata.uid],
    });
    expect(first.before).toMatchObject({ succeeded: 2 });
    expect(first.letGo).toEqual(present.slice(0, 2));
    expect(first.status).toMatchObject({ succeeded: 3, failed: 1, active: 1, uncountedTerminatedPods: {} });
    // Interrupted after the note: the same numbers, whether the pods are still there or not.
    const noted = { ...of, status: first.before as JobStatus };
    expect(planJob(noted, present, now).status).toMatchObject({ succeeded: 3, failed: 1 });
    expect(planJob(noted, [], now).status).toMatchObject({ succeeded: 3, failed: 1 });
    expect(planJob(noted, present, now).before).toBeUndefined();
    // And once more after the numbers were written.
    const done = { ...of, status: first.status };
    const released = present.map((one) => ({ ...one, metadata: { ...one.metadata, finalizers: [] } }));
    expect(planJob(done, released, now).status).toMatchObject({ succeeded: 3, failed: 1 });
  });

  it("is complete in two steps, and stays so", () => {
    const of = job({ completions: 1, parallelism: 2 });
    const first = planJob(of, [pod("Succeeded"), pod("Running")], now);
    expect(condition(first.status, "SuccessCriteriaMet")).toMatchObject({
      status: "True",
      reason: "CompletionsReached",
      message: "Reached expected number of succeeded pods",
    });
    expect(condition(first.status, "Complete")).toBeUndefined();
    expect(first.stop).toHaveLength(1);
    const second = planJob({ ...of, status: { ...first.status, succeeded: 1 } }, [], now);
    expect(condition(second.status, "Complete")).toMatchObject({ status: "True", reason: "CompletionsReached" });
    expect(second.status.completionTime).toBe("2026-01-01T00:10:00Z");
    expect(second.events).toEqual([{ type: "Normal", reason: "Completed", message: "Job completed" }]);
    const third = planJob({ ...of, status: second.status }, [], now);
    expect(third).toMatchObject({ create: [], events: [], before: undefined, status: second.status });
  });

  it("fails beyond the back-off limit, first its pods, then itself", () => {
    const of = job({ completions: 2, parallelism: 2, backoffLimit: 1 });
    const present = [pod("Failed"), pod("Failed"), pod("Running")];
    const first = planJob(of, present, now);
    const words = { reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" };
    expect(condition(first.status, "FailureTarget")).toMatchObject({ status: "True", ...words });
    expect(first.stop).toEqual(present.slice(2));
    expect(first.create).toEqual([]);
    const second = planJob({ ...of, status: { ...first.status } }, [], now);
    expect(condition(second.status, "Failed")).toMatchObject({ status: "True", ...words });
    expect(second.events).toEqual([{ type: "Warning", ...words }]);
    expect(second.status.completionTime).toBeUndefined();
  });

  it("counts restarts of containers with OnFailure", () => {
    const template = { spec: { containers: [], restartPolicy: "OnFailure" as const } };
    const restarted = (limit: number, restarts: number) =>
      condition(
        planJob(job({ template, completions: 1, backoffLimit: limit }), [pod("Running", { restarts })], now).status,
        "FailureTarget",
      );
    expect(restarted(2, 1)).toBeUndefined();
    expect(restarted(2, 2)).toMatchObject({ reason: "BackoffLimitExceeded" });
    expect(restarted(0, 1)).toMatchObject({ reason: "BackoffLimitExceeded" });
  });

  it("ends at its deadline, and looks again when that comes", () => {
    const running = [pod("Running")];
    const early = planJob(job({ completions: 1, activeDeadlineSeconds: 90 }), running, now);
    expect(early.lookAgainMs).toBe(30_000);
    const late = planJob(job({ completions: 1, activeDeadlineSeconds: 60 }), running, now);
    expect(condition(late.status, "FailureTarget")).toMatchObject({
      reason: "DeadlineExceeded",
      message: "Job was active longer than specified deadline",
    });
    expect(late.stop).toEqual(running);
  });

  it("suspends and resumes, with a new time of start", () => {
    const suspended = planJob(job({ completions: 1, suspend: true }, {}), [], now);
    expect(suspended.status.startTime).toBeUndefined();
    expect(condition(suspended.status, "Suspended")).toMatchObject({
      status: "True",
      reason: "JobSuspended",
      message: "Job suspended",
    });
    expect(suspended.events).toEqual([{ type: "Normal", reason: "Suspended", message: "Job suspended" }]);
    const resumed = planJob(job({ completions: 1, suspend: false }, suspended.status), [], now);
    expect(resumed.status.startTime).toBe("2026-01-01T00:10:00Z");
    expect(condition(resumed.status, "Suspended")).toMatchObject({ status: "False", reason: "JobResumed" });
    expect(resumed.create).toHaveLength(1);
  });

  it("goes when its time after the end is over", () => {
    const complete = { type: "Complete", status: "True", lastTransitionTime: start } as const;
    const at = (ttlSecondsAfterFinished: number) =>
      planJob(job({ ttlSecondsAfterFinished }, { conditions: [complete] }), [], now);
    expect(at(90)).toMatchObject({ expired: false, lookAgainMs: 30_000 });
    expect(at(60).expired).toBe(true);
  });

  it("Indexed: runs the lowest open indexes once each", () => {
    const of = job(
      { completionMode: "Indexed", completions: 6, parallelism: 3 },
      { startTime: start, completedIndexes: "0" },
    );
    const present = [pod("Succeeded", { index: 2 }), pod("Running", { index: 1 }), pod("Failed", { index: 3 })];
    const plan = planJob(of, present, now);
    expect(plan.create).toEqual([3, 4]);
    expect(plan.before).toMatchObject({ completedIndexes: "0,2", succeeded: 2 });
    expect(plan.status).toMatchObject({ completedIndexes: "0,2", succeeded: 2, failed: 1 });
    const doubled = planJob(of, [pod("Running", { index: 1 }), pod("Pending", { index: 1 })], now);
    expect(doubled.surplus.map(({ status }) => status?.phase)).toEqual(["Pending"]);
    expect(doubled.create).toEqual([2, 3]);
  });

  it("writes and reads lists of indexes", () => {
    expect(formatIndexes([5, 0, 2, 3, 4, 8, 9])).toBe("0,2-5,8,9");
    expect(formatIndexes([])).toBe("");
    expect([...parseIndexes("0,2-4,9", 9)]).toEqual([0, 2, 3, 4]);
  });

  it("gives pods their labels, finalizer and index", () => {
    const { metadata } = templateOf(job({}));
    expect(metadata?.labels).toEqual({
      "batch.kubernetes.io/job-name": "j",
      "job-name": "j",
      "batch.kubernetes.io/controller-uid": "o",
      "controller-uid": "o",
    });
    const plain = { metadata: { name: "", generateName: "j-" }, spec: { containers: [{ name: "c" }] } };
    expect(jobPod(job({}), plain, undefined).metadata).toMatchObject({
      generateName: "j-",
      finalizers: [trackingFinalizer],
    });
    const indexed = jobPod(job({}), plain, 4);
    expect(indexed.metadata.generateName).toBe("j-4-");
    expect(indexed.spec.hostname).toBe("j-4");
    expect(indexOf(indexed)).toBe(4);
    expect(indexed.spec.containers[0]?.env).toEqual([
      {
        name: "JOB_COMPLETION_INDEX",
        valueFrom: {
          fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']" },
        },
      },
    ]);
  });

  it("waits longer after each failure, ten minutes at most", () => {
    const failedAt = (finishedAt: string): Pod => ({
      ...pod("Failed"),
      status: {
        phase: "Failed",
        containerStatuses: [
          {
            name: "c",
            image: "",
            imageID: "",
            ready: false,
            restartCount: 0,
            state: { terminated: { exitCode: 1, finishedAt } },
          },
        ],
      },
    });
    expect(retryDelayMs([failedAt("2026-01-01T00:09:55Z")], now)).toBe(5000);
    expect(retryDelayMs([failedAt("2026-01-01T00:09:55Z"), failedAt("2026-01-01T00:09:30Z")], now)).toBe(15_000);
    const many = Array.from({ length: 12 }, () => failedAt("2026-01-01T00:10:00Z"));
    expect(retryDelayMs(many, now)).toBe(600_000);
  });
});
