import type { FieldErrors } from "../errors.ts";
import type { WriteContext } from "../kinds/definition.ts";
import { dns1035Label, dnsSubdomain } from "../kinds/names.ts";
import type { Dict } from "../object.ts";
import { compileRules } from "./cel/rules.ts";
import { type Crd, type CrdNames, type CrdVersion, conditionIs, type ValidationRule } from "./model.ts";
import { validateVersion } from "./version-validate.ts";

/** Validation of definitions: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go. */

const approvalAnnotation = "api-approved.kubernetes.io";

/** Validates a definition. Rules that cannot be enforced become warnings. */
export function validateDefinition(crd: Crd, errors: FieldErrors, context: WriteContext): void {
  const { spec } = crd;
  if (!spec) {
    errors.required("spec.group");
    return;
  }
  const names = (spec.names ?? {}) as CrdNames;
  if (crd.metadata.name !== `${names.plural ?? ""}.${spec.group ?? ""}`)
    errors.invalid("metadata.name", crd.metadata.name, 'must be spec.names.plural+"."+spec.group');
  validateApproval(crd, errors);
  validateGroup(spec.group ?? "", errors);
  if (!spec.scope) errors.required("spec.scope");
  else if (!["Cluster", "Namespaced"].includes(spec.scope))
    errors.unsupported("spec.scope", spec.scope, ["Cluster", "Namespaced"]);
  validateVersions(spec.versions ?? [], errors);
  for (const field of ["plural", "singular", "kind", "listKind"] as const)
    if (!names[field]) errors.required(`spec.names.${field}`);
  validateNames(names, "spec.names", errors);
  validateConversion(crd, errors);
  if (spec.preserveUnknownFields)
    errors.invalid(
      "spec.preserveUnknownFields",
      true,
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    );
  (spec.versions ?? []).forEach((version, i) => {
    validateVersion(version, `spec.versions[${i}]`, errors, context.schema);
  });
  if (errors.causes.length === 0) checkRules(crd, errors, context);
}

/** Refuses rules that are wrong, and warns of those that cannot be evaluated here. */
function checkRules(crd: Crd, errors: FieldErrors, context: WriteContext): void {
  crd.spec.versions.forEach((version, i) => {
    const path = `spec.versions[${i}].schema.openAPIV3Schema`;
    const { problems } = compileRules(version.schema?.openAPIV3Schema ?? {}, path);
    for (const { where, rule, why, wrong } of problems) {
      if (wrong) {
        errors.invalid(where, shownRule(wrong.of), why);
        continue;
      }
      context.warn(`${where}: this rule cannot be evaluated here and is not enforced: ${JSON.stringify(rule)}: ${why}`);
    }
  });
}

/** A rule as upstream prints it in errors: its internal type has no names of JSON. */
function shownRule({ rule, message, messageExpression, reason, fieldPath, optionalOldSelf }: ValidationRule): object {
  return {
    Rule: rule,
    Message: message ?? "",
    MessageExpression: messageExpression ?? "",
    Reason: reason ?? null,
    FieldPath: fieldPath ?? "",
    OptionalOldSelf: optionalOldSelf ?? null,
  };
}

/** Groups of the Kubernetes community need an approval. */
export function isProtectedGroup(group: string): boolean {
  return /(^|\.)(k8s|kubernetes)\.io$/.test(group);
}

/** What a protected group's approval says: approved in a URL, knowingly not approved, or nothing. */
export function approvalOf(crd: Crd): { state: "approved" | "unapproved" | "missing" | "invalid"; value: string } {
  const value = crd.metadata.annotations?.[approvalAnnotation] ?? "";
  if (value === "") return { state: "missing", value };
  if (value.startsWith("unapproved")) return { state: "unapproved", value };
  return { state: URL.canParse(value) ? "approved" : "invalid", value };
}

function validateApproval(crd: Crd, errors: FieldErrors): void {
  if (!isProtectedGroup(crd.spec.group ?? "")) return;
  const { state, value } = approvalOf(crd);
  const path = `metadata.annotations[${approvalAnnotation}]`;
  if (state === "missing")
    errors.required(
      path,
      `protected groups must have approval annotation "${approvalAnnotation}", see https://github.com/kubernetes/enhancements/pull/1111`,
    );
  if (state === "invalid")
    errors.invalid(
      path,
      value,
      `protected groups must have approval annotation "${approvalAnnotation}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`,
    );
}

function validateGroup(group: string, errors: FieldErrors): void {
  if (!group) {
    errors.required("spec.group");
    return;
  }
  const problems = dnsSubdomain(group);
  if (problems.length > 0) errors.invalid("spec.group", group, problems.join(","));
  else if (!group.includes(".")) errors.invalid("spec.group", group, "should be a domain with at least one dot");
}

function validateVersions(versions: readonly CrdVersion[], errors: FieldErrors): void {
  versions.forEach(({ name = "" }, i) => {
    const problems = dns1035Label(name);
    if (problems.length > 0) errors.invalid(`spec.versions[${i}].name`, name, problems.join(","));
  });
  // The whole list would make the message unreadable.
  const shown = versions.map(({ name, served, storage }) => ({ name, served, storage }));
  if (new Set(versions.map((v) => v.name)).size < versions.length)
    errors.invalid("spec.versions", shown, "must contain unique version names");
  if (versions.filter((v) => v.storage).length !== 1)
    errors.invalid("spec.versions", shown, "must have exactly one version marked as storage version");
}

/** Validates spec.names or status.acceptedNames. */
export function validateNames(names: CrdNames, path: string, errors: FieldErrors): void {
  const mixed = "may have mixed case, but should otherwise match: ";
  const check = (field: string, value: string | undefined, mixedCase: boolean) => {
    const problems = value ? dns1035Label(mixedCase ? value.toLowerCase() : value) : [];
    if (problems.length > 0)
      errors.invalid(`${path}.${field}`, value, `${mixedCase ? mixed : ""}${problems.join(",")}`);
  };
  check("plural", names.plural, false);
  check("singular", names.singular, false);
  check("kind", names.kind, true);
  check("listKind", names.listKind, true);
  for (const field of ["shortNames", "categories"] as const)
    names[field]?.forEach((name, i) => {
      const problems = dns1035Label(name);
      if (problems.length > 0) errors.invalid(`${path}.${field}[${i}]`, name, problems.join(","));
    });
  if (names.kind && names.kind === names.listKind)
    errors.invalid(`${path}.listKind`, names.listKind, "kind and listKind may not be the same");
}

function validateConversion(crd: Crd, errors: FieldErrors): void {
  const { strategy, webhook } = crd.spec.conversion ?? { strategy: "None" };
  if (!strategy) errors.required("spec.conversion.strategy");
  else if (strategy !== "None" && strategy !== "Webhook")
    errors.unsupported("spec.conversion.strategy", strategy, ["None", "Webhook"]);
  const config = webhook?.clientConfig as Dict | undefined;
  const reviews = (webhook?.conversionReviewVersions ?? []) as readonly string[];
  const [configPath, reviewsPath] = ["spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions"];
  if (strategy === "Webhook") {
    if (!config) errors.required(configPath, "required when strategy is set to Webhook");
    else if ((config.url === undefined) === (config.service === undefined))
      errors.required(configPath, "exactly one of url or service is required");
    if (reviews.length === 0) errors.required(reviewsPath);
    else if (!reviews.some((v) => v === "v1" || v === "v1beta1"))
      errors.invalid(reviewsPath, reviews, "must include at least one of v1, v1beta1");
    return;
  }
  const text = "should not be set when strategy is not set to Webhook";
  if (config) errors.forbidden(configPath, text);
  if (reviews.length > 0) errors.forbidden(reviewsPath, text);
}

/** Validates what an update may not change. */
export function validateDefinitionUpdate(crd: Crd, old: Crd, errors: FieldErrors): void {
  const same = (field: string, now: unknown, before: unknown) => {
    if (now !== before) errors.invalid(field, now ?? "", "field is immutable");
  };
  if (conditionIs(old, "Established")) {
    same("spec.scope", crd.spec.scope, old.spec.scope);
    same("spec.names.kind", crd.spec.names.kind, old.spec.names.kind);
  }
  same("spec.group", crd.spec.group, old.spec.group);
  same("spec.names.plural", crd.spec.names.plural, old.spec.names.plural);
  validateStored(crd, errors);
}

/** Versions in which objects may be stored cannot leave the definition. */
function validateStored(crd: Crd, errors: FieldErrors): void {
  const stored = crd.status?.storedVersions ?? [];
  const names = crd.spec.versions.map((v) => v.name);
  if (stored.length === 0) errors.invalid("status.storedVersions", stored, "must have at least one stored version");
  for (const { name, storage } of crd.spec.versions)
    if (storage && !stored.includes(name))
      errors.invalid("status.storedVersions", stored, `must have the storage version ${name}`);
  stored.forEach((version, i) => {
    if (!names.includes(version))
      errors.invalid(
        `status.storedVersions[${i}]`,
        version,
        `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`,
      );
  });
}
