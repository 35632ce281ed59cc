import { writeFileSync } from "node:fs";
import type { Pod, Protocol } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { type Cidr, type Ip, parseCidr, parseIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import { sysctlPath } from "#kernel/namespaces/index.ts";
import {
  addressFields,
  addressType,
  type Chain,
  concat,
  ctBits,
  ctStatus,
  dataTypes,
  type Element,
  fibType,
  fibTypes,
  hostU32,
  inNetwork,
  inSet,
  mapped,
  match,
  metaFields,
  type Nftables,
  type NftSet,
  openNftables,
  protocols,
  type Rule,
  type Statement,
  type Table,
  Transaction,
  th,
} from "#kernel/nft/index.ts";

/** Before connection tracking (NF_IP_PRI_RAW): addresses are still as they came. */
const RAW = -300;
/** Priorities of NAT in its hooks (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC). */
const DESTINATION_NAT = -100;
const SOURCE_NAT = 100;

/** Index of `lo` in every network namespace. */
const LOOPBACK_INDEX = 1;
/** Lets connections from 127.0.0.1 leave for a pod, as the portmap plugin does it. */
const ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet";

type Family = "ip" | "ip6";

/** A port of the node that leads to a pod. */
export interface HostPort {
  readonly protocol: Protocol;
  readonly port: number;
  /** Only at this address of the node. */
  readonly address?: Ip;
  readonly to: { readonly address: Ip; readonly port: number };
  /** Path in the pod. */
  readonly field: string;
}

/** Whether an address means every one. */
function isAny(address: string | undefined): boolean {
  return address === undefined || address === "" || address === "0.0.0.0" || address === "::";
}

/** The node's ports that a pod asks for; none for a pod in the node's network, whose ports are the node's anyway. */
export function hostPortsOf({ spec }: Pick<Pod, "spec">, podIPs: readonly string[]): HostPort[] {
  if (spec.hostNetwork) return [];
  const lists = ["initContainers", "containers"] as const;
  return lists.flatMap((list) =>
    (spec[list] ?? []).flatMap((container, i) =>
      (container.ports ?? []).flatMap(({ hostPort, hostIP, containerPort, protocol = "TCP" }, j) => {
        if (!hostPort) return [];
        const at = isAny(hostIP) ? undefined : parseIp(hostIP as string);
        const to = podIPs.map((ip) => parseIp(ip)).filter(({ family }) => !at || family === at.family);
        return to.map((address) => ({
          protocol,
          port: hostPort,
          ...(at ? { address: at } : {}),
          to: { address, port: containerPort },
          field: `spec.${list}[${i}].ports[${j}].hostPort`,
        }));
      }),
    ),
  );
}

/** Whether a pod has any. */
export function hasHostPorts(pod: Pick<Pod, "spec">): boolean {
  return hostPortsOf(pod, ["127.0.0.1", "::1"]).length > 0;
}

/** Everything of one address family. */
interface Layout {
  readonly table: Table;
  /** protocol . port → pod . port, at every address of the node. */
  readonly everywhere: NftSet;
  /** address . protocol . port → pod . port */
  readonly addressed: NftSet;
  /** Pods that reach themselves through the node. */
  readonly hairpin: NftSet;
  readonly chains: readonly Chain[];
  readonly rules: readonly Rule[];
}

/**
 * ```
 * prerouting:          fib daddr type local  dnat to ip daddr . meta l4proto . th dport map @addressed
 *                      fib daddr type local  dnat to meta l4proto . th dport map @everywhere
 * output:              as prerouting; of IPv6 but for ::1, from where no connection can leave
 * postrouting:         ct status dnat  ip saddr . ip daddr @hairpin  masquerade
 *                      ct status dnat  ip saddr 127.0.0.0/8  masquerade
 * raw:                 iif != lo  ip daddr 127.0.0.0/8  drop
 * ```
 * The kernel lets packets from 127.0.0.1 leave by route_localnet, and would then take packets to it as well: what comes
 * from elsewhere is dropped, as without that setting (CVE-2020-8558).
 */
function layout(family: Family, loopback: Cidr): Layout {
  const table: Table = { family, name: "podwire-hostports" };
  const address = addressType(family);
  const { saddr, daddr } = addressFields(family);
  const port = [metaFields.l4proto, th.dport] as const;
  const data = [address, dataTypes.inet_service] as const;
  const everywhere: NftSet = { table, name: "everywhere", key: port, data };
  const addressed: NftSet = { table, name: "addressed", key: [daddr, ...port], data };
  const hairpin: NftSet = { table, name: "hairpin", key: [address, address] };
  const nat = (hook: "prerouting" | "output" | "postrouting", priority: number): Chain => ({
    table,
    name: hook,
    hook: { type: "nat", hook, priority },
  });
  const prerouting = nat("prerouting", DESTINATION_NAT);
  const output = nat("output", DESTINATION_NAT);
  const outward = nat("postrouting", SOURCE_NAT);
  const raw: Chain = { table, name: "raw", hook: { type: "filter", hook: "prerouting", priority: RAW } };
  const ofLoopback: readonly Rule[] = [
    {
      chain: outward,
      statements: [ctStatus(ctBits.dnat), inNetwork(saddr, loopback), { kind: "masquerade" }],
    },
    {
      chain: raw,
      statements: [
        match(metaFields.iif, hostU32(LOOPBACK_INDEX), "!="),
        inNetwork(daddr, loopback),
        { kind: "verdict", verdict: { kind: "drop" } },
      ],
    },
  ];
  const isLocal = match(fibType("daddr"), hostU32(fibTypes.local));
  const toPods = family === "ip" ? [isLocal] : [isLocal, inNetwork(daddr, loopback, "!=")];
  const dnat = (to: ReturnType<typeof mapped>): Statement => ({ kind: "nat", type: "dnat", family, to });
  return {
    table,
    everywhere,
    addressed,
    hairpin,
    chains: [prerouting, output, outward, ...(family === "ip" ? [raw] : [])],
    rules: [
      ...[mapped([daddr, ...port], addressed), mapped(port, everywhere)].flatMap((to): Rule[] => [
        { chain: prerouting, statements: [isLocal, dnat(to)] },
        { chain: output, statements: [...toPods, dnat(to)] },
      ]),
      {
        chain: outward,
        statements: [ctStatus(ctBits.dnat), inSet([saddr, daddr], hairpin), { kind: "masquerade" }],
      },
      ...(family === "ip" ? ofLoopback : []),
    ],
  };
}

const layouts: Readonly<Record<4 | 6, Layout>> = {
  4: layout("ip", parseCidr("127.0.0.0/8")),
  6: layout("ip6", parseCidr("::1/128")),
};

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

function elementsOf(ports: readonly HostPort[], { everywhere, addressed, hairpin }: Layout, owner: string, of: Origin) {
  const element = ({ protocol, port, address, to, field }: HostPort): Element => ({
    key: concat(...(address ? [address.bytes] : []), Uint8Array.of(protocols[protocol]), portBytes(port)),
    data: concat(to.address.bytes, portBytes(to.port)),
    comment: owner,
    origin: { ...of, field },
  });
  const pods = new Map(ports.map(({ to }) => [to.address.bytes.join(), to.address.bytes]));
  return [
    [everywhere, ports.filter(({ address }) => !address).map(element)],
    [addressed, ports.filter(({ address }) => address).map(element)],
    [hairpin, [...pods.values()].map((ip): Element => ({ key: concat(ip, ip), comment: owner, origin: of }))],
  ] as const;
}

/** Ports of the node that lead to pods (hostPort), in tables of their own. */
export class HostPorts {
  readonly #open: () => Nftables;
  readonly #set: (name: string, value: string) => void;

  /**
   * @param open opens nftables of the node; called for each change, so that nothing stays open
   * @param set sets a sysctl of the node
   */
  constructor(
    open: () => Nftables = openNftables,
    set: (name: string, value: string) => void = (name, value) => writeFileSync(sysctlPath(name), value),
  ) {
    this.#open = open;
    this.#set = set;
  }

  /**
   * Opens the ports that a pod asks for.
   * @returns what is not as it should be, in words
   * @throws NftError, such as EEXIST for one that another pod has
   */
  async add(pod: Pod, sandboxId: string, podIPs: readonly string[]): Promise<string | undefined> {
    const ports = hostPortsOf(pod, podIPs);
    if (ports.length === 0) return undefined;
    await this.remove(sandboxId);
    const { name, namespace } = pod.metadata;
    const origin: Origin = { kind: "Pod", name, ...(namespace === undefined ? {} : { namespace }) };
    await this.#with(async (nft) => {
      for (const family of [4, 6] as const) {
        const own = ports.filter(({ to }) => to.address.family === family);
        if (own.length > 0) await add(nft, layouts[family], elementsOf(own, layouts[family], sandboxId, origin));
      }
    });
    return ports.some(({ to }) => to.address.family === 4) ? this.#openLoopback() : undefined;
  }

  /** After the rules that keep others out. */
  #openLoopback(): string | undefined {
    try {
      this.#set(ROUTE_LOCALNET, "1");
      return undefined;
    } catch (error) {
      return `hostPort is not open at 127.0.0.1 of the node: ${ROUTE_LOCALNET}: ${errorMessage(error)}`;
    }
  }

  /** Closes a pod's ports; those that are closed are no error. */
  async remove(sandboxId: string): Promise<void> {
    await this.#with(async (nft) => {
      for (const of of Object.values(layouts)) await remove(nft, of, sandboxId);
    });
  }

  async #with(work: (nft: Nftables) => Promise<void>): Promise<void> {
    const nft = this.#open();
    try {
      await work(nft);
    } finally {
      nft.close();
    }
  }
}

async function add(nft: Nftables, of: Layout, elements: ReturnType<typeof elementsOf>): Promise<void> {
  const transaction = new Transaction();
  if (!(await nft.readTable(of.table))) {
    transaction.addTable(of.table);
    for (const set of [of.everywhere, of.addressed, of.hairpin]) transaction.addSet(set);
    for (const chain of of.chains) transaction.addChain(chain);
    for (const rule of of.rules) transaction.addRule(rule);
  }
  for (const [set, list] of elements) if (list.length > 0) transaction.addElements(set, list);
  await nft.commit(transaction);
}

async function remove(nft: Nftables, { table, everywhere, addressed, hairpin }: Layout, owner: string): Promise<void> {
  const present = await nft.readTable(table);
  if (!present) return;
  const transaction = new Transaction();
  let found = 0;
  for (const set of [everywhere, addressed, hairpin]) {
    const own = (present.elements.get(set.name) ?? []).filter(({ comment }) => comment === owner);
    if (own.length > 0) transaction.deleteElements(set, own);
    found += own.length;
  }
  if (found > 0) await nft.commit(transaction);
}
