import { randomUUID } from "node:crypto";
import type { V1CronJob, V1Job } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { validateCompletions, validateCronJob, validateJob, validateOwnSelector } from "./batch-validate.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { templateWarnings, warnOfHostname } from "./podspec/index.ts";
import { age, containerColumns, humanDuration, selectorText } from "./print.ts";
import { statusCounts } from "./status-counts.ts";
import { workloadWarnings } from "./workload.ts";

type Job = Stored<V1Job>;

/** batch/v1 Job. */
export const job = defineKind<Job>({
  group: "batch",
  kind: "Job",
  plural: "jobs",
  type: "batch.v1.Job",
  categories: ["all"],
  status: true,
  columns: columns("Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images", "+Selector"),
  row(o, now) {
    const { startTime, completionTime } = (o.status ?? {}) as unknown as {
      startTime?: string;
      completionTime?: string;
    };
    const end = completionTime ? Date.parse(completionTime) : now;
    return [
      o.metadata.name,
      jobState(o),
      completionsText(o),
      startTime ? humanDuration((end - Date.parse(startTime)) / 1000) : "",
      age(o.metadata.creationTimestamp, now),
      ...containerColumns(o.spec?.template as never),
      selectorText(o.spec?.selector),
    ];
  },
  selectableFields: ["status.successful"],
  selectable: (o) => ({ "status.successful": String(o.status?.succeeded ?? 0) }),
  defaults(o) {
    if (!o.spec) return;
    const spec = o.spec;
    if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
    spec.parallelism ??= 1;
    spec.backoffLimit ??= 6;
    spec.completionMode ??= "NonIndexed";
    spec.suspend ??= false;
    spec.manualSelector ??= false;
    spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
    defaultPodTemplate(spec.template);
    o.status ??= {};
  },
  prepareCreate(o) {
    o.status = {};
    if (!o.spec || o.spec.manualSelector) return;
    // The uid that the server is about to give is not known to the caller, so a selector of our own is unique.
    const uid = (o.metadata.uid ??= randomUUID());
    const labels = {
      "batch.kubernetes.io/controller-uid": uid,
      "controller-uid": uid,
      "batch.kubernetes.io/job-name": o.metadata.name,
      "job-name": o.metadata.name,
    };
    o.spec.selector ??= { matchLabels: { "batch.kubernetes.io/controller-uid": uid } };
    o.spec.template ??= {};
    o.spec.template.metadata ??= {};
    o.spec.template.metadata.labels = { ...o.spec.template.metadata.labels, ...labels };
  },
  warnings: (o, old) => workloadWarnings(o, old),
  validate(o, errors) {
    validateJob(o.spec, "spec", errors);
    validateOwnSelector(o, errors);
  },
  validateUpdate(o, old, errors) {
    validateCompletions(o.spec, old.spec, errors);
    immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors);
    if (!old.spec?.suspend) immutable(o.spec?.template, old.spec?.template, "spec.template", errors);
    for (const field of ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy"] as const)
      immutable(o.spec?.[field], old.spec?.[field], `spec.${field}`, errors);
  },
  validateStatus: statusCounts({ counts: ["active", "succeeded", "failed", "ready", "terminating"] }),
});

function jobState(o: Job): string {
  const has = (type: string) => o.status?.conditions?.some((c) => c.type === type && c.status === "True");
  if (has("Complete")) return "Complete";
  if (has("Failed")) return "Failed";
  if (o.metadata.deletionTimestamp) return "Terminating";
  if (has("Suspended")) return "Suspended";
  if (has("FailureTarget")) return "FailureTarget";
  if (has("SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

function completionsText(o: Job): string {
  const done = o.status?.succeeded ?? 0;
  if (o.spec?.completions !== undefined) return `${done}/${o.spec.completions}`;
  const parallelism = o.spec?.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

/** batch/v1 CronJob. */
export const cronJob = defineKind<Stored<V1CronJob>>({
  group: "batch",
  kind: "CronJob",
  plural: "cronjobs",
  type: "batch.v1.CronJob",
  shortNames: ["cj"],
  categories: ["all"],
  status: true,
  columns: columns(
    "Name",
    "Schedule",
    "Timezone",
    "Suspend",
    "Active#",
    "Last Schedule",
    "Age",
    "+Containers",
    "+Images",
    "+Selector",
  ),
  row(o, now) {
    const last = o.status?.lastScheduleTime as unknown as string | undefined;
    return [
      o.metadata.name,
      o.spec?.schedule ?? "",
      o.spec?.timeZone ?? "<none>",
      o.spec?.suspend ? "True" : "False",
      o.status?.active?.length ?? 0,
      last ? age(last, now) : "<none>",
      age(o.metadata.creationTimestamp, now),
      ...containerColumns(o.spec?.jobTemplate?.spec?.template as never),
      selectorText(o.spec?.jobTemplate?.spec?.selector),
    ];
  },
  defaults(o) {
    if (!o.spec) return;
    o.spec.concurrencyPolicy ??= "Allow";
    o.spec.suspend ??= false;
    o.spec.successfulJobsHistoryLimit ??= 3;
    o.spec.failedJobsHistoryLimit ??= 1;
    defaultPodTemplate(o.spec.jobTemplate?.spec?.template);
    o.status ??= {};
  },
  warnings(o, old) {
    const template = o.spec?.jobTemplate?.spec?.template;
    if (old && equalJson(template, old.spec?.jobTemplate?.spec?.template)) return [];
    return [
      ...(old ? [] : warnOfHostname(o.metadata.name)),
      ...templateWarnings(template, "spec.jobTemplate.spec.template"),
    ];
  },
  validate(o, errors) {
    validateCronJob(o, errors);
  },
});
