import type { Endpoint, EndpointSlice, Service, ServicePort } from "#api/index.ts";
import { tryParseIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import { type VirtualAddress, virtualAddresses } from "./addresses.ts";
import { type Candidate, candidatesOf, chooseTargets, conditionsOf, portIn, slicesOf } from "./candidates.ts";
import { endpointOrigin } from "./endpointTarget.ts";
import { addressKey, type Frontend, type NodeView } from "./frontend.ts";
import { notProxied, policyOf, serviceFrontends } from "./frontends.ts";
import { fitsTopology, hintsOf, type Topology } from "./hints.ts";

/** Why an endpoint gets no new connections of a frontend. */
export type LeftOutReason =
  | "bad-address"
  | "other-family"
  | "other-port"
  | "duplicate"
  | "not-ready"
  | "terminating"
  | "hint"
  | "not-local";

/** An endpoint that a frontend does not use, and the field that is the reason. */
export interface LeftOut {
  readonly address: string;
  readonly reason: LeftOutReason;
  /** In words. */
  readonly because: string;
  /** The endpoint; with the field that speaks against it, below it. */
  readonly origin: Origin;
}

/** A frontend, and how its targets came to be chosen. */
export interface FrontendExplanation {
  readonly frontend: Frontend;
  /** Where the Service has the address: `spec.clusterIPs[0]`. */
  readonly addressField: string;
  readonly policy: { readonly field: string; readonly value: "Cluster" | "Local" };
  /** Where hints lead; only for policy Cluster, or for what policy Local does not hold for. */
  readonly topology: Topology;
  /**
   * Endpoints that get no connections at all; where the action is `balance-local`, those that get none from outside
   * (pods and the node reach its `targets`).
   */
  readonly leftOut: readonly LeftOut[];
}

/** A Service on a node, explained. */
export interface ServiceExplanation {
  /** Why the node's proxy does nothing for it. */
  readonly notProxied?: { readonly reason: string; readonly field: string };
  readonly frontends: readonly FrontendExplanation[];
}

/**
 * What {@link serviceFrontends} makes of a Service, with its reasons. Pure; for people who ask, not for every change:
 * it looks at every endpoint again for every frontend.
 */
export function explainService(service: Service, slices: readonly EndpointSlice[], node: NodeView): ServiceExplanation {
  const excluded = notProxied(service);
  if (excluded) return { notProxied: excluded, frontends: [] };
  const virtual = virtualAddresses(service, node);
  const seen = new Set<string>();
  const frontends = serviceFrontends(service, slices, node).flatMap((frontend) => {
    const key = addressKey(frontend);
    if (seen.has(key)) return [];
    seen.add(key);
    return [explainFrontend(service, slices, node, frontend, virtual)];
  });
  return { frontends };
}

function explainFrontend(
  service: Service,
  slices: readonly EndpointSlice[],
  node: NodeView,
  frontend: Frontend,
  virtual: readonly VirtualAddress[],
): FrontendExplanation {
  const { kind, ip, action, origin } = frontend;
  const port = service.spec.ports?.[Number(/\d+/.exec(origin.field ?? "")?.[0] ?? 0)] as ServicePort;
  const policy = policyOf(service, kind);
  const candidates = candidatesOf(port, slicesOf(slices, ip.family), node.name);
  const { topology } = chooseTargets(candidates, node);
  const chosen = action.kind === "balance-local" ? action.local : action.kind === "balance" ? action.targets : [];
  const isLocalOnly = policy.value === "Local";
  const context = {
    port,
    family: ip.family,
    node,
    topology,
    candidates,
    chosen: new Set(chosen.map(({ origin }) => placeText(origin))),
    isLocalOnly,
  };
  const leftOut = slices.flatMap((slice) =>
    (slice.endpoints ?? []).flatMap((endpoint, index) => judge(slice, endpoint, index, context) ?? []),
  );
  const address = virtual.find((one) => one.kind === kind && Buffer.compare(one.ip.bytes, ip.bytes) === 0);
  const addressField = kind === "NodePort" ? `${origin.field}.nodePort` : (address?.field ?? "spec.clusterIP");
  return { frontend, addressField, policy, topology, leftOut };
}

interface Context {
  readonly port: ServicePort;
  readonly family: 4 | 6;
  readonly node: NodeView;
  readonly topology: Topology;
  readonly candidates: readonly Candidate[];
  readonly chosen: ReadonlySet<string>;
  readonly isLocalOnly: boolean;
}

/** What speaks against an endpoint; undefined when it is used. The first reason that would be enough is given. */
function judge(slice: EndpointSlice, endpoint: Endpoint, index: number, context: Context): LeftOut | undefined {
  const { port, family, candidates, chosen } = context;
  const origin = endpointOrigin(slice, index);
  const address = endpoint.addresses[0] ?? "";
  const out = (reason: LeftOutReason, because: string, field: string, whole = false): LeftOut => ({
    address,
    reason,
    because,
    origin: { ...origin, field: whole ? field : `${origin.field}.${field}` },
  });
  const wanted = family === 4 ? "IPv4" : "IPv6";
  if (slice.addressType !== wanted)
    return out("other-family", `the slice holds ${slice.addressType} addresses`, "addressType", true);
  if (!tryParseIp(address)) return out("bad-address", "its address is no IP address", "addresses[0]");
  if (portIn(slice, port) === undefined) {
    const name = `${port.protocol ?? "TCP"} port ${JSON.stringify(port.name ?? "")}`;
    const isNamed = typeof port.targetPort === "string" && !/^\d+$/.test(port.targetPort);
    const why = isNamed ? `: no container of a pod has a port that is named ${JSON.stringify(port.targetPort)}` : "";
    return out("other-port", `the slice has no ${name}${why}`, "ports", true);
  }
  const candidate = candidates.find(({ target }) => placeText(target.origin) === placeText(origin));
  if (!candidate)
    return out("duplicate", "another endpoint has this address and port, in a better state", "addresses[0]");
  return chosen.has(placeText(origin)) ? undefined : judgeState(endpoint, candidate, context, out);
}

function judgeState(
  endpoint: Endpoint,
  { target }: Candidate,
  { node, topology, candidates, isLocalOnly }: Context,
  out: (reason: LeftOutReason, because: string, field: string) => LeftOut,
): LeftOut {
  const { isReady, isServing, isTerminating } = conditionsOf(endpoint.conditions);
  if (isLocalOnly && !target.isLocal)
    return out("not-local", `it runs on ${endpoint.nodeName ?? "no node"}, not on ${node.name}`, "nodeName");
  if (!isReady && !(isServing && isTerminating)) {
    return isTerminating
      ? out("terminating", "it terminates and does not serve any more", "conditions.serving")
      : out("not-ready", "it is not ready", "conditions.ready");
  }
  if (!isReady) {
    const rivals = candidates.some((other) => other.isReady && (!isLocalOnly || other.target.isLocal));
    return out(
      "terminating",
      rivals ? "it terminates, and others are ready" : "it terminates",
      "conditions.terminating",
    );
  }
  const hints = hintsOf(endpoint);
  if (!fitsTopology(hints, topology, node)) {
    return topology.mode === "PreferSameNode"
      ? out("hint", `it is meant for node ${hints.nodes.join(", ")}`, "hints.forNodes")
      : out("hint", `it is meant for zone ${hints.zones.join(", ")}`, "hints.forZones");
  }
  // All others of a port are used.
  throw new Error(`no reason to leave out ${endpoint.addresses[0]}`);
}

function placeText({ name, field }: Origin): string {
  return `${name} ${field}`;
}
