import type { Deployment, ReplicaSet } from "#api/index.ts";
import {
  annotations,
  byAge,
  findNew,
  hashLabel,
  limits,
  revisionOf,
  templateHash,
  total,
  totalWanted,
} from "./replicasets.ts";

/** A change of a ReplicaSet's size. */
export interface Scale {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
}

/** What to do next for one Deployment. Later steps follow when the ReplicaSets show that these have worked. */
export interface DeploymentPlan {
  /** The ReplicaSet to create for a template that has none. */
  readonly create?: ReplicaSet;
  /** Annotations that a present ReplicaSet lacks. */
  readonly annotate: readonly { readonly replicaSet: ReplicaSet; readonly annotations: Record<string, string> }[];
  readonly scale: readonly Scale[];
  /** The current ReplicaSet's minReadySeconds differ: these are wanted. */
  readonly minReadySeconds?: number;
  /** Old revisions beyond the history limit. */
  readonly remove: readonly ReplicaSet[];
  /** The revision to note on the Deployment. */
  readonly revision: string;
  readonly current?: ReplicaSet;
}

/**
 * The next step of a rollout.
 * @param replicaSets those that the Deployment owns
 * @param oldPodsLeft whether pods of older templates still exist, which Recreate waits for
 */
export function planDeployment(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[],
  oldPodsLeft: boolean,
): DeploymentPlan {
  const current = findNew(deployment, replicaSets);
  const old = replicaSets.filter((one) => one !== current);
  const revision = nextRevision(current, old);
  const { minReadySeconds = 0 } = deployment.spec;
  const base = {
    ...{ annotate: [], scale: [], remove: [], revision },
    ...(current ? { current } : {}),
    ...(current && (current.spec.minReadySeconds ?? 0) !== minReadySeconds ? { minReadySeconds } : {}),
  };
  if (deployment.metadata.deletionTimestamp !== undefined) return base;
  const annotate = annotationChanges(deployment, current, replicaSets, revision);
  if (deployment.spec.paused || isScaling(deployment, replicaSets)) {
    const remove = deployment.spec.paused ? [] : surplusHistory(deployment, old);
    // A paused Deployment that never ran has no ReplicaSet yet, and gets none.
    const noted = {
      ...base,
      revision: current ? revision : (deployment.metadata.annotations?.[annotations.revision] ?? ""),
    };
    const scale = scaleAll(deployment, current, old);
    const kept = replicaSets.filter((one) => !scale.some(({ replicaSet }) => replicaSet === one));
    return { ...noted, annotate: [...annotate, ...outdatedSizes(deployment, kept)], scale, remove };
  }
  if (deployment.spec.strategy?.type === "Recreate") {
    return { ...base, annotate, ...recreate(deployment, current, old, oldPodsLeft, revision) };
  }
  return { ...base, annotate, ...roll(deployment, current, old, revision) };
}

/** The current ReplicaSet's revision is above all others'. */
function nextRevision(current: ReplicaSet | undefined, old: readonly ReplicaSet[]): string {
  const highest = Math.max(0, ...old.map(revisionOf));
  return String(Math.max(highest + 1, current ? revisionOf(current) : 0));
}

/** Whether `replicas` was changed since the ReplicaSets were last sized: then sizes change and nothing else does. */
function isScaling(deployment: Deployment, replicaSets: readonly ReplicaSet[]): boolean {
  return replicaSets.some((one) => {
    const desired = one.metadata.annotations?.[annotations.desiredReplicas];
    return (one.spec.replicas ?? 1) > 0 && desired !== undefined && Number(desired) !== (deployment.spec.replicas ?? 1);
  });
}

/** ReplicaSets that keep their size note the new `replicas` too, or it would count as a change for ever. */
function outdatedSizes(deployment: Deployment, kept: readonly ReplicaSet[]): DeploymentPlan["annotate"] {
  const sizes = sizeAnnotations(deployment);
  const differs = (one: ReplicaSet) =>
    Object.entries(sizes).some(([key, value]) => one.metadata.annotations?.[key] !== value);
  return kept
    .filter((one) => (one.spec.replicas ?? 1) > 0 && differs(one))
    .map((replicaSet) => ({ replicaSet, annotations: sizes }));
}

function roll(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  revision: string,
): Pick<DeploymentPlan, "create" | "scale" | "remove"> {
  const wanted = deployment.spec.replicas ?? 1;
  const { surge } = limits(deployment);
  const present = totalWanted(old) + (current?.spec.replicas ?? 0);
  const room = Math.max(0, wanted + surge - present);
  if (!current) return { create: newReplicaSet(deployment, Math.min(wanted, room), revision), scale: [], remove: [] };
  const size = current.spec.replicas ?? 1;
  const next = size > wanted ? wanted : Math.min(wanted, size + room);
  if (next !== size) return { scale: [{ replicaSet: current, replicas: next }], remove: [] };
  const down = shrinkOld(deployment, current, old);
  return {
    scale: down,
    remove: down.length === 0 && isComplete(deployment, current, old) ? surplusHistory(deployment, old) : [],
  };
}

/** Takes pods of old ReplicaSets away as far as enough others are available: pods that do not serve go first. */
function shrinkOld(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Scale[] {
  const wanted = deployment.spec.replicas ?? 1;
  const minAvailable = wanted - limits(deployment).unavailable;
  const currentUnavailable = (current.spec.replicas ?? 1) - (current.status?.availableReplicas ?? 0);
  let removable = totalWanted([...old, current]) - minAvailable - currentUnavailable;
  if (removable <= 0) return [];
  const sizes = new Map(old.map((one) => [one, one.spec.replicas ?? 1]));
  const take = (one: ReplicaSet, count: number) => {
    sizes.set(one, (sizes.get(one) ?? 0) - count);
    removable -= count;
  };
  for (const one of byAge(old)) {
    const unhealthy = (one.spec.replicas ?? 1) - (one.status?.availableReplicas ?? 0);
    if (removable > 0 && unhealthy > 0) take(one, Math.min(unhealthy, removable));
  }
  let healthy = total([...old, current], "availableReplicas") - minAvailable;
  for (const one of byAge(old)) {
    const count = Math.min(sizes.get(one) ?? 0, healthy, removable);
    if (count <= 0) continue;
    take(one, count);
    healthy -= count;
  }
  return old
    .filter((one) => sizes.get(one) !== (one.spec.replicas ?? 1))
    .map((one) => ({ replicaSet: one, replicas: sizes.get(one) ?? 0 }));
}

function recreate(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  oldPodsLeft: boolean,
  revision: string,
): Pick<DeploymentPlan, "create" | "scale" | "remove"> {
  const running = old.filter((one) => (one.spec.replicas ?? 1) > 0);
  if (running.length > 0) return { scale: running.map((one) => ({ replicaSet: one, replicas: 0 })), remove: [] };
  if (oldPodsLeft) return { scale: [], remove: [] };
  const wanted = deployment.spec.replicas ?? 1;
  if (!current) return { create: newReplicaSet(deployment, wanted, revision), scale: [], remove: [] };
  if ((current.spec.replicas ?? 1) !== wanted)
    return { scale: [{ replicaSet: current, replicas: wanted }], remove: [] };
  return { scale: [], remove: isComplete(deployment, current, old) ? surplusHistory(deployment, old) : [] };
}

/** Sizes follow `replicas`; in the middle of a rollout each ReplicaSet gets its share of the change. */
function scaleAll(deployment: Deployment, current: ReplicaSet | undefined, old: readonly ReplicaSet[]): Scale[] {
  const wanted = deployment.spec.replicas ?? 1;
  const active = [...old, ...(current ? [current] : [])].filter((one) => (one.spec.replicas ?? 1) > 0);
  const only = active.length === 0 ? (current ?? byAge(old).at(-1)) : active.length === 1 ? active[0] : undefined;
  if (only) return (only.spec.replicas ?? 1) === wanted ? [] : [{ replicaSet: only, replicas: wanted }];
  if (active.length === 0) return [];
  if (current && (current.spec.replicas ?? 1) === wanted && (current.status?.availableReplicas ?? 0) === wanted) {
    return old.filter((one) => (one.spec.replicas ?? 1) > 0).map((one) => ({ replicaSet: one, replicas: 0 }));
  }
  if (deployment.spec.strategy?.type === "Recreate") return [];
  return proportional(deployment, active);
}

function proportional(deployment: Deployment, active: readonly ReplicaSet[]): Scale[] {
  const allowed = (deployment.spec.replicas ?? 1) > 0 ? (deployment.spec.replicas ?? 1) + limits(deployment).surge : 0;
  let left = allowed - totalWanted(active);
  const biggestFirst = [...active].sort((a, b) => (b.spec.replicas ?? 1) - (a.spec.replicas ?? 1));
  const shares = biggestFirst.map((replicaSet) => {
    const size = replicaSet.spec.replicas ?? 1;
    const before = Number(replicaSet.metadata.annotations?.[annotations.maxReplicas]) || totalWanted(active);
    const change = Math.round((size * allowed) / before) - size;
    const share = left > 0 ? Math.max(0, Math.min(change, left)) : Math.min(0, Math.max(change, left));
    left -= share;
    return { replicaSet, replicas: size + share };
  });
  // What rounding left over goes to the biggest.
  return shares
    .map((share, i) => (i === 0 ? { ...share, replicas: Math.max(0, share.replicas + left) } : share))
    .filter(({ replicaSet, replicas }) => replicas !== (replicaSet.spec.replicas ?? 1));
}

/** Whether all wanted pods are of the current template and available, and no others are left. */
export function isComplete(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  return (
    current !== undefined &&
    (current.status?.replicas ?? 0) === wanted &&
    (current.status?.availableReplicas ?? 0) >= wanted &&
    (current.spec.replicas ?? 1) === wanted &&
    total(old, "replicas") === 0
  );
}

/** Empty old ReplicaSets beyond revisionHistoryLimit, the oldest revisions first. */
function surplusHistory(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  const empty = old.filter(
    (one) =>
      one.metadata.deletionTimestamp === undefined && (one.status?.replicas ?? 0) === 0 && one.spec.replicas === 0,
  );
  return empty.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, old.length - limit));
}

function newReplicaSet(deployment: Deployment, replicas: number, revision: string): ReplicaSet {
  const { name, namespace, uid = "" } = deployment.metadata;
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name, uid, controller: true, blockOwnerDeletion: true };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: { ...ownAnnotations(deployment), ...sizeAnnotations(deployment), [annotations.revision]: revision },
      ownerReferences: [owner],
    },
    spec: {
      replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

/** The Deployment's annotations that its ReplicaSets get: all but kubectl's own and the revision's. */
function ownAnnotations(deployment: Deployment): Record<string, string> {
  const skipped: string[] = [...Object.values(annotations), "kubectl.kubernetes.io/last-applied-configuration"];
  return Object.fromEntries(
    Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !skipped.includes(key)),
  );
}

/** The size that a ReplicaSet's sizing was based on, to notice a change of `replicas`. */
export function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const wanted = deployment.spec.replicas ?? 1;
  const { surge } = limits(deployment);
  return { [annotations.desiredReplicas]: String(wanted), [annotations.maxReplicas]: String(wanted + surge) };
}

/** Revision of the current ReplicaSet (with its history when an old one is current again) and missing sizes. */
function annotationChanges(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  replicaSets: readonly ReplicaSet[],
  revision: string,
): DeploymentPlan["annotate"] {
  return replicaSets.flatMap((replicaSet) => {
    const present = replicaSet.metadata.annotations ?? {};
    const wanted: Record<string, string> = {};
    if (replicaSet === current) {
      Object.assign(wanted, ownAnnotations(deployment), { [annotations.revision]: revision });
      const before = present[annotations.revision];
      if (before !== undefined && before !== revision) {
        wanted[annotations.revisionHistory] = [present[annotations.revisionHistory], before].filter(Boolean).join(",");
      }
      if ((replicaSet.spec.replicas ?? 1) === 0 || present[annotations.desiredReplicas] === undefined) {
        Object.assign(wanted, sizeAnnotations(deployment));
      }
    }
    const changed = Object.entries(wanted).some(([key, value]) => present[key] !== value);
    return changed ? [{ replicaSet, annotations: wanted }] : [];
  });
}
