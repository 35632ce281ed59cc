import { equalJson } from "#base/json.ts";
import { notFound } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import { type AdmissionCheck, type Admitted, refuseWrite } from "./admission.ts";
import { type Authorizer, noAttributes } from "./attributes.ts";
import { superusers } from "./authorize.ts";
import type { Rbac, RoleRef } from "./rbac.ts";
import {
  compactRules,
  type Missing,
  missingRules,
  type PolicyRule,
  quoted,
  ruleText,
  TooManyCombinations,
} from "./rules.ts";

const group = "rbac.authorization.k8s.io";

/**
 * Nobody gives what they do not have: a role may only hold rules that its author holds already or `escalate` on it, a
 * binding only refer to a role whose rules its author holds or may `bind`
 * (kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping).
 */
export function escalationCheck(deps: { rbac: Rbac; authorizer: Authorizer }): AdmissionCheck {
  return (write) => {
    const { kind, user, operation, object, old } = write;
    if (kind.group !== group || operation === "DELETE" || !object) return;
    if (user.groups.includes(superusers) || (old && onlyForDeletion(object, old))) return;
    if (kind.plural === "roles" || kind.plural === "clusterroles") onRole(deps, write, object);
    else onBinding(deps, write, object);
  };
}

interface Deps {
  readonly rbac: Rbac;
  readonly authorizer: Authorizer;
}

/** Owner references and finalizers alone may change: the garbage collector needs that. */
function onlyForDeletion(object: StoredObject, old: StoredObject): boolean {
  const rest = ({ metadata, ...fields }: StoredObject) => {
    const { ownerReferences: _o, finalizers: _f, managedFields: _m, ...meta } = metadata;
    return { ...fields, metadata: meta };
  };
  return equalJson(rest(object), rest(old));
}

function onRole(deps: Deps, write: Admitted, role: StoredObject): void {
  const { kind, namespace, user } = write;
  const name = write.operation === "CREATE" ? "" : write.name;
  const wanted = { ...noAttributes, verb: "escalate", group, resource: kind.plural, namespace, name };
  if (deps.authorizer.decide(user, wanted).allowed) return;
  confirm(deps.rbac, write, (role.rules ?? []) as PolicyRule[]);
  const everything = [
    { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
    { nonResourceURLs: ["*"], verbs: ["*"] },
  ];
  // Whoever writes labels can add to such a role later.
  const { rules } = deps.rbac.rulesFor(user, namespace);
  if (role.aggregationRule && missingRules(rules, everything).parts.length > 0)
    throw refuseWrite(write, "must have cluster-admin privileges to use the aggregationRule");
}

function onBinding(deps: Deps, write: Admitted, binding: StoredObject): void {
  const { namespace, user } = write;
  const ref = binding.roleRef as RoleRef;
  const plural = ref.kind === "ClusterRole" ? "clusterroles" : "roles";
  const space = plural === "roles" ? namespace : "";
  const asked = { ...noAttributes, verb: "bind", group, resource: plural, namespace, name: ref.name };
  if (deps.authorizer.decide(user, asked).allowed) return;
  const rules = deps.rbac.rulesOfRole(ref, space);
  if (typeof rules === "string") throw notFound({ group, plural: ref.kind.toLowerCase() }, ref.name);
  confirm(deps.rbac, write, rules);
}

function confirm(rbac: Rbac, write: Admitted, rules: readonly PolicyRule[]): void {
  const held = rbac.rulesFor(write.user, write.namespace);
  const { parts, more } = compare(write, held.rules, rules);
  if (parts.length === 0) return;
  const lines = [...new Set(compactRules(parts).map(ruleText)), ...(more ? ["and more"] : [])].sort();
  const problem = held.problem ? `; resolution errors: [${held.problem}]` : "";
  throw refuseWrite(
    write,
    `user "${write.user.name}" (groups=${quoted(write.user.groups)}) is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}${problem}`,
  );
}

/** Throws the 403 where the rules cannot be compared: what is not known to be held is not given. */
function compare(write: Admitted, held: readonly PolicyRule[], wanted: readonly PolicyRule[]): Missing {
  try {
    return missingRules(held, wanted);
  } catch (error) {
    if (error instanceof TooManyCombinations) throw refuseWrite(write, error.message);
    throw error;
  }
}
