import type { User } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import type { Entry, Store } from "../store/index.ts";

/** What somebody wants to do. */
export interface Attributes {
  readonly verb: string;
  /** Empty resource: a path. */
  readonly resource: string;
  readonly subresource: string;
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
}

/** One rule of a role. */
export interface PolicyRule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

const rbacGroup = "rbac.authorization.k8s.io";

/**
 * Role-based access control over the stored roles and bindings (apiserver plugin/pkg/auth/authorizer/rbac).
 * Members of system:masters may do everything.
 */
export class Rbac {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Whether the user may. */
  allows(user: User, wanted: Attributes): boolean {
    if (user.groups.includes("system:masters")) return true;
    for (const rule of this.rulesFor(user, wanted.namespace)) if (ruleAllows(rule, wanted)) return true;
    return false;
  }

  /** All rules that hold for a user in a namespace (empty: cluster-wide only). */
  *rulesFor(user: User, namespace: string): Generator<PolicyRule> {
    for (const { object } of this.#store.list(`clusterrolebindings.${rbacGroup}`)) {
      if (hasSubject(object, user, "")) yield* this.#rules(object, "");
    }
    if (!namespace) return;
    for (const entry of this.#bindingsIn(namespace)) {
      if (hasSubject(entry.object, user, namespace)) yield* this.#rules(entry.object, namespace);
    }
  }

  #bindingsIn(namespace: string): Entry[] {
    return this.#store.list(`rolebindings.${rbacGroup}`).filter((e) => e.namespace === namespace);
  }

  #rules(binding: StoredObject, namespace: string): readonly PolicyRule[] {
    const { kind, name } = binding.roleRef as { kind: string; name: string };
    const role =
      kind === "ClusterRole"
        ? this.#store.get(`clusterroles.${rbacGroup}`, name)
        : this.#store.get(`roles.${rbacGroup}`, `${namespace}/${name}`);
    return (role?.object.rules ?? []) as readonly PolicyRule[];
  }
}

function hasSubject(binding: StoredObject, user: User, namespace: string): boolean {
  return ((binding.subjects ?? []) as readonly Subject[]).some((subject) => {
    if (subject.kind === "User") return subject.name === user.name;
    if (subject.kind === "Group") return user.groups.includes(subject.name);
    return user.name === `system:serviceaccount:${subject.namespace ?? namespace}:${subject.name}`;
  });
}

function ruleAllows(rule: PolicyRule, wanted: Attributes): boolean {
  if (!includes(rule.verbs, wanted.verb)) return false;
  if (wanted.resource === "") {
    return (rule.nonResourceURLs ?? []).some(
      (url) => url === "*" || url === wanted.path || (url.endsWith("*") && wanted.path.startsWith(url.slice(0, -1))),
    );
  }
  if (!includes(rule.apiGroups, wanted.group)) return false;
  if (!resourceMatches(rule.resources ?? [], wanted)) return false;
  return !rule.resourceNames?.length || rule.resourceNames.includes(wanted.name);
}

function includes(values: readonly string[] | undefined, value: string): boolean {
  return values?.includes("*") === true || values?.includes(value) === true;
}

function resourceMatches(resources: readonly string[], { resource, subresource }: Attributes): boolean {
  const full = subresource ? `${resource}/${subresource}` : resource;
  return resources.some((r) => r === "*" || r === full || (subresource !== "" && r === `*/${subresource}`));
}
