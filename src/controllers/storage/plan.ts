import type { KubeObject, Pod } from "#api/index.ts";
import { claimNames } from "../scheduler/volumes.ts";

/** What of a claim or a volume says which class of attributes it has, or shall get. */
export interface HasAttributesClass extends KubeObject {
  readonly spec?: { readonly volumeAttributesClassName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly currentVolumeAttributesClassName?: string;
    readonly modifyVolumeStatus?: { readonly targetVolumeAttributesClassName?: string };
  };
}

/** What a finalizer wants: `add` it where it is missing, `remove` it from what nobody uses; else nothing. */
export function planProtection(
  object: KubeObject,
  finalizer: string,
  used: () => boolean,
): "add" | "remove" | undefined {
  const { finalizers = [], deletionTimestamp } = object.metadata;
  const there = finalizers.includes(finalizer);
  if (deletionTimestamp === undefined) return there ? undefined : "add";
  return there && !used() ? "remove" : undefined;
}

/**
 * Keys of the claims that a pod keeps from going. A pod without a node keeps none: it will not get one while its claim
 * is being deleted.
 */
export function claimsKept(pod: Pod): string[] {
  if (!pod.spec.nodeName) return [];
  return claimNames(pod).map(({ name }) => `${pod.metadata.namespace}/${name}`);
}

/** Names of the classes of attributes that a claim or a volume keeps from going. */
export function classesKept({ spec, status }: HasAttributesClass): string[] {
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return names.filter((name) => name !== undefined && name !== "") as string[];
}
