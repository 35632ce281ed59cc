import type { Node, Pod, Service } from "#api/index.ts";

/** Somebody to send to. */
export interface Target {
  readonly name: string;
  readonly ip: string;
}

/** What the probe of one node has to do. */
export interface ProbeOrder {
  readonly node: string;
  /** UDP port of all probes. */
  readonly port: number;
  /** Pods of this node. */
  readonly pods: readonly Target[];
  /** Pods of the whole cluster. */
  readonly targets: readonly Target[];
}

/** One datagram and what came of it. */
export interface Arrival {
  readonly from: string;
  readonly to: string;
  /** Source address that the receiver saw; absent when no answer came. */
  readonly seen?: string;
}

/** A listening TCP port. */
export interface Listener {
  readonly port: number;
  readonly pid?: number;
  readonly program?: string;
}

/** What the probe of one node found. */
export interface ProbeReport {
  readonly node: string;
  readonly arrivals: readonly Arrival[];
  /** Pods whose network namespace has not the address that the API gives. */
  readonly missing: readonly string[];
  readonly listening: readonly Listener[];
}

/** One statement of the check. */
export interface Finding {
  /** Row of the inventory that it belongs to. */
  readonly row: "P01" | "K02";
  readonly claim: string;
  /** null: there was nothing to test, or its absence has a reason: that proves nothing and contradicts nothing. */
  readonly ok: boolean | null;
  /** What contradicts it, or what was seen; one line each. */
  readonly details: readonly string[];
}

/** An address of a pod in the pod network; the name of a pod with several says which. */
export interface NetworkPod extends Target {
  /** "namespace/name" */
  readonly pod: string;
  readonly node: string;
}

/** "namespace/name" */
function podName(pod: Pod): string {
  return `${pod.metadata?.namespace}/${pod.metadata?.name}`;
}

/** Whether a pod should have an address of its own now: it is on a node, it has not ended, it is not about to. */
function needsAddress({ metadata, spec, status }: Pod): boolean {
  const ended = status?.phase === "Succeeded" || status?.phase === "Failed";
  return Boolean(spec?.nodeName) && !ended && !spec?.hostNetwork && !metadata?.deletionTimestamp;
}

/** Every address of a pod: one of each family. */
function addressesOf({ status }: Pod): string[] {
  const all = (status?.podIPs ?? []).flatMap(({ ip }) => ip || []);
  return all.length === 0 && status?.podIP ? [status.podIP] : all;
}

/** Addresses of the pods that are not on their node's own network, and the pods among them that have none. */
export function networkPods(pods: readonly Pod[]): { withAddress: NetworkPod[]; without: string[] } {
  const wanted = pods.filter(needsAddress);
  return {
    withAddress: wanted.flatMap((pod) =>
      addressesOf(pod).map((ip, _, all) => {
        const name = podName(pod);
        return { name: all.length > 1 ? `${name} (${ip})` : name, pod: name, ip, node: pod.spec?.nodeName ?? "" };
      }),
    ),
    without: wanted.filter((pod) => addressesOf(pod).length === 0).map(podName),
  };
}

/** A statement about so many paths, pods or addresses; of none there was nothing to test. */
function finding(claim: string, count: number, counted: string, details: string[]): Finding {
  const untested = count === 0 && details.length === 0;
  return {
    row: "P01",
    claim: `${claim} (${untested ? `nothing to test: ${counted}` : counted})`,
    ok: untested ? null : details.length === 0,
    details,
  };
}

/** "12 paths", and of both families how many of each. */
function paths(arrivals: readonly Arrival[], addressOf: ReadonlyMap<string, string>): string {
  const six = arrivals.filter(({ to }) => isV6(addressOf.get(to) ?? "")).length;
  const four = arrivals.length - six;
  const families = four && six ? `: ${four} IPv4, ${six} IPv6` : "";
  return `${arrivals.length} paths${families}`;
}

/** Whether an address is one of IPv6. */
export function isV6(address: string): boolean {
  return address.includes(":");
}

/** The five statements of the pod network model (INVENTORY P01), from what the probes saw. */
export function connectivityFindings(
  pods: readonly NetworkPod[],
  without: readonly string[],
  reports: readonly ProbeReport[],
): Finding[] {
  const nodeOf = new Map(pods.map((p) => [p.name, p.node]));
  const addressOf = new Map(pods.map((p) => [p.name, p.ip]));
  const all = reports.flatMap((r) => r.arrivals);
  const fromPods = all.filter((a) => addressOf.has(a.from));
  const lost = (arrivals: readonly Arrival[]): string[] =>
    arrivals.filter((a) => a.seen === undefined).map((a) => `${a.from} → ${a.to}: no answer`);
  const translated = fromPods.filter((a) => a.seen !== undefined && plain(a.seen) !== addressOf.get(a.from));
  const sameNode = fromPods.filter((a) => nodeOf.get(a.from) === nodeOf.get(a.to));
  const otherNode = fromPods.filter((a) => nodeOf.get(a.from) !== nodeOf.get(a.to));
  const over = (claim: string, arrivals: readonly Arrival[], details: string[]): Finding =>
    finding(claim, arrivals.length, paths(arrivals, addressOf), details);
  const reach = (claim: string, arrivals: readonly Arrival[]): Finding => over(claim, arrivals, lost(arrivals));
  const count = new Set(pods.map(({ pod }) => pod)).size + without.length;
  return [
    finding(
      "every pod has an address",
      count,
      `${count} pods`,
      without.map((name) => `${name} has no address`),
    ),
    reach("every pod reaches every pod on its node", sameNode),
    reach("every pod reaches every pod on other nodes", otherNode),
    over(
      "no address is translated on the way",
      fromPods.filter((a) => a.seen !== undefined),
      translated.map((a) => `${a.from} → ${a.to}: arrives from ${a.seen}`),
    ),
    reach(
      "nodes reach all pods",
      all.filter((a) => !addressOf.has(a.from)),
    ),
    finding(
      "a pod sees itself under the address that others see",
      pods.length,
      `${pods.length} addresses`,
      reports.flatMap((r) => r.missing).map((name) => `${name} has not ${addressOf.get(name)}`),
    ),
  ];
}

/** An IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2) is the IPv4 address. */
function plain(address: string): string {
  return address.replace(/^::ffff:/, "");
}

/** A port that a Kubernetes node should listen on (kubernetes.io/docs/reference/networking/ports-and-protocols). */
interface RequiredPort {
  readonly port: number;
  readonly purpose: string;
  /** Why it may be missing here; a missing port with a reason is no failure. */
  readonly excuse?: string;
}

const WORKER_PORTS: readonly RequiredPort[] = [
  { port: 10250, purpose: "kubelet API" },
  { port: 10256, purpose: "kube-proxy" },
];
const CONTROL_PLANE_PORTS: readonly RequiredPort[] = [
  { port: 6443, purpose: "Kubernetes API server" },
  { port: 2379, purpose: "etcd server client API", excuse: "the store is part of the API server's process" },
  { port: 2380, purpose: "etcd peer API", excuse: "the store is part of the API server's process" },
  ...WORKER_PORTS,
  { port: 10257, purpose: "kube-controller-manager" },
  { port: 10259, purpose: "kube-scheduler" },
];

function isControlPlane(node: Node | undefined): boolean {
  return node?.metadata?.labels?.["node-role.kubernetes.io/control-plane"] !== undefined;
}

/** Which required ports listen on which node, and by whom (INVENTORY K02). */
export function portFindings(
  nodes: readonly Node[],
  services: readonly Service[],
  reports: readonly ProbeReport[],
): Finding[] {
  const findings = reports.flatMap((report) => {
    const node = nodes.find((n) => n.metadata?.name === report.node);
    return (isControlPlane(node) ? CONTROL_PLANE_PORTS : WORKER_PORTS).map((required) => portFinding(report, required));
  });
  const nodePorts = services.flatMap((s) =>
    (s.spec?.ports ?? [])
      .filter((p) => p.nodePort)
      .map((p) => ({ port: p.nodePort as number, service: `${s.metadata?.namespace}/${s.metadata?.name}` })),
  );
  const outside = nodePorts.filter(({ port }) => port < 30_000 || port > 32_767);
  return [
    ...findings,
    {
      row: "K02",
      claim: "NodePorts are in 30000–32767, carried by the service proxy's rules on every node",
      ok: outside.length === 0,
      details: (outside.length ? outside : nodePorts).map(({ port, service }) => `${port} ${service}`),
    },
  ];
}

function portFinding(report: ProbeReport, { port, purpose, excuse }: RequiredPort): Finding {
  const listener = report.listening.find((l) => l.port === port);
  const by = listener?.program
    ? `by ${listener.program} (pid ${listener.pid})`
    : "by a process outside of this node's pid namespace";
  const details = listener ? [by] : [excuse ? `nobody listens: ${excuse}` : "nobody listens"];
  return {
    row: "K02",
    claim: `${report.node} listens on ${port}, ${purpose}`,
    ok: listener ? true : excuse ? null : false,
    details,
  };
}
