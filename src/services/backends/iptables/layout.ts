import { formatCidr, formatIp, isLoopback } from "#base/ip.ts";
import type { NodeView } from "../../model/index.ts";
import type { LocalTraffic, TrafficSettings } from "../backend.ts";
import type { RuleStyle } from "./serviceRules.ts";

/** Default of the bit of the packet mark for "to be masqueraded": kube-proxy's iptables.masqueradeBit. */
const MASQUERADE_BIT = 14;

/** Settings of the iptables mode; the names are those of kube-proxy's configuration below `iptables`. */
export interface IptablesSettings extends TrafficSettings {
  /** NodePorts answer at 127.0.0.1 too (IPv4; needs the sysctl route_localnet). Default true. */
  readonly localhostNodePorts?: boolean;
  /** NodePorts answer at each address of the node's own, as kube-proxy's without nodePortAddresses. Default false. */
  readonly nodePortsEverywhere?: boolean;
  /** Connection tracking lets packets outside of the window pass: those that it calls invalid are not dropped. Default false. */
  readonly isTcpLiberal?: boolean;
  /** How often, in ms, it is checked that the rules are still there. Default 30,000. */
  readonly syncPeriodMs?: number;
}

/** The chain whose loss shows that somebody flushed a table. */
export const CANARY = "KUBE-PROXY-CANARY";
/** Tables that have the canary. */
export const canaryTables = ["mangle", "nat", "filter"] as const;

/** A rule of a chain of the kernel's that leads to one of ours. */
export interface Jump {
  readonly table: "filter" | "nat";
  readonly from: string;
  /** Without `-A chain`, as iptables-save prints it. */
  readonly rule: string;
}

const portals = "kubernetes service portals";
const visible = "kubernetes externally-visible service portals";
const firewall = "kubernetes load balancer firewall";
const isNew = "-m conntrack --ctstate NEW ";

/** In the order in which kube-proxy puts each of them before what is there. */
const commonJumps: readonly Jump[] = [
  jump("filter", "INPUT", visible, "KUBE-EXTERNAL-SERVICES", isNew),
  jump("filter", "FORWARD", visible, "KUBE-EXTERNAL-SERVICES", isNew),
  jump("filter", "INPUT", "kubernetes health check service ports", "KUBE-NODEPORTS"),
  jump("filter", "FORWARD", portals, "KUBE-SERVICES", isNew),
  jump("filter", "OUTPUT", portals, "KUBE-SERVICES", isNew),
  jump("filter", "FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
  jump("filter", "INPUT", firewall, "KUBE-PROXY-FIREWALL", isNew),
  jump("filter", "OUTPUT", firewall, "KUBE-PROXY-FIREWALL", isNew),
  jump("filter", "FORWARD", firewall, "KUBE-PROXY-FIREWALL", isNew),
  jump("nat", "OUTPUT", portals, "KUBE-SERVICES"),
  jump("nat", "PREROUTING", portals, "KUBE-SERVICES"),
  jump("nat", "POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
];

/** In table filter, with one rule that guards 127.0.0.0/8. */
export const KUBELETS_CHAIN = "KUBE-FIREWALL";

/** The kubelet has the same chain with the same rule: whoever comes second finds it as it should be. */
const localnetJumps: readonly Jump[] = ["INPUT", "OUTPUT"].map((from) => ({
  table: "filter",
  from,
  rule: `-j ${KUBELETS_CHAIN}`,
}));

/** What upstream's ipvs mode puts before what is there, and that of its iptables mode in older releases. */
const upstreamJumps: readonly Jump[] = [
  ...commonJumps.map(({ rule, ...where }) => ({ ...where, rule: rule.replace(isNew, "") })),
  jump("filter", "INPUT", portals, "KUBE-SERVICES"),
  jump("filter", "INPUT", portals, "KUBE-SERVICES", isNew),
  jump("filter", "INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
  jump("filter", "INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
  jump("filter", "FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
  jump("filter", "INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
  jump("filter", "OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
];

/** Every rule of the kernel's chains that a proxy makes, ours or upstream's. */
export const knownJumps: readonly Jump[] = [...commonJumps, ...localnetJumps, ...upstreamJumps];

function jump(table: Jump["table"], from: string, words: string, to: string, condition = ""): Jump {
  return { table, from, rule: `${condition}-m comment --comment "${words}" -j ${to}` };
}

/** Chains of a table that are the same whatever Services there are, with their rules. */
export type FixedChains = Readonly<Record<"filter" | "nat", readonly (readonly [string, readonly string[]])[]>>;

/** What a family has whatever Services there are. */
export interface FamilyLayout {
  readonly family: 4 | 6;
  readonly hasLocalhostNodePorts: boolean;
  /** By the kind of address, not by each one of them. */
  readonly hasNodePortsEverywhere: boolean;
  readonly fixed: FixedChains;
  readonly jumps: readonly Jump[];
  readonly style: Omit<RuleStyle, "isLarge">;
}

/**
 * The layout of a family. Pure.
 * @throws RangeError when pods' traffic is told by more than one network of the family: a rule takes one
 */
export function familyLayout(family: 4 | 6, settings: IptablesSettings): FamilyLayout {
  const { localhostNodePorts = true, nodePortsEverywhere = false, isTcpLiberal = false } = settings;
  const { masqueradeAll = false, masqueradeBit = MASQUERADE_BIT } = settings;
  const hasLocalhostNodePorts = family === 4 && localhostNodePorts;
  const pods = podMatch(family, settings.localTraffic);
  return {
    family,
    hasLocalhostNodePorts,
    hasNodePortsEverywhere: nodePortsEverywhere,
    fixed: fixedChains(`0x${((1 << masqueradeBit) >>> 0).toString(16)}`, hasLocalhostNodePorts, isTcpLiberal),
    jumps: hasLocalhostNodePorts ? [...commonJumps, ...localnetJumps] : commonJumps,
    style: { masqueradeAll, ...(pods && { pods }) },
  };
}

function fixedChains(mark: string, hasLocalhostNodePorts: boolean, isTcpLiberal: boolean): FixedChains {
  const words = (text: string) => `-m comment --comment "${text}"`;
  // With route_localnet a neighbour could reach what listens on 127.0.0.1 (CVE-2020-8558).
  const localnet = [
    `${words("block incoming localnet connections")} -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
  ];
  return {
    filter: [
      [
        "KUBE-FORWARD",
        [
          // Such packets would pass untranslated, and the peer would answer them with a reset.
          ...(isTcpLiberal ? [] : ["-m conntrack --ctstate INVALID -j DROP"]),
          `${words("kubernetes forwarding rules")} -m mark --mark ${mark}/${mark} -j ACCEPT`,
          `${words("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
        ],
      ],
      ...(hasLocalhostNodePorts ? [[KUBELETS_CHAIN, localnet] as const] : []),
    ],
    nat: [
      [
        "KUBE-POSTROUTING",
        [
          `-m mark ! --mark ${mark}/${mark} -j RETURN`,
          // So that a packet that comes by a second time (a tunnel's) is left alone.
          `-j MARK --xor-mark ${mark}`,
          `${words("kubernetes service traffic requiring SNAT")} -j MASQUERADE --random-fully`,
        ],
      ],
      ["KUBE-MARK-MASQ", [`-j MARK --or-mark ${mark}`]],
    ],
  };
}

function podMatch(family: 4 | 6, local: LocalTraffic): RuleStyle["pods"] {
  const either = (match: string) => ({ local: match, notLocal: `! ${match}` });
  switch (local.kind) {
    case "cidrs": {
      const [cidr, ...others] = local.cidrs.filter(({ ip }) => ip.family === family);
      if (others.length > 0) throw new RangeError(`iptables mode tells pods' traffic by one IPv${family} network only`);
      return cidr && either(`-s ${formatCidr(cidr)}`);
    }
    case "interface":
      return either(`-i ${local.name}`);
    case "interface-prefix":
      return either(`-i ${local.prefix}+`);
    case "none":
      return undefined;
  }
}

/** The last rules of KUBE-SERVICES: what may be meant for a NodePort. Pure. */
export function nodePortRules(layout: FamilyLayout, node: NodeView): string[] {
  const { family, hasLocalhostNodePorts, hasNodePortsEverywhere } = layout;
  const words = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"';
  if (hasNodePortsEverywhere) {
    const but = family === 6 ? " ! -d ::1/128" : hasLocalhostNodePorts ? "" : " ! -d 127.0.0.0/8";
    return [`${words} -m addrtype --dst-type LOCAL${but} -j KUBE-NODEPORTS`];
  }
  return (node.nodePortAddresses ?? node.addresses)
    .filter((ip) => ip.family === family)
    .map(formatIp)
    .filter((text) => hasLocalhostNodePorts || !isLoopback(text))
    .map((text) => `${words} -d ${text} -j KUBE-NODEPORTS`);
}
