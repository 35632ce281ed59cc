import type { V1LabelSelector, V1PodTemplateSpec } from "@kubernetes/client-node";
import { formatSelector, matchesSelector } from "#api/index.ts";
import type { FieldErrors } from "../errors.ts";
import { columns } from "./define.ts";
import { validateLabels } from "./metadata.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { validatePodTemplate } from "./pod-validate.ts";
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

/** A number of pods that a kind shall keep. */
export function validateReplicas(replicas: number | undefined, errors: FieldErrors): void {
  if ((replicas ?? 0) < 0) errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
}

type Workload = { spec?: { selector?: V1LabelSelector; template?: V1PodTemplateSpec } };

/** The spec, made when missing, with its template's defaults. */
export function ensureSpec<S extends object>(o: { spec?: S; [field: string]: unknown }): S {
  o.spec ??= {} as S;
  o.status ??= {};
  defaultPodTemplate((o.spec as { template?: V1PodTemplateSpec }).template);
  return o.spec;
}

/** Selector, template and their fit. */
export function validateWorkload(o: Workload, errors: FieldErrors): void {
  const selector = o.spec?.selector;
  if (!selector) errors.required("spec.selector");
  else validateSelector(selector, errors);
  const labels = o.spec?.template?.metadata?.labels;
  if (selector && !matchesSelector(selector as never, labels)) {
    errors.invalid("spec.template.metadata.labels", labels ?? null, "`selector` does not match template `labels`");
  }
  const restart = o.spec?.template?.spec?.restartPolicy;
  if (restart && restart !== "Always") errors.unsupported("spec.template.spec.restartPolicy", restart, ["Always"]);
  validatePodTemplate(o.spec?.template, "spec.template", errors);
}

function validateSelector(selector: V1LabelSelector, errors: FieldErrors): void {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) {
    errors.invalid("spec.selector", selector, "empty selector is invalid for deployment");
  }
  validateLabels(matchLabels, "spec.selector.matchLabels", errors);
  const operators = ["DoesNotExist", "Exists", "In", "NotIn"];
  matchExpressions.forEach((e, i) => {
    const path = `spec.selector.matchExpressions[${i}]`;
    if (!operators.includes(e.operator))
      errors.invalid(`${path}.operator`, e.operator, "not a valid selector operator");
    else if (e.operator.endsWith("In") && !e.values?.length) {
      errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
    }
  });
}
