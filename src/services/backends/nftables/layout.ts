import {
  addressFields,
  addressType,
  back,
  type Chain,
  clearMarkBits,
  ctBits,
  ctStatus,
  dataTypes,
  type Field,
  goTo,
  hasMark,
  inNetwork,
  inSet,
  interfaceName,
  jump,
  match,
  metaFields,
  type NftSet,
  numgen,
  protocols,
  type Rule,
  type Statement,
  setMarkBits,
  type Table,
  th,
  vmap,
} from "#kernel/nft/index.ts";
import type { LocalTraffic, TrafficSettings } from "../backend.ts";

/** Default of the bit of the packet mark for "to be masqueraded": kube-proxy's iptables.masqueradeBit. */
const MASQUERADE_BIT = 14;

/** Clients that are remembered for session affinity, of all Services together. */
const AFFINITY_CLIENTS = 65_535;

/** The name of the table, in family ip and in family ip6. */
export const SERVICES_TABLE = "podwire-services";

/** The sets of the table. */
const setNames = [
  "endpoints",
  "affinity-ids",
  "affinity-endpoints",
  "affinity",
  "services",
  "cluster-ips",
  "hairpin",
] as const;
export type SetName = (typeof setNames)[number];

/** Fields of a packet that lookups are made by. */
export interface ServiceFields {
  readonly saddr: Field;
  readonly daddr: Field;
  /** The Service's address, protocol and port. */
  readonly service: readonly Field[];
  /** The client's address and the Service's. */
  readonly client: readonly Field[];
}

/**
 * The table of one family: what is there whatever Services there are.
 *
 * ```
 * nat-prerouting, nat-output ──> services ── daddr . protocol . port ──> vmap @services
 *                                   │             ├─ goto cluster-3        (ClusterIP with three endpoints)
 *                                   │             ├─ goto external-3       (NodePort, externalIP)
 *                                   │             ├─ goto refuse           (no endpoints)
 *                                   │             └─ drop                  (none that the policy allows)
 *                                   └─ other port of a ClusterIP: refuse
 * cluster-3:  mark sources outside the pod network;  dnat to daddr . protocol . port . random 0–2 map @endpoints
 * nat-postrouting: marked, or a pod that reached itself: masquerade
 * ```
 * The chains that entries of @services lead to are made by `treatmentChains`, as many as there are different ones.
 */
export interface Layout {
  readonly family: "ip" | "ip6";
  readonly nodeName: string;
  readonly table: Table;
  readonly sets: Readonly<Record<SetName, NftSet>>;
  /** Chains that are always there, in an order in which they can be made. */
  readonly chains: readonly Chain[];
  /** Rules of {@link chains}. */
  readonly rules: readonly Rule[];
  readonly fields: ServiceFields;
  /** What tells traffic of this node's pods: one statement for each way, any of them is enough. */
  readonly fromPods: readonly Statement[];
  /** Chain that marks a packet to be masqueraded. */
  readonly mark: Chain;
  /** Chain that marks what does not come from a pod. */
  readonly markOffCluster: Chain;
  /** Chain that refuses connections to Services without endpoints. */
  readonly refuse: Chain;
}

/** How the layout differs where somebody else leads packets to endpoints. */
export interface LayoutConditions {
  /** What tells a connection that was led to an endpoint, so that one to itself is masqueraded. */
  readonly ledHere: readonly Statement[];
  /** What tells a packet that may be refused for a port that an address does not have. */
  readonly refusable: readonly Statement[];
}

const usual: LayoutConditions = { ledHere: [ctStatus(ctBits.dnat)], refusable: [] };

/** The layout for a family; equal for equal options. */
export function serviceLayout(
  family: "ip" | "ip6",
  settings: TrafficSettings,
  name = SERVICES_TABLE,
  conditions = usual,
): Layout {
  const table: Table = { family, name, comment: "Services" };
  const fields = serviceFields(family);
  const chain = (name: string, hook?: Chain["hook"]): Chain => ({ table, name, ...(hook && { hook }) });
  const base = {
    family,
    nodeName: settings.nodeName,
    table,
    fields,
    sets: serviceSets(table, family, fields),
    fromPods: podTraffic(family, fields, settings.localTraffic),
    mark: chain("mark-masquerade"),
    markOffCluster: chain("mark-off-cluster"),
    refuse: chain("refuse"),
  };
  const markBits = (1 << (settings.masqueradeBit ?? MASQUERADE_BIT)) >>> 0;
  const services = chain("services");
  const hooked = {
    prerouting: chain("nat-prerouting", { type: "nat", hook: "prerouting", priority: -100 }),
    output: chain("nat-output", { type: "nat", hook: "output", priority: -100 }),
    postrouting: chain("nat-postrouting", { type: "nat", hook: "postrouting", priority: 100 }),
  };
  return {
    ...base,
    chains: [base.mark, base.markOffCluster, base.refuse, services, ...Object.values(hooked)],
    rules: [
      ...markRules(base, markBits, settings.masqueradeAll ?? false),
      ...refuseRules(base),
      ...dispatchRules(base, services, conditions),
      layoutRule(base, hooked.prerouting, "", jump(services)),
      layoutRule(base, hooked.output, "", jump(services)),
      ...masqueradeRules(base, markBits, hooked.postrouting, conditions),
    ],
  };
}

type Base = Omit<Layout, "chains" | "rules">;

/** A rule of the table. No object of the API asked for it, so its origin is the node's proxy. */
export function layoutRule(layout: Base, chain: Chain, comment: string, ...statements: Statement[]): Rule {
  const origin = { kind: "ServiceProxy", name: layout.nodeName, field: chain.name };
  return { chain, statements, origin, ...(comment && { comment }) };
}

function serviceFields(family: "ip" | "ip6"): ServiceFields {
  const { saddr, daddr } = addressFields(family);
  const service = [daddr, metaFields.l4proto, th.dport];
  return { saddr, daddr, service, client: [saddr, ...service] };
}

function serviceSets(table: Table, family: "ip" | "ip6", { daddr, service, client }: ServiceFields): Layout["sets"] {
  const address = addressType(family);
  const target = [daddr, th.dport];
  const id = [metaFields.priority];
  const entry = [address, dataTypes.inet_proto, dataTypes.inet_service];
  return {
    endpoints: { table, name: "endpoints", key: [...service, numgen(1)], data: target },
    "affinity-ids": { table, name: "affinity-ids", key: [...service, numgen(1)], data: id },
    "affinity-endpoints": { table, name: "affinity-endpoints", key: [...service, ...id], data: target },
    affinity: { table, name: "affinity", key: client, data: id, dynamic: true, timeout: true, size: AFFINITY_CLIENTS },
    services: { table, name: "services", key: entry, data: "verdict" },
    "cluster-ips": { table, name: "cluster-ips", key: [address] },
    hairpin: { table, name: "hairpin", key: [address, address] },
  };
}

function podTraffic(family: "ip" | "ip6", { saddr }: ServiceFields, local: LocalTraffic): Statement[] {
  switch (local.kind) {
    case "cidrs":
      return local.cidrs
        .filter((cidr) => cidr.ip.family === (family === "ip" ? 4 : 6))
        .map((cidr) => inNetwork(saddr, cidr));
    case "interface":
      return [match(metaFields.iifname, interfaceName(local.name))];
    case "interface-prefix":
      return [match(metaFields.iifname, interfaceName(`${local.prefix}*`))];
    case "none":
      return [];
  }
}

function markRules(base: Base, markBits: number, masqueradeAll: boolean): Rule[] {
  const { mark, markOffCluster, fromPods } = base;
  const own = [layoutRule(base, mark, "", setMarkBits(markBits))];
  if (masqueradeAll) return [...own, layoutRule(base, markOffCluster, "all traffic", jump(mark))];
  const pods = fromPods.map((isFromPod) =>
    layoutRule(base, markOffCluster, "pods keep their address", isFromPod, back),
  );
  // Without a way to tell pods' traffic, nothing is known to be outside (as kube-proxy without clusterCIDR).
  const others = fromPods.length ? [layoutRule(base, markOffCluster, "", jump(mark))] : [];
  return [...own, ...pods, ...others];
}

function refuseRules(base: Base): Rule[] {
  // A client on this machine would miss an ICMP error that comes while its connect() still holds the socket
  // (tcp_v4_err keeps it as a soft error, the SYN goes out again after 1 s); a reset waits in the backlog.
  const isTcp = match(metaFields.l4proto, Uint8Array.of(protocols.TCP));
  return [
    layoutRule(base, base.refuse, "TCP at once", isTcp, { kind: "reject", with: { kind: "tcp reset" } }),
    layoutRule(base, base.refuse, "", { kind: "reject" }),
  ];
}

function dispatchRules(base: Base, services: Chain, { refusable }: LayoutConditions): Rule[] {
  const { sets, fields, refuse } = base;
  const isClusterIp = inSet([fields.daddr], sets["cluster-ips"]);
  return [
    layoutRule(base, services, "", vmap(fields.service, sets.services)),
    layoutRule(base, services, "port that the Service does not have", ...refusable, isClusterIp, goTo(refuse)),
  ];
}

function masqueradeRules(base: Base, markBits: number, postrouting: Chain, { ledHere }: LayoutConditions): Rule[] {
  const { sets, fields } = base;
  const masquerade: Statement = { kind: "masquerade", fullyRandom: true };
  const isHairpin = inSet([fields.saddr, fields.daddr], sets.hairpin);
  return [
    layoutRule(base, postrouting, "", hasMark(markBits), clearMarkBits(markBits), masquerade),
    layoutRule(base, postrouting, "pod that reaches itself", ...ledHere, isHairpin, masquerade),
  ];
}
