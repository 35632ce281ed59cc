import type { Container, Job, Pod } from "#api/index.ts";

/** Keeps a pod until the Job controller has counted it. */
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";
/** The index of a pod of an Indexed Job: annotation, and label. */
export const indexKey = "batch.kubernetes.io/job-completion-index";

/** Whether a pod was not counted yet. */
export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;
}

/** Whether the Job's pods have an index each. */
export function isIndexed(job: Job): boolean {
  return job.spec.completionMode === "Indexed";
}

/** The index of a pod; -1 without one. */
export function indexOf(pod: Pod): number {
  const text = pod.metadata.annotations?.[indexKey];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : -1;
}

/** The template with the labels by which a Job's pods are found. */
export function templateOf(job: Job): Job["spec"]["template"] {
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

/** A pod of the Job, tracked; with its index in name, annotation, label, host name and environment. */
export function jobPod(job: Job, pod: Pod, index: number | undefined): Pod {
  const finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer];
  if (index === undefined) return { ...pod, metadata: { ...pod.metadata, finalizers } };
  const { name } = job.metadata;
  const mark = { [indexKey]: String(index) };
  const fieldPath = `metadata.labels['${indexKey}']`;
  const variable = { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } };
  const withIndex = (container: Container): Container =>
    container.env?.some((one) => one.name === variable.name)
      ? container
      : { ...container, env: [...(container.env ?? []), variable] };
  const { initContainers, containers } = pod.spec;
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      generateName: `${name}-${index}-`,
      annotations: { ...pod.metadata.annotations, ...mark },
      labels: { ...pod.metadata.labels, ...mark },
      finalizers,
    },
    spec: {
      ...pod.spec,
      hostname: `${name}-${index}`,
      containers: containers.map(withIndex),
      ...(initContainers ? { initContainers: initContainers.map(withIndex) } : {}),
    },
  };
}
