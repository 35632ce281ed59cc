import type { LabelSelector } from "#api/index.ts";
import { companyScores } from "./company.ts";
import type { NodeView, PodView } from "./nodes.ts";
import { spreadScores } from "./spread.ts";
import { isTolerated, matchesTerm, type NamespaceLabels } from "./terms.ts";

/** What scoring knows beside pod and nodes. */
export interface ScoreInput {
  readonly all: readonly NodeView[];
  readonly namespaceLabels: NamespaceLabels;
  /** Selects the pods of the same Service or controller; absent when there is neither. */
  readonly siblings: LabelSelector | undefined;
}

/** The weights of kube-scheduler's default plugins. */
const weights = { taints: 3, nodeAffinity: 2, spread: 2, company: 2, fit: 1, balance: 1 } as const;

/**
 * The best of the nodes that fit: by the weighted sum of points as kube-scheduler counts them (without image
 * locality). Of equals the one with the fewest pods, then the first by name, so that equal input gives equal answers.
 */
export function best(pod: PodView, fitting: readonly NodeView[], input: ScoreInput): NodeView | undefined {
  if (fitting.length < 2) return fitting[0];
  const points = totals(pod, fitting, input);
  const order = (a: NodeView, b: NodeView) =>
    (points.get(b.name) ?? 0) - (points.get(a.name) ?? 0) ||
    a.pods.length - b.pods.length ||
    (a.name < b.name ? -1 : 1);
  return [...fitting].sort(order)[0];
}

function totals(pod: PodView, fitting: readonly NodeView[], input: ScoreInput): Map<string, number> {
  const sum = new Map<string, number>();
  const add = (scores: ReadonlyMap<string, number> | undefined, weight: number) => {
    for (const [name, score] of scores ?? []) sum.set(name, (sum.get(name) ?? 0) + score * weight);
  };
  add(
    shares(fitting, (node) => softTaints(pod, node), true),
    weights.taints,
  );
  add(
    shares(fitting, (node) => nodePreference(pod, node), false),
    weights.nodeAffinity,
  );
  add(spreadScores(pod, fitting, input.all, input.siblings), weights.spread);
  add(companyScores(pod, fitting, input.all, input.namespaceLabels), weights.company);
  add(new Map(fitting.map((node) => [node.name, leastAllocated(pod, node)])), weights.fit);
  add(new Map(fitting.map((node) => [node.name, balanced(pod, node)])), weights.balance);
  return sum;
}

/** Points from 0 to 100 in proportion to the highest; reversed: the highest gets none. */
function shares(nodes: readonly NodeView[], of: (node: NodeView) => number, reverse: boolean): Map<string, number> {
  const raw = nodes.map((node) => [node.name, of(node)] as const);
  const highest = Math.max(...raw.map(([, value]) => value));
  return new Map(
    raw.map(([name, value]) => {
      const share = highest === 0 ? 0 : Math.floor((100 * value) / highest);
      return [name, reverse ? 100 - share : share];
    }),
  );
}

/** Taints that ask to stay away without forbidding. */
function softTaints(pod: PodView, node: NodeView): number {
  const soft = node.taints.filter(({ effect }) => effect === "PreferNoSchedule");
  return soft.filter((taint) => !isTolerated(taint, pod.pod.spec.tolerations)).length;
}

function nodePreference(pod: PodView, node: NodeView): number {
  let sum = 0;
  for (const { weight, preference } of pod.pod.spec.affinity?.nodeAffinity
    ?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesTerm(preference, node)) sum += weight;
  }
  return sum;
}

/** The mean share of processor and memory that would be free (NodeResourcesFit, LeastAllocated). */
function leastAllocated(pod: PodView, node: NodeView): number {
  const free = (["cpu", "memory"] as const).flatMap((resource) => {
    const capacity = node.allocatable[resource];
    if (!capacity) return [];
    const taken = node.scored[resource] + pod.scored[resource];
    return [taken > capacity ? 0 : Math.floor(((capacity - taken) * 100) / capacity)];
  });
  return free.length === 0 ? 0 : Math.floor(free.reduce((sum, one) => sum + one, 0) / free.length);
}

/** How alike the shares of processor and memory would be; no opinion about pods that ask for neither. */
function balanced(pod: PodView, node: NodeView): number {
  const { cpu = 0, memory = 0 } = pod.requests;
  if (cpu === 0 && memory === 0) return 0;
  const share = (resource: "cpu" | "memory") => {
    const capacity = node.allocatable[resource];
    return capacity ? Math.min(1, ((node.requested[resource] ?? 0) + (pod.requests[resource] ?? 0)) / capacity) : 0;
  };
  return Math.floor((1 - Math.abs(share("cpu") - share("memory")) / 2) * 100);
}
