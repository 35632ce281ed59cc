import type { KubeObject, OwnerReference } from "#api/index.ts";

/** Finalizers by which the API server notes how an owner is to be deleted. */
export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";

/** What is known of an owner: there, gone, or waiting for its dependents to go (foreground deletion). */
export type OwnerState = "solid" | "absent" | "waiting";

/** What to do with a dependent. */
export type DependentPlan =
  | { readonly action: "keep" }
  | { readonly action: "unlink"; readonly ownerReferences: readonly OwnerReference[] }
  | { readonly action: "delete"; readonly propagationPolicy: "Foreground" | "Background" | "Orphan" };

/**
 * A dependent lives while one of its owners does. Links to owners that are gone (or wait for it) are cut when another
 * owner keeps it.
 */
export function planDependent(
  object: KubeObject,
  stateOf: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
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
  const foreground = finalizers.includes(foregroundFinalizer) || (waited && hasDependents);
  return { action: "delete", propagationPolicy: foreground ? "Foreground" : "Background" };
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
