import {
  apiVersionOf,
  type CronJob,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  type Job,
  keyOf,
  referenceTo,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf, timeText } from "../objects.ts";
import { type CronEvent, type CronJobPlan, planCronJob } from "./plan.ts";

/** Timers of Node end at 2^31 ms: longer waits are looked at once a day. */
const longestWaitMs = 24 * 3_600_000;

/** Starts the Jobs of CronJobs when they are due. */
export function cronJobController(context: ControllerContext): void {
  const cronJobs = context.informer(resources.cronJobs);
  const jobs = context.informer(resources.jobs);
  const clock = new Clock(context);
  const queue = context.control({
    name: "cronjob",
    needs: [cronJobs, jobs],
    handle: async (key) => {
      const cronJob = cronJobs.get(key);
      if (!cronJob) return;
      try {
        const ms = await clock.sync(cronJob);
        return ms === undefined ? undefined : Math.min(ms, longestWaitMs);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
    },
  });
  cronJobs.onChange(({ object }) => queue.add(keyOf(object)));
  jobs.onChange(({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === "CronJob") queue.add(`${object.metadata.namespace}/${owner.name}`);
  });
}

class Clock {
  readonly #context: ControllerContext;
  readonly #jobsOf: { get(uid: string): Job[] };

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#jobsOf = context.informer(resources.jobs).index((job) => [controllerOf(job)?.uid ?? ""]);
  }

  async sync(cronJob: CronJob): Promise<number | undefined> {
    const plan = planCronJob(cronJob, this.#jobsOf.get(cronJob.metadata.uid ?? ""), this.#context.now());
    for (const event of plan.events) this.#event(cronJob, event);
    for (const job of plan.remove) await this.#remove(cronJob, job);
    const created = plan.create && (await this.#create(cronJob, plan.create));
    await this.#write(cronJob, statusAfter(plan, created));
    return plan.lookAgainMs;
  }

  async #create(cronJob: CronJob, job: Job): Promise<Job> {
    const jobs = this.#context.informer(resources.jobs);
    try {
      const created = await this.#context.client.create(resources.jobs, job);
      jobs.assume(created);
      const message = `Created job ${job.metadata.name}`;
      this.#event(cronJob, { type: "Normal", reason: "SuccessfulCreate", message });
      return created;
    } catch (error) {
      // Made before, by a controller that ended before it could write it down.
      const { name, namespace } = job.metadata;
      if (isAlreadyExists(error)) return await this.#context.client.get(resources.jobs, name, namespace);
      const message = `Error creating job: ${errorMessage(error)}`;
      if (!isNamespaceTerminating(error)) this.#event(cronJob, { type: "Warning", reason: "FailedCreate", message });
      throw error;
    }
  }

  async #remove(cronJob: CronJob, job: Job): Promise<void> {
    const { name, namespace, uid } = job.metadata;
    try {
      const body = { propagationPolicy: "Background", preconditions: { uid } };
      await this.#context.client.delete(resources.jobs, name, namespace, body);
      this.#event(cronJob, { type: "Normal", reason: "SuccessfulDelete", message: `Deleted job ${name}` });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #write(cronJob: CronJob, status: NonNullable<CronJob["status"]>): Promise<void> {
    if (equalJson(cronJob.status ?? {}, status)) return;
    const of = resources.cronJobs;
    try {
      const written = await this.#context.client.update(of, { ...cronJob, status }, { subresource: "status" });
      this.#context.informer(of).assume(written);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #event(cronJob: CronJob, { type, reason, message }: CronEvent): void {
    const about = referenceTo(resources.cronJobs, cronJob);
    this.#context.recorder("cronjob-controller").event(about, type, reason, message);
  }
}

/** The status once the Job of the plan is there, and what was replaced is not. */
function statusAfter(plan: CronJobPlan, created: Job | undefined): NonNullable<CronJob["status"]> {
  const { active: present = [], ...rest } = plan.status;
  const left = present.filter(({ uid }) => !plan.remove.some(({ metadata }) => metadata.uid === uid));
  const { name, namespace, uid, resourceVersion } = created?.metadata ?? {};
  const of = resources.jobs;
  const reference = created && { kind: of.kind, namespace, name, uid, apiVersion: apiVersionOf(of), resourceVersion };
  const active = [...left, ...(reference ? [reference] : [])] as NonNullable<CronJob["status"]>["active"];
  return {
    ...rest,
    ...(active?.length ? { active } : {}),
    ...(plan.scheduled ? { lastScheduleTime: timeText(plan.scheduled) } : {}),
  };
}
