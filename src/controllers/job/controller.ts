import {
  isNamespaceTerminating,
  isNotFound,
  type Job,
  type JobStatus,
  keyOf,
  type Pod,
  referenceTo,
  resources,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf } from "../objects.ts";
import { PodControl, settleAll } from "../podcontrol.ts";
import { podIndexValues } from "../replicaset/controller.ts";
import { type JobPlan, planJob } from "./plan.ts";
import { isTracked, jobPod, templateOf, trackingFinalizer } from "./pods.ts";
import type { JobEvent } from "./verdict.ts";

/** The value of spec.managedBy that means this controller. */
const ownName = "kubernetes.io/job-controller";

/** Runs the pods of Jobs to their end. */
export function jobController(context: ControllerContext): void {
  const jobs = context.informer(resources.jobs);
  const pods = context.informer(resources.pods);
  const runner = new JobRunner(context);
  const queue = context.control({
    name: "job",
    needs: [jobs, pods],
    handle: async (key) => {
      const job = jobs.get(key);
      if (!job || (job.spec.managedBy ?? ownName) !== ownName) return;
      try {
        return await runner.sync(job);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
    },
  });
  const orphans = context.control({
    name: "job-orphans",
    needs: [jobs, pods],
    handle: async (key) => {
      const pod = pods.get(key);
      const owner = pod && controllerOf(pod);
      const job = owner?.kind === "Job" ? jobs.get(`${pod?.metadata.namespace}/${owner.name}`) : undefined;
      if (pod && isTracked(pod) && (!job || job.metadata.uid !== owner?.uid)) await runner.letGo(pod);
    },
  });
  jobs.onChange(({ type, object }) => {
    queue.add(keyOf(object));
    if (type === "DELETED") for (const pod of runner.podsOf(object)) orphans.add(keyOf(pod));
  });
  pods.onChange(({ type, object, old }) => {
    for (const owner of [controllerOf(object), old && controllerOf(old)]) {
      if (owner?.kind === "Job") queue.add(`${object.metadata.namespace}/${owner.name}`);
    }
    // A pod that nobody will count any more is not kept.
    if (type !== "DELETED" && isTracked(object)) orphans.add(keyOf(object));
  });
}

class JobRunner {
  readonly #context: ControllerContext;
  readonly #control: PodControl;
  readonly #podsOf: { get(uid: string): Pod[] };

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#control = new PodControl(context, "job-controller", resources.jobs);
    this.#podsOf = context.informer(resources.pods).index(podIndexValues);
  }

  podsOf(job: Job): Pod[] {
    return this.#podsOf.get(job.metadata.uid ?? "");
  }

  async sync(known: Job): Promise<number | undefined> {
    const plan = this.#plan(known);
    if (plan.expired) return await this.#remove(known);
    const job = await this.#judged(known, plan);
    if (!job) return;
    await settleAll(plan.surplus.map((pod) => this.letGo(pod)));
    await this.#control.deleteMany(job, [...plan.surplus, ...plan.stop]);
    try {
      await this.#create(job, plan);
    } catch (error) {
      // A Job whose pods are refused has begun all the same.
      if (job.status?.startTime === undefined) await this.#conclude(job);
      throw error;
    }
    if (plan.letGo.length > 0 || plan.before) return await this.#count(job, plan);
    return await this.#conclude(job);
  }

  /** The verdict is written before pods end because of it: their ends must not change it. */
  async #judged(job: Job, { stop, status }: JobPlan): Promise<Job | undefined> {
    if (stop.length === 0 || !status.conditions) return job;
    return await this.#write(job, { ...job.status, conditions: status.conditions });
  }

  /** Takes the finalizer off that keeps a pod for being counted. */
  async letGo(pod: Pod): Promise<void> {
    const { name, namespace, uid, resourceVersion, finalizers = [] } = pod.metadata;
    if (!isTracked(pod)) return;
    const patch = {
      metadata: { uid, resourceVersion, finalizers: finalizers.filter((one) => one !== trackingFinalizer) },
    };
    const pods = this.#context.informer(resources.pods);
    try {
      const patched = await this.#context.client.patch(resources.pods, name, namespace, patch, { type: "merge" });
      if (patched.metadata.deletionTimestamp === undefined) pods.assume(patched);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #plan(job: Job): JobPlan {
    return planJob(job, this.podsOf(job), this.#context.now());
  }

  async #create(job: Job, { create }: JobPlan): Promise<void> {
    const template = templateOf(job);
    for (let size = 1, next = 0; next < create.length; next += size, size *= 2) {
      const batch = create.slice(next, next + size);
      await settleAll(batch.map((index) => this.#control.create(job, template, (pod) => jobPod(job, pod, index))));
    }
  }

  /** First the uids are noted, then the pods let go of, then the numbers written: none is lost or counted twice. */
  async #count(job: Job, plan: JobPlan): Promise<number | undefined> {
    const noted = plan.before ? await this.#write(job, plan.before) : job;
    if (!noted) return;
    await settleAll(plan.letGo.map((pod) => this.letGo(pod)));
    return await this.#conclude(noted);
  }

  async #conclude(job: Job): Promise<number | undefined> {
    const { status, events, lookAgainMs, before } = this.#plan(job);
    // Pods that ended in between are counted by the next round.
    if (before) return 0;
    if (!(await this.#write(job, status))) return;
    const about = referenceTo(resources.jobs, job);
    for (const { type, reason, message } of [...events, ...ignoredFields(job)]) {
      this.#context.recorder("job-controller").event(about, type, reason, message);
    }
    return lookAgainMs;
  }

  /** Undefined when the Job is gone. */
  async #write(job: Job, status: JobStatus): Promise<Job | undefined> {
    const jobs = this.#context.informer(resources.jobs);
    if (equalJson(job.status, status)) return job;
    try {
      const written = await this.#context.client.update(resources.jobs, { ...job, status }, { subresource: "status" });
      jobs.assume(written);
      return written;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The time after its end is over. */
  async #remove({ metadata }: Job): Promise<undefined> {
    const { name, namespace, uid, resourceVersion } = metadata;
    const body = { propagationPolicy: "Foreground", preconditions: { uid, resourceVersion } };
    try {
      await this.#context.client.delete(resources.jobs, name, namespace, body);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Said once, when a Job is first looked at: what of it has no effect here. */
function ignoredFields({ spec, status }: Job): JobEvent[] {
  if (status?.uncountedTerminatedPods !== undefined) return [];
  const fields = (["backoffLimitPerIndex", "podFailurePolicy", "successPolicy"] as const).filter(
    (field) => spec[field] !== undefined,
  );
  if (fields.length === 0) return [];
  const message = `Fields that the Job controller does not act on: ${fields.map((one) => `spec.${one}`).join(", ")}`;
  return [{ type: "Warning", reason: "UnsupportedFields", message }];
}
