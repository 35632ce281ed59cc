import type {
  V1MatchResources,
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1ParamKind,
  V1ParamRef,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
} from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { oneOf, oneOfOrNone, validateLabelSelector } from "../checks.ts";
import { columns, defineKind } from "../define.ts";
import type { Stored, WriteContext } from "../definition.ts";
import { dnsSubdomain, pathSegment } from "../names.ts";
import { age } from "../print.ts";
import { validateMatchConditions, validateRules } from "./rules.ts";

const notEvaluated =
  "this API server evaluates no admission policies: the object is stored and shown, its expressions are not compiled";

const shared = {
  group: "admissionregistration.k8s.io",
  namespaced: false,
  categories: ["api-extensions"],
  generation: true,
  prepareCreate: (_o: unknown, context: WriteContext) => context.warn(notEvaluated),
  prepareUpdate: (_o: unknown, _old: unknown, context: WriteContext) => context.warn(notEvaluated),
};

const paramKindText = (kind: V1ParamKind | undefined) => (kind ? `${kind.apiVersion}/${kind.kind}` : "<unset>");

/** admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy, stored. */
export const validatingAdmissionPolicy = defineKind<Stored<V1ValidatingAdmissionPolicy>>({
  ...shared,
  kind: "ValidatingAdmissionPolicy",
  plural: "validatingadmissionpolicies",
  type: "admissionregistration.v1.ValidatingAdmissionPolicy",
  unconditionalUpdate: false,
  status: true,
  columns: columns("Name", "Validations#", "ParamKind", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.validations?.length ?? 0,
    paramKindText(o.spec?.paramKind),
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    if (o.spec) o.spec.failurePolicy ??= "Fail";
    defaultMatch(o.spec?.matchConstraints);
    o.status ??= {};
  },
  validate(o, errors) {
    const spec = o.spec ?? {};
    validatePolicy(spec, errors);
    if (!spec.validations?.length && !spec.auditAnnotations?.length) {
      const text = "validations or auditAnnotations must contain at least one item";
      errors.required("spec.validations", text);
      errors.required("spec.auditAnnotations", text);
    }
    spec.validations?.forEach((v, i) => {
      const path = `spec.validations[${i}]`;
      if (!v.expression?.trim()) errors.required(`${path}.expression`, "expression is not specified");
      if (v.message !== undefined && v.message.trim() === "")
        errors.invalid(`${path}.message`, v.message, "message must be non-empty if specified");
      else if (v.message && /[\r\n]/.test(v.message.trim()))
        errors.invalid(`${path}.message`, v.message, "message must not contain line breaks");
      oneOfOrNone(v.reason, ["Forbidden", "Invalid", "RequestEntityTooLarge"], `${path}.reason`, errors);
    });
    validateAnnotations(o, errors);
  },
});

function validateAnnotations(o: Stored<V1ValidatingAdmissionPolicy>, errors: FieldErrors): void {
  const keys = new Set<string>();
  o.spec?.auditAnnotations?.forEach(({ key, valueExpression }, i) => {
    const path = `spec.auditAnnotations[${i}]`;
    if (!key) errors.required(`${path}.key`);
    else if (keys.has(key)) errors.duplicate(`${path}.key`, key);
    keys.add(key);
    if (!valueExpression?.trim()) errors.required(`${path}.valueExpression`, "valueExpression is not specified");
  });
}

/** admissionregistration.k8s.io/v1 MutatingAdmissionPolicy, stored. */
export const mutatingAdmissionPolicy = defineKind<Stored<V1MutatingAdmissionPolicy>>({
  ...shared,
  kind: "MutatingAdmissionPolicy",
  plural: "mutatingadmissionpolicies",
  type: "admissionregistration.v1.MutatingAdmissionPolicy",
  unconditionalUpdate: false,
  columns: columns("Name", "Mutations#", "ParamKind", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.mutations?.length ?? 0,
    paramKindText(o.spec?.paramKind),
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    if (o.spec) o.spec.failurePolicy ??= "Fail";
    defaultMatch(o.spec?.matchConstraints);
  },
  validate(o, errors) {
    const spec = o.spec ?? {};
    validatePolicy(spec, errors);
    oneOf(spec.reinvocationPolicy, ["IfNeeded", "Never"], "spec.reinvocationPolicy", errors);
    if (!spec.mutations?.length) errors.required("spec.mutations", "mutations must contain at least one item");
    spec.mutations?.forEach((m, i) => {
      const path = `spec.mutations[${i}]`;
      oneOf(m.patchType, ["ApplyConfiguration", "JSONPatch"], `${path}.patchType`, errors);
      const field = m.patchType === "JSONPatch" ? "jsonPatch" : "applyConfiguration";
      if (!m[field]?.expression?.trim())
        errors.required(`${path}.${field}`, `must be specified when patchType is ${m.patchType}`);
    });
  },
});

function defaultMatch(match: V1MatchResources | undefined): void {
  if (!match) return;
  match.matchPolicy ??= "Equivalent";
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= "*";
}

interface PolicySpec {
  readonly failurePolicy?: string;
  readonly paramKind?: V1ParamKind;
  readonly matchConstraints?: V1MatchResources;
  readonly matchConditions?: { name?: string; expression?: string }[];
  readonly variables?: { name?: string; expression?: string }[];
}

function validatePolicy(spec: PolicySpec, errors: FieldErrors): void {
  oneOf(spec.failurePolicy, ["Fail", "Ignore"], "spec.failurePolicy", errors);
  if (spec.paramKind) {
    if (!spec.paramKind.apiVersion) errors.required("spec.paramKind.apiVersion");
    if (!spec.paramKind.kind) errors.required("spec.paramKind.kind");
  }
  if (!spec.matchConstraints) errors.required("spec.matchConstraints");
  else {
    validateMatch(spec.matchConstraints, "spec.matchConstraints", errors);
    if (!spec.matchConstraints.resourceRules?.length) errors.required("spec.matchConstraints.resourceRules");
  }
  validateMatchConditions(spec.matchConditions, "spec.matchConditions", errors);
  spec.variables?.forEach(({ name, expression }, i) => {
    const path = `spec.variables[${i}]`;
    if (!name?.trim()) errors.required(`${path}.name`, "name is not specified");
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name))
      errors.invalid(`${path}.name`, name, "name is not a valid CEL identifier");
    if (!expression?.trim()) errors.required(`${path}.expression`, "expression is not specified");
  });
}

function validateMatch(match: V1MatchResources, path: string, errors: FieldErrors): void {
  oneOf(match.matchPolicy, ["Equivalent", "Exact"], `${path}.matchPolicy`, errors);
  validateLabelSelector(match.namespaceSelector, `${path}.namespaceSelector`, errors);
  validateLabelSelector(match.objectSelector, `${path}.objectSelector`, errors);
  validateRules(match.resourceRules, `${path}.resourceRules`, errors);
  validateRules(match.excludeResourceRules, `${path}.excludeResourceRules`, errors);
}

type Binding = Stored<V1ValidatingAdmissionPolicyBinding | V1MutatingAdmissionPolicyBinding>;

const bindingRules = {
  ...shared,
  columns: columns("Name", "PolicyName", "ParamRef", "Age"),
  row: (o: Binding, now: number) => [
    o.metadata.name,
    o.spec?.policyName ?? "",
    paramText(o.spec?.paramRef),
    age(o.metadata.creationTimestamp, now),
  ],
  defaults: (o: Binding) => defaultMatch(o.spec?.matchResources),
};

function paramText(ref: V1ParamRef | undefined): string {
  if (!ref) return "<unset>";
  return ref.namespace ? `${ref.namespace}/${ref.name ?? "*"}` : (ref.name ?? "*");
}

/** admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding, stored. */
export const validatingAdmissionPolicyBinding = defineKind<Stored<V1ValidatingAdmissionPolicyBinding>>({
  ...bindingRules,
  kind: "ValidatingAdmissionPolicyBinding",
  plural: "validatingadmissionpolicybindings",
  type: "admissionregistration.v1.ValidatingAdmissionPolicyBinding",
  unconditionalUpdate: false,
  validate(o, errors) {
    validateBinding(o, errors);
    const actions = o.spec?.validationActions ?? [];
    if (actions.length === 0) errors.required("spec.validationActions", "at least one validation action is required");
    actions.forEach((action, i) => {
      const path = `spec.validationActions[${i}]`;
      if (!["Audit", "Deny", "Warn"].includes(action)) errors.unsupported(path, action, ["Audit", "Deny", "Warn"]);
      if (actions.indexOf(action) < i) errors.duplicate(path, action);
    });
    if (actions.includes("Deny") && actions.includes("Warn"))
      errors.invalid(
        "spec.validationActions",
        actions,
        "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
      );
  },
});

/** admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding, stored. */
export const mutatingAdmissionPolicyBinding = defineKind<Stored<V1MutatingAdmissionPolicyBinding>>({
  ...bindingRules,
  kind: "MutatingAdmissionPolicyBinding",
  plural: "mutatingadmissionpolicybindings",
  type: "admissionregistration.v1.MutatingAdmissionPolicyBinding",
  unconditionalUpdate: false,
  validate: validateBinding,
});

function validateBinding(o: Binding, errors: FieldErrors): void {
  const { policyName, paramRef, matchResources } = o.spec ?? {};
  if (!policyName) errors.required("spec.policyName");
  else for (const problem of dnsSubdomain(policyName)) errors.invalid("spec.policyName", policyName, problem);
  if (matchResources) validateMatch(matchResources, "spec.matchResources", errors);
  if (!paramRef) return;
  const path = "spec.paramRef";
  if (paramRef.name) {
    for (const problem of pathSegment(paramRef.name)) errors.invalid(`${path}.name`, paramRef.name, problem);
    if (paramRef.selector) errors.forbidden(`${path}.name`, "name and selector are mutually exclusive");
  } else if (!paramRef.selector) errors.required(path, "one of name or selector must be specified");
  oneOf(paramRef.parameterNotFoundAction, ["Allow", "Deny"], `${path}.parameterNotFoundAction`, errors);
}
