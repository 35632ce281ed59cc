import { type CronJob, type Job, type ObjectReference, resources } from "#api/index.ts";
import { type CronSchedule, nextCron, parseCron } from "#base/cron.ts";
import { errorMessage } from "#base/errors.ts";
import { conditionOf, controllerReference, timeText } from "../objects.ts";

/** An event of the CronJob. */
export interface CronEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** What to do for one CronJob, in this order. */
export interface CronJobPlan {
  /** Finished Jobs beyond the limits of the history, and running ones that are replaced. */
  readonly remove: readonly Job[];
  /** The Job that is due. */
  readonly create?: Job;
  /** When it was due. */
  readonly scheduled?: Date;
  readonly status: NonNullable<CronJob["status"]>;
  readonly events: readonly CronEvent[];
  readonly lookAgainMs?: number;
}

/** Annotation of a Job with the time that it was scheduled for. */
const scheduledAnnotation = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/** More missed times than this in a row point at a clock that jumped. */
const manyMissed = 100;

/** How a Job ended; undefined while it has not. */
export function endOf({ status }: Job): "Complete" | "Failed" | undefined {
  for (const type of ["Complete", "Failed"] as const) {
    if (conditionOf(status?.conditions, type)?.status === "True") return type;
  }
  return undefined;
}

/** Starts a Job at each time of the schedule. @param jobs those that the CronJob owns */
export function planCronJob(cronJob: CronJob, jobs: readonly Job[], now: Date): CronJobPlan {
  const seen = look(cronJob, jobs);
  const remove = surplusHistory(cronJob, jobs);
  const base = { remove, status: seen.status, events: seen.events };
  if (cronJob.metadata.deletionTimestamp !== undefined || cronJob.spec.suspend) return base;
  const schedule = readSchedule(cronJob, now);
  if ("problem" in schedule) return { ...base, events: [...seen.events, schedule.problem] };
  const { times, next } = schedule;
  const lookAgain = next ? { lookAgainMs: Math.max(0, next.getTime() - now.getTime()) } : {};
  const due = times.latest;
  const events = [...seen.events, ...(times.missed > manyMissed ? [tooMany(times.missed)] : [])];
  if (!due) return { ...base, events, ...lookAgain };
  return { ...base, ...lookAgain, ...start(cronJob, due, seen.running, { remove, events, status: seen.status, now }) };
}

/** What has become of the Jobs since the status was written. */
function look(cronJob: CronJob, jobs: readonly Job[]) {
  const present = cronJob.status ?? {};
  const events: CronEvent[] = [];
  const active: ObjectReference[] = [];
  let { lastSuccessfulTime } = present;
  for (const reference of present.active ?? []) {
    const job = jobs.find(({ metadata }) => metadata.uid === reference.uid);
    const end = job && endOf(job);
    if (!job)
      events.push({ type: "Normal", reason: "MissingJob", message: `Active job went missing: ${reference.name}` });
    else if (!end) active.push(reference);
    else {
      const message = `Saw completed job: ${job.metadata.name}, condition: ${end}`;
      events.push({ type: "Normal", reason: "SawCompletedJob", message });
      const time = job.status?.completionTime;
      if (end === "Complete" && time && time > (lastSuccessfulTime ?? "")) lastSuccessfulTime = time;
    }
  }
  const running = jobs.filter((job) => !endOf(job) && active.some(({ uid }) => uid === job.metadata.uid));
  for (const job of jobs) {
    const known = (present.active ?? []).some(({ uid }) => uid === job.metadata.uid);
    if (known || endOf(job)) continue;
    const message = `Saw a job that the controller did not create or forgot: ${job.metadata.name}`;
    events.push({ type: "Warning", reason: "UnexpectedJob", message });
  }
  const { active: _, ...rest } = present;
  const status = {
    ...rest,
    ...(active.length > 0 ? { active } : {}),
    ...(lastSuccessfulTime ? { lastSuccessfulTime } : {}),
  };
  return { status, events, running };
}

interface Times {
  /** The last time that has come and was not acted on. */
  readonly latest?: Date;
  readonly missed: number;
}

function readSchedule(cronJob: CronJob, now: Date): { times: Times; next: Date | undefined } | { problem: CronEvent } {
  const { schedule: text, timeZone = "UTC" } = cronJob.spec;
  try {
    const schedule = parseCron(text);
    return { times: timesUntil(cronJob, schedule, timeZone, now), next: nextCron(schedule, now, timeZone) };
  } catch (error) {
    if (error instanceof RangeError) {
      const message = `invalid timeZone: "${timeZone}": unknown time zone ${timeZone}`;
      return { problem: { type: "Warning", reason: "UnknownTimeZone", message } };
    }
    const message = `unparseable schedule: "${text}" : ${errorMessage(error)}`;
    return { problem: { type: "Warning", reason: "UnparseableSchedule", message } };
  }
}

/** Times after the last one that was acted on, up to now; what is beyond the starting deadline does not count. */
function timesUntil(cronJob: CronJob, schedule: CronSchedule, timeZone: string, now: Date): Times {
  const { metadata, spec, status } = cronJob;
  const earliest = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp ?? "") || now.getTime();
  const deadline = spec.startingDeadlineSeconds;
  const from = deadline === undefined ? earliest : Math.max(earliest, now.getTime() - deadline * 1000);
  const times = timesBetween(schedule, timeZone, from, now, manyMissed + 1);
  if (times.length <= manyMissed) return { missed: times.length, ...last(times) };
  // Many were missed: the last one is looked for from the near to the far past.
  for (const hours of [1, 24, 24 * 31, 24 * 366]) {
    const near = timesBetween(schedule, timeZone, Math.max(from, now.getTime() - hours * 3_600_000), now, 800);
    if (near.length > 0) return { missed: times.length, ...last(near) };
  }
  return { missed: times.length, ...last(times) };
}

function timesBetween(schedule: CronSchedule, timeZone: string, from: number, now: Date, limit: number): Date[] {
  const times: Date[] = [];
  for (let at: Date | undefined = new Date(from); at && times.length < limit; ) {
    at = nextCron(schedule, at, timeZone);
    if (!at || at > now) break;
    times.push(at);
  }
  return times;
}

function last(times: readonly Date[]): { latest?: Date } {
  const latest = times.at(-1);
  return latest ? { latest } : {};
}

function tooMany(missed: number): CronEvent {
  const hint = "Set or decrease .spec.startingDeadlineSeconds or check clock skew";
  const message = `too many missed start times: ${missed}. ${hint}`;
  return { type: "Warning", reason: "TooManyMissedTimes", message };
}

function start(
  cronJob: CronJob,
  due: Date,
  running: readonly Job[],
  { remove, events, status, now }: Pick<CronJobPlan, "remove" | "events" | "status"> & { readonly now: Date },
): Pick<CronJobPlan, "create" | "scheduled" | "remove" | "events"> {
  const { startingDeadlineSeconds: deadline, concurrencyPolicy = "Allow" } = cronJob.spec;
  const job = jobOf(cronJob, due);
  const begun = running.some(({ metadata }) => metadata.name === job.metadata.name);
  if (begun || status.lastScheduleTime === timeText(due)) return { remove, events };
  if (deadline !== undefined && due.getTime() + deadline * 1000 < now.getTime()) {
    const message = `Missed scheduled time to start a job: ${due.toUTCString().replace("GMT", "+0000")}`;
    return { remove, events: [...events, { type: "Warning", reason: "MissSchedule", message }] };
  }
  if (concurrencyPolicy === "Forbid" && running.length > 0) {
    const message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    return { remove, events: [...events, { type: "Normal", reason: "JobAlreadyActive", message }] };
  }
  const replaced = concurrencyPolicy === "Replace" ? running : [];
  return { create: job, scheduled: due, remove: [...remove, ...replaced], events };
}

/** The Job of one time of the schedule: its name is made from the minute, so that it cannot be made twice. */
export function jobOf(cronJob: CronJob, scheduled: Date): Job {
  const { name, namespace } = cronJob.metadata;
  const { metadata = {}, spec } = cronJob.spec.jobTemplate;
  const { labels, annotations } = metadata;
  return {
    metadata: {
      name: `${name}-${Math.floor(scheduled.getTime() / 60_000)}`,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      annotations: { ...annotations, [scheduledAnnotation]: timeText(scheduled) },
      ownerReferences: [controllerReference(resources.cronJobs, cronJob)],
    },
    spec,
  };
}

/** Finished Jobs beyond the limits, the oldest first. */
function surplusHistory(cronJob: CronJob, jobs: readonly Job[]): Job[] {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cronJob.spec;
  const startOf = ({ metadata, status }: Job) => status?.startTime ?? metadata.creationTimestamp ?? "";
  const surplus = (end: "Complete" | "Failed", limit: number) => {
    const ended = jobs.filter((job) => endOf(job) === end && job.metadata.deletionTimestamp === undefined);
    ended.sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [...surplus("Complete", successfulJobsHistoryLimit), ...surplus("Failed", failedJobsHistoryLimit)];
}
