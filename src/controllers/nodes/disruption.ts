import type { Node } from "#api/index.ts";
import { conditionOf } from "../objects.ts";

/**
 * What happens to pods of nodes that are not ready: they are evicted, nothing new is evicted, or what was begun is
 * called off as well.
 */
export type EvictionRule = "evict" | "hold" | "clear";

/** Zones up to this size hold evictions when most of their nodes are lost (--large-cluster-size-threshold). */
const largeZone = 50;
/** From this share of lost nodes on a zone counts as disrupted (--unhealthy-zone-threshold). */
const unhealthyShare = 0.55;

/** The zone of a node as evictions count it: region and zone together. */
export function zoneOf({ metadata: { labels = {} } }: Node): string {
  return `${labels["topology.kubernetes.io/region"] ?? ""}\0${labels["topology.kubernetes.io/zone"] ?? ""}`;
}

/**
 * The rule for each zone. When no node of the cluster is ready, it is this process that is cut off, not they; when more
 * than two and most of a small zone are lost, evicting would only pile their pods on the others.
 * Source: kube-controller-manager's node lifecycle controller (ComputeZoneState, handleDisruption).
 */
export function evictionRules(
  nodes: readonly Node[],
  isReady: (node: Node) => boolean = hasReadyCondition,
): (node: Node) => EvictionRule {
  const zones = zonesOf(nodes, isReady);
  const cutOff = [...zones.values()].every(({ ready, lost }) => ready === 0 && lost > 0);
  return (node) => {
    if (cutOff) return "clear";
    const { ready, lost } = zones.get(zoneOf(node)) ?? { ready: 1, lost: 0 };
    const disrupted = ready > 0 && lost > 2 && lost / (ready + lost) >= unhealthyShare;
    return disrupted && ready + lost <= largeZone ? "hold" : "evict";
  };
}

/** Numbers of ready and other nodes in each zone. */
export function zonesOf(
  nodes: readonly Node[],
  isReady: (node: Node) => boolean = hasReadyCondition,
): Map<string, { ready: number; lost: number }> {
  const zones = new Map<string, { ready: number; lost: number }>();
  for (const node of nodes) {
    const zone = zones.get(zoneOf(node)) ?? { ready: 0, lost: 0 };
    zones.set(zoneOf(node), zone);
    if (isReady(node)) zone.ready++;
    else zone.lost++;
  }
  return zones;
}

function hasReadyCondition(node: Node): boolean {
  return conditionOf(node.status?.conditions, "Ready")?.status === "True";
}
