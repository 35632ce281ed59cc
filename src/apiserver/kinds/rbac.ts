import type { V1ClusterRole, V1PolicyRule, V1RoleBinding } from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { dnsSubdomain, pathSegment } from "./names.ts";
import { age } from "./print.ts";

const group = "rbac.authorization.k8s.io";

type Role = Stored<V1ClusterRole>;
type Binding = Stored<V1RoleBinding>;

const roleRules = {
  group,
  nameRule: pathSegment,
  columns: columns("Name", "Created At"),
  row: (o: Role) => [o.metadata.name, o.metadata.creationTimestamp ?? "<unknown>"],
};

/** rbac.authorization.k8s.io/v1 Role. */
export const role = defineKind<Role>({
  ...roleRules,
  kind: "Role",
  plural: "roles",
  type: "rbac.v1.Role",
  createOnUpdate: true,
  validate: (o, errors) => validateRules(o.rules ?? [], true, errors),
});

/** rbac.authorization.k8s.io/v1 ClusterRole. */
export const clusterRole = defineKind<Role>({
  ...roleRules,
  kind: "ClusterRole",
  plural: "clusterroles",
  type: "rbac.v1.ClusterRole",
  createOnUpdate: true,
  namespaced: false,
  validate: (o, errors) => validateRules(o.rules ?? [], false, errors),
});

function validateRules(rules: readonly V1PolicyRule[], namespaced: boolean, errors: FieldErrors): void {
  rules.forEach((rule, i) => {
    const path = `rules[${i}]`;
    if (!rule.verbs?.length) errors.required(`${path}.verbs`, "verbs must contain at least one value");
    if (rule.nonResourceURLs?.length) {
      if (namespaced)
        errors.invalid(
          `${path}.nonResourceURLs`,
          rule.nonResourceURLs,
          "namespaced rules cannot apply to non-resource URLs",
        );
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
        errors.invalid(
          `${path}.nonResourceURLs`,
          rule.nonResourceURLs,
          "rules cannot apply to both regular resources and non-resource URLs",
        );
      }
      return;
    }
    if (!rule.apiGroups?.length)
      errors.required(`${path}.apiGroups`, "resource rules must supply at least one api group");
    if (!rule.resources?.length)
      errors.required(`${path}.resources`, "resource rules must supply at least one resource");
  });
}

/** A role as upstream shows it in errors: its internal form, which has Go's names in JSON. */
const internalRef = ({ apiGroup, kind, name }: V1RoleBinding["roleRef"]) => ({
  APIGroup: apiGroup,
  Kind: kind,
  Name: name,
});

const bindingRules = {
  group,
  nameRule: pathSegment,
  columns: columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
  row(o: Binding, now: number) {
    const subjects = o.subjects ?? [];
    const names = (kind: string) =>
      subjects
        .filter((s) => s.kind === kind)
        .map((s) => s.name)
        .join(", ");
    const accounts = subjects
      .filter((s) => s.kind === "ServiceAccount")
      .map((s) => `${s.namespace ?? ""}/${s.name}`)
      .join(", ");
    return [
      o.metadata.name,
      `${o.roleRef.kind}/${o.roleRef.name}`,
      age(o.metadata.creationTimestamp, now),
      names("User"),
      names("Group"),
      accounts,
    ];
  },
  defaults(o: Binding) {
    if (o.roleRef) o.roleRef.apiGroup ||= group;
    for (const subject of o.subjects ?? []) {
      if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ??= group;
    }
  },
  validateUpdate(o: Binding, old: Binding, errors: FieldErrors) {
    if (JSON.stringify(o.roleRef) !== JSON.stringify(old.roleRef))
      errors.invalid("roleRef", internalRef(o.roleRef), "cannot change roleRef");
    immutable(o.metadata.name, old.metadata.name, "metadata.name", errors);
  },
};

/** rbac.authorization.k8s.io/v1 RoleBinding. */
export const roleBinding = defineKind<Binding>({
  ...bindingRules,
  kind: "RoleBinding",
  plural: "rolebindings",
  type: "rbac.v1.RoleBinding",
  createOnUpdate: true,
  validate: (o, errors) => validateBinding(o, ["ClusterRole", "Role"], errors),
});

/** rbac.authorization.k8s.io/v1 ClusterRoleBinding. */
export const clusterRoleBinding = defineKind<Binding>({
  ...bindingRules,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  type: "rbac.v1.ClusterRoleBinding",
  createOnUpdate: true,
  namespaced: false,
  validate: (o, errors) => validateBinding(o, ["ClusterRole"], errors),
});

function validateBinding(o: Binding, kinds: readonly string[], errors: FieldErrors): void {
  const ref = o.roleRef;
  if (ref?.apiGroup && ref.apiGroup !== group) errors.unsupported("roleRef.apiGroup", ref.apiGroup, [group]);
  if (!kinds.includes(ref?.kind ?? "")) errors.unsupported("roleRef.kind", ref?.kind ?? "", kinds);
  if (!ref?.name) errors.required("roleRef.name");
  o.subjects?.forEach((subject, i) => {
    const path = `subjects[${i}]`;
    if (!subject.name) errors.required(`${path}.name`);
    const known = ["Group", "ServiceAccount", "User"];
    if (!known.includes(subject.kind)) errors.unsupported(`${path}.kind`, subject.kind, known);
    else if (subject.kind === "ServiceAccount") {
      if (subject.name) for (const p of dnsSubdomain(subject.name)) errors.invalid(`${path}.name`, subject.name, p);
      if (!subject.namespace) errors.required(`${path}.namespace`);
    } else if (subject.apiGroup !== group) errors.unsupported(`${path}.apiGroup`, subject.apiGroup, [group]);
  });
}
