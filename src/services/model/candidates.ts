import type { Endpoint, EndpointSlice, ServicePort } from "#api/index.ts";
import { EndpointTarget } from "./endpointTarget.ts";
import type { NodeView, Target } from "./frontend.ts";
import { fitsTopology, type Hints, hintsOf, type Topology, topologyOf } from "./hints.ts";

/** An endpoint of one of the Service's ports, before anything is chosen. */
export interface Candidate {
  readonly target: Target;
  readonly hints: Hints;
  readonly isReady: boolean;
  readonly isServing: boolean;
  readonly isTerminating: boolean;
}

/** A candidate that was found in a slice. */
type FoundEndpoint = Candidate & { readonly target: EndpointTarget };

/** What the candidates of a port and family come to on a node. Lists are in the order of addresses and ports. */
export interface Choice {
  /** For traffic policy Cluster. */
  readonly cluster: readonly Target[];
  /** For traffic policy Local. */
  readonly local: readonly Target[];
  /** Whatever still serves. */
  readonly serving: readonly Target[];
  readonly topology: Topology;
}

/** The slices of a family. */
export function slicesOf(slices: readonly EndpointSlice[], family: 4 | 6): EndpointSlice[] {
  return slices.filter(({ addressType }) => addressType === (family === 4 ? "IPv4" : "IPv6"));
}

/**
 * All endpoints of a port in slices of one family, each address and port once: while an endpoint moves from one slice
 * to another, or a pod's address is given on, it may stand in two. The better state counts.
 */
export function candidatesOf(port: ServicePort, slices: readonly EndpointSlice[], nodeName: string): FoundEndpoint[] {
  const found: FoundEndpoint[] = [];
  for (const slice of slices) addCandidates(found, port, slice, nodeName);
  // Equals are beside each other then, in the order of slices.
  found.sort((a, b) => a.target.compare(b.target));
  let kept = 0;
  for (const candidate of found) {
    const other = found[kept - 1];
    if (other?.target.compare(candidate.target) === 0) {
      if (rank(candidate) > rank(other)) found[kept - 1] = candidate;
    } else found[kept++] = candidate;
  }
  found.length = kept;
  return found;
}

/**
 * Ready endpoints, those that hints mean for this node; when there are none, those that go but still serve (KEP-1669),
 * whatever the hints. Independently for all endpoints and for those on this node, to which hints do not matter.
 * Source: kube-proxy's CategorizeEndpoints.
 */
export function chooseTargets(candidates: readonly Candidate[], node: NodeView): Choice {
  const ready = candidates.filter(({ isReady }) => isReady);
  const topology = topologyOf(
    ready.map(({ hints }) => hints),
    node,
  );
  const near = topology.mode === undefined ? ready : ready.filter(({ hints }) => fitsTopology(hints, topology, node));
  const going = candidates.filter(({ isReady, isServing, isTerminating }) => !isReady && isServing && isTerminating);
  const isLocal = ({ target }: Candidate) => target.isLocal;
  const readyHere = ready.filter(isLocal);
  const cluster = targets(near.length ? near : going);
  const serving = candidates.filter(({ isServing }) => isServing);
  return {
    cluster,
    local: targets(readyHere.length ? readyHere : going.filter(isLocal)),
    // Usually all are chosen: one list is kept for both.
    serving: serving.length === cluster.length && near === ready ? sameOr(cluster, serving) : targets(serving),
    topology,
  };
}

/** The number of a Service's port in a slice, by the port's name and protocol; undefined when the slice has no such. */
export function portIn(slice: EndpointSlice, port: ServicePort): number | undefined {
  const name = port.name ?? "";
  const protocol = port.protocol ?? "TCP";
  return slice.ports?.find((p) => (p.name ?? "") === name && (p.protocol ?? "TCP") === protocol)?.port || undefined;
}

/** Absent conditions read as ready and serving (discovery/v1). */
export function conditionsOf(
  conditions: Endpoint["conditions"],
): Pick<Candidate, "isReady" | "isServing" | "isTerminating"> {
  const { ready = true, serving = ready, terminating = false } = conditions ?? {};
  return { isReady: ready, isServing: serving, isTerminating: terminating };
}

/** Named target ports have their number in the slice: pods of one Service may differ in it. */
function addCandidates(to: FoundEndpoint[], port: ServicePort, slice: EndpointSlice, nodeName: string): void {
  const number = portIn(slice, port);
  if (number === undefined) return;
  for (const [index, endpoint] of (slice.endpoints ?? []).entries()) {
    const target = EndpointTarget.of(slice, endpoint, [index, number], nodeName);
    if (target) to.push({ target, hints: hintsOf(endpoint), ...conditionsOf(endpoint.conditions) });
  }
}

/** Ready before serving before neither; of equals, one that stays before one that goes. */
function rank({ isReady, isServing, isTerminating }: Candidate): number {
  return (isReady ? 4 : 0) + (isServing ? 2 : 0) + (isTerminating ? 0 : 1);
}

function targets(candidates: readonly Candidate[]): Target[] {
  return candidates.map(({ target }) => target);
}

/** The first list when it is of the same candidates, in the same order. */
function sameOr(list: Target[], candidates: readonly Candidate[]): Target[] {
  return candidates.every(({ target }, i) => target === list[i]) ? list : targets(candidates);
}
