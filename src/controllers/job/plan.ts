import type { Condition, Job, Pod } from "#api/index.ts";
import { conditionOf, controllerOf, isPodActive, isPodReady, timeText } from "../objects.ts";

/** What to do for one Job. */
export interface JobPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
  readonly status: NonNullable<Job["status"]>;
}

/**
 * Runs pods until enough have succeeded or too many have failed. Finished pods are counted as long as they exist:
 * they are kept until the Job goes.
 */
export function planJob(job: Job, pods: readonly Pod[], now: Date): JobPlan {
  const mine = pods.filter((pod) => controllerOf(pod)?.uid === job.metadata.uid);
  const active = mine.filter(isPodActive);
  const succeeded = mine.filter((pod) => pod.status?.phase === "Succeeded").length;
  const failed = mine.filter((pod) => pod.status?.phase === "Failed").length;
  const { completions, parallelism = 1, backoffLimit = 6, suspend = false } = job.spec;
  const conditions = job.status?.conditions ?? [];
  const finished = conditionOf(conditions, "Complete") ?? conditionOf(conditions, "Failed");
  // Without completions, one success means that the work is done; the others may end by themselves.
  const enough = completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= completions;
  const verdict = finished ? undefined : judge(enough, failed > backoffLimit, now);
  const over = finished !== undefined || verdict !== undefined;
  const open = completions === undefined ? (succeeded > 0 ? active.length : parallelism) : completions - succeeded;
  const wanted = over || suspend ? 0 : Math.min(parallelism, open);
  const stopping = job.metadata.deletionTimestamp !== undefined;
  const status: NonNullable<Job["status"]> = {
    ...job.status,
    startTime: job.status?.startTime ?? timeText(now),
    active: over ? 0 : active.length,
    ready: active.filter(isPodReady).length,
    succeeded,
    failed,
    ...(verdict ? { conditions: [...conditions, verdict] } : {}),
    ...(verdict?.type === "Complete" ? { completionTime: timeText(now) } : {}),
  };
  return {
    create: stopping ? 0 : Math.max(0, wanted - active.length),
    remove: stopping ? [] : active.slice(0, Math.max(0, active.length - wanted)),
    status,
  };
}

function judge(enough: boolean, tooManyFailed: boolean, now: Date): Condition | undefined {
  const times = { lastProbeTime: timeText(now), lastTransitionTime: timeText(now) };
  if (enough) {
    const message = "Reached expected number of succeeded pods";
    return { type: "Complete", status: "True", reason: "CompletionsReached", message, ...times };
  }
  if (!tooManyFailed) return undefined;
  const message = "Job has reached the specified backoff limit";
  return { type: "Failed", status: "True", reason: "BackoffLimitExceeded", message, ...times };
}

/** Milliseconds to wait before a failed pod is replaced: 10 s doubled per failure, up to 6 minutes (upstream's). */
export function retryDelayMs(pods: readonly Pod[], now: Date): number {
  const ends = pods
    .filter((pod) => pod.status?.phase === "Failed")
    .map((pod) => Date.parse(pod.status?.containerStatuses?.[0]?.state?.terminated?.finishedAt ?? ""))
    .filter((time) => !Number.isNaN(time));
  if (ends.length === 0) return 0;
  const wait = Math.min(360_000, 10_000 * 2 ** (ends.length - 1));
  return Math.max(0, Math.max(...ends) + wait - now.getTime());
}
