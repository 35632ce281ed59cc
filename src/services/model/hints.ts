import type { Endpoint, EndpointSlice, Node } from "#api/index.ts";
import type { NodeView } from "./frontend.ts";

/** Whom an endpoint is meant for. */
export interface Hints {
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** What hints lead to, by the names of spec.trafficDistribution; and why they lead nowhere, where there are some. */
export interface Topology {
  readonly mode?: "PreferSameNode" | "PreferSameZone";
  /** Reasons in kube-proxy's words, one for each kind of hint that was looked at in vain. */
  readonly ignored: readonly string[];
}

const noHints: Hints = { zones: [], nodes: [] };

/** The hints of an endpoint. */
export function hintsOf({ hints }: Endpoint): Hints {
  if (!hints) return noHints;
  return {
    zones: hints?.forZones?.map(({ name }) => name) ?? [],
    nodes: hints?.forNodes?.map(({ name }) => name) ?? [],
  };
}

/** Whether an endpoint of the slice is meant for somebody in particular. */
export function hasHints(slice: EndpointSlice): boolean {
  return slice.endpoints.some(({ hints }) => hints !== undefined);
}

/** The zone of a node, undefined when it says none. */
export function zoneOf(node: Node | undefined): string | undefined {
  return node?.metadata.labels?.["topology.kubernetes.io/zone"] || undefined;
}

/**
 * Where hints lead on a node: to the node's own endpoints when every ready endpoint has a hint for nodes and one is for
 * this node; else to its zone's when every ready endpoint has a hint for zones and one is for this zone; else nowhere.
 * spec.trafficDistribution itself is not asked: who writes the slices has turned it into hints.
 * Source: kube-proxy's topologyModeFromHints.
 * @param ready hints of the ready endpoints
 */
export function topologyOf(ready: readonly Hints[], node: Pick<NodeView, "name" | "zone">): Topology {
  if (ready.length === 0) return { ignored: [] };
  const ignored: string[] = [];
  if (ready.some(({ nodes }) => nodes.length === 0)) {
    if (ready.some(({ nodes }) => nodes.length > 0))
      ignored.push("Ignoring same-node topology hints for service since one or more endpoints is missing a node hint");
  } else if (ready.some(({ nodes }) => nodes.includes(node.name))) return { mode: "PreferSameNode", ignored };
  else ignored.push("Ignoring same-node topology hints for service since no hints were provided for node");
  if (ready.some(({ zones }) => zones.length === 0)) {
    if (ready.some(({ zones }) => zones.length > 0))
      ignored.push("Ignoring same-zone topology hints for service since one or more endpoints is missing a zone hint");
  } else if (node.zone === undefined)
    ignored.push("Ignoring same-zone topology hints for service since node is missing label");
  else if (ready.some(({ zones }) => zones.includes(node.zone as string))) return { mode: "PreferSameZone", ignored };
  else ignored.push("Ignoring same-zone topology hints for service since no hints were provided for zone");
  return { ignored };
}

/** Whether an endpoint with these hints is used where hints lead. */
export function fitsTopology(hints: Hints, { mode }: Topology, node: Pick<NodeView, "name" | "zone">): boolean {
  if (mode === undefined) return true;
  return mode === "PreferSameNode" ? hints.nodes.includes(node.name) : hints.zones.includes(node.zone ?? "");
}
