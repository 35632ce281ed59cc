import { type LabelSelector, matchesSelector, type TopologySpreadConstraint } from "#api/index.ts";
import type { NodeView, PodView } from "./nodes.ts";
import { isTolerated, matchesNode, withLabelKeys } from "./terms.ts";

const hostname = "kubernetes.io/hostname";
const zone = "topology.kubernetes.io/zone";

/** A constraint with the pod's own labels worked in. */
interface Constraint extends Omit<TopologySpreadConstraint, "labelSelector"> {
  readonly selector: LabelSelector | undefined;
}

/** Matching pods by domain, for one constraint that must hold. */
interface Spread {
  readonly constraint: Constraint;
  readonly counts: ReadonlyMap<string, number>;
  /** The count of the domain with the fewest; 0 while there are fewer domains than minDomains. */
  readonly lowest: number;
  /** Whether the pod itself counts. */
  readonly self: number;
}

function constraintsOf(view: PodView, when: TopologySpreadConstraint["whenUnsatisfiable"]): Constraint[] {
  return (view.pod.spec.topologySpreadConstraints ?? [])
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    .map(({ labelSelector, ...rest }) => ({
      ...rest,
      selector: withLabelKeys(labelSelector, view.pod, rest.matchLabelKeys ?? [], "In"),
    }));
}

/** Whether a node's pods count for a constraint: by default where the pod's node affinity lets it go. */
function counts(constraint: Constraint, view: PodView, node: NodeView): boolean {
  if (constraint.nodeAffinityPolicy !== "Ignore" && !matchesNode(view.pod, node)) return false;
  if (constraint.nodeTaintsPolicy !== "Honor") return true;
  return node.taints.every(
    (taint) => taint.effect === "PreferNoSchedule" || isTolerated(taint, view.pod.spec.tolerations),
  );
}

function matching(selector: LabelSelector | undefined, view: PodView, node: NodeView): number {
  let count = 0;
  for (const other of node.pods) {
    if (!other.terminating && other.namespace === view.namespace && matchesSelector(selector, other.labels)) count++;
  }
  return count;
}

/** What the constraints that must hold find in the cluster. Source: kube-scheduler's PodTopologySpread.PreFilter. */
export function spreadsOf(view: PodView, all: readonly NodeView[]): Spread[] {
  const constraints = constraintsOf(view, "DoNotSchedule");
  // A node that lacks the label of one constraint counts for none.
  const nodes = all.filter(({ labels }) => constraints.every(({ topologyKey }) => labels[topologyKey] !== undefined));
  return constraints.map((constraint) => {
    const byDomain = new Map<string, number>();
    for (const node of nodes) {
      if (!counts(constraint, view, node)) continue;
      const domain = node.labels[constraint.topologyKey] as string;
      byDomain.set(domain, (byDomain.get(domain) ?? 0) + matching(constraint.selector, view, node));
    }
    const enough = byDomain.size >= (constraint.minDomains ?? 1);
    return {
      constraint,
      counts: byDomain,
      lowest: enough && byDomain.size > 0 ? Math.min(...byDomain.values()) : 0,
      self: matchesSelector(constraint.selector, view.labels) ? 1 : 0,
    };
  });
}

/** Whether a node is against a constraint: `missing` a label, or `skewed`. */
export function breaksSpread(spreads: readonly Spread[], node: NodeView): "missing" | "skewed" | undefined {
  for (const { constraint, counts: byDomain, lowest, self } of spreads) {
    const domain = node.labels[constraint.topologyKey];
    if (domain === undefined) return "missing";
    if ((byDomain.get(domain) ?? 0) + self - lowest > constraint.maxSkew) return "skewed";
  }
  return undefined;
}

/**
 * Constraints that are wishes: the pod's own or, where it has none at all, those that kube-scheduler has by default for
 * pods of a Service or of a controller.
 */
function wishesOf(view: PodView, siblings: LabelSelector | undefined): { wishes: Constraint[]; own: boolean } {
  if ((view.pod.spec.topologySpreadConstraints ?? []).length > 0)
    return { wishes: constraintsOf(view, "ScheduleAnyway"), own: true };
  const wish = (topologyKey: string, maxSkew: number): Constraint => ({
    topologyKey,
    maxSkew,
    whenUnsatisfiable: "ScheduleAnyway",
    selector: siblings,
  });
  return { wishes: siblings ? [wish(hostname, 3), wish(zone, 5)] : [], own: false };
}

/**
 * Points from 0 to 100 for each fitting node by how few matching pods its domains hold, or nothing when there is no
 * such wish. Source: kube-scheduler's PodTopologySpread scoring.
 */
export function spreadScores(
  view: PodView,
  fitting: readonly NodeView[],
  all: readonly NodeView[],
  siblings: LabelSelector | undefined,
): Map<string, number> | undefined {
  const { wishes, own } = wishesOf(view, siblings);
  if (wishes.length === 0) return undefined;
  const complete = ({ labels }: NodeView) => wishes.every(({ topologyKey }) => labels[topologyKey] !== undefined);
  // Of a pod's own constraints a node must have all labels; of the default ones it may lack the zone.
  const rated = own ? fitting.filter(complete) : fitting;
  const countable = own ? all.filter(complete) : all;
  const raw = new Map(rated.map((node) => [node.name, 0]));
  for (const wish of wishes) {
    const byDomain = wishCounts(wish, view, rated, countable);
    const size = wish.topologyKey === hostname ? rated.length : byDomain.size;
    const weight = Math.log(size + 2);
    for (const node of rated) {
      const domain = node.labels[wish.topologyKey];
      if (domain === undefined) continue;
      const points = (byDomain.get(domain) ?? 0) * weight + (wish.maxSkew - 1);
      raw.set(node.name, (raw.get(node.name) ?? 0) + points);
    }
  }
  return normalized(raw);
}

function wishCounts(
  wish: Constraint,
  view: PodView,
  rated: readonly NodeView[],
  all: readonly NodeView[],
): Map<string, number> {
  const byDomain = new Map<string, number>();
  for (const { labels } of rated) {
    const domain = labels[wish.topologyKey];
    if (domain !== undefined) byDomain.set(domain, 0);
  }
  for (const node of all) {
    const domain = node.labels[wish.topologyKey];
    if (domain === undefined || !byDomain.has(domain) || !counts(wish, view, node)) continue;
    byDomain.set(domain, (byDomain.get(domain) ?? 0) + matching(wish.selector, view, node));
  }
  return byDomain;
}

function normalized(raw: ReadonlyMap<string, number>): Map<string, number> {
  const points = [...raw.values()].map(Math.round);
  const [lowest, highest] = [Math.min(...points), Math.max(...points)];
  const rate = (one: number) => (highest === 0 ? 100 : Math.floor((100 * (highest + lowest - one)) / highest));
  return new Map([...raw].map(([name, one]) => [name, rate(Math.round(one))]));
}
