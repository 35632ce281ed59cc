import { type Endpoint, type EndpointSlice, type Service, type ServicePort, SOURCE_ANNOTATION } from "#api/index.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Action, Frontend, FrontendKind, NodeView, Target } from "./frontend.ts";
import { type Hints, hintsOf, nearest } from "./hints.ts";

const labels = {
  serviceName: "kubernetes.io/service-name",
  otherProxy: "service.kubernetes.io/service-proxy-name",
  headless: "service.kubernetes.io/headless",
} as const;

/** Default of spec.sessionAffinityConfig.clientIP.timeoutSeconds (core/v1). */
const DEFAULT_AFFINITY_SECONDS = 10_800;

/** `namespace/name` of the Service that a slice belongs to, undefined when it says none. */
export function serviceOfSlice(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[labels.serviceName];
  return name ? `${slice.metadata.namespace}/${name}` : undefined;
}

/** Whether a proxy has anything to do for the Service (kube-proxy's selection). */
export function isProxied(service: Service): boolean {
  const { spec, metadata } = service;
  if (spec.type === "ExternalName" || !spec.clusterIP || spec.clusterIP === "None") return false;
  return metadata.labels?.[labels.otherProxy] === undefined && metadata.labels?.[labels.headless] === undefined;
}

/**
 * What each virtual address of a Service does on a node. Pure: equal input, equal output, whatever the slices' order.
 * Semantics are kube-proxy's: ready endpoints that hints mean for this node, else those that still serve while
 * terminating.
 */
export function serviceFrontends(service: Service, slices: readonly EndpointSlice[], node: NodeView): Frontend[] {
  if (!isProxied(service)) return [];
  const virtual = virtualAddresses(service, node);
  return (service.spec.ports ?? []).flatMap((port, index) => {
    const origin = portOrigin(service, index);
    const choice = (family: 4 | 6) => chooseTargets(port, slices, family, node);
    const choices = { 4: choice(4), 6: choice(6) };
    return virtual.flatMap(({ kind, ip }): Frontend[] => {
      const number = kind === "NodePort" ? port.nodePort : port.port;
      if (!number) return [];
      const seconds = service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
      return [
        {
          kind,
          ip,
          protocol: protocols[port.protocol ?? "TCP"],
          port: number,
          origin,
          label: portLabel(service, port),
          action: actionOf(service, kind, choices[ip.family]),
          serving: choices[ip.family].serving,
          ...(service.spec.sessionAffinity === "ClientIP" && { affinitySeconds: seconds }),
        },
      ];
    });
  });
}

function portOrigin(service: Service, index: number): Origin {
  const { namespace, name, annotations } = service.metadata;
  const source = annotations?.[SOURCE_ANNOTATION];
  return {
    kind: "Service",
    ...(namespace !== undefined && { namespace }),
    name,
    field: `spec.ports[${index}]`,
    ...(source !== undefined && { source }),
  };
}

function portLabel({ metadata: { namespace, name } }: Service, port: ServicePort): string {
  return `${namespace}/${name}${port.name ? `:${port.name}` : ""}`;
}

/** Every address at which the Service can be reached on this node. */
function virtualAddresses(service: Service, node: NodeView): { kind: FrontendKind; ip: Ip }[] {
  const { spec, status } = service;
  const clusterIps = spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? ""];
  const found: { kind: FrontendKind; ip: Ip }[] = [];
  const add = (kind: FrontendKind, texts: readonly (string | undefined)[]) => {
    for (const text of texts) {
      const ip = text ? tryParseIp(text) : undefined;
      if (ip) found.push({ kind, ip });
    }
  };
  add("ClusterIP", clusterIps);
  const families = new Set(found.map(({ ip }) => ip.family));
  for (const ip of node.nodePortAddresses ?? node.addresses)
    if (families.has(ip.family)) found.push({ kind: "NodePort", ip });
  add("ExternalIP", spec.externalIPs ?? []);
  if (spec.type === "LoadBalancer" && !spec.loadBalancerSourceRanges?.length) {
    const ingress = (status?.loadBalancer?.ingress ?? []).filter(({ ipMode }) => ipMode !== "Proxy");
    add(
      "LoadBalancer",
      ingress.map(({ ip }) => ip),
    );
  }
  return found.filter(({ ip }) => families.has(ip.family));
}

interface Choice {
  /** Candidates wherever they run. */
  readonly cluster: readonly Target[];
  /** Candidates on this node. */
  readonly local: readonly Target[];
  /** Whatever still serves. */
  readonly serving: readonly Target[];
}

function actionOf(service: Service, kind: FrontendKind, { cluster, local }: Choice): Action {
  const { internalTrafficPolicy, externalTrafficPolicy } = service.spec;
  if (cluster.length + local.length === 0) return { kind: "reject" };
  if (kind === "ClusterIP") {
    const targets = internalTrafficPolicy === "Local" ? local : cluster;
    return targets.length ? { kind: "balance", targets } : { kind: "drop" };
  }
  if (externalTrafficPolicy === "Local") return { kind: "balance-local", targets: cluster, local };
  return { kind: "balance", targets: cluster };
}

interface Candidate {
  readonly target: Target;
  readonly hints: Hints;
  readonly isReady: boolean;
  readonly isServing: boolean;
  readonly isTerminating: boolean;
}

function chooseTargets(port: ServicePort, slices: readonly EndpointSlice[], family: 4 | 6, node: NodeView): Choice {
  const candidates = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== (family === 4 ? "IPv4" : "IPv6")) continue;
    for (const candidate of sliceCandidates(port, slice, node.name)) {
      const key = `${candidate.target.ip.bytes.join(".")} ${candidate.target.port}`;
      // The same endpoint may stand in two slices while it moves from one to the other: the better state counts.
      if (!candidates.has(key) || candidate.isReady) candidates.set(key, candidate);
    }
  }
  const all = [...candidates.values()].sort((a, b) => compareTargets(a.target, b.target));
  return {
    cluster: usable(nearest(all, node)),
    local: usable(all.filter(({ target }) => target.isLocal)),
    serving: all.filter(({ isServing }) => isServing).map(({ target }) => target),
  };
}

/** Ready ones; when there are none, those that are going but still serve (KEP-1669). */
function usable(candidates: readonly Candidate[]): Target[] {
  const ready = candidates.filter(({ isReady }) => isReady);
  const chosen = ready.length ? ready : candidates.filter(({ isServing, isTerminating }) => isServing && isTerminating);
  return chosen.map(({ target }) => target);
}

function sliceCandidates(port: ServicePort, slice: EndpointSlice, nodeName: string): Candidate[] {
  const name = port.name ?? "";
  const found = slice.ports?.find((p) => (p.name ?? "") === name && (p.protocol ?? "TCP") === (port.protocol ?? "TCP"));
  if (!found?.port) return [];
  const number = found.port;
  return slice.endpoints.flatMap((endpoint, index) => {
    // Kubernetes puts one address into an endpoint; more would mean the same (discovery/v1).
    const ip = tryParseIp(endpoint.addresses[0] ?? "");
    if (!ip) return [];
    const { namespace, name: sliceName } = slice.metadata;
    const origin: Origin = {
      kind: "EndpointSlice",
      ...(namespace !== undefined && { namespace }),
      name: sliceName,
      field: `endpoints[${index}]`,
    };
    const target = { ip, port: number, isLocal: endpoint.nodeName === nodeName, origin };
    return [{ target, hints: hintsOf(endpoint), ...conditionsOf(endpoint) }];
  });
}

/** Absent conditions read as ready and serving (discovery/v1). */
function conditionsOf(endpoint: Endpoint): Omit<Candidate, "target" | "hints"> {
  const { ready = true, serving = ready, terminating = false } = endpoint.conditions ?? {};
  return { isReady: ready, isServing: serving, isTerminating: terminating };
}

/** By address, then port: the order of a balanced list. */
function compareTargets(a: Target, b: Target): number {
  return Buffer.compare(a.ip.bytes, b.ip.bytes) || a.port - b.port;
}
