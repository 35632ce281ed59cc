import { parseCidr } from "#base/ip.ts";
import {
  accept,
  back,
  type Chain,
  inNetwork,
  ip,
  ip6,
  match,
  metaFields,
  protocols,
  type Rule,
  type Statement,
  type Table,
} from "#kernel/nft/index.ts";
import type { OutsidePlan } from "./protocol.ts";

/** Priority of mangling in the prerouting hook (NF_IP_PRI_MANGLE), where tproxy belongs. */
const MANGLE = -150;
/** Codes of nftables' icmpx. */
const UNREACHABLE = { host: 2, prohibited: 3 } as const;
/** Networks that are nobody's outside: loopback, link-local (clouds keep credentials there), multicast. */
const NEVER = {
  4: ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  6: ["::1/128", "fe80::/10", "ff00::/8"],
} as const;
/** What every machine receives for itself: loopback, neighbour discovery, group membership. */
const ITSELF = { 4: ["127.0.0.0/8", "224.0.0.0/4"], 6: ["::1/128", "fe80::/10", "ff00::/8"] } as const;

/** Ports of the sockets that take what goes outside. */
export interface GatewayPorts {
  readonly tcp: number;
  readonly udp: number;
}

/** A chain and its rules. */
export interface GatewayChain {
  readonly chain: Chain;
  readonly rules: readonly Rule[];
}

/**
 * Rules of the router for one family. All that it does not know how to route arrives at itself (a local default route):
 * TCP and UDP for the outside go to its sockets, the rest is refused at once.
 */
export function gatewayRules(family: 4 | 6, plan: OutsidePlan, ports: GatewayPorts): GatewayChain[] {
  const name = family === 4 ? "ip" : "ip6";
  const table: Table = { family: name, name: "podwire-outside" };
  const { daddr } = family === 4 ? ip : ip6;
  const ofFamily = (cidrs: readonly string[]) => cidrs.map(parseCidr).filter((cidr) => cidr.ip.family === family);
  const own = ofFamily(plan.inside.own);
  const others = ofFamily(plan.inside.others);
  const isTcp = match(metaFields.l4proto, Uint8Array.of(protocols.TCP));
  const isUdp = match(metaFields.l4proto, Uint8Array.of(protocols.UDP));
  const hooked = (hook: "prerouting" | "input", priority: number): Chain => ({
    table,
    name: hook,
    hook: { type: "filter", hook, priority },
  });
  const rulesOf = (chain: Chain, list: readonly (readonly [string, ...Statement[]])[]): GatewayChain => ({
    chain,
    rules: list.map(([comment, ...statements]) => ({ chain, statements, comment })),
  });
  const to = (comment: string, cidrs: readonly (string | ReturnType<typeof parseCidr>)[], ...then: Statement[]) =>
    cidrs.map((cidr) => {
      const network = typeof cidr === "string" ? parseCidr(cidr) : cidr;
      return [comment, inNetwork(daddr, network), ...then] as const;
    });
  return [
    rulesOf(hooked("prerouting", MANGLE), [
      ...to("inside", [...own, ...others, ...NEVER[family]], back),
      ["carried outside", isTcp, { kind: "tproxy", family: name, port: ports.tcp }, accept],
      ["carried outside", isUdp, { kind: "tproxy", family: name, port: ports.udp }, accept],
    ]),
    rulesOf(hooked("input", 0), [
      ...to("the router's own", [...own, ...ITSELF[family]], accept),
      ...to("not routed", [...others, ...NEVER[family]], rejected("host")),
      ["the router itself, and what is carried outside", isTcp, accept],
      ["the router itself, and what is carried outside", isUdp, accept],
      ["only TCP and UDP are carried outside", rejected("prohibited")],
    ]),
  ];
}

function rejected(why: keyof typeof UNREACHABLE): Statement {
  return { kind: "reject", with: { kind: "icmp", code: UNREACHABLE[why] } };
}
