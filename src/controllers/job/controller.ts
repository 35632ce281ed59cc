import { isNamespaceTerminating, isNotFound, type Job, keyOf, referenceTo, resources } from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf, controllerOf, jsonEqual } from "../objects.ts";
import { PodControl } from "../podcontrol.ts";
import { podIndexValues } from "../replicaset/controller.ts";
import { planJob, retryDelayMs } from "./plan.ts";

/** Runs the pods of Jobs to their end. */
export function jobController(context: ControllerContext): void {
  const jobs = context.informer(resources.jobs);
  const pods = context.informer(resources.pods);
  const podsOf = pods.index(podIndexValues);
  const control = new PodControl(context, "job-controller", resources.jobs);

  const queue = context.control({
    name: "job",
    needs: [jobs, pods],
    handle: async (key) => {
      const job = jobs.get(key);
      if (!job) return;
      const read = () => planJob(job, podsOf.get(job.metadata.uid ?? ""), context.now());
      const plan = read();
      const waitMs = plan.create > 0 ? retryDelayMs(podsOf.get(job.metadata.uid ?? ""), context.now()) : 0;
      try {
        if (waitMs === 0) await control.createMany(job, templateOf(job), plan.create);
        await control.deleteMany(job, plan.remove);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        throw error;
      }
      await writeStatus(context, job, read().status);
      return waitMs > 0 ? waitMs : undefined;
    },
  });
  jobs.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange(({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === "Job") queue.add(`${object.metadata.namespace}/${owner.name}`);
  });
}

/** The template with the labels by which a Job's pods are found. */
function templateOf(job: Job): Job["spec"]["template"] {
  const { name, uid = "" } = job.metadata;
  const { metadata, spec } = job.spec.template;
  const labels = {
    ...metadata?.labels,
    "batch.kubernetes.io/job-name": name,
    "job-name": name,
    "batch.kubernetes.io/controller-uid": uid,
    "controller-uid": uid,
  };
  return { metadata: { ...metadata, labels }, spec };
}

async function writeStatus(context: ControllerContext, job: Job, status: NonNullable<Job["status"]>): Promise<void> {
  const jobs = context.informer(resources.jobs);
  const newest = jobs.get(keyOf(job));
  if (!newest || jsonEqual(newest.status, status)) return;
  try {
    jobs.assume(await context.client.update(resources.jobs, { ...newest, status }, { subresource: "status" }));
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  const recorder = context.recorder("job-controller");
  const about = referenceTo(resources.jobs, job);
  const before = job.status?.conditions;
  if (conditionOf(status.conditions, "Complete") && !conditionOf(before, "Complete")) {
    recorder.event(about, "Normal", "Completed", "Job completed");
  } else if (conditionOf(status.conditions, "Failed") && !conditionOf(before, "Failed")) {
    recorder.event(about, "Warning", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
}
