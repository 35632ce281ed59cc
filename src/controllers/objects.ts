import {
  apiVersionOf,
  type Condition,
  type KubeObject,
  type OwnerReference,
  type Pod,
  type Resource,
} from "#api/index.ts";

/** The owner that manages this object, if one does. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

/** The reference that makes `owner` the manager of its dependents. */
export function controllerReference(of: Resource, owner: KubeObject): OwnerReference {
  return {
    apiVersion: apiVersionOf(of),
    kind: of.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** A condition by its type. */
export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Whether the pod's condition Ready is True. */
export function isPodReady(pod: Pod): boolean {
  return conditionOf(pod.status?.conditions, "Ready")?.status === "True";
}

/** Whether the pod has come to its end. */
export function isPodTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Whether the pod counts for its owner: neither at its end nor being deleted. */
export function isPodActive(pod: Pod): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}

/**
 * Milliseconds until a pod has been ready for minReadySeconds: 0 when it has, undefined when it is not ready.
 */
export function availableInMs(pod: Pod, minReadySeconds: number, now: Date): number | undefined {
  const ready = conditionOf(pod.status?.conditions, "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  const since = Date.parse(ready.lastTransitionTime ?? "");
  return Number.isNaN(since) ? minReadySeconds * 1000 : Math.max(0, since + minReadySeconds * 1000 - now.getTime());
}

/** RFC 3339 with whole seconds, as meta/v1 Time. */
export function timeText(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** Replaces or adds a condition; the transition time stays while the status does. */
export function setCondition(conditions: readonly Condition[], next: Condition, now: Date): readonly Condition[] {
  const present = conditionOf(conditions, next.type);
  if (present && present.status === next.status && present.reason === next.reason && present.message === next.message) {
    return conditions;
  }
  const lastTransitionTime =
    present?.status === next.status ? (present.lastTransitionTime ?? timeText(now)) : timeText(now);
  const condition = { ...next, lastTransitionTime };
  return present ? conditions.map((old) => (old.type === next.type ? condition : old)) : [...conditions, condition];
}
