import { randomUUID } from "node:crypto";
import { equalJson } from "#base/json.ts";
import type { Registry } from "../kinds/registry.ts";
import { type Dict, type FieldSet, keyOf, type ManagedFieldsEntry, type Meta, type StoredObject } from "../object.ts";
import type { Objects, WriteOptions } from "../rest/objects.ts";
import { timestamp } from "../rest/time.ts";
import type { Store } from "../store/index.ts";
import { defaultRoles } from "./default-roles.ts";
import type { DefaultRole } from "./role-table.ts";
import { missingRules, type PolicyRule } from "./rules.ts";

const rbacGroup = "rbac.authorization.k8s.io";
const autoupdate = "rbac.authorization.kubernetes.io/autoupdate";

interface Deps {
  readonly store: Store;
  readonly objects: Objects;
  readonly registry: Registry;
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/**
 * Creates the default roles and bindings that are missing, and gives those that are there what they lack: rules,
 * subjects, labels. What somebody has added stays, and so does everything of an object that is annotated
 * `rbac.authorization.kubernetes.io/autoupdate: "false"` (kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation).
 */
export function bootstrapRoles(deps: Deps, options: WriteOptions): void {
  const roles = defaultRoles();
  for (const role of roles) {
    reconcileRole(deps, role, roles, options);
    if (role.boundTo) reconcileBinding(deps, role, role.boundTo, options);
  }
}

/** What a role gathers of the default roles, as the aggregation does it later. */
function gathered(label: string, roles: readonly DefaultRole[]): PolicyRule[] {
  const members = roles.filter((role) => role.labels[label] !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  const rules = members.flatMap(({ aggregates, rules }) => (aggregates ? gathered(aggregates, roles) : rules));
  return rules.filter((rule, i) => rules.findIndex((other) => equalJson(other, rule)) === i);
}

function reconcileRole(deps: Deps, role: DefaultRole, roles: readonly DefaultRole[], options: WriteOptions): void {
  const rules = structuredClone(role.rules) as PolicyRule[];
  const aggregationRule = role.aggregates && {
    clusterRoleSelectors: [{ matchLabels: { [role.aggregates]: "true" } }],
  };
  const wanted = {
    metadata: metadataOf(role, role.name),
    ...(aggregationRule && role.aggregates
      ? { aggregationRule, rules: structuredClone(gathered(role.aggregates, roles)) }
      : { rules }),
  };
  reconcile(deps, role.namespace ? "Role" : "ClusterRole", role, wanted, options, (old) => {
    if (aggregationRule) return { ...old, aggregationRule: old.aggregationRule ?? aggregationRule };
    const held = (old.rules ?? []) as readonly PolicyRule[];
    const missing = rules.filter((rule) => missingRules(held, [rule]).parts.length > 0);
    return missing.length === 0 ? old : { ...old, rules: [...held, ...missing] };
  });
}

function reconcileBinding(deps: Deps, role: DefaultRole, boundTo: readonly string[], options: WriteOptions): void {
  const subjects = boundTo.map(subjectOf);
  const roleRef = { apiGroup: rbacGroup, kind: role.namespace ? "Role" : "ClusterRole", name: role.name };
  const metadata = metadataOf(role, role.bindingName ?? role.name);
  const wanted = { metadata, roleRef, ...(subjects.length > 0 ? { subjects } : {}) };
  const kind = role.namespace ? "RoleBinding" : "ClusterRoleBinding";
  reconcile(deps, kind, { ...role, name: role.bindingName ?? role.name }, wanted, options, (old) => {
    const held = (old.subjects ?? []) as readonly Subject[];
    const missing = subjects.filter((s) => !held.some((h) => same(h, s)));
    return missing.length === 0 ? old : { ...old, subjects: [...held, ...missing] };
  });
}

const same = (a: Subject, b: Subject): boolean =>
  a.kind === b.kind && a.name === b.name && (a.namespace ?? "") === (b.namespace ?? "");

function metadataOf(role: DefaultRole, name: string): Dict {
  return { name, labels: { ...role.labels }, annotations: { [autoupdate]: "true" } };
}

function subjectOf(text: string): Subject & { apiGroup?: string } {
  const kind = text.slice(0, text.indexOf(":"));
  const name = text.slice(kind.length + 1);
  if (kind !== "sa") return { kind: kind === "user" ? "User" : "Group", apiGroup: rbacGroup, name };
  const [namespace = "", account = ""] = name.split("/");
  return { kind: "ServiceAccount", namespace, name: account };
}

/**
 * An object as a create request would make it. A start makes more than a hundred of these, and their defaults,
 * validation and field ownership are known: that saves it some 50 ms.
 */
function newObject(kind: string, namespace: string, { metadata, ...fields }: Dict, manager: string): StoredObject {
  const { name, labels, annotations } = metadata as Required<Pick<Meta, "name" | "labels" | "annotations">>;
  const time = timestamp();
  const entry = (by: string, fieldsV1: FieldSet): ManagedFieldsEntry => ({
    manager: by,
    operation: "Update",
    apiVersion: `${rbacGroup}/v1`,
    time,
    fieldsType: "FieldsV1",
    fieldsV1,
  });
  const keys = (of: object): FieldSet => ({
    ".": {},
    ...Object.fromEntries(Object.keys(of).map((k) => [`f:${k}`, {}])),
  });
  const own: FieldSet = { "f:metadata": { "f:annotations": keys(annotations), "f:labels": keys(labels) } };
  const { aggregationRule } = fields;
  if (aggregationRule) own["f:aggregationRule"] = { ".": {}, "f:clusterRoleSelectors": {} };
  for (const field of Object.keys(fields)) if (field !== "aggregationRule") own[`f:${field}`] = {};
  // The rules of a role that gathers are the aggregation's.
  if (aggregationRule) delete own["f:rules"];
  const gathered = aggregationRule ? [entry("clusterrole-aggregation-controller", { "f:rules": {} })] : [];
  return {
    apiVersion: `${rbacGroup}/v1`,
    kind,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      uid: randomUUID(),
      creationTimestamp: time,
      labels,
      annotations,
      managedFields: [entry(manager, own), ...gathered],
    },
    ...fields,
  };
}

/** Creates an object, or completes what is there by `complete`. */
function reconcile(
  { store, objects, registry }: Deps,
  kindName: string,
  { name, namespace, labels }: DefaultRole,
  wanted: Dict,
  options: WriteOptions,
  complete: (old: StoredObject) => Dict,
): void {
  const kind = registry.byKind(`${rbacGroup}/v1`, kindName);
  if (!kind) throw new Error(`no kind ${kindName} in ${rbacGroup}/v1`);
  const old = store.get(kind.storage, keyOf(namespace, name))?.object;
  if (!old) {
    store.put(kind.storage, keyOf(namespace, name), newObject(kindName, namespace, wanted, options.manager));
    return;
  }
  if (old.metadata.annotations?.[autoupdate] === "false") return;
  const meta = {
    ...old.metadata,
    labels: { ...old.metadata.labels, ...labels },
    annotations: { ...old.metadata.annotations, [autoupdate]: "true" },
  };
  const next = { ...complete(old), metadata: meta };
  if (!equalJson(next, old)) objects.update(kind, namespace, name, () => next, options);
}
