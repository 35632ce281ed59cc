import type { Pod } from "#api/index.ts";
import { controllerOf } from "../objects.ts";
import {
  domainCounts,
  type FilterInput,
  isTolerated,
  matchesTerm,
  type Refusal,
  refusals,
  selects,
} from "./filters.ts";
import { type NodeView, requestsOf } from "./nodes.ts";

/** Where a pod goes, or why it cannot go anywhere. */
export type Decision =
  | { readonly node: string; readonly message?: undefined }
  | { readonly node?: undefined; readonly message: string };

/** The best node for a pod. Equal input gives an equal answer, whatever the order of nodes. */
export function schedule(
  pod: Pod,
  views: readonly NodeView[],
  namespaceLabels: FilterInput["namespaceLabels"] = () => ({}),
): Decision {
  if (views.length === 0) return { message: "no nodes available to schedule pods" };
  const fitting: NodeView[] = [];
  const refused: (readonly Refusal[])[] = [];
  for (const view of views) {
    const reasons = refusals({ pod, view, all: views, namespaceLabels });
    if (reasons.length === 0) fitting.push(view);
    else refused.push(reasons);
  }
  const best = choose(pod, fitting, views, namespaceLabels);
  return best ? { node: best.name } : { message: explain(refused) };
}

/** kube-scheduler's sentence: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) …. preemption: …` */
function explain(refused: readonly (readonly Refusal[])[]): string {
  const count = (texts: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
    return [...counts]
      .map(([text, times]) => `${times} ${text}`)
      .sort()
      .join(", ");
  };
  const total = `0/${refused.length} nodes are available: `;
  const reasons = count(refused.flatMap((one) => one.map(({ reason }) => reason)));
  const preemption = count(
    refused.map((one) =>
      one.some((refusal) => refusal.helpless)
        ? "Preemption is not helpful for scheduling"
        : "No preemption victims found for incoming pod",
    ),
  );
  return `${total}${reasons}. preemption: ${total}${preemption}.`;
}

/** Wishes in the order of their weight; the first difference decides. Lower is better. */
function wishes(pod: Pod, view: NodeView, input: Omit<FilterInput, "view">): number[] {
  return [
    softTaints(pod, view),
    -preference(pod, view, input),
    softSpread(pod, view, input.all),
    siblings(pod, view),
    load(pod, view),
    view.pods.length,
  ];
}

function choose(
  pod: Pod,
  fitting: readonly NodeView[],
  all: readonly NodeView[],
  namespaceLabels: FilterInput["namespaceLabels"],
): NodeView | undefined {
  const rated = fitting.map((view) => ({ view, rating: wishes(pod, view, { pod, all, namespaceLabels }) }));
  rated.sort((a, b) => {
    for (const [i, own] of a.rating.entries()) {
      const difference = own - (b.rating[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return a.view.name < b.view.name ? -1 : 1;
  });
  return rated[0]?.view;
}

/** Taints that ask to stay away without forbidding. */
function softTaints(pod: Pod, view: NodeView): number {
  const soft = view.taints.filter(({ effect }) => effect === "PreferNoSchedule");
  return soft.filter((taint) => !isTolerated(taint, pod.spec.tolerations)).length;
}

/** Weights of preferred node and pod affinity, with anti-affinity subtracted. */
function preference(pod: Pod, view: NodeView, { all, namespaceLabels }: Omit<FilterInput, "view">): number {
  const { nodeAffinity, podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  let sum = 0;
  for (const { weight, preference: term } of nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesTerm(term, view)) sum += weight;
  }
  const signed = [
    ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((one) => ({ ...one, sign: 1 })),
    ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((one) => ({ ...one, sign: -1 })),
  ];
  for (const { weight, podAffinityTerm: term, sign } of signed) {
    const domain = view.labels[term.topologyKey];
    if (domain === undefined) continue;
    const there = all.filter((other) => other.labels[term.topologyKey] === domain).flatMap((other) => other.pods);
    sum += sign * weight * there.filter((other) => selects(term, pod, other, { namespaceLabels })).length;
  }
  return sum;
}

/** Matching pods in the node's domains, for constraints that are wishes. */
function softSpread(pod: Pod, view: NodeView, all: readonly NodeView[]): number {
  let sum = 0;
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== "ScheduleAnyway") continue;
    const counts = domainCounts(constraint, pod, all);
    sum += counts.get(view.labels[constraint.topologyKey] ?? "") ?? Number.MAX_SAFE_INTEGER / 1e6;
  }
  return sum;
}

/** Pods of the same owner on the node: replicas go to different nodes (the default spreading). */
function siblings(pod: Pod, view: NodeView): number {
  const owner = controllerOf(pod)?.uid;
  if (owner === undefined) return 0;
  return view.pods.filter((other) => controllerOf(other)?.uid === owner && !other.metadata.deletionTimestamp).length;
}

/** The mean share of processor and memory that would be taken, in steps of 5 %, so that tiny differences do not rule. */
function load(pod: Pod, view: NodeView): number {
  const requests = requestsOf(pod);
  const share = (resource: "cpu" | "memory") => {
    const capacity = view.allocatable[resource];
    return capacity ? ((view.requested[resource] ?? 0) + (requests[resource] ?? 0)) / capacity : 0;
  };
  return Math.round((share("cpu") + share("memory")) * 10);
}
