import type { V1LabelSelector, V1Toleration } from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";
import { validateLabels } from "./metadata.ts";
import { labelValue, qualifiedName } from "./names.ts";

/** Checks that many kinds share (k8s.io/kubernetes/pkg/apis/core/validation, apimachinery validation). */

/** What upstream says of a number below zero. */
export const notNegative = "must be greater than or equal to 0";

/** A number that may not be below zero. */
export function nonNegative(value: number | undefined, path: string, errors: FieldErrors): void {
  if (value !== undefined && value < 0) errors.invalid(path, value, notNegative);
}

/** A value out of a list, and one there has to be. */
export function oneOf(
  value: string | undefined,
  allowed: readonly string[],
  path: string,
  errors: FieldErrors,
  sorted = true,
): void {
  if (!value) errors.required(path);
  else if (!allowed.includes(value)) errors.unsupported(path, value, allowed, sorted);
}

/** A value out of a list, or none. */
export function oneOfOrNone(
  value: string | undefined,
  allowed: readonly string[],
  path: string,
  errors: FieldErrors,
): void {
  if (value !== undefined && !allowed.includes(value)) errors.unsupported(path, value, allowed);
}

/** Notes each problem of a value's form. */
export function form(value: string, problems: readonly string[], path: string, errors: FieldErrors): void {
  for (const problem of problems) errors.invalid(path, value, problem);
}

/** A label selector (apimachinery ValidateLabelSelector). */
export function validateLabelSelector(selector: V1LabelSelector | undefined, path: string, errors: FieldErrors): void {
  if (!selector) return;
  validateLabels(selector.matchLabels ?? {}, `${path}.matchLabels`, errors);
  selector.matchExpressions?.forEach((e, i) => {
    const at = `${path}.matchExpressions[${i}]`;
    const values = e.values ?? [];
    switch (e.operator) {
      case "In":
      case "NotIn":
        if (values.length === 0)
          errors.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
        break;
      case "Exists":
      case "DoesNotExist":
        if (values.length > 0)
          errors.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        break;
      default:
        errors.invalid(`${at}.operator`, e.operator ?? "", "not a valid selector operator");
    }
    form(e.key ?? "", qualifiedName(e.key ?? ""), `${at}.key`, errors);
    values.forEach((value, j) => {
      form(value, labelValue(value), `${at}.values[${j}]`, errors);
    });
  });
}

const effects = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

/** Tolerations of a pod or a RuntimeClass (ValidateTolerations). */
export function validateTolerations(
  tolerations: readonly V1Toleration[] | undefined,
  path: string,
  errors: FieldErrors,
): void {
  tolerations?.forEach((t, i) => {
    const at = `${path}[${i}]`;
    if (t.key) form(t.key, qualifiedName(t.key), `${at}.key`, errors);
    if (!t.key && t.operator !== "Exists")
      errors.invalid(
        `${at}.operator`,
        t.operator ?? "",
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    if (t.tolerationSeconds !== undefined && t.effect !== "NoExecute")
      errors.invalid(`${at}.effect`, t.effect ?? "", "effect must be 'NoExecute' when `tolerationSeconds` is set");
    validateTolerationValue(t, at, errors);
    if (t.effect) oneOf(t.effect, effects, `${at}.effect`, errors);
  });
}

function validateTolerationValue(t: V1Toleration, at: string, errors: FieldErrors): void {
  switch (t.operator ?? "") {
    case "":
    case "Equal": {
      const problems = labelValue(t.value ?? "");
      // Upstream joins what is wrong with the value into one error.
      if (problems.length > 0) errors.invalid(`${at}.operator`, t.value, problems.join(";"));
      break;
    }
    case "Exists":
      if (t.value)
        errors.invalid(
          `${at}.operator`,
          { key: t.key, operator: t.operator, value: t.value },
          "value must be empty when `operator` is 'Exists'",
        );
      break;
    case "Lt":
    case "Gt":
      if (!/^-?\d+$/.test(t.value ?? ""))
        errors.invalid(`${at}.value`, t.value ?? "", "value must be a valid integer for numeric operators");
      break;
    default:
      errors.unsupported(`${at}.operator`, t.operator, ["Equal", "Exists"]);
  }
}
