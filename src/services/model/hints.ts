import type { Endpoint, EndpointSlice, Node } from "#api/index.ts";

/** Whom an endpoint is meant for. */
export interface Hints {
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** The hints of an endpoint. */
export function hintsOf({ hints }: Endpoint): Hints {
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
 * The candidates that hints mean for a node: those for the node itself, else those for its zone, where every ready
 * endpoint has such hints and one of them fits; else all. Source: kube-proxy's CategorizeEndpoints.
 */
export function nearest<T extends { readonly isReady: boolean; readonly hints: Hints }>(
  candidates: readonly T[],
  node: { readonly name: string; readonly zone?: string | undefined },
): readonly T[] {
  const ready = candidates.filter(({ isReady }) => isReady);
  const among = (of: "nodes" | "zones", name: string | undefined): T[] => {
    if (name === undefined || ready.some(({ hints }) => hints[of].length === 0)) return [];
    return ready.filter(({ hints }) => hints[of].includes(name));
  };
  const own = among("nodes", node.name);
  if (own.length > 0) return own;
  const near = among("zones", node.zone);
  return near.length > 0 ? near : candidates;
}
