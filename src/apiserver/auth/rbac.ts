import type { User } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import { type Entry, Follower, type Store } from "../store/index.ts";
import type { Attributes, Authorizer, Decision } from "./attributes.ts";
import { type PolicyRule, ruleAllows } from "./rules.ts";

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** A reference to a role. */
export interface RoleRef {
  readonly kind: string;
  readonly name: string;
}

/** A binding as it concerns one of its subjects. */
interface Grant {
  readonly name: string;
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string;
  readonly role: RoleRef;
  /** As upstream's reasons name the subject. */
  readonly subject: string;
}

const rbacGroup = "rbac.authorization.k8s.io";
const clusterBindings = `clusterrolebindings.${rbacGroup}`;
const bindings = `rolebindings.${rbacGroup}`;

/**
 * Role-based access control over the stored roles and bindings (apiserver plugin/pkg/auth/authorizer/rbac).
 *
 * Bindings are indexed by namespace and subject and the index follows the store's changes, so a decision looks at the
 * bindings of the user and of the user's groups only, however many others there are.
 */
export class Rbac implements Authorizer {
  readonly #store: Store;
  /** `namespace subject` to grants by the binding's key. */
  readonly #grants = new Map<string, Map<string, Grant>>();
  readonly #followers: readonly Follower[];

  constructor(store: Store) {
    this.#store = store;
    this.#followers = [clusterBindings, bindings].map((resource) => this.#follow(resource));
  }

  decide(user: User, wanted: Attributes): Decision {
    const missing: string[] = [];
    for (const grant of this.#grantsOf(user, wanted.namespace)) {
      const rules = this.rulesOfRole(grant.role, grant.namespace);
      if (typeof rules === "string") missing.push(rules);
      else if (rules.some((rule) => ruleAllows(rule, wanted)))
        return { allowed: true, reason: `RBAC: allowed by ${describe(grant)}` };
    }
    return { allowed: false, reason: missing.length === 0 ? "" : `RBAC: ${aggregate(missing)}` };
  }

  /** All rules that hold for a user in a namespace (empty: cluster-wide only), and what could not be found out. */
  rulesFor(user: User, namespace: string): { rules: PolicyRule[]; problem: string } {
    const missing: string[] = [];
    const rules: PolicyRule[] = [];
    for (const grant of this.#grantsOf(user, namespace)) {
      const found = this.rulesOfRole(grant.role, grant.namespace);
      if (typeof found === "string") missing.push(found);
      else rules.push(...found);
    }
    return { rules, problem: missing.length === 0 ? "" : aggregate(missing) };
  }

  /** The rules of a role, or the words for there being none. */
  rulesOfRole(role: RoleRef, namespace: string): readonly PolicyRule[] | string {
    const cluster = role.kind === "ClusterRole";
    const found = cluster
      ? this.#store.get(`clusterroles.${rbacGroup}`, role.name)
      : this.#store.get(`roles.${rbacGroup}`, `${namespace}/${role.name}`);
    if (!found) return `${cluster ? "clusterrole" : "role"}.${rbacGroup} "${role.name}" not found`;
    return (found.object.rules ?? []) as readonly PolicyRule[];
  }

  *#grantsOf(user: User, namespace: string): Generator<Grant> {
    for (const follower of this.#followers) follower.refresh();
    const subjects = [`u:${user.name}`, ...user.groups.map((group) => `g:${group}`)];
    const seen = new Set<string>();
    for (const space of namespace ? ["", namespace] : [""])
      for (const subject of subjects)
        for (const [key, grant] of this.#grants.get(`${space} ${subject}`) ?? []) {
          // A binding that names a user and one of the user's groups counts once.
          if (seen.has(`${space} ${key}`)) continue;
          seen.add(`${space} ${key}`);
          yield grant;
        }
  }

  #follow(resource: string): Follower {
    const cluster = resource === clusterBindings;
    return new Follower(this.#store, resource, {
      clear: () => {
        for (const key of [...this.#grants.keys()]) if (key.startsWith(" ") === cluster) this.#grants.delete(key);
      },
      take: (entry) => this.#note(entry),
      giveBack: (entry) => this.#forget(entry),
    });
  }

  #note(entry: Entry): void {
    for (const { index, grant } of grantsOf(entry.object)) {
      let known = this.#grants.get(index);
      if (!known) this.#grants.set(index, (known = new Map()));
      known.set(entry.key, grant);
    }
  }

  #forget(entry: Entry): void {
    for (const { index } of grantsOf(entry.object)) {
      const known = this.#grants.get(index);
      known?.delete(entry.key);
      if (known?.size === 0) this.#grants.delete(index);
    }
  }
}

function grantsOf(binding: StoredObject): { index: string; grant: Grant }[] {
  const { name, namespace = "" } = binding.metadata;
  const role = binding.roleRef as RoleRef;
  return ((binding.subjects ?? []) as readonly Subject[]).flatMap((subject) => {
    const id = idOf(subject, namespace);
    if (!id) return [];
    return [
      { index: `${namespace} ${id}`, grant: { name, namespace, role, subject: subjectText(subject, namespace) } },
    ];
  });
}

function idOf(subject: Subject, namespace: string): string | undefined {
  if (subject.kind === "User") return `u:${subject.name}`;
  if (subject.kind === "Group") return `g:${subject.name}`;
  const home = subject.namespace || namespace;
  return subject.kind === "ServiceAccount" && home ? `u:system:serviceaccount:${home}:${subject.name}` : undefined;
}

function subjectText({ kind, name, namespace: own }: Subject, namespace: string): string {
  return `${kind} "${kind === "ServiceAccount" ? `${name}/${own || namespace}` : name}"`;
}

function describe({ name, namespace, role, subject }: Grant): string {
  const binding = namespace ? `RoleBinding "${name}/${namespace}"` : `ClusterRoleBinding "${name}"`;
  return `${binding} of ${role.kind} "${role.name}" to ${subject}`;
}

/** Several errors as k8s.io/apimachinery/pkg/util/errors puts them together. */
function aggregate(errors: readonly string[]): string {
  const unique = [...new Set(errors)];
  return unique.length === 1 ? (unique[0] as string) : `[${unique.join(", ")}]`;
}
