import type { Cidr } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import {
  addressFields,
  addressType,
  back,
  type Chain,
  clearMarkBits,
  ctBits,
  ctStatus,
  dataTypes,
  drop,
  fibType,
  fibTypes,
  goTo,
  hasMark,
  hostU32,
  inNetwork,
  inSet,
  jump,
  mapped,
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

/** Bit of the packet mark for "to be masqueraded", kube-proxy's iptablesMasqueradeBit 14. */
const MASQUERADE_MARK = 0x4000;

/** Clients that are remembered for session affinity, of all Services together. */
const AFFINITY_CLIENTS = 65_535;

/** The name of the table, in family ip and in family ip6. */
export const SERVICES_TABLE = "podwire-services";

/**
 * How a frontend's connections are treated. Frontends with an equal treatment share one chain: there are as many
 * chains as there are different numbers of endpoints, not as there are Services.
 */
export interface Treatment {
  /**
   * - `cluster`: masquerade what comes from outside the pod network.
   * - `external`: masquerade everything, since the endpoint may be on another node.
   * - `external-local`: to endpoints on this node and with the client's address; pods and the node as with `external`.
   */
  readonly policy: "cluster" | "external" | "external-local";
  /** Candidates of the endpoint list: `count` from number `from` on. */
  readonly count: number;
  readonly from: number;
  /** For `external-local`: the first so many of the endpoint list are on this node. */
  readonly local?: number;
  readonly affinitySeconds?: number;
}

/** The table of one family: what never changes, and the chains that treatments need. */
export interface Layout {
  readonly family: "ip" | "ip6";
  readonly table: Table;
  readonly sets: Readonly<Record<SetName, NftSet>>;
  /** Chains that are always there, in an order in which they can be made. */
  readonly chains: readonly Chain[];
  /** Rules of {@link chains}. */
  readonly rules: readonly Rule[];
  /** Name of the chain for a treatment. */
  treatmentName(treatment: Treatment): string;
  /** The chain for a treatment, after the chains that it jumps to, with their rules. */
  treatmentChains(treatment: Treatment): readonly { readonly chain: Chain; readonly rules: readonly Rule[] }[];
  /** Chain that refuses connections to Services without endpoints. */
  readonly refuse: Chain;
}

/** The sets of the table. */
export const setNames = [
  "endpoints",
  "affinity-ids",
  "affinity-endpoints",
  "affinity",
  "services",
  "cluster-ips",
  "hairpin",
] as const;
export type SetName = (typeof setNames)[number];

/** Where the rules of the table itself come from: no object of the API asked for them. */
export interface LayoutOptions {
  readonly nodeName: string;
  /** The pod network's CIDRs, of both families. */
  readonly podCidrs: readonly Cidr[];
}

/**
 * ```
 * nat-prerouting, nat-output ──> services ── daddr . protocol . port ──> vmap @services
 *                                   │             ├─ goto cluster-3        (ClusterIP with three endpoints)
 *                                   │             ├─ goto external-3       (NodePort, externalIP)
 *                                   │             ├─ goto refuse           (no endpoints)
 *                                   │             └─ drop                  (none that the policy allows)
 *                                   └─ other port of a ClusterIP: reject
 * cluster-3:  mark sources outside the pod network;  dnat to daddr . protocol . port . random 0–2 map @endpoints
 * nat-postrouting: marked, or a pod that reached itself: masquerade
 * ```
 * Session affinity keeps a number of the endpoint per client in @affinity (`meta priority` carries it from one lookup
 * to the next: forwarding sets that field anew anyway, and it is the only one free to use). The second lookup, in
 * @affinity-endpoints, is also the check that the endpoint still belongs to the Service.
 */
export function serviceLayout(family: "ip" | "ip6", options: LayoutOptions): Layout {
  const table: Table = { family, name: SERVICES_TABLE, comment: "Services" };
  const { saddr, daddr } = addressFields(family);
  const address = addressType(family);
  const service = [daddr, metaFields.l4proto, th.dport] as const;
  const client = [saddr, ...service] as const;
  const target = [daddr, th.dport] as const;
  const cidrs = options.podCidrs.filter((cidr) => cidr.ip.family === (family === "ip" ? 4 : 6));

  const sets: Record<SetName, NftSet> = {
    endpoints: { table, name: "endpoints", key: [...service, numgen(1)], data: target },
    "affinity-ids": { table, name: "affinity-ids", key: [...service, numgen(1)], data: [metaFields.priority] },
    "affinity-endpoints": {
      table,
      name: "affinity-endpoints",
      key: [...service, metaFields.priority],
      data: target,
    },
    affinity: {
      table,
      name: "affinity",
      key: client,
      data: [metaFields.priority],
      dynamic: true,
      timeout: true,
      size: AFFINITY_CLIENTS,
    },
    services: {
      table,
      name: "services",
      key: [address, dataTypes.inet_proto, dataTypes.inet_service],
      data: "verdict",
    },
    "cluster-ips": { table, name: "cluster-ips", key: [address] },
    hairpin: { table, name: "hairpin", key: [address, address] },
  };

  const chain = (name: string, hook?: Chain["hook"]): Chain => ({ table, name, ...(hook && { hook }) });
  const origin = (field: string): Origin => ({ kind: "ServiceProxy", name: options.nodeName, field });
  const rule = (at: Chain, comment: string, ...statements: Statement[]): Rule => ({
    chain: at,
    statements,
    origin: origin(at.name),
    ...(comment && { comment }),
  });

  const mark = chain("mark-masquerade");
  const markOutside = chain("mark-off-cluster");
  const refuse = chain("refuse");
  const services = chain("services");
  const prerouting = chain("nat-prerouting", { type: "nat", hook: "prerouting", priority: -100 });
  const output = chain("nat-output", { type: "nat", hook: "output", priority: -100 });
  const postrouting = chain("nat-postrouting", { type: "nat", hook: "postrouting", priority: 100 });

  const rules: Rule[] = [
    rule(mark, "", setMarkBits(MASQUERADE_MARK)),
    ...cidrs.map((cidr) => rule(markOutside, "pods keep their address", inNetwork(saddr, cidr), back)),
    // Without a pod network to compare with, nothing is known to be outside (as kube-proxy without clusterCIDR).
    ...(cidrs.length ? [rule(markOutside, "", jump(mark))] : []),
    // A client on this machine would miss an ICMP error that comes while its connect() still holds the socket
    // (tcp_v4_err keeps it as a soft error, the SYN goes out again after 1 s); a reset waits in the backlog.
    rule(refuse, "TCP at once", match(metaFields.l4proto, Uint8Array.of(protocols.TCP)), {
      kind: "reject",
      with: { kind: "tcp reset" },
    }),
    rule(refuse, "", { kind: "reject" }),
    rule(services, "", vmap(service, sets.services)),
    rule(services, "port that the Service does not have", inSet([daddr], sets["cluster-ips"]), goTo(refuse)),
    rule(prerouting, "", jump(services)),
    rule(output, "", jump(services)),
    rule(postrouting, "", hasMark(MASQUERADE_MARK), clearMarkBits(MASQUERADE_MARK), {
      kind: "masquerade",
      fullyRandom: true,
    }),
    rule(postrouting, "pod that reaches itself", ctStatus(ctBits.dnat), inSet([saddr, daddr], sets.hairpin), {
      kind: "masquerade",
      fullyRandom: true,
    }),
  ];

  const toEndpoint = (count: number, from: number): Statement => ({
    kind: "nat",
    type: "dnat",
    family,
    to: mapped([...service, numgen(count, from)], sets.endpoints),
  });

  /** Rules that end in one of the endpoints. */
  const pick = (at: Chain, { count, from, affinitySeconds }: Treatment): Rule[] => {
    if (affinitySeconds === undefined) return [rule(at, "", toEndpoint(count, from))];
    const remembered = chain(rememberedName(affinitySeconds));
    const learn = learnStatement("update", affinitySeconds);
    const id: Statement = {
      kind: "assign",
      field: metaFields.priority,
      value: mapped([...service, numgen(count, from)], sets["affinity-ids"]),
    };
    const known: Statement = { kind: "assign", field: metaFields.priority, value: mapped(client, sets.affinity) };
    return [
      rule(at, "", known, jump(remembered)),
      rule(at, "", id),
      // When @affinity is full, this rule ends without effect and the connection works all the same.
      rule(at, "", learn),
      rule(at, "", toRemembered()),
    ];
  };

  const learnStatement = (operation: "update" | "delete", seconds?: number): Statement => ({
    kind: "setOperation",
    operation,
    set: sets.affinity.name,
    key: client,
    data: metaFields.priority,
    ...(seconds !== undefined && { timeoutMs: seconds * 1000 }),
  });

  const toRemembered = (): Statement => ({
    kind: "nat",
    type: "dnat",
    family,
    to: mapped([...service, metaFields.priority], sets["affinity-endpoints"]),
  });

  const rememberedChain = (seconds: number) => {
    const at = chain(rememberedName(seconds));
    return {
      chain: at,
      rules: [
        rule(at, "", learnStatement("update", seconds)),
        rule(at, "", toRemembered()),
        rule(at, "the endpoint is gone", learnStatement("delete")),
      ],
    };
  };

  const treatmentChains: Layout["treatmentChains"] = (treatment) => {
    const at = chain(treatmentName(treatment));
    const before = treatment.affinitySeconds === undefined ? [] : [rememberedChain(treatment.affinitySeconds)];
    switch (treatment.policy) {
      case "cluster":
        return [...before, { chain: at, rules: [rule(at, "", jump(markOutside)), ...pick(at, treatment)] }];
      case "external":
        return [...before, { chain: at, rules: [rule(at, "", jump(mark)), ...pick(at, treatment)] }];
      case "external-local": {
        const { local = 0, ...rest } = treatment;
        const any = chain(anyName(rest));
        const fromNode = match(fibType("saddr"), hostU32(fibTypes.local));
        const own = local ? pick(at, { ...rest, from: 0, count: local }) : [rule(at, "no endpoint on this node", drop)];
        return [
          ...before,
          { chain: any, rules: pick(any, rest) },
          {
            chain: at,
            rules: [
              ...cidrs.map((cidr) => rule(at, "pods reach all endpoints", inNetwork(saddr, cidr), goTo(any))),
              rule(at, "", fromNode, jump(mark)),
              rule(at, "the node reaches all endpoints", fromNode, goTo(any)),
              ...own,
            ],
          },
        ];
      }
    }
  };

  const chains = [mark, markOutside, refuse, services, prerouting, output, postrouting];
  return { family, table, sets, chains, rules, treatmentName, treatmentChains, refuse };
}

/** `cluster-3`, `external-local-1-of-3`, `cluster-2-sticky-10800`. */
function treatmentName(treatment: Treatment): string {
  const { policy, count, from, local, affinitySeconds } = treatment;
  const numbers = policy === "external-local" ? `${local ?? 0}-of-${count}` : `${count}`;
  return `${policy}-${numbers}${from ? `-from-${from}` : ""}${stickyName(affinitySeconds)}`;
}

function anyName({ count, from, affinitySeconds }: Treatment): string {
  return `any-${count}${from ? `-from-${from}` : ""}${stickyName(affinitySeconds)}`;
}

function stickyName(seconds: number | undefined): string {
  return seconds === undefined ? "" : `-sticky-${seconds}`;
}

function rememberedName(seconds: number): string {
  return `remembered-${seconds}`;
}
