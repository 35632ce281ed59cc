import type { NodeView, PodView } from "./nodes.ts";
import { type NamespaceLabels, type PodTerm, selects } from "./terms.ts";

/** Counts per topology label and value: `key\0value`. */
type DomainCounts = Map<string, number>;

/** What required terms about other pods find in the cluster: those of the pod, and those of the pods that run. */
export interface Company {
  /** Pods that meet all affinity terms of the pod. */
  readonly wanted: DomainCounts;
  /** Pods that the pod's anti-affinity names. */
  readonly shunned: DomainCounts;
  /** Pods whose anti-affinity names the pod. */
  readonly unwelcoming: DomainCounts;
  /** Whether the pod meets its own affinity: then the first of its kind may go anywhere. */
  readonly selfSufficient: boolean;
}

function count(counts: DomainCounts, term: PodTerm, node: NodeView, amount = 1): void {
  const domain = node.labels[term.topologyKey];
  if (domain === undefined) return;
  const key = `${term.topologyKey}\0${domain}`;
  counts.set(key, (counts.get(key) ?? 0) + amount);
}

/** Looks at all pods once. Source: kube-scheduler's InterPodAffinity.PreFilter. */
export function companyOf(view: PodView, all: readonly NodeView[], namespaceLabels: NamespaceLabels): Company {
  const company = { wanted: new Map(), shunned: new Map(), unwelcoming: new Map() };
  const meetsAll = (other: PodView) => view.affinity.every((term) => selects(term, other, namespaceLabels));
  for (const node of all) {
    for (const other of node.withTerms) {
      for (const term of other.antiAffinity)
        if (selects(term, view, namespaceLabels)) count(company.unwelcoming, term, node);
    }
    if (view.affinity.length + view.antiAffinity.length === 0) continue;
    for (const other of node.pods) {
      if (view.affinity.length > 0 && meetsAll(other))
        for (const term of view.affinity) count(company.wanted, term, node);
      for (const term of view.antiAffinity)
        if (selects(term, other, namespaceLabels)) count(company.shunned, term, node);
    }
  }
  return { ...company, selfSufficient: meetsAll(view) };
}

/** Whether a node is against a required term, and whose. */
export function breaksCompany(
  { wanted, shunned, unwelcoming, selfSufficient }: Company,
  view: PodView,
  node: NodeView,
): "affinity" | "anti-affinity" | "existing" | undefined {
  const at = (counts: DomainCounts, key: string) => counts.get(`${key}\0${node.labels[key]}`) ?? 0;
  if (view.affinity.some(({ topologyKey }) => node.labels[topologyKey] === undefined)) return "affinity";
  const alone = view.affinity.some(({ topologyKey }) => at(wanted, topologyKey) === 0);
  if (alone && !(wanted.size === 0 && selfSufficient)) return "affinity";
  if (view.antiAffinity.some(({ topologyKey }) => at(shunned, topologyKey) > 0)) return "anti-affinity";
  for (const key of unwelcoming.keys()) {
    const [label = "", value] = key.split("\0");
    if (node.labels[label] === value) return "existing";
  }
  return undefined;
}

/**
 * Points from 0 to 100 by wishes about other pods: the pod's own, those of pods that run, and required affinity of
 * those (weight 1). Nothing when there is none. Source: kube-scheduler's InterPodAffinity scoring.
 */
export function companyScores(
  view: PodView,
  fitting: readonly NodeView[],
  all: readonly NodeView[],
  namespaceLabels: NamespaceLabels,
): Map<string, number> | undefined {
  const counts: DomainCounts = new Map();
  for (const node of all) {
    if (view.preferred.length > 0) {
      for (const other of node.pods)
        for (const { term, weight } of view.preferred)
          if (selects(term, other, namespaceLabels)) count(counts, term, node, weight);
    }
    for (const other of node.withTerms) {
      for (const { term, weight } of other.preferred)
        if (selects(term, view, namespaceLabels)) count(counts, term, node, weight);
      for (const term of other.affinity) if (selects(term, view, namespaceLabels)) count(counts, term, node);
    }
  }
  if (counts.size === 0) return undefined;
  const raw = fitting.map((node) => {
    let sum = 0;
    for (const [key, amount] of counts) {
      const [label = "", value] = key.split("\0");
      if (node.labels[label] === value) sum += amount;
    }
    return [node.name, sum] as const;
  });
  const points = raw.map(([, sum]) => sum);
  const [lowest, highest] = [Math.min(...points), Math.max(...points)];
  const range = highest - lowest;
  return new Map(raw.map(([name, sum]) => [name, range === 0 ? 0 : Math.floor((100 * (sum - lowest)) / range)]));
}
