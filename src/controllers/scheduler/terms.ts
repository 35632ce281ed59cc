import {
  type LabelSelector,
  matchesMap,
  matchesRequirement,
  matchesSelector,
  type NodeSelectorTerm,
  type Pod,
  type PodAffinityRules,
  type PodAffinityTerm,
  type Taint,
  type Toleration,
} from "#api/index.ts";

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

/** Whether one of the tolerations covers the taint. */
export function isTolerated(taint: Taint, tolerations: readonly Toleration[] = []): boolean {
  return tolerations.some(
    ({ key, operator = "Equal", value = "", effect }) =>
      (!effect || effect === taint.effect) &&
      (key ? key === taint.key : operator === "Exists") &&
      (operator === "Exists" || value === (taint.value ?? "")),
  );
}

/** A node as selectors see it. */
export interface SelectableNode {
  readonly name: string;
  readonly labels: Labels;
}

/** Whether a node meets a term; an empty term is met by none. */
export function matchesTerm(term: NodeSelectorTerm, node: SelectableNode): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  const fields = { "metadata.name": node.name };
  return (
    matchExpressions.every((one) => matchesRequirement({ ...one, values: one.values ?? [] }, node.labels)) &&
    matchFields.every((one) => matchesRequirement({ ...one, values: one.values ?? [] }, fields))
  );
}

/** Whether a node meets the pod's nodeSelector and one of its required terms. */
export function matchesNode(pod: Pod, node: SelectableNode): boolean {
  if (!matchesMap(pod.spec.nodeSelector ?? {}, node.labels)) return false;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => matchesTerm(term, node));
}

/**
 * The nodes that a pod names by metadata.name in every term (a DaemonSet's pods do), undefined when it does not.
 * Source: kube-scheduler's NodeAffinity.PreFilter.
 */
export function namedNodes(pod: Pod): ReadonlySet<string> | undefined {
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms || terms.length === 0) return undefined;
  const all = new Set<string>();
  for (const { matchFields = [] } of terms) {
    const named = matchFields.filter(({ key, operator }) => key === "metadata.name" && operator === "In");
    if (named.length === 0) return undefined;
    const [first, ...rest] = named.map(({ values = [] }) => values);
    for (const name of first ?? []) if (rest.every((values) => values.includes(name))) all.add(name);
  }
  return all;
}

/** A term of pod affinity with its owner's namespace and labels worked in. */
export interface PodTerm {
  readonly topologyKey: string;
  readonly selector: LabelSelector | undefined;
  readonly namespaces: readonly string[];
  readonly namespaceSelector: LabelSelector | undefined;
}

/** A term that is a wish. The weight is negative for anti-affinity. */
export interface WeightedTerm {
  readonly term: PodTerm;
  readonly weight: number;
}

/** Required terms of a pod's affinity or anti-affinity. */
export function requiredTerms(pod: Pod, rules: PodAffinityRules | undefined): PodTerm[] {
  return (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => podTerm(pod, term));
}

/** Preferred terms of both, weighted. */
export function preferredTerms(pod: Pod): WeightedTerm[] {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  const of = (rules: PodAffinityRules | undefined, sign: 1 | -1) =>
    (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
      term: podTerm(pod, podAffinityTerm),
      weight: weight * sign,
    }));
  return [...of(podAffinity, 1), ...of(podAntiAffinity, -1)];
}

function podTerm(pod: Pod, term: PodAffinityTerm): PodTerm {
  const { namespaces = [], namespaceSelector, matchLabelKeys = [], mismatchLabelKeys = [], topologyKey } = term;
  const keys = withLabelKeys(term.labelSelector, pod, matchLabelKeys, "In");
  return {
    topologyKey,
    selector: withLabelKeys(keys, pod, mismatchLabelKeys, "NotIn"),
    // Without any, the term is about the owner's own namespace.
    namespaces: namespaces.length === 0 && !namespaceSelector ? [pod.metadata.namespace ?? ""] : namespaces,
    namespaceSelector,
  };
}

/** A selector with the pod's own values of some label keys (KEP-3633, KEP-3243). Absent stays absent: it selects nothing. */
export function withLabelKeys(
  selector: LabelSelector | undefined,
  pod: Pod,
  keys: readonly string[],
  operator: "In" | "NotIn",
): LabelSelector | undefined {
  const labels = pod.metadata.labels ?? {};
  const own = keys.filter((key) => labels[key] !== undefined);
  if (!selector || own.length === 0) return selector;
  const added = own.map((key) => ({ key, operator, values: [labels[key] as string] }));
  return { ...selector, matchExpressions: [...(selector.matchExpressions ?? []), ...added] };
}

/** Labels of a namespace, for selectors over namespaces. */
export type NamespaceLabels = (namespace: string) => Labels;

/** Whether a term selects a pod with these labels in this namespace. */
export function selects(
  term: PodTerm,
  other: { readonly namespace: string; readonly labels: Labels },
  namespaceLabels: NamespaceLabels,
): boolean {
  if (!matchesSelector(term.selector, other.labels)) return false;
  if (term.namespaces.includes(other.namespace)) return true;
  return (
    term.namespaceSelector !== undefined && matchesSelector(term.namespaceSelector, namespaceLabels(other.namespace))
  );
}
