import type { PolicyRule } from "./rules.ts";

/** A role that every cluster starts with, and whom it is bound to. */
export interface DefaultRole {
  readonly name: string;
  /** Empty: a ClusterRole. */
  readonly namespace: string;
  readonly rules: readonly PolicyRule[];
  readonly labels: Readonly<Record<string, string>>;
  /** Gathers the rules of the roles with this label. */
  readonly aggregates?: string;
  /** Subjects of the binding: `group:x`, `user:x`, `sa:namespace/name`; undefined: there is no binding. */
  readonly boundTo?: readonly string[];
  /** Name of the binding; default: the role's. */
  readonly bindingName?: string;
}

const short: Readonly<Record<string, readonly string[]>> = {
  read: ["get", "list", "watch"],
  write: ["create", "delete", "deletecollection", "patch", "update"],
  all: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
};

const bootstrapping = { "kubernetes.io/bootstrapping": "rbac-defaults" };

/**
 * Reads a table of roles. A line that is not indented begins a role:
 *
 *     name [@namespace] [+label of a role that gathers it] [<label that it gathers] [= subject …] [as binding]
 *
 * and each line below it is a rule: `verbs groups resources [names]`, or `verbs path …`. Verbs, groups, resources
 * and names are separated by commas; the core group is `core`; `read`, `write` and `all` stand for their verbs.
 */
export function readRoles(table: string): DefaultRole[] {
  const roles: { -readonly [K in keyof DefaultRole]: DefaultRole[K] }[] = [];
  for (const line of table.split("\n")) {
    if (line.trim() === "") continue;
    if (line.startsWith(" ")) {
      const role = roles.at(-1);
      if (role) role.rules = [...role.rules, readRule(line.trim())];
    } else roles.push(readHead(line));
  }
  return roles;
}

function readHead(line: string): { -readonly [K in keyof DefaultRole]: DefaultRole[K] } {
  const [name = "", ...words] = line.split(" ");
  const role: { -readonly [K in keyof DefaultRole]: DefaultRole[K] } = {
    name,
    namespace: "",
    rules: [],
    labels: bootstrapping,
  };
  const aggregate = (to: string) => `rbac.authorization.k8s.io/aggregate-to-${to}`;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word.startsWith("@")) role.namespace = word.slice(1);
    else if (word.startsWith("+")) role.labels = { ...role.labels, [aggregate(word.slice(1))]: "true" };
    else if (word.startsWith("<")) role.aggregates = aggregate(word.slice(1));
    else if (word === "=") role.boundTo = [];
    else if (word === "as") role.bindingName = words[++i] as string;
    else role.boundTo = [...(role.boundTo ?? []), word];
  }
  return role;
}

/** One rule of the table. */
export function readRule(line: string): PolicyRule {
  const [verbs = "", ...rest] = line.split(" ");
  const allVerbs = [...new Set(verbs.split(",").flatMap((verb) => short[verb] ?? [verb]))].sort();
  if (rest[0]?.startsWith("/") || rest.length === 1) return { nonResourceURLs: rest, verbs: allVerbs };
  const [groups = "", resources = "", names] = rest;
  return {
    apiGroups: groups.split(",").map((group) => (group === "core" ? "" : group)),
    ...(names ? { resourceNames: names.split(",") } : {}),
    resources: resources.split(",").sort(),
    verbs: allVerbs,
  };
}
