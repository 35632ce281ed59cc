import type { KubeObject, NodeSelectorTerm, Pod } from "#api/index.ts";
import { matchesTerm, type SelectableNode } from "./terms.ts";

/** The parts of a PersistentVolumeClaim that decide where a pod may go. */
export interface Claim extends KubeObject {
  readonly spec?: { readonly volumeName?: string; readonly storageClassName?: string };
}

/** The parts of a PersistentVolume that decide where a pod may go. */
export interface PersistentVolume extends KubeObject {
  readonly spec?: {
    readonly nodeAffinity?: { readonly required?: { readonly nodeSelectorTerms: readonly NodeSelectorTerm[] } };
  };
}

/** What is known of storage. */
export interface Storage {
  claim(namespace: string, name: string): Claim | undefined;
  volume(name: string): PersistentVolume | undefined;
  /** Whether claims of the class are bound only when a pod wants them (volumeBindingMode WaitForFirstConsumer). */
  bindsLate(storageClass: string | undefined): boolean;
}

/** A cluster where nothing is known of storage. */
export const noStorage: Storage = { claim: () => undefined, volume: () => undefined, bindsLate: () => false };

/** What a pod's claims ask for. */
export interface Claims {
  /** Why the pod can go nowhere. */
  readonly problem?: string;
  /** Volumes that must be reachable. */
  readonly volumes: readonly PersistentVolume[];
  /** A claim waits for its first consumer: it is bound to a volume before the pod can go anywhere. */
  readonly late: boolean;
}

/** Looks a pod's claims up. Texts are kube-scheduler's (VolumeBinding.PreFilter). */
export function claimsOf(pod: Pod, storage: Storage): Claims {
  const names = claimNames(pod);
  const volumes: PersistentVolume[] = [];
  let late = false;
  let unbound = false;
  for (const { name, ephemeral } of names) {
    const found = storage.claim(pod.metadata.namespace ?? "", name);
    if (!found) return { problem: missing(name, ephemeral), volumes, late };
    if (found.metadata.deletionTimestamp !== undefined)
      return { problem: `persistentvolumeclaim "${name}" is being deleted`, volumes, late };
    const { volumeName, storageClassName } = found.spec ?? {};
    if (!volumeName) {
      if (storage.bindsLate(storageClassName)) late = true;
      else unbound = true;
      continue;
    }
    const volume = storage.volume(volumeName);
    if (!volume)
      return {
        problem: `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${volumeName}"`,
        volumes,
        late,
      };
    volumes.push(volume);
  }
  return unbound ? { problem: "pod has unbound immediate PersistentVolumeClaims", volumes, late } : { volumes, late };
}

/** Whether a node reaches all volumes. */
export function reaches(claims: Claims, node: SelectableNode): boolean {
  return claims.volumes.every(({ spec }) => {
    const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms;
    return !terms || terms.some((term) => matchesTerm(term, node));
  });
}

/** A claim that a pod uses. */
export interface ClaimName {
  readonly name: string;
  /** Made for this pod alone. */
  readonly ephemeral: boolean;
}

/** The claims of a pod's volumes. */
export function claimNames(pod: Pod): ClaimName[] {
  return (pod.spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }): ClaimName[] => {
    if (persistentVolumeClaim) return [{ name: persistentVolumeClaim.claimName, ephemeral: false }];
    return ephemeral ? [{ name: `${pod.metadata.name}-${name}`, ephemeral: true }] : [];
  });
}

function missing(name: string, ephemeral: boolean): string {
  return ephemeral
    ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
    : `persistentvolumeclaim "${name}" not found`;
}
