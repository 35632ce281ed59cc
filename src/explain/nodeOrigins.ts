import type { Pod } from "#api/index.ts";
import { cidrContains, formatIp, parseCidr, parseIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import type { KernelRoute, Link, Rtnetlink } from "#kernel/netlink/index.ts";
import {
  type Element,
  elementKeyText,
  type Nftables,
  type NftSet,
  ruleText,
  type TableState,
} from "#kernel/nft/index.ts";

/** Something that a node's kernel holds, and what it stands for. */
export interface KernelThing {
  readonly kind: "rule" | "element" | "route" | "neighbour" | "fdb";
  /** Family, table and chain or set as nft names them; for others the device. */
  readonly place: string;
  /** The rule; the element's key; the route's destination; the neighbour's address; the MAC address. */
  readonly text: string;
  /** Of a rule: the handle that `nft -a` and traces show. */
  readonly handle?: number;
  /** Absent for what somebody else made, by hand for example. */
  readonly origin?: Origin;
}

/** What is looked at. */
export interface NodeView {
  readonly nodeName: string;
  readonly nft: Nftables;
  readonly rtnl: Rtnetlink;
  /** The node's pods. */
  readonly pods: () => readonly Pod[];
  /** The node's own part of the pod network. */
  readonly podCidrs: () => readonly string[];
}

/** Routes that the kernel adds by itself for each address of a device (RTPROT_KERNEL), and those of a set-up (RTPROT_STATIC, RTPROT_BOOT). */
const PROTOCOL = { kernel: 2, boot: 3, static: 4 } as const;
/** The table of the bridge plugin's address translation. */
const CNI_TABLE = "podwire-cni";
const LINK_LOCAL = parseCidr("fe80::/10");

/**
 * Everything in the node's rule tables, main routing table, and tunnel devices' tables, each with its origin.
 * @throws NftError, NetlinkError
 */
export async function nodeOrigins(view: NodeView): Promise<KernelThing[]> {
  const things: KernelThing[] = [];
  for (const table of await view.nft.listTables()) {
    const state = await view.nft.readTable(table);
    if (state) things.push(...rules(view, state), ...elements(view, state));
  }
  return [...things, ...routes(view), ...tunnels(view)];
}

function known(origin: Origin | undefined): { origin?: Origin } {
  return origin === undefined ? {} : { origin };
}

function rules({ nft }: NodeView, { table, rules: byChain }: TableState): KernelThing[] {
  return [...byChain].flatMap(([chain, list]) =>
    list.map((rule): KernelThing => {
      const { handle = 0n } = rule;
      const origin =
        table.name === CNI_TABLE
          ? { kind: "CniNetwork", name: rule.comment ?? "", field: "ipMasq" }
          : nft.origins.rule(table.family, table.name, chain, handle);
      const place = `${table.family} ${table.name} ${chain}`;
      return { kind: "rule", place, text: ruleText(rule), handle: Number(handle), ...known(origin) };
    }),
  );
}

function elements(view: NodeView, { table, sets, elements: bySet }: TableState): KernelThing[] {
  return sets.flatMap((set) =>
    (bySet.get(set.name) ?? []).map((element): KernelThing => {
      const place = `${table.family} ${table.name} ${set.name}`;
      return {
        kind: "element",
        place,
        text: elementKeyText(set, element.key),
        ...known(elementOrigin(view, set, element)),
      };
    }),
  );
}

function elementOrigin(view: NodeView, set: NftSet, { key }: Element): Origin | undefined {
  const { family, name: table } = set.table;
  const { origins } = view.nft;
  if (table === CNI_TABLE) return podAt(view, formatIp({ family: key.length === 4 ? 4 : 6, bytes: key }));
  // The kernel itself fills @affinity: client, then the Service's address as in @services.
  if (set.name === "affinity")
    return origins.element(family, table, "services", key.subarray(family === "ip" ? 4 : 16));
  return origins.element(family, table, set.name, key);
}

function podAt({ pods }: NodeView, address: string): Origin | undefined {
  const pod = pods().find(({ status }) => status?.podIPs?.some(({ ip }) => ip === address));
  if (!pod) return undefined;
  const { namespace = "default", name } = pod.metadata;
  return { kind: "Pod", namespace, name, field: "status.podIPs" };
}

function routes(view: NodeView): KernelThing[] {
  const names = deviceNames(view.rtnl);
  return view.rtnl.routes({ table: 254 }).map((route): KernelThing => {
    const device = names.get(route.index ?? 0) ?? "";
    return {
      kind: "route",
      place: device,
      text: route.dst,
      ...known(view.rtnl.origins.route(route) ?? localRoute(view, route, device)),
    };
  });
}

/** Routes that no object asked for by itself: they come with an address, or with the machine. */
function localRoute({ nodeName, podCidrs }: NodeView, route: KernelRoute, device: string): Origin | undefined {
  const destination = parseCidr(route.dst);
  if (route.protocol === PROTOCOL.kernel) {
    if (cidrContains(LINK_LOCAL, destination.ip)) return { kind: "Device", name: device, field: "link-local address" };
    const isPods = podCidrs().some((cidr) => cidrContains(parseCidr(cidr), destination.ip));
    return { kind: "Node", name: nodeName, field: isPods ? "spec.podCIDR" : "status.addresses" };
  }
  if (route.protocol === PROTOCOL.static && route.via !== undefined)
    return { kind: "Machine", name: nodeName, field: "routes" };
  return undefined;
}

/** Neighbours and forwarding entries of tunnel devices: those of others are learnt. */
function tunnels({ rtnl }: NodeView): KernelThing[] {
  return rtnl
    .links()
    .filter((link: Link) => link.kind.type === "vxlan")
    .flatMap(({ index, name }) => [
      ...rtnl
        .neighbours(index)
        .filter(({ ip, state }) => state === "permanent" && !isMulticast(ip))
        .map(
          (entry): KernelThing => ({
            kind: "neighbour",
            place: name,
            text: entry.ip,
            ...known(rtnl.origins.neighbour(entry)),
          }),
        ),
      ...rtnl
        .fdb(index)
        .filter(({ dst }) => dst !== undefined)
        .map(
          (entry): KernelThing => ({ kind: "fdb", place: name, text: entry.mac, ...known(rtnl.origins.fdb(entry)) }),
        ),
    ]);
}

function isMulticast(ip: string): boolean {
  const { family, bytes } = parseIp(ip);
  return family === 4 ? ((bytes[0] ?? 0) & 0xf0) === 0xe0 : bytes[0] === 0xff;
}

function deviceNames(rtnl: Rtnetlink): Map<number, string> {
  return new Map(rtnl.links().map(({ index, name }) => [index, name]));
}
