import { type Cidr, cidrNetwork, formatCidr, parseCidr } from "#base/ip.ts";
import {
  addressType,
  type Chain,
  type Element,
  inNetwork,
  inSet,
  ip,
  ip6,
  type Nftables,
  type NftSet,
  openNftables,
  type Rule,
  type Statement,
  type Table,
  Transaction,
} from "#kernel/nft/index.ts";
import type { Masquerade } from "./plugin.ts";

/** Priority of source NAT in the postrouting hook (NF_IP_PRI_NAT_SRC). */
const SOURCE_NAT = 100;

/** Everything of one address family that translation of containers' addresses needs. */
interface Layout {
  readonly table: Table;
  /** Addresses of containers, commented with network and container. */
  readonly set: NftSet;
  readonly chain: Chain;
  readonly multicast: Cidr;
}

const layouts: Readonly<Record<4 | 6, Layout>> = { 4: layout("ip", "224.0.0.0/4"), 6: layout("ip6", "ff00::/8") };

function layout(family: "ip" | "ip6", multicast: string): Layout {
  const table: Table = { family, name: "podwire-cni" };
  const chain: Chain = { table, name: "postrouting", hook: { type: "nat", hook: "postrouting", priority: SOURCE_NAT } };
  return {
    table,
    chain,
    set: { table, name: "containers", key: [addressType(family)] },
    multicast: parseCidr(multicast),
  };
}

/**
 * Masquerades what containers of `ipMasq` networks send out of their network: one set of container addresses, one
 * rule for each network, in tables of its own.
 *
 * ```
 * ip saddr @containers ip saddr 10.22.0.0/16 ip daddr != 10.22.0.0/16 ip daddr != 224.0.0.0/4 masquerade
 * ```
 * @param open opens nftables of the node; called for each change, so that nothing stays open
 */
export function kernelMasquerade(open: () => Nftables = openNftables): Masquerade {
  const withNft = async (work: (nft: Nftables) => Promise<void>) => {
    const nft = open();
    try {
      await work(nft);
    } finally {
      nft.close();
    }
  };
  return {
    add: (network, containerId, addresses) =>
      withNft(async (nft) => {
        for (const address of addresses) await addAddress(nft, parseCidr(address), `${network} ${containerId}`);
      }),
    remove: (network, containerId) =>
      withNft(async (nft) => {
        for (const family of [4, 6] as const) await removeAddresses(nft, layouts[family], `${network} ${containerId}`);
      }),
  };
}

async function addAddress(nft: Nftables, address: Cidr, owner: string): Promise<void> {
  const { table, set, chain, multicast } = layouts[address.ip.family];
  const network = cidrNetwork(address);
  const present = await nft.readTable(table);
  const transaction = new Transaction().addTable(table).addSet(set).addChain(chain);
  const known = present?.elements.get(set.name)?.find((element) => Buffer.compare(element.key, address.ip.bytes) === 0);
  // An address whose container was lost without DEL may come again.
  if (known && known.comment !== owner) transaction.deleteElements(set, [known]);
  if (known?.comment !== owner) transaction.addElements(set, [{ key: address.ip.bytes, comment: owner }]);
  const rules = present?.rules.get(chain.name) ?? [];
  if (!rules.some((rule) => rule.comment === formatCidr(network)))
    transaction.addRule(ruleOf(chain, set, network, multicast));
  await nft.commit(transaction);
}

function ruleOf(chain: Chain, set: NftSet, network: Cidr, multicast: Cidr): Rule {
  const { saddr, daddr } = network.ip.family === 4 ? ip : ip6;
  const statements: Statement[] = [
    inSet([saddr], set),
    inNetwork(saddr, network),
    inNetwork(daddr, network, "!="),
    inNetwork(daddr, multicast, "!="),
    { kind: "masquerade" },
  ];
  return { chain, statements, comment: formatCidr(network) };
}

async function removeAddresses(nft: Nftables, { table, set }: Layout, owner: string): Promise<void> {
  const present = await nft.readTable(table);
  const elements: Element[] = (present?.elements.get(set.name) ?? []).filter((element) => element.comment === owner);
  if (elements.length > 0) await nft.commit(new Transaction().deleteElements(set, elements));
}
