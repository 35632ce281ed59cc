import type { V1LabelSelector, V1PodTemplateSpec } from "@kubernetes/client-node";
import { formatSelector, matchesSelector } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import { nonNegative, validateLabelSelector } from "./checks.ts";
import { columns } from "./define.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { templateWarnings, validatePodTemplate, validateTemplateLabels, warnOfHostname } from "./podspec/index.ts";
import { age, containerColumns } from "./print.ts";

/** How the scale subresource finds the selector of a workload. */
export const scaleOf = {
  selector: (o: { spec?: { selector?: V1LabelSelector } }) => formatSelector(o.spec?.selector as never),
};
/** What discovery says of the scale subresource. */
export const scaleInfo = { kind: "Scale", group: "autoscaling", version: "v1", verbs: ["get", "patch", "update"] };

/** A kind that keeps a number of pods: ReplicaSet, or ReplicationController, its forerunner. */
interface Replicator {
  readonly metadata: { readonly name?: string; readonly creationTimestamp?: unknown };
  readonly spec?: { readonly replicas?: number; readonly template?: V1PodTemplateSpec };
  readonly status?: { readonly replicas?: number; readonly readyReplicas?: number };
}

/** What kubectl shows of a {@link Replicator}. */
export const replicatorColumns = columns(
  ...["Name", "Desired#", "Current#", "Ready#", "Age"],
  ...["+Containers", "+Images", "+Selector"],
);

/** Cells of {@link replicatorColumns}. @param selector as text */
export function replicatorRow(
  { metadata, spec, status }: Replicator,
  selector: string,
  now: number,
): (string | number)[] {
  return [
    metadata.name ?? "",
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(metadata.creationTimestamp, now),
    ...containerColumns(spec?.template as never),
    selector,
  ];
}

/** The warnings of a kind with a template, which are given again when it changes. @param named its name is part of pods' names */
export function workloadWarnings(
  o: { metadata: { name: string }; spec?: { template?: V1PodTemplateSpec } },
  old: { spec?: { template?: V1PodTemplateSpec } } | undefined,
  named = true,
): string[] {
  if (old && equalJson(o.spec?.template, old.spec?.template)) return [];
  return [
    ...(old || !named ? [] : warnOfHostname(o.metadata.name)),
    ...templateWarnings(o.spec?.template, "spec.template"),
  ];
}

/** A number of pods that a kind shall keep. */
export function validateReplicas(replicas: number | undefined, errors: FieldErrors): void {
  nonNegative(replicas, "spec.replicas", errors);
}

const percentForm =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** A number of pods or a share of them (ValidatePositiveIntOrPercent, IsNotMoreThan100Percent). */
export function validateShare(value: unknown, path: string, errors: FieldErrors, most?: "100%"): void {
  if (typeof value === "number") nonNegative(value, path, errors);
  if (typeof value !== "string") return;
  if (!/^[0-9]+%$/.test(value)) errors.invalid(path, value, percentForm);
  else if (most && Number.parseInt(value, 10) > 100) errors.invalid(path, value, "must not be greater than 100%");
}

type Workload = { spec?: { selector?: V1LabelSelector; template?: V1PodTemplateSpec } };

/** The spec, made when missing, with its template's defaults. */
export function ensureSpec<S extends object>(o: { spec?: S; [field: string]: unknown }): S {
  o.spec ??= {} as S;
  o.status ??= {};
  defaultPodTemplate((o.spec as { template?: V1PodTemplateSpec }).template);
  return o.spec;
}

/**
 * Selector, template and their fit.
 * @param kind what upstream calls the kind where the selector selects everything, and where a deadline is set
 */
export function validateWorkload(o: Workload, errors: FieldErrors, kind = "deployment", title = "ReplicaSet"): void {
  const selector = o.spec?.selector;
  if (!selector) errors.required("spec.selector");
  else validateSelector(selector, kind, errors);
  const labels = o.spec?.template?.metadata?.labels;
  if (selector && validOperators(selector) && !matchesSelector(selector as never, labels)) {
    errors.invalid("spec.template.metadata.labels", labels ?? null, "`selector` does not match template `labels`");
  }
  // A StatefulSet's pods mount claims that are not among the template's volumes: upstream looks at its labels only.
  if (title === "StatefulSet") validateTemplateLabels(o.spec?.template, "spec.template", errors);
  else validatePodTemplate(o.spec?.template, "spec.template", errors);
  const pod = o.spec?.template?.spec;
  if (pod?.restartPolicy && pod.restartPolicy !== "Always")
    errors.unsupported("spec.template.spec.restartPolicy", pod.restartPolicy, ["Always"]);
  if (pod?.activeDeadlineSeconds !== undefined)
    errors.forbidden("spec.template.spec.activeDeadlineSeconds", `activeDeadlineSeconds in ${title} is not Supported`);
}

/** A selector with operators that are none selects nothing that can be said. */
function validOperators({ matchExpressions = [] }: V1LabelSelector): boolean {
  return matchExpressions.every((e) => ["DoesNotExist", "Exists", "In", "NotIn"].includes(e.operator));
}

function validateSelector(selector: V1LabelSelector, kind: string, errors: FieldErrors): void {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  validateLabelSelector(selector, "spec.selector", errors);
  if (Object.keys(matchLabels).length + matchExpressions.length === 0)
    errors.invalid("spec.selector", selector, `empty selector is invalid for ${kind}`);
}
