import { matchesSelector } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import type { Kind } from "../kinds/definition.ts";
import type { Registry } from "../kinds/registry.ts";
import type { StoredObject } from "../object.ts";
import type { Objects, WriteOptions } from "../rest/objects.ts";
import type { Store } from "../store/index.ts";
import type { PolicyRule } from "./rules.ts";

const storage = "clusterroles.rbac.authorization.k8s.io";

type Selector = Parameters<typeof matchesSelector>[0];

/** What gathering works with. */
export interface AggregationDeps {
  readonly store: Store;
  readonly objects: Objects;
  readonly registry: Registry;
  readonly log: Logger;
}

/**
 * Keeps the rules of ClusterRoles with an aggregationRule: all rules of the roles whose labels it selects
 * (kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles). It follows the stored roles from
 * start() on.
 */
export class RoleAggregation {
  readonly #deps: AggregationDeps;
  readonly #options: WriteOptions;
  #stop: (() => void) | undefined;

  constructor(deps: AggregationDeps, options: WriteOptions) {
    this.#deps = deps;
    this.#options = { ...options, manager: "clusterrole-aggregation-controller" };
  }

  /** Brings all roles up to date, and again whenever one changes. */
  start(): void {
    this.#settle();
    this.#stop = this.#deps.store.watch(storage, this.#deps.store.revision, () => this.#settle());
  }

  stop(): void {
    this.#stop?.();
  }

  /** A gathered role may itself be gathered: goes on until nothing changes, or roles gather each other in a circle. */
  #settle(): void {
    // The next change after the store works again comes back to this.
    if (this.#deps.store.failure) return;
    const roles = this.#deps.store.list(storage).length;
    for (let round = 0; round <= roles; round++) if (!this.#round()) return;
  }

  #round(): boolean {
    const { store, registry } = this.#deps;
    const kind = registry.byKind("rbac.authorization.k8s.io/v1", "ClusterRole");
    if (!kind) return false;
    let changed = false;
    const all = store.list(storage).map((entry) => entry.object);
    for (const role of all) {
      const rules = gathered(role, all);
      if (!rules || equalJson(rules, role.rules ?? [])) continue;
      changed = this.#write(kind, role.metadata.name, rules) || changed;
    }
    return changed;
  }

  /** Never throws, since changes are made known here: what is gathered may be more than an object can hold. */
  #write(kind: Kind, name: string, rules: readonly PolicyRule[]): boolean {
    try {
      this.#deps.objects.update(kind, "", name, (old) => ({ ...old, rules }), this.#options);
      return true;
    } catch (error) {
      this.#deps.log.error("A cluster role does not get the rules it gathers", { name, error: errorMessage(error) });
      return false;
    }
  }
}

/** The rules that a role gathers, each once; undefined for a role that gathers none. */
function gathered(role: StoredObject, all: readonly StoredObject[]): PolicyRule[] | undefined {
  const { clusterRoleSelectors } = (role.aggregationRule ?? {}) as { clusterRoleSelectors?: Selector[] };
  if (!clusterRoleSelectors || role.metadata.deletionTimestamp !== undefined) return undefined;
  const rules: PolicyRule[] = [];
  for (const selector of clusterRoleSelectors)
    for (const other of all) {
      if (other.metadata.name === role.metadata.name || !matchesSelector(selector, other.metadata.labels)) continue;
      for (const rule of (other.rules ?? []) as PolicyRule[])
        if (!rules.some((known) => equalJson(known, rule))) rules.push(rule);
    }
  return rules;
}
