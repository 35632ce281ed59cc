import type { Endpoint, EndpointSlice, ServicePort } from "#api/index.ts";
import { tryParseIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
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
export function candidatesOf(port: ServicePort, slices: readonly EndpointSlice[], nodeName: string): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    for (const candidate of sliceCandidates(port, slice, nodeName)) {
      const { ip, port: number } = candidate.target;
      const key = `${Buffer.from(ip.bytes).toString("latin1")}${number}`;
      const other = found.get(key);
      if (!other || rank(candidate) > rank(other)) found.set(key, candidate);
    }
  }
  return [...found.values()].sort((a, b) => compareTargets(a.target, b.target));
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
  const near = ready.filter(({ hints }) => fitsTopology(hints, topology, node));
  const going = candidates.filter(({ isReady, isServing, isTerminating }) => !isReady && isServing && isTerminating);
  const isLocal = ({ target }: Candidate) => target.isLocal;
  const readyHere = ready.filter(isLocal);
  return {
    cluster: targets(near.length ? near : going),
    local: targets(readyHere.length ? readyHere : going.filter(isLocal)),
    serving: targets(candidates.filter(({ isServing }) => isServing)),
    topology,
  };
}

/** The number of a Service's port in a slice, by the port's name and protocol; undefined when the slice has no such. */
export function portIn(slice: EndpointSlice, port: ServicePort): number | undefined {
  const name = port.name ?? "";
  const protocol = port.protocol ?? "TCP";
  return slice.ports?.find((p) => (p.name ?? "") === name && (p.protocol ?? "TCP") === protocol)?.port || undefined;
}

/** The place of an endpoint. */
export function endpointOrigin(slice: EndpointSlice, index: number): Origin {
  const { namespace, name } = slice.metadata;
  return {
    kind: "EndpointSlice",
    ...(namespace !== undefined && { namespace }),
    name,
    field: `endpoints[${index}]`,
  };
}

/** Absent conditions read as ready and serving (discovery/v1). */
export function conditionsOf(endpoint: Endpoint): Pick<Candidate, "isReady" | "isServing" | "isTerminating"> {
  const { ready = true, serving = ready, terminating = false } = endpoint.conditions ?? {};
  return { isReady: ready, isServing: serving, isTerminating: terminating };
}

/** Named target ports have their number in the slice: pods of one Service may differ in it. */
function sliceCandidates(port: ServicePort, slice: EndpointSlice, nodeName: string): Candidate[] {
  const number = portIn(slice, port);
  if (number === undefined) return [];
  return slice.endpoints.flatMap((endpoint, index) => {
    // Kubernetes puts one address into an endpoint; more would mean the same (discovery/v1).
    const ip = tryParseIp(endpoint.addresses[0] ?? "");
    if (!ip) return [];
    const isLocal = endpoint.nodeName === nodeName;
    const target = { ip, port: number, isLocal, origin: endpointOrigin(slice, index) };
    return [{ target, hints: hintsOf(endpoint), ...conditionsOf(endpoint) }];
  });
}

/** Ready before serving before neither; of equals, one that stays before one that goes. */
function rank({ isReady, isServing, isTerminating }: Candidate): number {
  return (isReady ? 4 : 0) + (isServing ? 2 : 0) + (isTerminating ? 0 : 1);
}

function targets(candidates: readonly Candidate[]): Target[] {
  return candidates.map(({ target }) => target);
}

/** By address, then port. */
function compareTargets(a: Target, b: Target): number {
  return Buffer.compare(a.ip.bytes, b.ip.bytes) || a.port - b.port;
}
