import type { V1ResourceQuotaSpec, V1ScopedResourceSelectorRequirement } from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";

/** What the scopes and the scope selector of a ResourceQuota may say (core/validation validateResourceQuotaScopes). */

const scopes = [
  "BestEffort",
  "CrossNamespacePodAffinity",
  "NotBestEffort",
  "NotTerminating",
  "PriorityClass",
  "Terminating",
  "VolumeAttributesClass",
];
const computed = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const onlyExists = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
const exist =
  "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";

/** @param counted the names of `hard` that the scopes have to fit: those of the standard resources */
export function validateScopes(spec: V1ResourceQuotaSpec, counted: readonly string[], errors: FieldErrors): void {
  const given = spec.scopes ?? [];
  for (const scope of given) {
    if (!scopes.includes(scope)) errors.invalid("spec.scopes", given, "unsupported scope");
    if (!fits(scope, counted)) errors.invalid("spec.scopes", given, "unsupported scope applied to resource");
  }
  conflicts(given, "spec.scopes", given, errors);
  if (spec.scopeSelector) validateSelector(spec, counted, errors);
}

function validateSelector(spec: V1ResourceQuotaSpec, counted: readonly string[], errors: FieldErrors): void {
  const path = "spec.scopeSelector.matchExpressions";
  const expressions = spec.scopeSelector?.matchExpressions ?? [];
  for (const { scopeName, operator, values = [] } of expressions) {
    if (!scopes.includes(scopeName)) errors.invalid(`${path}.scopeName`, scopeName, "unsupported scope");
    if (!fits(scopeName, counted))
      errors.invalid(path, internalSelector(expressions), "unsupported scope applied to resource");
    if (onlyExists.includes(scopeName) && operator !== "Exists") errors.invalid(`${path}.operator`, operator, exist);
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0)
        errors.required(
          `${path}.values`,
          "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        );
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0)
        errors.invalid(
          `${path}.values`,
          values,
          "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        );
    } else errors.invalid(`${path}.operator`, operator, "not a valid selector operator");
  }
  const named = expressions.map((e) => e.scopeName);
  conflicts(named, path, spec.scopes ?? null, errors);
}

function fits(scope: string, counted: readonly string[]): boolean {
  if (!scopes.includes(scope)) return true;
  if (scope === "VolumeAttributesClass")
    return counted.every((name) => name === "persistentvolumeclaims" || name === "requests.storage");
  return counted.every((name) => name === "pods" || (scope !== "BestEffort" && computed.includes(name)));
}

function conflicts(given: readonly string[], path: string, value: unknown, errors: FieldErrors): void {
  for (const [one, other] of [
    ["BestEffort", "NotBestEffort"],
    ["Terminating", "NotTerminating"],
  ] as const) {
    if (given.includes(one) && given.includes(other)) errors.invalid(path, value, "conflicting scopes");
  }
}

/** Upstream shows its internal type, whose fields have Go's names. */
function internalSelector(expressions: readonly V1ScopedResourceSelectorRequirement[]): unknown {
  return {
    MatchExpressions: expressions.map(({ scopeName, operator, values }) => ({
      ScopeName: scopeName,
      Operator: operator,
      Values: values ?? null,
    })),
  };
}
