import type { Condition, Job, JobStatus, Pod } from "#api/index.ts";
import { timeText } from "../objects.ts";
import { rankForRemoval } from "../replicaset/plan.ts";
import { countPods, type JobCount, statusBefore } from "./count.ts";
import { formatIndexes } from "./indexes.ts";
import { indexOf, isIndexed } from "./pods.ts";
import {
  conclude,
  deadline,
  isTrue,
  type JobEvent,
  judge,
  presentVerdict,
  startOf,
  suspension,
  type Verdict,
} from "./verdict.ts";

/** What to do for one Job, in this order. */
export interface JobPlan {
  /** Pods too many: let go of uncounted, then deleted. */
  readonly surplus: readonly Pod[];
  /** Pods that end because the Job is over: they count as failed. */
  readonly stop: readonly Pod[];
  /** Pods to create, with their indexes for an Indexed Job. */
  readonly create: readonly (number | undefined)[];
  /** To be written before `letGo`: so that no pod is counted twice or never. */
  readonly before: JobStatus | undefined;
  readonly letGo: readonly Pod[];
  /** To be written last. */
  readonly status: JobStatus;
  readonly events: readonly JobEvent[];
  /** Finished so long ago that the Job goes. */
  readonly expired: boolean;
  readonly lookAgainMs?: number;
}

/** Runs pods until enough have succeeded or too many have failed. */
export function planJob(job: Job, pods: readonly Pod[], now: Date): JobPlan {
  const conditions = job.status?.conditions ?? [];
  const finished = isTrue(conditions, "Complete") ?? isTrue(conditions, "Failed");
  const count = countPods(job, pods, finished !== undefined || job.metadata.deletionTimestamp !== undefined);
  if (finished) return ended(job, count, finished, now);
  const suspended = job.spec.suspend ?? false;
  const started = startOf(job, now);
  const verdict = presentVerdict(conditions) ?? judge(job, count, started, now);
  const deleting = job.metadata.deletionTimestamp !== undefined;
  const work = verdict || suspended || deleting ? { create: [], surplus: [] } : balance(job, count);
  const told = tell(conditions, { suspended, verdict, count, now });
  const status = statusOf(job, count, { started, conditions: told.conditions, now });
  const deadlineMs = started === undefined || verdict ? undefined : deadline(job, started, now);
  const waits = [deadlineMs, work.create.length > 0 ? retryDelayMs(pods, now) : 0].filter(
    (ms) => ms !== undefined && ms > 0,
  );
  return {
    surplus: suspended && !verdict ? count.active : work.surplus,
    stop: verdict ? count.active : [],
    create: retryDelayMs(pods, now) > 0 ? [] : work.create,
    before: statusBefore(job, count),
    letGo: count.letGo,
    status,
    events: told.events,
    expired: false,
    ...(waits.length > 0 ? { lookAgainMs: Math.min(...(waits as number[])) } : {}),
  };
}

/** A Job may end in the very moment in which it was resumed: both are said. */
function tell(
  conditions: readonly Condition[],
  { suspended, verdict, count, now }: { suspended: boolean; verdict: Verdict | undefined; count: JobCount; now: Date },
) {
  const before = suspension(conditions, suspended, now);
  if (!verdict) return before;
  const after = conclude(before.conditions, verdict, count, now);
  return { conditions: after.conditions, events: [...before.events, ...after.events] };
}

/** Pods that are missing and pods too many. */
function balance(job: Job, count: JobCount): Pick<JobPlan, "create" | "surplus"> {
  const { completions, parallelism = 1, podReplacementPolicy } = job.spec;
  const { active, terminating, succeeded } = count;
  // With the policy Failed a pod is replaced when it has ended, not when it begins to.
  const busy = active.length + (podReplacementPolicy === "Failed" ? terminating.length : 0);
  const open = completions === undefined ? (succeeded > 0 ? active.length : parallelism) : completions - succeeded;
  const wanted = Math.max(0, Math.min(parallelism, open));
  const ranked = rankForRemoval(active);
  if (isIndexed(job)) return balanceIndexes(job, count, ranked, { wanted, busy });
  return {
    create: Array.from({ length: Math.max(0, wanted - busy) }, () => undefined),
    surplus: ranked.slice(0, Math.max(0, active.length - wanted)),
  };
}

/** The lowest open indexes run; of two pods with one index the later goes. */
function balanceIndexes(
  job: Job,
  { completed, terminating }: JobCount,
  ranked: readonly Pod[],
  { wanted, busy }: { wanted: number; busy: number },
): Pick<JobPlan, "create" | "surplus"> {
  const taken = new Set(completed);
  if (job.spec.podReplacementPolicy === "Failed") for (const pod of terminating) taken.add(indexOf(pod));
  const doubled = [...ranked].reverse().filter((pod) => {
    const index = indexOf(pod);
    if (index < 0 || index >= (job.spec.completions ?? 0) || taken.has(index)) return true;
    taken.add(index);
    return false;
  });
  const kept = ranked.filter((pod) => !doubled.includes(pod));
  const create: number[] = [];
  for (let i = 0; i < (job.spec.completions ?? 0) && create.length < wanted - (busy - doubled.length); i++) {
    if (!taken.has(i)) create.push(i);
  }
  return { create, surplus: [...doubled, ...kept.slice(0, Math.max(0, kept.length - wanted))] };
}

function statusOf(
  job: Job,
  count: JobCount,
  { started, conditions, now }: { started: string | undefined; conditions: readonly Condition[]; now: Date },
): JobStatus {
  const complete = isTrue(conditions, "Complete") !== undefined;
  const completedIndexes = formatIndexes(count.completed);
  const active = count.active.length;
  const { startTime: _, conditions: __, ...present } = job.status ?? {};
  return withoutZeros({
    ...present,
    ...(started === undefined ? {} : { startTime: started }),
    active,
    ready: count.ready,
    terminating: count.terminating.length,
    succeeded: count.succeeded,
    failed: count.failed,
    ...(completedIndexes ? { completedIndexes } : {}),
    uncountedTerminatedPods: {},
    ...(conditions.length > 0 ? { conditions } : {}),
    ...(complete && !present.completionTime ? { completionTime: timeText(now) } : {}),
  });
}

/** Zero counters are absent on the wire, but for `ready` and `terminating`. */
function withoutZeros(status: JobStatus): JobStatus {
  const optional = ["active", "succeeded", "failed"];
  return Object.fromEntries(Object.entries(status).filter(([key, value]) => value !== 0 || !optional.includes(key)));
}

/** A finished Job lets go of its pods, and goes itself when its time to live is over. */
function ended(job: Job, count: JobCount, finished: Condition, now: Date): JobPlan {
  const { ttlSecondsAfterFinished: ttl } = job.spec;
  const since = Date.parse(finished.lastTransitionTime ?? "") || now.getTime();
  const leftMs = ttl === undefined ? undefined : since + ttl * 1000 - now.getTime();
  const { status = {} } = job;
  return {
    ...{ surplus: [], stop: count.active, create: [], before: undefined, letGo: count.letGo, events: [] },
    status: { ...status, uncountedTerminatedPods: {} },
    expired: leftMs !== undefined && leftMs <= 0 && job.metadata.deletionTimestamp === undefined,
    ...(leftMs !== undefined && leftMs > 0 ? { lookAgainMs: leftMs } : {}),
  };
}

/**
 * Milliseconds to wait before failed pods are replaced: 10 s doubled per failure since the last success, up to 10
 * minutes (upstream's).
 */
export function retryDelayMs(pods: readonly Pod[], now: Date): number {
  const ends = (phase: string) => pods.filter((pod) => pod.status?.phase === phase).flatMap((pod) => endOf(pod) ?? []);
  const success = Math.max(0, ...ends("Succeeded"));
  const failures = ends("Failed").filter((time) => time > success);
  if (failures.length === 0) return 0;
  const wait = Math.min(600_000, 10_000 * 2 ** (failures.length - 1));
  return Math.max(0, Math.max(...failures) + wait - now.getTime());
}

/** When the last container of a pod ended, in milliseconds. */
function endOf(pod: Pod): number | undefined {
  const times = (pod.status?.containerStatuses ?? [])
    .map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ""))
    .filter((time) => !Number.isNaN(time));
  return times.length > 0 ? Math.max(...times) : undefined;
}
