import { type OwnerReference, type PersistentVolumeClaim, type Pod, resources, type StatefulSet } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import { controllerReference } from "../objects.ts";

/** Whether a claim still belongs to an earlier pod of this name: it goes with that one, so nothing may use it. */
export function isStale(claim: PersistentVolumeClaim, pod: Pod): boolean {
  return (claim.metadata.ownerReferences ?? []).some(
    ({ kind, name, uid }) => kind === "Pod" && name === pod.metadata.name && uid !== pod.metadata.uid,
  );
}

/**
 * The owners that a claim shall have by persistentVolumeClaimRetentionPolicy; undefined when it has them.
 * Deleted with the set: the set owns it; deleted when scaled down: the condemned pod does.
 */
export function claimOwners(
  set: StatefulSet,
  pod: Pod,
  claim: PersistentVolumeClaim,
  condemned: boolean,
): readonly OwnerReference[] | undefined {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const byPod = condemned && whenScaled === "Delete";
  const bySet = whenDeleted === "Delete" && !byPod;
  const present = claim.metadata.ownerReferences ?? [];
  const others = present.filter(({ uid }) => uid !== set.metadata.uid && uid !== pod.metadata.uid);
  const wanted = [
    ...others,
    ...(bySet ? [controllerReference(resources.statefulSets, set)] : []),
    ...(byPod ? [controllerReference(resources.pods, pod)] : []),
  ];
  return equalJson(wanted, present) ? undefined : wanted;
}
