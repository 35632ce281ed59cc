import type { Endpoint, EndpointSlice, Node, Service } from "#api/index.ts";
import { service, slice } from "#services/testing/objects.ts";

/** The lab's addresses in one family. */
export interface LabAddresses {
  readonly family: "IPv4" | "IPv6";
  readonly pod1: string;
  readonly pod2: string;
  /** A pod of another node. */
  readonly far: string;
  /** The node's address on the pods' bridge, and towards other nodes. */
  readonly gateway: string;
  readonly node: string;
  readonly outside: string;
  /** Addresses of Service number `n`. */
  clusterIp(n: number): string;
  external(n: number): string;
  balancer(n: number): string;
}

/** The lab in both families. */
export const labAddresses: readonly LabAddresses[] = [
  {
    family: "IPv4",
    pod1: "10.244.1.2",
    pod2: "10.244.1.3",
    far: "10.244.2.2",
    gateway: "10.244.1.1",
    node: "192.168.1.11",
    outside: "192.168.1.1",
    clusterIp: (n) => `10.96.1.${n}`,
    external: (n) => `203.0.113.${n}`,
    balancer: (n) => `198.51.100.${n}`,
  },
  {
    family: "IPv6",
    pod1: "fd00:10:244:1::2",
    pod2: "fd00:10:244:1::3",
    far: "fd00:10:244:2::2",
    gateway: "fd00:10:244:1::1",
    node: "fd00:192:168:1::11",
    outside: "fd00:192:168:1::1",
    clusterIp: (n) => `fd00:10:96:1::${n.toString(16)}`,
    external: (n) => `2001:db8:113::${n.toString(16)}`,
    balancer: (n) => `2001:db8:100::${n.toString(16)}`,
  },
];

export type Client = "pod1" | "node" | "outside";
export type AddressKind = "ClusterIP" | "NodePort" | "ExternalIP" | "LoadBalancer";

/**
 * Who answers, and whose address that one sees: its own client's, or the node's on the way to it. Or that the
 * connection is refused at once, or that nothing comes.
 */
export type Outcome = `${"pod1" | "pod2" | "far"} sees ${"pod1" | "outside" | "the node"}` | "refused" | "silence";

type Place = "pod1" | "pod2" | "far";

/** Where an endpoint is, and what the EndpointSlice says of it besides. */
export type CaseEndpoint = Place | (Pick<Endpoint, "conditions" | "hints"> & { readonly place: Place });

/** The lab's node as the API has it: hints for zones need its zone. */
export const labNode = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "node01", labels: { "topology.kubernetes.io/zone": "zone-a" } },
} satisfies Node;

/** A kind of address with endpoints at these places, and what each client finds. */
export interface ServiceCase {
  readonly name: string;
  readonly kind: AddressKind;
  readonly spec?: Partial<Service["spec"]>;
  /** Ranges of spec.loadBalancerSourceRanges: these clients' addresses. */
  readonly allowed?: readonly Client[];
  readonly endpoints: readonly CaseEndpoint[];
  readonly clients: Partial<Readonly<Record<Client, Outcome>>>;
  /** Another port than the Service's. */
  readonly port?: number;
}

const externalLocal = { externalTrafficPolicy: "Local" } as const;
const internalLocal = { internalTrafficPolicy: "Local" } as const;
const all = (outcome: Outcome) => ({ pod1: outcome, node: outcome, outside: outcome }) as const;
const externalKinds = ["NodePort", "ExternalIP", "LoadBalancer"] as const;

/**
 * What Kubernetes promises of each kind of address (the Service documentation's "Virtual IPs and service proxies", and
 * the behaviour of kube-proxy 1.36 where that is silent: who is masqueraded, and that pods and the node are no outside).
 */
export const serviceCases: readonly ServiceCase[] = [
  {
    name: "ClusterIP, endpoint on this node",
    kind: "ClusterIP",
    endpoints: ["pod2"],
    clients: { pod1: "pod2 sees pod1", node: "pod2 sees the node", outside: "pod2 sees the node" },
  },
  { name: "ClusterIP, a pod itself", kind: "ClusterIP", endpoints: ["pod1"], clients: { pod1: "pod1 sees the node" } },
  {
    name: "ClusterIP, endpoint on another node",
    kind: "ClusterIP",
    endpoints: ["far"],
    clients: { pod1: "far sees pod1", node: "far sees the node", outside: "far sees the node" },
  },
  { name: "ClusterIP, no endpoints", kind: "ClusterIP", endpoints: [], clients: all("refused") },
  {
    name: "ClusterIP, a port that it does not have",
    kind: "ClusterIP",
    endpoints: ["pod2"],
    port: 81,
    clients: all("refused"),
  },
  {
    name: "ClusterIP with internalTrafficPolicy Local, endpoints on both nodes",
    kind: "ClusterIP",
    spec: internalLocal,
    endpoints: ["pod2", "far"],
    clients: { pod1: "pod2 sees pod1", node: "pod2 sees the node", outside: "pod2 sees the node" },
  },
  {
    name: "ClusterIP with internalTrafficPolicy Local, none on this node",
    kind: "ClusterIP",
    spec: internalLocal,
    endpoints: ["far"],
    clients: all("silence"),
  },
  ...externalKinds.flatMap((kind): ServiceCase[] => [
    {
      name: `${kind}, endpoint on this node`,
      kind,
      endpoints: ["pod2"],
      clients: all("pod2 sees the node"),
    },
    { name: `${kind}, endpoint on another node`, kind, endpoints: ["far"], clients: all("far sees the node") },
    { name: `${kind}, no endpoints`, kind, endpoints: [], clients: all("refused") },
    {
      name: `${kind} with externalTrafficPolicy Local, endpoint on this node`,
      kind,
      spec: externalLocal,
      endpoints: ["pod2"],
      clients: { pod1: "pod2 sees pod1", node: "pod2 sees the node", outside: "pod2 sees outside" },
    },
    {
      name: `${kind} with externalTrafficPolicy Local, none on this node`,
      kind,
      spec: externalLocal,
      endpoints: ["far"],
      clients: { pod1: "far sees pod1", node: "far sees the node", outside: "silence" },
    },
    {
      name: `${kind} with internalTrafficPolicy Local, none on this node`,
      kind,
      spec: internalLocal,
      endpoints: ["far"],
      clients: all("far sees the node"),
    },
  ]),
  ...distributionCases(),
  ...conditionCases(),
  {
    name: "LoadBalancer limited to outside",
    kind: "LoadBalancer",
    allowed: ["outside"],
    endpoints: ["pod2"],
    clients: { pod1: "silence", node: "silence", outside: "pod2 sees the node" },
  },
  {
    name: "LoadBalancer limited to pod and node, policy Local",
    kind: "LoadBalancer",
    spec: externalLocal,
    allowed: ["pod1", "node"],
    endpoints: ["pod2"],
    clients: { pod1: "pod2 sees pod1", node: "pod2 sees the node", outside: "silence" },
  },
  {
    name: "LoadBalancer limited to outside, no endpoints",
    kind: "LoadBalancer",
    allowed: ["outside"],
    endpoints: [],
    clients: { pod1: "silence", node: "silence", outside: "refused" },
  },
  {
    name: "a limited LoadBalancer's NodePort is not limited",
    kind: "NodePort",
    allowed: ["pod1"],
    endpoints: ["pod2"],
    clients: all("pod2 sees the node"),
  },
];

/** What spec.trafficDistribution has made of endpoints: hints, which the node follows (KEP-2433, KEP-3015). */
function distributionCases(): ServiceCase[] {
  const zone = (name: string) => ({ forZones: [{ name }] });
  const node = (name: string, inZone: string) => ({ forNodes: [{ name }], ...zone(inZone) });
  const endpoint = (place: Place, hints: NonNullable<Endpoint["hints"]>) => ({ place, hints });
  const clusterIp = (spec: Partial<Service["spec"]>, name: string, endpoints: CaseEndpoint[], to: "pod2" | "far") => ({
    ...{
      name: `trafficDistribution ${spec.trafficDistribution}, ${name}`,
      kind: "ClusterIP" as const,
      spec,
      endpoints,
    },
    clients: { node: `${to} sees the node`, outside: `${to} sees the node` } as const,
  });
  const close = { trafficDistribution: "PreferClose" };
  const sameZone = { trafficDistribution: "PreferSameZone" };
  const sameNode = { trafficDistribution: "PreferSameNode" };
  return [
    clusterIp(close, "one in this zone", [endpoint("pod2", zone("zone-b")), endpoint("far", zone("zone-a"))], "far"),
    clusterIp(
      sameZone,
      "one in this zone",
      [endpoint("pod2", zone("zone-a")), endpoint("far", zone("zone-b"))],
      "pod2",
    ),
    clusterIp(sameZone, "none in this zone", [endpoint("far", zone("zone-b"))], "far"),
    clusterIp(
      sameNode,
      "one on this node",
      [endpoint("pod2", node("node01", "zone-a")), endpoint("far", node("node02", "zone-a"))],
      "pod2",
    ),
    clusterIp(
      sameNode,
      "none on this node, one in this zone",
      [endpoint("pod2", node("node03", "zone-b")), endpoint("far", node("node02", "zone-a"))],
      "far",
    ),
  ];
}

/** Endpoints that go but still serve (KEP-1669), and those that are published before they are ready. */
function conditionCases(): ServiceCase[] {
  const going = { ready: false, serving: true, terminating: true };
  const gone = { ready: false, serving: false, terminating: true };
  const inside = (outcome: Outcome) => ({ node: outcome, outside: outcome });
  return [
    {
      name: "a terminating endpoint beside a ready one",
      kind: "ClusterIP",
      endpoints: [{ place: "pod2", conditions: going }, "far"],
      clients: inside("far sees the node"),
    },
    {
      name: "terminating endpoints alone, of which one still serves",
      kind: "ClusterIP",
      endpoints: [
        { place: "pod2", conditions: going },
        { place: "far", conditions: gone },
      ],
      clients: inside("pod2 sees the node"),
    },
    {
      name: "terminating endpoints alone, of which none serves",
      kind: "ClusterIP",
      endpoints: [{ place: "pod2", conditions: gone }],
      clients: inside("refused"),
    },
    {
      name: "internalTrafficPolicy Local, the node's own endpoint terminates",
      kind: "ClusterIP",
      spec: internalLocal,
      endpoints: [{ place: "pod2", conditions: going }, "far"],
      clients: inside("pod2 sees the node"),
    },
    {
      name: "externalTrafficPolicy Local, the node's own endpoint terminates",
      kind: "NodePort",
      spec: externalLocal,
      endpoints: [{ place: "pod2", conditions: going }, "far"],
      clients: { outside: "pod2 sees outside" },
    },
    {
      // The slice of such a Service says ready of a pod that is not.
      name: "publishNotReadyAddresses, an endpoint that does not serve",
      kind: "ClusterIP",
      spec: { publishNotReadyAddresses: true },
      endpoints: [{ place: "pod2", conditions: { ready: true, serving: false, terminating: false } }],
      clients: inside("pod2 sees the node"),
    },
  ];
}

const protocols = ["TCP", "UDP"] as const;
/** Where servers listen in pods. */
export const targetPort = 8080;

/** The objects of a case. */
export function caseObjects(one: ServiceCase, n: number, a: LabAddresses): (Service | EndpointSlice)[] {
  const name = `case-${n}`;
  const ports = protocols.map((protocol) => ({
    name: protocol.toLowerCase(),
    port: 80,
    protocol,
    nodePort: 30100 + n,
  }));
  const isV6 = a.family === "IPv6";
  const ranges = one.allowed?.map((client) => `${a[client]}/${isV6 ? 128 : 32}`);
  const base = service(name, {
    clusterIP: a.clusterIp(n),
    type: "LoadBalancer",
    ports,
    externalIPs: [a.external(n)],
    ...(ranges && { loadBalancerSourceRanges: ranges }),
    ...one.spec,
  });
  const made = { ...base, status: { loadBalancer: { ingress: [{ ip: a.balancer(n) }] } } };
  if (one.endpoints.length === 0) return [made];
  const targets = ports.map(({ name: port, protocol }) => ({ name: port, protocol, port: targetPort }));
  const endpoints = one.endpoints.map((endpoint) => {
    const { place, ...rest } = typeof endpoint === "string" ? { place: endpoint } : endpoint;
    return { address: a[place], nodeName: place === "far" ? "node02" : "node01", ...rest };
  });
  return [made, slice(name, endpoints, targets)];
}

/** Where a case is asked. */
export function caseAddress({ kind, port = 80 }: ServiceCase, n: number, a: LabAddresses): [string, number] {
  switch (kind) {
    case "ClusterIP":
      return [a.clusterIp(n), port];
    case "NodePort":
      return [a.node, 30100 + n];
    case "ExternalIP":
      return [a.external(n), port];
    case "LoadBalancer":
      return [a.balancer(n), port];
  }
}

/** What a server said, or the errno, as an outcome. */
export function outcomeOf(answer: string, a: LabAddresses): string {
  if (answer === "ETIMEDOUT") return "silence";
  if (answer === "ECONNREFUSED") return "refused";
  const [server, seen] = answer.split(" ");
  const nodes = [a.gateway, a.node];
  const clients = { [a.pod1]: "pod1", [a.outside]: "outside" };
  const who = seen && nodes.includes(seen) ? "the node" : (clients[seen ?? ""] ?? seen);
  return seen === undefined ? answer : `${server} sees ${who}`;
}
