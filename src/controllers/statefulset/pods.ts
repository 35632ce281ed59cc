import type { PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet, Volume } from "#api/index.ts";
import { resources } from "#api/index.ts";
import { controllerReference } from "../objects.ts";

/** The label by which a pod shows the revision it was made from. */
export const revisionLabel = "controller-revision-hash";
/** Label with the pod's own name, so that a Service can select one pod. */
export const podNameLabel = "statefulset.kubernetes.io/pod-name";
/** Label with the pod's ordinal. */
export const podIndexLabel = "apps.kubernetes.io/pod-index";

/** The number at the end of a pod's name when the rest is the set's name, else -1. */
export function ordinalOf(set: StatefulSet, pod: Pod): number {
  const match = /^(?<parent>.*)-(?<ordinal>\d+)$/.exec(pod.metadata.name);
  return match?.groups?.parent === set.metadata.name ? Number(match.groups.ordinal) : -1;
}

/** The first ordinal. */
export function startOrdinal(set: StatefulSet): number {
  return set.spec.ordinals?.start ?? 0;
}

/** Whether name and labels are those of the pod's place in the set. */
export function identityMatches(set: StatefulSet, pod: Pod): boolean {
  const { name, labels = {} } = pod.metadata;
  return labels[podNameLabel] === name && labels[podIndexLabel] === String(ordinalOf(set, pod));
}

/** The claims of one pod, as they are to be created. */
export function claimsOf(set: StatefulSet, ordinal: number): PersistentVolumeClaim[] {
  const { name, namespace } = set.metadata;
  return (set.spec.volumeClaimTemplates ?? []).map(({ metadata, spec }) => ({
    metadata: {
      ...metadata,
      name: `${metadata.name}-${name}-${ordinal}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...metadata.labels, ...set.spec.selector.matchLabels },
    },
    ...(spec === undefined ? {} : { spec }),
  }));
}

/** Volumes of the pod: its claims instead of template volumes of the same names. */
function volumesOf(set: StatefulSet, template: PodTemplateSpec, ordinal: number): Volume[] {
  const templates = set.spec.volumeClaimTemplates ?? [];
  const names = templates.map(({ metadata }) => metadata.name);
  const claims = claimsOf(set, ordinal).map((claim, i) => ({
    name: names[i] ?? "",
    persistentVolumeClaim: { claimName: claim.metadata.name },
  }));
  const others = (template.spec.volumes ?? []).filter((volume) => !names.includes(volume.name));
  return [...claims, ...others];
}

/** The pod of an ordinal. @param template of the revision, @param revision its name */
export function podOf(set: StatefulSet, template: PodTemplateSpec, revision: string, ordinal: number): Pod {
  const { name: setName, namespace } = set.metadata;
  const name = `${setName}-${ordinal}`;
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const volumes = volumesOf(set, template, ordinal);
  const { serviceName } = set.spec;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      generateName: `${setName}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...labels, [revisionLabel]: revision, [podNameLabel]: name, [podIndexLabel]: String(ordinal) },
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(resources.statefulSets, set)],
    },
    spec: {
      ...template.spec,
      hostname: name,
      ...(serviceName ? { subdomain: serviceName } : {}),
      ...(volumes.length > 0 ? { volumes } : {}),
    },
  };
}
