import type {
  V1Affinity,
  V1NodeSelectorRequirement,
  V1NodeSelectorTerm,
  V1PodAffinityTerm,
  V1PodSpec,
  V1TopologySpreadConstraint,
} from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { form, oneOfOrNone, validateLabelSelector } from "../checks.ts";
import { dnsLabel, labelValue, qualifiedName } from "../names.ts";

/** Affinity and topology spread (validateAffinity, validateTopologySpreadConstraints of core/validation). */

const weightRange = "must be in the range 1-100";

/** Which nodes and which neighbours a pod wants. */
export function validateAffinity(affinity: V1Affinity | undefined, path: string, errors: FieldErrors): void {
  const node = affinity?.nodeAffinity;
  const required = node?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required)
    validateNodeSelector(
      required.nodeSelectorTerms,
      `${path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`,
      errors,
    );
  node?.preferredDuringSchedulingIgnoredDuringExecution?.forEach((term, i) => {
    const at = `${path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
    validateWeight(term.weight, `${at}.weight`, errors);
    validateTerm(term.preference ?? {}, `${at}.preference`, errors);
  });
  for (const kind of ["podAffinity", "podAntiAffinity"] as const) {
    const rules = affinity?.[kind];
    rules?.requiredDuringSchedulingIgnoredDuringExecution?.forEach((term, i) => {
      validatePodTerm(term, `${path}.${kind}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`, errors);
    });
    rules?.preferredDuringSchedulingIgnoredDuringExecution?.forEach((term, i) => {
      const at = `${path}.${kind}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      validateWeight(term.weight, `${at}.weight`, errors);
      validatePodTerm(term.podAffinityTerm ?? {}, `${at}.podAffinityTerm`, errors);
    });
  }
}

function validateWeight(weight: number | undefined, path: string, errors: FieldErrors): void {
  if ((weight ?? 0) <= 0 || (weight ?? 0) > 100) errors.invalid(path, weight ?? 0, weightRange);
}

/** Terms of which one has to hold (ValidateNodeSelector). */
export function validateNodeSelector(
  terms: readonly V1NodeSelectorTerm[] | undefined,
  path: string,
  errors: FieldErrors,
): void {
  if (!terms?.length) errors.required(`${path}.nodeSelectorTerms`, "must have at least one node selector term");
  terms?.forEach((term, i) => {
    validateTerm(term, `${path}.nodeSelectorTerms[${i}]`, errors);
  });
}

function validateTerm(term: V1NodeSelectorTerm, path: string, errors: FieldErrors): void {
  term.matchExpressions?.forEach((e, i) => {
    validateRequirement(e, `${path}.matchExpressions[${i}]`, errors);
  });
  term.matchFields?.forEach((f, i) => {
    const at = `${path}.matchFields[${i}]`;
    if (f.operator !== "In" && f.operator !== "NotIn")
      errors.invalid(`${at}.operator`, f.operator ?? "", "not a valid selector operator");
    else if (f.values?.length !== 1)
      errors.required(
        `${at}.values`,
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      );
    if (f.key !== "metadata.name") errors.invalid(`${at}.key`, f.key ?? "", "not a valid field selector key");
  });
}

function validateRequirement(e: V1NodeSelectorRequirement, path: string, errors: FieldErrors): void {
  const count = e.values?.length ?? 0;
  switch (e.operator) {
    case "In":
    case "NotIn":
      if (count === 0) errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      break;
    case "Exists":
    case "DoesNotExist":
      if (count > 0)
        errors.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      break;
    case "Gt":
    case "Lt":
      if (count !== 1)
        errors.required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
      break;
    default:
      errors.invalid(`${path}.operator`, e.operator ?? "", "not a valid selector operator");
  }
  form(e.key ?? "", qualifiedName(e.key ?? ""), `${path}.key`, errors);
  e.values?.forEach((value, i) => {
    form(value, labelValue(value), `${path}.values[${i}]`, errors);
  });
}

function validatePodTerm(term: Partial<V1PodAffinityTerm>, path: string, errors: FieldErrors): void {
  validateLabelSelector(term.labelSelector, `${path}.labelSelector`, errors);
  validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`, errors);
  for (const namespace of term.namespaces ?? []) form(namespace, dnsLabel(namespace), `${path}.namespace`, errors);
  if (!term.topologyKey) errors.required(`${path}.topologyKey`, "can not be empty");
  form(term.topologyKey ?? "", qualifiedName(term.topologyKey ?? ""), `${path}.topologyKey`, errors);
}

const whens = ["DoNotSchedule", "ScheduleAnyway"];

/** How pods are to be spread. */
export function validateSpread(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  spec.topologySpreadConstraints?.forEach((c, i) => {
    const at = `${path}[${i}]`;
    validateConstraint(c, at, errors);
    const pair = `{${c.topologyKey ?? ""}, ${c.whenUnsatisfiable ?? ""}}`;
    if (seen.has(pair)) errors.duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair);
    seen.add(pair);
  });
}

function validateConstraint(c: V1TopologySpreadConstraint, at: string, errors: FieldErrors): void {
  if ((c.maxSkew ?? 0) <= 0) errors.invalid(`${at}.maxSkew`, c.maxSkew ?? 0, "must be greater than zero");
  if (!c.topologyKey) errors.required(`${at}.topologyKey`, "can not be empty");
  else form(c.topologyKey, qualifiedName(c.topologyKey), `${at}.topologyKey`, errors);
  if (!whens.includes(c.whenUnsatisfiable ?? ""))
    errors.unsupported(`${at}.whenUnsatisfiable`, c.whenUnsatisfiable ?? "", whens);
  if (c.minDomains !== undefined) {
    if (c.minDomains <= 0) errors.invalid(`${at}.minDomains`, c.minDomains, "must be greater than zero");
    if (c.whenUnsatisfiable !== "DoNotSchedule")
      errors.invalid(
        `${at}.minDomains`,
        c.minDomains,
        `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable}`,
      );
  }
  for (const field of ["nodeAffinityPolicy", "nodeTaintsPolicy"] as const)
    oneOfOrNone(c[field], ["Honor", "Ignore"], `${at}.${field}`, errors);
  validateLabelSelector(c.labelSelector, `${at}.labelSelector`, errors);
}
