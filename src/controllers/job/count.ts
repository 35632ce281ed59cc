import type { Job, JobStatus, Pod } from "#api/index.ts";
import { controllerOf, isPodActive, isPodReady, isPodTerminal } from "../objects.ts";
import { formatIndexes, parseIndexes } from "./indexes.ts";
import { indexOf, isIndexed, isTracked } from "./pods.ts";

/** What a Job's pods and its status add up to. */
export interface JobCount {
  readonly active: readonly Pod[];
  /** Being deleted, and not at their end. */
  readonly terminating: readonly Pod[];
  readonly ready: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Of an Indexed Job. */
  readonly completed: ReadonlySet<number>;
  /** Pods to let go of: they are in `uncounted`, or count for nothing any more. */
  readonly letGo: readonly Pod[];
  /** By uid: what has to stand in the status before the pods are let go of. */
  readonly uncounted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] };
}

/**
 * Counts pods that have ended once: those that still have the tracking finalizer are added to what the status says.
 * @param over whether the Job is finished: then every pod counts as failed that has not succeeded
 */
export function countPods(job: Job, pods: readonly Pod[], over: boolean): JobCount {
  const { status = {} } = job;
  const mine = pods.filter((pod) => controllerOf(pod)?.uid === job.metadata.uid);
  const uncounted = new Uncounted(status);
  const completed = parseIndexes(status.completedIndexes, job.spec.completions ?? 0);
  const letGo: Pod[] = [];
  for (const pod of mine.filter(isTracked)) {
    const known = uncounted.has(pod);
    if (!known && pod.status?.phase === "Succeeded") {
      if (!isIndexed(job)) uncounted.succeeded.push(pod.metadata.uid ?? "");
      else if (indexOf(pod) >= 0 && indexOf(pod) < (job.spec.completions ?? 0)) completed.add(indexOf(pod));
    } else if (!known && hasFailed(job, pod)) uncounted.failed.push(pod.metadata.uid ?? "");
    if (known || isPodTerminal(pod) || hasFailed(job, pod) || over) letGo.push(pod);
  }
  const active = mine.filter(isPodActive);
  return {
    active,
    terminating: mine.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isPodTerminal(pod)),
    ready: active.filter(isPodReady).length,
    succeeded: isIndexed(job) ? completed.size : (status.succeeded ?? 0) + uncounted.succeeded.length,
    failed: (status.failed ?? 0) + uncounted.failed.length,
    completed,
    letGo,
    uncounted: { succeeded: uncounted.succeeded, failed: uncounted.failed },
  };
}

/** The status that has to be written before pods are let go of; undefined when there is nothing new. */
export function statusBefore(job: Job, count: JobCount): JobStatus | undefined {
  const { status = {} } = job;
  const present = status.uncountedTerminatedPods ?? {};
  const news =
    count.uncounted.succeeded.length > (present.succeeded?.length ?? 0) ||
    count.uncounted.failed.length > (present.failed?.length ?? 0);
  const completedIndexes = formatIndexes(count.completed);
  const indexed = isIndexed(job) && completedIndexes !== (status.completedIndexes ?? "");
  if (!news && !indexed) return undefined;
  return {
    ...status,
    ...(indexed ? { completedIndexes, succeeded: count.completed.size } : {}),
    uncountedTerminatedPods: withoutEmpty(count.uncounted),
  };
}

/** Absent members instead of empty lists, as on the wire. */
function withoutEmpty({ succeeded, failed }: JobCount["uncounted"]): NonNullable<JobStatus["uncountedTerminatedPods"]> {
  return { ...(succeeded.length > 0 ? { succeeded } : {}), ...(failed.length > 0 ? { failed } : {}) };
}

/** A pod that is deleted before its end counts as failed, so that every pod ends in one count. */
function hasFailed(job: Job, { metadata, status }: Pod): boolean {
  if (status?.phase === "Failed") return true;
  if (metadata.deletionTimestamp === undefined) return false;
  const phase = status?.phase ?? "Pending";
  return job.spec.podReplacementPolicy === "Failed" ? phase === "Pending" : phase !== "Succeeded";
}

class Uncounted {
  readonly succeeded: string[];
  readonly failed: string[];

  constructor({ uncountedTerminatedPods: { succeeded = [], failed = [] } = {} }: JobStatus) {
    this.succeeded = [...succeeded];
    this.failed = [...failed];
  }

  has({ metadata: { uid = "" } }: Pod): boolean {
    return this.succeeded.includes(uid) || this.failed.includes(uid);
  }
}
