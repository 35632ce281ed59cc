import { type DaemonSet, matchesMap, matchesSelector, type Node, type Pod, type Toleration } from "#api/index.ts";
import { availableInMs, controllerOf, isPodActive, isPodReady, isPodTerminal } from "../objects.ts";
import { isTolerated, matchesTerm } from "../scheduler/filters.ts";
import { type NodeView, viewNode } from "../scheduler/nodes.ts";
import { planUpdate } from "./update.ts";

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

/** The label by which a pod shows the template it was made from. */
export const templateHashLabel = "controller-revision-hash";

/** What to do for one DaemonSet. */
export interface DaemonSetPlan {
  /** Pods without an owner that match: take them. */
  readonly adopt: readonly Pod[];
  /** Own pods whose labels no longer match: let go. */
  readonly release: readonly Pod[];
  /** Nodes that shall have one more pod. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  /** Those of `remove` that came to their end by themselves. */
  readonly ended: readonly Pod[];
  readonly status: NonNullable<DaemonSet["status"]>;
  readonly lookAgainMs?: number;
}

/** All tolerations of a DaemonSet's pods. */
export function tolerationsOf(daemonSet: DaemonSet): Toleration[] {
  const { tolerations = [], hostNetwork } = daemonSet.spec.template.spec;
  return [...tolerations, ...daemonTolerations, ...(hostNetwork ? hostNetworkTolerations : [])];
}

/**
 * One pod on every node that the template's selector, affinity and tolerations allow; a second one, where an update
 * may surge.
 * @param pods of the namespace that the DaemonSet owns, or that nobody does
 * @param hash of the present template
 */
export function planDaemonSet(
  daemonSet: DaemonSet,
  nodes: readonly Node[],
  pods: readonly Pod[],
  hash: string,
  now: Date,
): DaemonSetPlan {
  const deleting = daemonSet.metadata.deletionTimestamp !== undefined;
  const claim = claimPods(daemonSet, pods);
  const byNode = Map.groupBy(claim.mine, targetNode);
  const places = placesOf(daemonSet, nodes);
  const placed = place(byNode, places, (pod) => pod.metadata.labels?.[templateHashLabel] === hash);
  const update = planUpdate({ daemonSet, kept: placed.kept, hash, desired: places.wanted.size, now });
  const missing = [...places.wanted].filter((node) => !byNode.has(node)).sort();
  const waits = claim.mine.map((pod) => availableInMs(pod, daemonSet.spec.minReadySeconds ?? 0, now));
  const soonest = Math.min(...(waits.filter((ms) => ms !== undefined && ms > 0) as number[]));
  const none = { adopt: [], release: [], create: [], remove: [], ended: [] };
  const work = {
    adopt: claim.adopt,
    release: claim.release,
    create: [...missing, ...update.surge],
    remove: [...placed.remove, ...placed.ended, ...update.remove],
    ended: placed.ended,
  };
  return {
    ...(deleting ? none : work),
    status: statusOf(daemonSet, byNode, places.wanted, hash, now),
    ...(Number.isFinite(soonest) ? { lookAgainMs: soonest } : {}),
  };
}

function claimPods(daemonSet: DaemonSet, pods: readonly Pod[]) {
  const matches = (pod: Pod) => matchesSelector(daemonSet.spec.selector, pod.metadata.labels);
  const owned = pods.filter((pod) => controllerOf(pod)?.uid === daemonSet.metadata.uid);
  const adopt = pods.filter((pod) => !controllerOf(pod) && isPodActive(pod) && matches(pod));
  const release = owned.filter((pod) => !matches(pod) && pod.metadata.deletionTimestamp === undefined);
  return { adopt, release, mine: [...owned.filter(matches), ...adopt] };
}

/** Names of the nodes that shall have a pod, and of those where a running one may stay. */
function placesOf(daemonSet: DaemonSet, nodes: readonly Node[]) {
  const tolerations = tolerationsOf(daemonSet);
  const selected = nodes.map((node) => viewNode(node, [])).filter((view) => selectsNode(daemonSet, view));
  const free = (effects: readonly string[]) =>
    new Set(
      selected
        .filter(({ taints }) => taints.every((one) => !effects.includes(one.effect) || isTolerated(one, tolerations)))
        .map(({ name }) => name),
    );
  // A running pod stays on a node that has since got a NoSchedule taint.
  return { wanted: free(["NoSchedule", "NoExecute"]), mayStay: free(["NoExecute"]) };
}

function selectsNode(daemonSet: DaemonSet, view: NodeView): boolean {
  const { nodeName, nodeSelector = {}, affinity } = daemonSet.spec.template.spec;
  if (nodeName && nodeName !== view.name) return false;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    matchesMap(nodeSelector, view.labels) && (terms === undefined || terms.some((term) => matchesTerm(term, view)))
  );
}

/** Sorts pods out: per node at most one of the present template and one older stay. */
function place(
  byNode: ReadonlyMap<string, readonly Pod[]>,
  places: { readonly mayStay: ReadonlySet<string> },
  isNew: (pod: Pod) => boolean,
) {
  const kept = new Map<string, readonly Pod[]>();
  const remove: Pod[] = [];
  const ended: Pod[] = [];
  for (const [node, group] of byNode) {
    const going = (pod: Pod) => pod.metadata.deletionTimestamp !== undefined;
    // A pod that has ended is deleted, and made anew once it is gone.
    ended.push(...group.filter((pod) => isPodTerminal(pod) && !going(pod)));
    const active = group.filter(isPodActive).sort(readyThenOldest);
    const [newest, ...moreNew] = active.filter(isNew);
    const [oldest, ...moreOld] = active.filter((pod) => !isNew(pod));
    const pair = [newest, oldest].filter((pod) => pod !== undefined);
    if (!places.mayStay.has(node)) remove.push(...active);
    else {
      remove.push(...moreNew, ...moreOld);
      kept.set(node, [...pair, ...group.filter(going)]);
    }
  }
  return { kept, remove, ended };
}

/** The node a daemon pod is for: where it is, or where its affinity sends it. */
export function targetNode(pod: Pod): string {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms?.[0]?.matchFields?.find(({ key }) => key === "metadata.name")?.values?.[0] ?? "";
}

function readyThenOldest(a: Pod, b: Pod): number {
  const ready = Number(isPodReady(b)) - Number(isPodReady(a));
  return ready || byCreation(a, b);
}

function byCreation(a: Pod, b: Pod): number {
  const key = ({ metadata }: Pod) => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  return key(a) < key(b) ? -1 : 1;
}

/** Counted by the oldest pod of each node, as upstream does. */
function statusOf(
  daemonSet: DaemonSet,
  byNode: ReadonlyMap<string, readonly Pod[]>,
  wanted: ReadonlySet<string>,
  hash: string,
  now: Date,
): NonNullable<DaemonSet["status"]> {
  const first = (node: string) => [...(byNode.get(node) ?? [])].sort(byCreation)[0];
  const pods = [...wanted].map(first).filter((pod) => pod !== undefined);
  const ready = pods.filter(isPodReady);
  const { minReadySeconds = 0 } = daemonSet.spec;
  const available = ready.filter((pod) => availableInMs(pod, minReadySeconds, now) === 0).length;
  const updated = pods.filter((pod) => pod.metadata.labels?.[templateHashLabel] === hash).length;
  return {
    currentNumberScheduled: pods.length,
    numberMisscheduled: [...byNode.keys()].filter((node) => !wanted.has(node)).length,
    desiredNumberScheduled: wanted.size,
    numberReady: ready.length,
    observedGeneration: daemonSet.metadata.generation ?? 0,
    ...(updated > 0 ? { updatedNumberScheduled: updated } : {}),
    ...(available > 0 ? { numberAvailable: available } : {}),
    ...(wanted.size > available ? { numberUnavailable: wanted.size - available } : {}),
    ...(daemonSet.status?.collisionCount ? { collisionCount: daemonSet.status.collisionCount } : {}),
  };
}
