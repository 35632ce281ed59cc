import type { V2HPAScalingRules, V2MetricSpec, V2MetricTarget } from "@kubernetes/client-node";
import { parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../../errors.ts";
import { form, oneOf, oneOfOrNone } from "../checks.ts";
import { pathSegment } from "../names.ts";
import type { Autoscaler } from "./convert.ts";

/** Validation of HorizontalPodAutoscalers (k8s.io/kubernetes/pkg/apis/autoscaling/validation). */

const sources: Readonly<Record<string, keyof V2MetricSpec>> = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
};

/** Validates what an autoscaler is asked to do. */
export function validateAutoscaler(o: Autoscaler, errors: FieldErrors): void {
  const { minReplicas, maxReplicas = 0, scaleTargetRef, metrics, behavior } = o.spec ?? {};
  if (minReplicas !== undefined && minReplicas < 1)
    errors.invalid("spec.minReplicas", minReplicas, "must be greater than or equal to 1");
  if (maxReplicas < 1) errors.invalid("spec.maxReplicas", maxReplicas, "must be greater than 0");
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.invalid("spec.maxReplicas", maxReplicas, "must be greater than or equal to `minReplicas`");
  validateReference(scaleTargetRef, "spec.scaleTargetRef", errors);
  metrics?.forEach((metric, i) => {
    validateMetric(metric, `spec.metrics[${i}]`, errors);
  });
  validateRules(behavior?.scaleUp, "spec.behavior.scaleUp", errors);
  validateRules(behavior?.scaleDown, "spec.behavior.scaleDown", errors);
}

function validateReference(ref: { kind?: string; name?: string } | undefined, path: string, errors: FieldErrors): void {
  for (const field of ["kind", "name"] as const) {
    const value = ref?.[field];
    if (!value) errors.required(`${path}.${field}`);
    else form(value, pathSegment(value), `${path}.${field}`, errors);
  }
}

function validateMetric(spec: V2MetricSpec, path: string, errors: FieldErrors): void {
  if (!spec.type) errors.required(`${path}.type`, "must specify a metric source type");
  const present = Object.values(sources).filter((source) => spec[source] !== undefined);
  if (present.length > 0) validateSource(spec, present[0] as keyof V2MetricSpec, path, errors);
  const expected = sources[spec.type ?? ""];
  if (!expected) errors.unsupported(`${path}.type`, spec.type ?? "", Object.keys(sources));
  else if (!present.includes(expected))
    errors.required(`${path}.${expected}`, "must populate information for the given metric source");
  if (present.length === 1) return;
  for (const other of present.filter((p) => p !== expected))
    errors.forbidden(`${path}.${other}`, "must populate the given metric source only");
}

function validateSource(spec: V2MetricSpec, source: keyof V2MetricSpec, path: string, errors: FieldErrors): void {
  const at = `${path}.${source}`;
  const value = spec[source] as { target?: V2MetricTarget; name?: string; metric?: { name?: string } };
  if (source === "object") validateReference(spec.object?.describedObject, `${at}.describedObject`, errors);
  if (source === "containerResource" && !spec.containerResource?.container)
    errors.required(`${at}.container`, "must specify a container");
  if (source === "resource" || source === "containerResource") {
    if (!value.name) errors.required(`${at}.name`, "must specify a resource name");
  } else if (!value.metric?.name) errors.required(`${at}.metric.name`, "must specify a metric name");
  validateTarget(value.target ?? ({} as V2MetricTarget), `${at}.target`, errors);
  validateTargetOf(source, value.target ?? ({} as V2MetricTarget), `${at}.target`, errors);
}

const positive = (quantity: string | undefined) => quantity !== undefined && parseQuantity(quantity).unscaled > 0n;

function validateTarget(target: V2MetricTarget, path: string, errors: FieldErrors): void {
  if (!target.type) errors.required(`${path}.type`, "must specify a metric target type");
  else if (!["Utilization", "Value", "AverageValue"].includes(target.type))
    errors.invalid(`${path}.type`, target.type, "must be either Utilization, Value, or AverageValue");
  for (const field of ["value", "averageValue"] as const) {
    const value = target[field];
    if (value !== undefined && !positive(value)) errors.invalid(`${path}.${field}`, value, "must be positive");
  }
  if (target.averageUtilization !== undefined && target.averageUtilization < 1)
    errors.invalid(`${path}.averageUtilization`, target.averageUtilization, "must be greater than 0");
}

/** Which of the target's values a source needs. */
function validateTargetOf(source: keyof V2MetricSpec, t: V2MetricTarget, path: string, errors: FieldErrors): void {
  const { value, averageValue, averageUtilization } = t;
  switch (source) {
    case "resource":
    case "containerResource":
      if (averageUtilization === undefined && averageValue === undefined)
        errors.required(`${path}.averageUtilization`, "must set either a target raw value or a target utilization");
      if (averageUtilization !== undefined && averageValue !== undefined)
        errors.forbidden(`${path}.averageValue`, "may not set both a target raw value and a target utilization");
      break;
    case "pods":
      if (!positive(averageValue))
        errors.required(`${path}.averageValue`, "must specify a positive target averageValue");
      break;
    case "object":
      if (value === undefined && averageValue === undefined)
        errors.required(`${path}.averageValue`, "must set either a target value or a target averageValue");
      break;
    default:
      if (value === undefined && averageValue === undefined)
        errors.required(`${path}.averageValue`, "must set either a target value for metric or a per-pod target");
      if (value !== undefined && averageValue !== undefined)
        errors.forbidden(`${path}.value`, "may not set both a target value for metric and a per-pod target");
  }
}

/** Seconds (MaxStabilizationWindowSeconds, MaxPeriodSeconds). */
const [longestWindow, longestPeriod] = [3600, 1800];

function validateRules(rules: V2HPAScalingRules | undefined, path: string, errors: FieldErrors): void {
  if (!rules) return;
  const window = rules.stabilizationWindowSeconds;
  if (window !== undefined && window < 0)
    errors.invalid(`${path}.stabilizationWindowSeconds`, window, "must be greater than or equal to zero");
  if (window !== undefined && window > longestWindow)
    errors.invalid(`${path}.stabilizationWindowSeconds`, window, `must be less than or equal to ${longestWindow}`);
  oneOfOrNone(rules.selectPolicy, ["Disabled", "Max", "Min"], `${path}.selectPolicy`, errors);
  if (!rules.policies?.length) errors.required(`${path}.policies`, "must specify at least one Policy");
  rules.policies?.forEach((policy, i) => {
    const at = `${path}.policies[${i}]`;
    oneOf(policy.type, ["Percent", "Pods"], `${at}.type`, errors);
    if ((policy.value ?? 0) <= 0) errors.invalid(`${at}.value`, policy.value ?? 0, "must be greater than zero");
    const period = policy.periodSeconds ?? 0;
    if (period <= 0) errors.invalid(`${at}.periodSeconds`, period, "must be greater than zero");
    if (period > longestPeriod)
      errors.invalid(`${at}.periodSeconds`, period, `must be less than or equal to ${longestPeriod}`);
  });
}
