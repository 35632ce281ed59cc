import {
  matchesMap,
  matchesRequirement,
  matchesSelector,
  type NodeSelectorTerm,
  type Pod,
  type PodAffinityTerm,
  type Taint,
  type Toleration,
  type TopologySpreadConstraint,
} from "#api/index.ts";
import type { NodeView } from "./nodes.ts";
import { requestsOf } from "./nodes.ts";

/** Why a node cannot take a pod. `helpless`: no other pod's end would change that. */
export interface Refusal {
  readonly reason: string;
  readonly helpless: boolean;
}

/** What filters may look at. */
export interface FilterInput {
  readonly pod: Pod;
  readonly view: NodeView;
  readonly all: readonly NodeView[];
  /** Labels of namespaces, for selectors over namespaces. */
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>>;
}

type Filter = (input: FilterInput) => readonly Refusal[];

const helpless = (reason: string): Refusal[] => [{ reason, helpless: true }];
const solvable = (reason: string): Refusal[] => [{ reason, helpless: false }];

/** The reasons of the first filter that refuses, none when the node fits. Texts and order are kube-scheduler's. */
export function refusals(input: FilterInput): readonly Refusal[] {
  for (const filter of filters) {
    const found = filter(input);
    if (found.length > 0) return found;
  }
  return [];
}

const unschedulable: Filter = ({ pod, view }) => {
  if (!view.node.spec?.unschedulable) return [];
  const taint: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
  return isTolerated(taint, pod.spec.tolerations) ? [] : helpless("node(s) were unschedulable");
};

const taints: Filter = ({ pod, view }) => {
  const taint = view.taints.find((one) => one.effect !== "PreferNoSchedule" && !isTolerated(one, pod.spec.tolerations));
  return taint ? helpless(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`) : [];
};

const nodeAffinity: Filter = ({ pod, view }) => {
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const selected = matchesMap(pod.spec.nodeSelector ?? {}, view.labels);
  const accepted = terms === undefined || terms.some((term) => matchesTerm(term, view));
  return selected && accepted ? [] : helpless("node(s) didn't match Pod's node affinity/selector");
};

const hostPorts: Filter = ({ pod, view }) => {
  const wanted = hostPortsOf(pod);
  if (wanted.length === 0) return [];
  const taken = view.pods.flatMap(hostPortsOf);
  const clash = wanted.some((one) =>
    taken.some(
      (other) =>
        one.port === other.port &&
        one.protocol === other.protocol &&
        (one.ip === other.ip || one.ip === "0.0.0.0" || other.ip === "0.0.0.0"),
    ),
  );
  return clash ? solvable("node(s) didn't have free ports for the requested pod ports") : [];
};

const fit: Filter = ({ pod, view }) => {
  const found: Refusal[] = [];
  const { pods: room } = view.allocatable;
  if (room !== undefined && (view.pods.length + 1) * 1000 > room)
    found.push({ reason: "Too many pods", helpless: false });
  for (const [resource, amount] of Object.entries(requestsOf(pod))) {
    const capacity = view.allocatable[resource] ?? 0;
    if (amount === 0 || amount <= capacity - (view.requested[resource] ?? 0)) continue;
    found.push({ reason: `Insufficient ${resource}`, helpless: amount > capacity });
  }
  return found;
};

const spread: Filter = ({ pod, view, all }) => {
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== "DoNotSchedule") continue;
    const domain = view.labels[constraint.topologyKey];
    if (domain === undefined) {
      return helpless("node(s) didn't match pod topology spread constraints (missing required label)");
    }
    const counts = domainCounts(constraint, pod, all);
    const self = matchesSelector(constraint.labelSelector, pod.metadata.labels) ? 1 : 0;
    const lowest = Math.min(...counts.values());
    if ((counts.get(domain) ?? 0) + self - lowest > constraint.maxSkew) {
      return solvable("node(s) didn't match pod topology spread constraints");
    }
  }
  return [];
};

const podAffinity: Filter = (input) => {
  const { pod, all } = input;
  const terms = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const met = terms.every((term) => {
    if (podsInDomain(term, input).some((other) => selects(term, pod, other, input))) return true;
    // The first of a group may come anywhere: nobody matches yet, but the pod itself would.
    const anywhere = all.some((view) => view.pods.some((other) => selects(term, pod, other, input)));
    return !anywhere && input.view.labels[term.topologyKey] !== undefined && selects(term, pod, pod, input);
  });
  if (!met) return helpless("node(s) didn't match pod affinity rules");
  const against = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  if (against.some((term) => podsInDomain(term, input).some((other) => selects(term, pod, other, input)))) {
    return solvable("node(s) didn't match pod anti-affinity rules");
  }
  const unwelcome = all.some((view) =>
    view.pods.some((other) =>
      (other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).some(
        (term) => sameDomain(term.topologyKey, view, input.view) && selects(term, other, pod, input),
      ),
    ),
  );
  return unwelcome ? solvable("node(s) didn't satisfy existing pods anti-affinity rules") : [];
};

/** In the order in which kube-scheduler's default plugins run. */
const filters: readonly Filter[] = [unschedulable, taints, nodeAffinity, hostPorts, fit, spread, podAffinity];

/** Whether one of the tolerations covers the taint. */
export function isTolerated(taint: Taint, tolerations: readonly Toleration[] = []): boolean {
  return tolerations.some(
    ({ key, operator = "Equal", value = "", effect }) =>
      (!effect || effect === taint.effect) &&
      (key ? key === taint.key : operator === "Exists") &&
      (operator === "Exists" || value === (taint.value ?? "")),
  );
}

/** Whether a node meets a term; an empty term is met by none. */
export function matchesTerm(term: NodeSelectorTerm, view: NodeView): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  const fields = { "metadata.name": view.name };
  return (
    matchExpressions.every((one) => matchesRequirement({ ...one, values: one.values ?? [] }, view.labels)) &&
    matchFields.every((one) => matchesRequirement({ ...one, values: one.values ?? [] }, fields))
  );
}

/** Matching pods per value of a topology label, over nodes that the pod could use. */
export function domainCounts(
  constraint: TopologySpreadConstraint,
  pod: Pod,
  all: readonly NodeView[],
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const view of all) {
    const domain = view.labels[constraint.topologyKey];
    if (domain === undefined || nodeAffinity({ pod, view, all, namespaceLabels: () => ({}) }).length > 0) continue;
    const matching = view.pods.filter(
      (other) =>
        other.metadata.namespace === pod.metadata.namespace &&
        other.metadata.deletionTimestamp === undefined &&
        matchesSelector(constraint.labelSelector, other.metadata.labels),
    );
    counts.set(domain, (counts.get(domain) ?? 0) + matching.length);
  }
  return counts;
}

/** Whether a term of `owner` selects `other`: by labels, in the term's namespaces (the owner's own by default). */
export function selects(
  term: PodAffinityTerm,
  owner: Pod,
  other: Pod,
  input: Pick<FilterInput, "namespaceLabels">,
): boolean {
  if (!matchesSelector(term.labelSelector, other.metadata.labels)) return false;
  const namespace = other.metadata.namespace ?? "";
  const { namespaces = [], namespaceSelector } = term;
  if (namespaces.length === 0 && !namespaceSelector) return namespace === owner.metadata.namespace;
  return namespaces.includes(namespace) || matchesSelector(namespaceSelector, input.namespaceLabels(namespace));
}

function podsInDomain(term: PodAffinityTerm, { view, all }: FilterInput): Pod[] {
  return all.filter((other) => sameDomain(term.topologyKey, other, view)).flatMap((other) => other.pods);
}

function sameDomain(key: string, a: NodeView, b: NodeView): boolean {
  return a.labels[key] !== undefined && a.labels[key] === b.labels[key];
}

function hostPortsOf(pod: Pod): { ip: string; port: number; protocol: string }[] {
  return pod.spec.containers.flatMap((container) =>
    (container.ports ?? [])
      .filter(({ hostPort }) => hostPort)
      .map(({ hostPort = 0, hostIP, protocol = "TCP" }) => ({ ip: hostIP || "0.0.0.0", port: hostPort, protocol })),
  );
}
