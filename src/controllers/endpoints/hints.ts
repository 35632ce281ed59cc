import type { Endpoint, Node, Service } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { conditionOf } from "../objects.ts";
import type { EndpointGroup } from "./model.ts";

const zoneLabel = "topology.kubernetes.io/zone";
/** How much more than its share an endpoint may have to serve. */
const overload = 0.2;

/** Groups with hints, and why there are none although the Service asks for some. */
export interface Hinted {
  readonly groups: readonly EndpointGroup[];
  /** The address family and reason, when hints by topology are off. */
  readonly problem?: string;
  /** Whether hints by topology were given. */
  readonly topology: boolean;
}

/** Whether the Service asks for hints by the zones' shares of processors (the annotation topology-mode). */
export function asksForTopology({ metadata: { annotations = {} } }: Service): boolean {
  const mode = annotations["service.kubernetes.io/topology-mode"];
  const older = annotations["service.kubernetes.io/topology-aware-hints"];
  return [mode, older].some((value) => value === "Auto" || value === "auto");
}

/**
 * Says which zones or nodes each ready endpoint is for: by spec.trafficDistribution its own zone or node, by the
 * annotation topology-mode such that each zone has its share. Source: k8s.io/endpointslice (trafficdist, topologycache).
 */
export function withHints(service: Service, groups: readonly EndpointGroup[], nodes: readonly Node[]): Hinted {
  if (asksForTopology(service)) return byTopology(groups, nodes);
  const hint = distributions[service.spec.trafficDistribution ?? ""];
  if (!hint) return { groups, topology: false };
  const hinted = (endpoint: Endpoint): Endpoint =>
    endpoint.conditions?.ready ? { ...endpoint, hints: hint(endpoint) } : endpoint;
  return { groups: groups.map((group) => ({ ...group, endpoints: group.endpoints.map(hinted) })), topology: false };
}

type Hint = NonNullable<Endpoint["hints"]>;

const sameZone = ({ zone = "" }: Endpoint): Hint => ({ forZones: [{ name: zone }] });
const sameNode = (endpoint: Endpoint): Hint => ({
  ...sameZone(endpoint),
  ...(endpoint.nodeName === undefined ? {} : { forNodes: [{ name: endpoint.nodeName }] }),
});
const distributions: Readonly<Record<string, (endpoint: Endpoint) => Hint>> = {
  PreferClose: sameZone,
  PreferSameZone: sameZone,
  PreferSameNode: sameNode,
};

/** Each address family is shared out by itself. */
function byTopology(groups: readonly EndpointGroup[], nodes: readonly Node[]): Hinted {
  const families = [...new Set(groups.map(({ addressType }) => addressType))];
  const zoneOf = new Map<Endpoint, string>();
  const problems: string[] = [];
  for (const family of families) {
    const ready = groups
      .filter(({ addressType }) => addressType === family)
      .flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions?.ready));
    const shared = shareOut(ready, cpuShares(nodes));
    if (typeof shared === "string") problems.push(`${shared}, addressType: ${family}`);
    else for (const [endpoint, zone] of shared) zoneOf.set(endpoint, zone);
  }
  const hinted = (endpoint: Endpoint): Endpoint => {
    const zone = zoneOf.get(endpoint);
    return zone === undefined ? endpoint : { ...endpoint, hints: { forZones: [{ name: zone }] } };
  };
  const [problem] = problems;
  return {
    groups: groups.map((group) => ({ ...group, endpoints: group.endpoints.map(hinted) })),
    topology: zoneOf.size > 0,
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Each zone's share of the processors of ready workers; undefined when a node does not say where it is or what it has. */
function cpuShares(nodes: readonly Node[]): ReadonlyMap<string, number> | undefined {
  const byZone = new Map<string, number>();
  let total = 0;
  for (const { metadata, status } of nodes) {
    const labels = metadata.labels ?? {};
    const ready = conditionOf(status?.conditions, "Ready")?.status === "True";
    if (!ready || "node-role.kubernetes.io/control-plane" in labels || "node-role.kubernetes.io/master" in labels)
      continue;
    const zone = labels[zoneLabel];
    const cpu = Number(scaledQuantity(parseQuantity(status?.allocatable?.["cpu"] ?? "0"), -3));
    if (!zone || cpu === 0) return undefined;
    byZone.set(zone, (byZone.get(zone) ?? 0) + cpu);
    total += cpu;
  }
  if (byZone.size < 2) return undefined;
  return new Map([...byZone].map(([zone, cpu]) => [zone, cpu / total]));
}

/** The zone that each endpoint is for, or why none can be said. */
function shareOut(
  endpoints: readonly Endpoint[],
  shares: ReadonlyMap<string, number> | undefined,
): ReadonlyMap<Endpoint, string> | string {
  if (!shares) return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
  const facts = `(${endpoints.length} endpoints, ${shares.size} zones)`;
  if (shares.size > endpoints.length) return `Insufficient number of endpoints ${facts}`;
  const least = new Map(
    [...shares].map(([zone, share]) => [zone, Math.ceil((share * endpoints.length) / (1 + overload))]),
  );
  const sum = [...least.values()].reduce((total, one) => total + one, 0);
  if (sum > endpoints.length)
    return `Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ${facts}`;
  if (endpoints.some(({ zone }) => !zone)) return "One or more endpoints do not have a zone specified";
  const zoneOf = new Map(endpoints.map((endpoint) => [endpoint, endpoint.zone as string]));
  const spare = (zone: string) => [...zoneOf.values()].filter((one) => one === zone).length - (least.get(zone) ?? 0);
  for (const zone of least.keys()) while (spare(zone) < 0 && lend(zoneOf, zone, spare));
  return zoneOf;
}

/** Takes an endpoint of the zone that has most to spare for another one: always the same of equals. */
function lend(zoneOf: Map<Endpoint, string>, to: string, spare: (zone: string) => number): boolean {
  const givers = [...new Set(zoneOf.values())].filter((zone) => zone !== to && spare(zone) > 0);
  const [giver] = givers.sort((a, b) => spare(b) - spare(a) || (a < b ? -1 : 1));
  const lendable = [...zoneOf].filter(([, zone]) => zone === giver).map(([endpoint]) => endpoint);
  const [endpoint] = lendable.sort((a, b) => ((a.addresses[0] ?? "") < (b.addresses[0] ?? "") ? 1 : -1));
  if (endpoint) zoneOf.set(endpoint, to);
  return endpoint !== undefined;
}
