import type { Deployment, IntOrString, PodTemplateSpec, ReplicaSet } from "#api/index.ts";
import { canonicalJson, equalJson } from "#base/json.ts";
import { safeHash } from "../history/hash.ts";

/** Annotations by which kubectl and the controller keep a rollout's state (upstream's names). */
export const annotations = {
  revision: "deployment.kubernetes.io/revision",
  revisionHistory: "deployment.kubernetes.io/revision-history",
  desiredReplicas: "deployment.kubernetes.io/desired-replicas",
  maxReplicas: "deployment.kubernetes.io/max-replicas",
} as const;

/** The label that keeps the pods of a Deployment's ReplicaSets apart. */
export const hashLabel = "pod-template-hash";

/** The ReplicaSet of the Deployment's present template: the oldest one, should there be several. */
export function findNew(deployment: Deployment, replicaSets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const wanted = deployment.spec.template;
  return byAge(replicaSets).find((one) => equalJson(withoutHash(one.spec.template), withoutHash(wanted)));
}

/** Oldest first. */
export function byAge(replicaSets: readonly ReplicaSet[]): ReplicaSet[] {
  const key = ({ metadata }: ReplicaSet) => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  return [...replicaSets].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function withoutHash(template: PodTemplateSpec): unknown {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {};
  const { annotations: notes = {} } = template.metadata ?? {};
  return { metadata: { labels, annotations: notes }, spec: template.spec };
}

/** The hash of a template: of its JSON with sorted keys. */
export function templateHash(template: PodTemplateSpec, collisions: number): string {
  return safeHash(`${canonicalJson(template)}${collisions || ""}`);
}

/** `25%` of a number of replicas (rounded up or down), or the number itself. */
export function resolveCount(value: IntOrString | undefined, fallback: string, of: number, roundUp: boolean): number {
  const given = value ?? fallback;
  if (typeof given === "number") return given;
  const share = (Number.parseInt(given, 10) / 100) * of;
  return roundUp ? Math.ceil(share) : Math.floor(share);
}

/** How far a rolling update may go above and below the wanted number. Both zero would block: then one may be missing. */
export function limits(deployment: Deployment): { surge: number; unavailable: number } {
  if (deployment.spec.strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  const wanted = deployment.spec.replicas ?? 1;
  const { maxSurge, maxUnavailable } = deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = resolveCount(maxSurge, "25%", wanted, true);
  const unavailable = resolveCount(maxUnavailable, "25%", wanted, false);
  if (surge === 0 && unavailable === 0) return { surge: 0, unavailable: 1 };
  return { surge, unavailable: Math.min(unavailable, wanted) };
}

/** Number of replicas that ReplicaSets ask for. */
export function totalWanted(replicaSets: readonly ReplicaSet[]): number {
  return replicaSets.reduce((sum, one) => sum + (one.spec.replicas ?? 1), 0);
}

/** A counter of the ReplicaSets' status, summed. */
export function total(
  replicaSets: readonly ReplicaSet[],
  counter: "replicas" | "readyReplicas" | "availableReplicas",
): number {
  return replicaSets.reduce((sum, one) => sum + (one.status?.[counter] ?? 0), 0);
}

/** The number of a ReplicaSet's revision, 0 without one. */
export function revisionOf(replicaSet: ReplicaSet): number {
  return Number(replicaSet.metadata.annotations?.[annotations.revision] ?? 0) || 0;
}
