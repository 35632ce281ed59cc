import type { V1PodSpec, V1PodTemplateSpec } from "@kubernetes/client-node";
import { parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../../errors.ts";
import { form, notNegative, oneOf, validateTolerations } from "../checks.ts";
import { validateLabels } from "../metadata.ts";
import { dnsSubdomain, qualifiedName } from "../names.ts";
import { validateAllContainers } from "./containers.ts";
import { validateDns, validateHostNames } from "./dns.ts";
import { validateAffinity, validateSpread } from "./placement.ts";
import { validatePodSecurity } from "./security.ts";
import { validateVolumes } from "./volumes.ts";

/**
 * Validates a pod's spec in the order of ValidatePodSpec (k8s.io/kubernetes/pkg/apis/core/validation).
 * @param path the field's path, such as `spec` or `spec.template.spec`
 * @param podName the pod's own name, empty in a template
 */
export function validatePodSpec(spec: V1PodSpec | undefined, path: string, errors: FieldErrors, podName = ""): void {
  if (!spec) {
    errors.required(`${path}.containers`);
    return;
  }
  const volumes = validateVolumes(spec.volumes ?? [], podName, `${path}.volumes`, errors);
  validateAllContainers({ spec, volumes, path }, errors);
  oneOf(spec.restartPolicy, ["Always", "OnFailure", "Never"], `${path}.restartPolicy`, errors, false);
  validateDns(spec, path, errors);
  if (spec.nodeSelector) validateLabels(spec.nodeSelector, `${path}.nodeSelector`, errors);
  validatePodSecurity(spec, path, errors);
  validateAffinity(spec.affinity, `${path}.affinity`, errors);
  validateGates(spec, path, errors);
  validateSpread(spec, `${path}.topologySpreadConstraints`, errors);
  validateReferences(spec, path, errors);
  const seconds = spec.activeDeadlineSeconds;
  if (seconds !== undefined && (seconds < 1 || seconds > 2 ** 31 - 1))
    errors.invalid(`${path}.activeDeadlineSeconds`, seconds, "must be between 1 and 2147483647, inclusive");
  validateHostNames(spec, path, errors);
  validateTolerations(spec.tolerations, `${path}.tolerations`, errors);
  validateRest(spec, path, errors);
}

function validateGates(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  spec.readinessGates?.forEach(({ conditionType = "" }, i) => {
    form(conditionType, qualifiedName(conditionType), `${path}.readinessGates[${i}].conditionType`, errors);
  });
  const gates = new Set<string>();
  spec.schedulingGates?.forEach(({ name = "" }, i) => {
    form(name, qualifiedName(name), `${path}.schedulingGates[${i}]`, errors);
    if (gates.has(name)) errors.duplicate(`${path}.schedulingGates[${i}]`, name);
    gates.add(name);
  });
}

/** Names of other objects. */
function validateReferences(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  for (const field of ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] as const) {
    const value = spec[field];
    if (value) form(value, dnsSubdomain(value), `${path}.${field}`, errors);
  }
}

function validateRest(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  if (spec.preemptionPolicy !== undefined)
    oneOf(spec.preemptionPolicy, ["Never", "PreemptLowerPriority"], `${path}.preemptionPolicy`, errors);
  for (const [name, value] of Object.entries(spec.overhead ?? {})) {
    if (parseQuantity(value).unscaled < 0n) errors.invalid(`${path}.overhead[${name}]`, value, notNegative);
  }
  if (spec.os) oneOf(spec.os.name, ["linux", "windows"], `${path}.os.name`, errors);
}

/** Labels and annotations of a template. */
export function validateTemplateLabels(
  template: V1PodTemplateSpec | undefined,
  path: string,
  errors: FieldErrors,
): void {
  if (template?.metadata?.labels) validateLabels(template.metadata.labels, `${path}.labels`, errors);
  for (const key of Object.keys(template?.metadata?.annotations ?? {}))
    form(key, qualifiedName(key.toLowerCase()), `${path}.annotations`, errors);
}

/** Validates a template. */
export function validatePodTemplate(template: V1PodTemplateSpec | undefined, path: string, errors: FieldErrors): void {
  validateTemplateLabels(template, path, errors);
  validatePodSpec(template?.spec, `${path}.spec`, errors);
  if (template?.spec?.ephemeralContainers?.length)
    errors.forbidden(`${path}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template");
}
