import type { KubeObject, OwnerReference } from "#api/index.ts";

/** Finalizer by which the API server notes that an owner goes after its dependents. */
export const foregroundFinalizer = "foregroundDeletion";
/** The same for an owner whose dependents stay. */
export const orphanFinalizer = "orphan";

/** What is known of an owner: there, gone, or waiting for its dependents to go (foreground deletion). */
export type OwnerState = "solid" | "absent" | "waiting";

/** What to do with a dependent. */
export type DependentPlan =
  | { readonly action: "keep" }
  | { readonly action: "unlink"; readonly ownerReferences: readonly OwnerReference[] }
  | {
      readonly action: "delete";
      readonly propagationPolicy: "Foreground" | "Background" | "Orphan";
      /** Owners that shall no longer wait for it: it owns one of them in turn, and both would wait for ever. */
      readonly ownerReferences?: readonly OwnerReference[];
    };

/**
 * A dependent lives while one of its owners does. Links to owners that are gone (or wait for it) are cut when another
 * owner keeps it.
 */
export function planDependent(
  object: KubeObject,
  stateOf: (owner: OwnerReference) => OwnerState,
  dependents: readonly KubeObject[],
): DependentPlan {
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0 || object.metadata.deletionTimestamp !== undefined) return { action: "keep" };
  const states = owners.map((owner) => ({ owner, state: stateOf(owner) }));
  const solid = states.filter(({ state }) => state === "solid").map(({ owner }) => owner);
  if (solid.length === owners.length) return { action: "keep" };
  if (solid.length > 0) return { action: "unlink", ownerReferences: solid };
  const finalizers = object.metadata.finalizers ?? [];
  if (finalizers.includes(orphanFinalizer)) return { action: "delete", propagationPolicy: "Orphan" };
  const waited = states.some(({ state, owner }) => state === "waiting" && owner.blockOwnerDeletion === true);
  const foreground = finalizers.includes(foregroundFinalizer) || (waited && dependents.length > 0);
  const circle = waited && dependents.some(isDeletingDependents);
  return {
    action: "delete",
    propagationPolicy: foreground ? "Foreground" : "Background",
    ...(circle ? { ownerReferences: owners.map((owner) => ({ ...owner, blockOwnerDeletion: false })) } : {}),
  };
}

/** Whether an object is being deleted in the foreground: it waits for its dependents to go. */
export function isDeletingDependents({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(foregroundFinalizer);
}

/** Where a reference to an owner leads, judged by namespaces alone. */
export type OwnerReach = "possible" | "absent" | "unresolvable";

/**
 * Namespaced owners exist in the dependent's namespace only: elsewhere they count as absent, and for an object of the
 * cluster nobody can say which one is meant. @param owner the object of the uid, where one is known
 */
export function reachOf(
  dependent: KubeObject,
  ownerIsNamespaced: boolean | undefined,
  owner: KubeObject | undefined,
): OwnerReach {
  if (!ownerIsNamespaced) return "possible";
  const { namespace } = dependent.metadata;
  if (namespace === undefined) return "unresolvable";
  return owner === undefined || owner.metadata.namespace === namespace ? "possible" : "absent";
}

/** Upstream's words for a reference that leads nowhere. */
export function invalidOwnerText(dependent: KubeObject, owner: OwnerReference): string {
  const { namespace = "" } = dependent.metadata;
  const { apiVersion, kind, name, uid } = owner;
  const reference = `[${apiVersion}/${kind}, namespace: ${namespace}, name: ${name}, uid: ${uid}]`;
  return `ownerRef ${reference} does not exist in namespace ${JSON.stringify(namespace)}`;
}

/** What to do with an owner that is being deleted. */
export interface OwnerPlan {
  /** Dependents that lose their link to the owner. */
  readonly orphan: readonly KubeObject[];
  /** Dependents to look at: they go because of the owner. */
  readonly collect: readonly KubeObject[];
  /** The finalizers that remain, when one can be taken off. */
  readonly finalizers?: readonly string[];
}

/** The next step for an owner with the finalizer `orphan` or `foregroundDeletion`. */
export function planOwner(owner: KubeObject, dependents: readonly KubeObject[]): OwnerPlan {
  const finalizers = owner.metadata.finalizers ?? [];
  const without = (gone: string) => finalizers.filter((one) => one !== gone);
  if (owner.metadata.deletionTimestamp === undefined) return { orphan: [], collect: [] };
  if (finalizers.includes(orphanFinalizer)) {
    if (dependents.length > 0) return { orphan: dependents, collect: [] };
    return { orphan: [], collect: [], finalizers: without(orphanFinalizer) };
  }
  if (!finalizers.includes(foregroundFinalizer)) return { orphan: [], collect: [] };
  const blocking = dependents.filter(({ metadata }) =>
    metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion),
  );
  if (blocking.length > 0) return { orphan: [], collect: dependents };
  return { orphan: [], collect: dependents, finalizers: without(foregroundFinalizer) };
}
