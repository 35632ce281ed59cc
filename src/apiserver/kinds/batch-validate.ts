import type { V1CronJob, V1Job, V1JobSpec } from "@kubernetes/client-node";
import { matchesSelector } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import { nonNegative, oneOf, oneOfOrNone } from "./checks.ts";
import { cronProblem } from "./cron.ts";
import type { Stored } from "./definition.ts";
import { validatePodTemplate } from "./podspec/index.ts";

/** Validation of Jobs and CronJobs (k8s.io/kubernetes/pkg/apis/batch/validation). */

const numbers = [
  ...(["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] as const),
  ...(["backoffLimitPerIndex", "maxFailedIndexes"] as const),
];

/** Most pods of an indexed Job (maxParallelismForIndexedJob). */
const mostIndexed = 100_000;

/** Validates what a Job does. @param path `spec`, or the path of a CronJob's template */
export function validateJob(spec: V1JobSpec | undefined, path: string, errors: FieldErrors): void {
  for (const field of numbers) nonNegative(spec?.[field], `${path}.${field}`, errors);
  const indexed = spec?.completionMode === "Indexed";
  if (spec?.completionMode) oneOf(spec.completionMode, ["Indexed", "NonIndexed"], `${path}.completionMode`, errors);
  if (indexed) {
    if (spec.completions === undefined) errors.required(`${path}.completions`, "when completion mode is Indexed");
    if ((spec.parallelism ?? 0) > mostIndexed)
      errors.invalid(
        `${path}.parallelism`,
        spec.parallelism,
        `must be less than or equal to ${mostIndexed} when completion mode is Indexed`,
      );
  }
  if (!indexed && spec?.backoffLimitPerIndex !== undefined)
    errors.invalid(`${path}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, "requires indexed completion mode");
  oneOfOrNone(
    spec?.podReplacementPolicy,
    spec?.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"],
    `${path}.podReplacementPolicy`,
    errors,
  );
  validateTemplate(spec, `${path}.template`, errors);
}

function validateTemplate(spec: V1JobSpec | undefined, path: string, errors: FieldErrors): void {
  validatePodTemplate(spec?.template, path, errors);
  const restart = spec?.template?.spec?.restartPolicy;
  if (restart !== "OnFailure" && restart !== "Never")
    errors.required(`${path}.spec.restartPolicy`, 'valid values: "OnFailure", "Never"');
  else if (spec?.podFailurePolicy && restart !== "Never")
    errors.invalid(
      `${path}.spec.restartPolicy`,
      restart,
      'only "Never" is supported when podFailurePolicy is specified',
    );
}

/** The selector is the server's, unless manualSelector says otherwise. */
export function validateOwnSelector(o: Stored<V1Job>, errors: FieldErrors): void {
  const { selector, manualSelector, template } = o.spec ?? {};
  const labels = template?.metadata?.labels;
  if (manualSelector) {
    if (!selector) errors.required("spec.selector");
  } else {
    const expected = o.metadata.uid;
    const label =
      selector?.matchLabels?.["batch.kubernetes.io/controller-uid"] ?? selector?.matchLabels?.["controller-uid"];
    if (label !== expected) errors.invalid("spec.selector", selector, "`selector` not auto-generated");
  }
  if (selector && !matchesSelector(selector as never, labels))
    errors.invalid("spec.template.metadata.labels", labels ?? null, "`selector` does not match template `labels`");
}

/** An indexed Job may grow and shrink with its parallelism; other Jobs keep their number. */
export function validateCompletions(now: V1JobSpec | undefined, old: V1JobSpec | undefined, errors: FieldErrors): void {
  if (equalJson(now?.completions, old?.completions)) return;
  const elastic = old?.completionMode === "Indexed" && now?.completions !== undefined;
  if (!elastic) errors.invalid("spec.completions", now?.completions, "field is immutable");
  else if (now.completions !== now.parallelism)
    errors.invalid("spec.completions", now.completions, "can only be modified in tandem with spec.parallelism");
}

/** Validates when a CronJob makes Jobs, and which. */
export function validateCronJob(o: Stored<V1CronJob>, errors: FieldErrors): void {
  const spec = o.spec;
  if (o.metadata.name.length > 52)
    errors.invalid("metadata.name", o.metadata.name, "must be no more than 52 characters");
  const schedule = spec?.schedule ?? "";
  if (schedule === "") errors.required("spec.schedule");
  else {
    const problem = cronProblem(schedule.replace(/^(CRON_)?TZ=\S+\s+/, ""));
    if (problem) errors.invalid("spec.schedule", schedule, problem);
    if (/^(CRON_)?TZ=/.test(schedule))
      errors.invalid(
        "spec.schedule",
        schedule,
        spec?.timeZone
          ? "cannot use both timeZone field and TZ or CRON_TZ in schedule"
          : "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
      );
  }
  validateTimeZone(spec?.timeZone, errors);
  for (const field of ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] as const)
    nonNegative(spec?.[field], `spec.${field}`, errors);
  oneOf(spec?.concurrencyPolicy, ["Allow", "Forbid", "Replace"], "spec.concurrencyPolicy", errors);
  validateJob(spec?.jobTemplate?.spec, "spec.jobTemplate.spec", errors);
}

function validateTimeZone(zone: string | undefined, errors: FieldErrors): void {
  if (zone === undefined) return;
  if (zone === "") {
    errors.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string");
    return;
  }
  if (zone.toLowerCase() === "local")
    errors.invalid(
      "spec.timeZone",
      zone,
      "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
    );
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    errors.invalid("spec.timeZone", zone, `unknown time zone ${zone}`);
  }
}
