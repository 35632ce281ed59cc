import { type DaemonSet, matchesMap, type Node, type Pod, type Toleration } from "#api/index.ts";
import { resolveCount } from "../deployment/replicasets.ts";
import { availableInMs, controllerOf, isPodActive, isPodReady } from "../objects.ts";
import { isTolerated, matchesTerm } from "../scheduler/filters.ts";
import { type NodeView, viewNode } from "../scheduler/nodes.ts";

/** Tolerations that daemon pods have without asking, since they belong to the node (upstream's list). */
export const daemonTolerations: readonly Toleration[] = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/pid-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists", effect: "NoSchedule" },
];
/** More of them for pods in the node's own network, which must run before the pod network does. */
const hostNetworkTolerations: readonly Toleration[] = [
  { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" },
];

/** The annotation by which a pod shows the template it was made from. */
export const templateHashLabel = "controller-revision-hash";

/** What to do for one DaemonSet. */
export interface DaemonSetPlan {
  /** Nodes without a pod that shall have one. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  readonly status: NonNullable<DaemonSet["status"]>;
  readonly lookAgainMs?: number;
}

/** All tolerations of a DaemonSet's pods. */
export function tolerationsOf(daemonSet: DaemonSet): Toleration[] {
  const { tolerations = [], hostNetwork } = daemonSet.spec.template.spec;
  return [...tolerations, ...daemonTolerations, ...(hostNetwork ? hostNetworkTolerations : [])];
}

/**
 * One pod on every node that the template's selector, affinity and tolerations allow.
 * @param pods those that the DaemonSet owns
 * @param hash of the present template
 */
export function planDaemonSet(
  daemonSet: DaemonSet,
  nodes: readonly Node[],
  pods: readonly Pod[],
  hash: string,
  now: Date,
): DaemonSetPlan {
  const mine = pods.filter((pod) => controllerOf(pod)?.uid === daemonSet.metadata.uid);
  const views = nodes.map((node) => viewNode(node, []));
  const tolerations = tolerationsOf(daemonSet);
  const eligible = new Set(views.filter((view) => mayRun(daemonSet, view, tolerations)).map(({ name }) => name));
  const byNode = new Map<string, Pod[]>();
  for (const pod of mine) {
    const node = targetNode(pod);
    byNode.set(node, [...(byNode.get(node) ?? []), pod]);
  }
  const kept: Pod[] = [];
  const remove: Pod[] = [];
  for (const [node, group] of byNode) {
    const [best, ...surplus] = group.filter(isPodActive).sort(readyThenOldest);
    // A pod that has failed is deleted, and made anew once it is gone.
    const ended = group.filter((pod) => !isPodActive(pod) && pod.metadata.deletionTimestamp === undefined);
    const stays = eligible.has(node) || (best !== undefined && mayStay(daemonSet, views, node, tolerations));
    if (best && stays) kept.push(best);
    remove.push(...surplus, ...ended, ...(best && !stays ? [best] : []));
  }
  remove.push(...outdated(daemonSet, kept, hash, eligible.size));
  const create = [...eligible].filter((node) => !byNode.has(node)).sort();
  const deleting = daemonSet.metadata.deletionTimestamp !== undefined;
  const waits = kept.map((pod) => availableInMs(pod, daemonSet.spec.minReadySeconds ?? 0, now));
  const soonest = Math.min(...(waits.filter((ms) => ms !== undefined && ms > 0) as number[]));
  return {
    create: deleting ? [] : create,
    remove: deleting ? [] : remove,
    status: statusOf(daemonSet, kept, eligible, hash, waits),
    ...(Number.isFinite(soonest) ? { lookAgainMs: soonest } : {}),
  };
}

/** The node a daemon pod is for: where it is, or where its affinity sends it. */
export function targetNode(pod: Pod): string {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms?.[0]?.matchFields?.find(({ key }) => key === "metadata.name")?.values?.[0] ?? "";
}

function mayRun(daemonSet: DaemonSet, view: NodeView, tolerations: readonly Toleration[]): boolean {
  const tolerated = view.taints.every(
    (taint) => taint.effect === "PreferNoSchedule" || isTolerated(taint, tolerations),
  );
  return tolerated && selectsNode(daemonSet, view);
}

/** A running pod stays on a node that has since got a NoSchedule taint. */
function mayStay(
  daemonSet: DaemonSet,
  views: readonly NodeView[],
  node: string,
  tolerations: readonly Toleration[],
): boolean {
  const view = views.find(({ name }) => name === node);
  if (!view || !selectsNode(daemonSet, view)) return false;
  return view.taints.every((taint) => taint.effect !== "NoExecute" || isTolerated(taint, tolerations));
}

function selectsNode(daemonSet: DaemonSet, view: NodeView): boolean {
  const { nodeSelector = {}, affinity } = daemonSet.spec.template.spec;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    matchesMap(nodeSelector, view.labels) && (terms === undefined || terms.some((term) => matchesTerm(term, view)))
  );
}

/** Pods of an older template that may go now: as many at a time as may be unavailable. */
function outdated(daemonSet: DaemonSet, kept: readonly Pod[], hash: string, desired: number): Pod[] {
  if (daemonSet.spec.updateStrategy?.type === "OnDelete") return [];
  const old = kept.filter((pod) => pod.metadata.labels?.[templateHashLabel] !== hash);
  const { maxUnavailable } = daemonSet.spec.updateStrategy?.rollingUpdate ?? {};
  const allowed = Math.max(1, resolveCount(maxUnavailable ?? 1, "1", desired, true));
  const unready = old.filter((pod) => !isPodReady(pod));
  const missing = desired - kept.filter(isPodReady).length;
  const ready = old.filter(isPodReady).slice(0, Math.max(0, allowed - missing));
  return [...unready, ...ready];
}

function readyThenOldest(a: Pod, b: Pod): number {
  const ready = Number(isPodReady(b)) - Number(isPodReady(a));
  return ready || ((a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1);
}

function statusOf(
  daemonSet: DaemonSet,
  kept: readonly Pod[],
  eligible: ReadonlySet<string>,
  hash: string,
  waits: readonly (number | undefined)[],
): NonNullable<DaemonSet["status"]> {
  const onEligible = kept.filter((pod) => eligible.has(targetNode(pod)));
  const available = waits.filter((ms) => ms === 0).length;
  const updated = kept.filter((pod) => pod.metadata.labels?.[templateHashLabel] === hash).length;
  return {
    currentNumberScheduled: onEligible.length,
    numberMisscheduled: kept.length - onEligible.length,
    desiredNumberScheduled: eligible.size,
    numberReady: kept.filter(isPodReady).length,
    observedGeneration: daemonSet.metadata.generation ?? 0,
    ...(updated > 0 ? { updatedNumberScheduled: updated } : {}),
    ...(available > 0 ? { numberAvailable: available } : {}),
    ...(eligible.size > available ? { numberUnavailable: eligible.size - available } : {}),
  };
}
