import { type Cidr, parseCidr } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import {
  back,
  type Chain,
  hasMark,
  inNetwork,
  ip,
  ip6,
  type Nftables,
  type Rule,
  ruleText,
  type Statement,
  type Table,
  Transaction,
} from "#kernel/nft/index.ts";

/** Priority of source NAT in the postrouting hook (NF_IP_PRI_NAT_SRC). */
const SOURCE_NAT = 100;
/** The bit of a packet's mark by which the service proxy says that it masquerades the packet itself. */
const SERVICE_MASQUERADE_MARK = 0x4000;
const multicast = { 4: parseCidr("224.0.0.0/4"), 6: parseCidr("ff00::/8") } as const;

/** Networks of one family to masquerade: the cluster's pods, and those of this node. */
export interface MasqueradeWish {
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly nodeName: string;
}

/**
 * Rules that give packets of pods the node's address when they leave the cluster's pod network (flannel's own):
 * marked ones, pod to pod, and whatever comes to this node's pods are left alone; multicast too.
 */
export function masqueradeRules(wish: MasqueradeWish): {
  readonly table: Table;
  readonly chain: Chain;
  readonly rules: readonly Rule[];
} {
  const { network, subnet } = wish;
  const family = network.ip.family;
  const { saddr, daddr } = family === 4 ? ip : ip6;
  const table: Table = { family: family === 4 ? "ip" : "ip6", name: "podwire-network" };
  const chain: Chain = { table, name: "postrouting", hook: { type: "nat", hook: "postrouting", priority: SOURCE_NAT } };
  const origin: Origin = { kind: "Node", name: wish.nodeName, field: "spec.podCIDR" };
  const rule = (comment: string, ...statements: Statement[]): Rule => ({ chain, statements, comment, origin });
  return {
    table,
    chain,
    rules: [
      rule("left to the service proxy", hasMark(SERVICE_MASQUERADE_MARK), back),
      rule("pod to pod", inNetwork(saddr, network), inNetwork(daddr, network), back),
      rule("to pods of this node", inNetwork(saddr, network, "!="), inNetwork(daddr, subnet), back),
      rule("leaves the cluster", inNetwork(saddr, network), inNetwork(daddr, multicast[family], "!="), {
        kind: "masquerade",
        fullyRandom: true,
      }),
    ],
  };
}

/** Puts the rules into the kernel in one transaction; rules that are there already are not touched, but adopted. */
export async function applyMasquerade(nft: Nftables, wish: MasqueradeWish): Promise<void> {
  const { table, chain, rules } = masqueradeRules(wish);
  const present = (await nft.readTable(table))?.rules.get(chain.name) ?? [];
  const same =
    present.length === rules.length && rules.every((rule, i) => present[i] && ruleText(present[i]) === ruleText(rule));
  if (same)
    return nft.adoptRules(
      present.map((rule, i) => ({ ...rule, ...(rules[i]?.origin ? { origin: rules[i].origin } : {}) })),
    );
  const transaction = new Transaction();
  transaction.together(() => {
    transaction.addTable(table).deleteTable(table).addTable(table).addChain(chain);
    for (const rule of rules) transaction.addRule(rule);
  });
  await nft.commit(transaction);
}
