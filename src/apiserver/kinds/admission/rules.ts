import type { V1RuleWithOperations } from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { oneOfOrNone } from "../checks.ts";
import { qualifiedName } from "../names.ts";

/** What webhooks and policies share (k8s.io/kubernetes/pkg/apis/admissionregistration/validation). */

const operations = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/** Which requests a webhook or policy is about. */
export function validateRules(
  rules: readonly V1RuleWithOperations[] | undefined,
  path: string,
  errors: FieldErrors,
): void {
  rules?.forEach((rule, i) => {
    const at = `${path}[${i}]`;
    if (!rule.operations?.length) errors.required(`${at}.operations`);
    onlyWildcard(rule.operations, `${at}.operations`, "operations", errors);
    rule.operations?.forEach((operation, j) => {
      if (!operations.includes(operation)) errors.unsupported(`${at}.operations[${j}]`, operation, operations);
    });
    if (!rule.apiGroups?.length) errors.required(`${at}.apiGroups`);
    onlyWildcard(rule.apiGroups, `${at}.apiGroups`, "API groups", errors);
    if (!rule.apiVersions?.length) errors.required(`${at}.apiVersions`);
    onlyWildcard(rule.apiVersions, `${at}.apiVersions`, "API versions", errors);
    rule.apiVersions?.forEach((version, j) => {
      if (version === "") errors.required(`${at}.apiVersions[${j}]`);
    });
    validateResources(rule.resources ?? [], `${at}.resources`, errors);
    oneOfOrNone(rule.scope, ["*", "Cluster", "Namespaced"], `${at}.scope`, errors);
  });
}

function onlyWildcard(list: readonly string[] | undefined, path: string, what: string, errors: FieldErrors): void {
  if ((list?.length ?? 0) > 1 && list?.includes("*"))
    errors.invalid(path, list, `if '*' is present, must not specify other ${what}`);
}

function validateResources(resources: readonly string[], path: string, errors: FieldErrors): void {
  if (resources.length === 0) errors.required(path);
  const whole = new Set<string>();
  const everywhere = new Set<string>();
  resources.forEach((text, i) => {
    if (text === "") errors.required(`${path}[${i}]`);
    const slash = text.indexOf("/");
    if (slash < 0) return;
    const [resource, sub] = [text.slice(0, slash), text.slice(slash + 1)];
    if (whole.has(resource))
      errors.invalid(`${path}[${i}]`, text, `if '${resource}/*' is present, must not specify ${text}`);
    if (everywhere.has(sub))
      errors.invalid(`${path}[${i}]`, text, `if '*/${sub}' is present, must not specify ${text}`);
    if (sub === "*") whole.add(resource);
    if (resource === "*") everywhere.add(sub);
  });
  if (resources.length > 1 && resources.includes("*/*"))
    errors.invalid(path, resources, "if '*/*' is present, must not specify other resources");
  if (resources.includes("*") && resources.some((r) => r !== "*" && r !== "" && !r.includes("/")))
    errors.invalid(path, resources, "if '*' is present, must not specify other resources without subresources");
}

/** CEL conditions: their names; the expressions are not compiled. */
export function validateMatchConditions(
  conditions: readonly { name?: string; expression?: string }[] | undefined,
  path: string,
  errors: FieldErrors,
): void {
  if ((conditions?.length ?? 0) > 64) errors.tooMany(path, conditions?.length ?? 0, 64);
  const names = new Set<string>();
  conditions?.forEach(({ name = "", expression }, i) => {
    const at = `${path}[${i}]`;
    if (!expression?.trim()) errors.required(`${at}.expression`);
    if (name === "") errors.required(`${at}.name`);
    else {
      for (const problem of qualifiedName(name)) errors.invalid(`${at}.name`, name, problem);
      if (names.has(name)) errors.duplicate(`${at}.name`, name);
      names.add(name);
    }
  });
}
