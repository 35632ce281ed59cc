import type { Condition, Job, Pod } from "#api/index.ts";
import { conditionOf, timeText } from "../objects.ts";
import type { JobCount } from "./count.ts";

/** An event of the Job. */
export interface JobEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** Why a Job ends, before its last pods have. */
export interface Verdict {
  readonly succeeded: boolean;
  readonly reason: string;
  readonly message: string;
}

/** A condition that is True. */
export function isTrue(conditions: readonly Condition[], type: string): Condition | undefined {
  const condition = conditionOf(conditions, type);
  return condition?.status === "True" ? condition : undefined;
}

/** A Job without a time of start gets one, unless it is suspended; resuming begins anew. */
export function startOf(job: Job, now: Date): string | undefined {
  const resumed = conditionOf(job.status?.conditions, "Suspended")?.status === "True" && !job.spec.suspend;
  if (resumed) return timeText(now);
  return job.status?.startTime ?? (job.spec.suspend ? undefined : timeText(now));
}

/** Milliseconds until activeDeadlineSeconds; undefined without. */
export function deadline(job: Job, started: string, now: Date): number | undefined {
  const { activeDeadlineSeconds, suspend } = job.spec;
  if (activeDeadlineSeconds === undefined || suspend) return undefined;
  return Date.parse(started) + activeDeadlineSeconds * 1000 - now.getTime();
}

/** Whether the Job has to end now, and why. */
export function judge(job: Job, count: JobCount, started: string | undefined, now: Date): Verdict | undefined {
  const { completions, backoffLimit = 6 } = job.spec;
  if (count.failed > backoffLimit || restartsBeyond(job, count.active, backoffLimit)) {
    const message = "Job has reached the specified backoff limit";
    return { succeeded: false, reason: "BackoffLimitExceeded", message };
  }
  const leftMs = started === undefined ? undefined : deadline(job, started, now);
  if (leftMs !== undefined && leftMs <= 0) {
    const message = "Job was active longer than specified deadline";
    return { succeeded: false, reason: "DeadlineExceeded", message };
  }
  // Without completions, one success means that the work is done; the others may end by themselves.
  const enough =
    completions === undefined ? count.succeeded > 0 && count.active.length === 0 : count.succeeded >= completions;
  if (!enough || job.spec.suspend) return undefined;
  return { succeeded: true, reason: "CompletionsReached", message: "Reached expected number of succeeded pods" };
}

/** Containers that are started again in their pods count as failures too. */
function restartsBeyond(job: Job, active: readonly Pod[], limit: number): boolean {
  if (job.spec.template.spec.restartPolicy !== "OnFailure") return false;
  const statuses = active.flatMap(({ status }) => [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
  ]);
  const restarts = statuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

/** A verdict that was passed earlier, while pods were still ending. */
export function presentVerdict(conditions: readonly Condition[]): Verdict | undefined {
  const passed = isTrue(conditions, "SuccessCriteriaMet") ?? isTrue(conditions, "FailureTarget");
  if (!passed) return undefined;
  const { type, reason = "", message = "" } = passed;
  return { succeeded: type === "SuccessCriteriaMet", reason, message };
}

/** First that it will end and why; when the last pod is gone, that it has. */
export function conclude(conditions: readonly Condition[], verdict: Verdict, count: JobCount, now: Date) {
  const { succeeded, reason, message } = verdict;
  const events: JobEvent[] = [];
  let next = setJobCondition(conditions, succeeded ? "SuccessCriteriaMet" : "FailureTarget", reason, message, now);
  if (count.active.length + count.terminating.length === 0) {
    next = setJobCondition(next, succeeded ? "Complete" : "Failed", reason, message, now);
    events.push(
      succeeded
        ? { type: "Normal", reason: "Completed", message: "Job completed" }
        : { type: "Warning", reason, message },
    );
  }
  return { conditions: next, events };
}

/** Suspended and resumed: the condition, and what is said of it. */
export function suspension(conditions: readonly Condition[], suspended: boolean, now: Date) {
  const present = conditionOf(conditions, "Suspended")?.status;
  const events: JobEvent[] = [];
  if (suspended === (present === "True")) return { conditions, events };
  const [reason, message] = suspended ? ["JobSuspended", "Job suspended"] : ["JobResumed", "Job resumed"];
  events.push({ type: "Normal", reason: suspended ? "Suspended" : "Resumed", message });
  return { conditions: setJobCondition(conditions, "Suspended", reason, message, now, suspended), events };
}

function setJobCondition(
  conditions: readonly Condition[],
  type: string,
  reason: string,
  message: string,
  now: Date,
  holds = true,
): readonly Condition[] {
  const status = holds ? "True" : "False";
  if (conditionOf(conditions, type)?.status === status) return conditions;
  const times = { lastProbeTime: timeText(now), lastTransitionTime: timeText(now) };
  const condition: Condition = { type, status, ...times, reason, message };
  return [...conditions.filter((one) => one.type !== type), condition];
}
