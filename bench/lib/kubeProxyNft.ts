import { createHash } from "node:crypto";

/**
 * kube-proxy's nftables form, written anew from how it is documented: a table of chains and maps that are always there,
 * and for each port of a Service a chain with one rule, which picks an endpoint from an anonymous map. It is the form of
 * Kubernetes 1.36, without a chain for each endpoint: the faster one to load.
 * Sources: pkg/proxy/nftables/README.md, the rules that TestOverallNFTablesRules expects, `nft list table ip kube-proxy`.
 */

/** One port of a Service. */
export interface NftPort {
  readonly namespace: string;
  readonly name: string;
  readonly protocol: "tcp" | "udp";
  readonly portName: string;
  readonly clusterIp: string;
  readonly port: number;
  /** Addresses of the endpoints, all with {@link targetPort}. */
  readonly endpoints: readonly string[];
  readonly targetPort: number;
}

/** Networks and addresses of a node, in CIDR notation where they are networks. */
export interface NftNode {
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly address: string;
}

const TABLE = "ip kube-proxy";
const ADDRESS_PORT = "ipv4_addr . inet_proto . inet_service";
/** The key of maps by destination. */
const DESTINATION = "ip daddr . meta l4proto . th dport";

/** Name of a port's chain: `service-ULMVA6XW-ns1/svc1/tcp/p80`. */
export function chainName({ namespace, name, protocol, portName }: NftPort): string {
  const text = `${namespace}/${name}/${protocol}/${portName}`;
  return `service-${base32(createHash("sha256").update(text).digest().subarray(0, 5))}-${text}`;
}

/** Everything, for `nft -f`. */
export function nftFirstSync(node: NftNode, ports: readonly NftPort[]): string {
  return `${[...tableCommands(node), ...ports.flatMap(portCommands)].join("\n")}\n`;
}

/** What a partial sync writes for a port whose endpoints are others now. */
export function nftEndpointChange(before: NftPort, after: NftPort): string {
  const hairpins = ({ endpoints, ...port }: NftPort, others: NftPort) =>
    endpoints.filter((address) => !others.endpoints.includes(address)).map((address) => hairpin(port, address));
  const lines = [
    `flush chain ${TABLE} ${chainName(after)}`,
    portRule(after),
    ...hairpins(before, after).map((key) => `delete element ${TABLE} hairpin-connections { ${key} }`),
    ...hairpins(after, before).map((key) => `add element ${TABLE} hairpin-connections { ${key} }`),
  ];
  return `${lines.join("\n")}\n`;
}

/** Chains, sets and rules that are there whatever Services there are. */
export function tableCommands({ podCidr, serviceCidr, address }: NftNode): string[] {
  const rule = (chain: string, text: string) => `add rule ${TABLE} ${chain} ${text}`;
  return [
    `add table ${TABLE} { comment "rules for kube-proxy" ; }`,
    ...setCommands(),
    ...chainCommands(),
    rule("cluster-ips-check", 'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"'),
    rule("cluster-ips-check", `ip daddr { ${serviceCidr} } drop comment "Drop traffic to unallocated ClusterIPs"`),
    rule("filter-prerouting-pre-dnat", "ct state new jump firewall-check"),
    rule("filter-output-pre-dnat", "ct state new jump firewall-check"),
    rule("filter-forward", "ct state new jump service-endpoints-check"),
    rule("filter-forward", "ct state new jump cluster-ips-check"),
    rule("filter-input", "ct state new jump nodeport-endpoints-check"),
    rule("filter-input", "ct state new jump service-endpoints-check"),
    rule("filter-output", "ct state new jump service-endpoints-check"),
    rule("filter-output", "ct state new jump cluster-ips-check"),
    rule("firewall-check", `${DESTINATION} vmap @firewall-ips`),
    rule("masquerading", "mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random"),
    rule(
      "masquerading",
      "ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random",
    ),
    rule("nat-output", "jump services"),
    rule("nat-postrouting", "jump masquerading"),
    rule("nat-prerouting", "jump services"),
    rule("nodeport-endpoints-check", "ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports"),
    rule("reject-chain", "reject"),
    rule(
      "services",
      `ip daddr @cluster-ips ip saddr != ${podCidr} mark set mark or 0x4000 comment "masquerade clusterIP traffic from outside cluster"`,
    ),
    rule("services", `${DESTINATION} vmap @service-ips`),
    rule("services", "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports"),
    rule("service-endpoints-check", `${DESTINATION} vmap @no-endpoint-services`),
    `add element ${TABLE} nodeport-ips { ${address} }`,
  ];
}

function setCommands(): string[] {
  const set = (name: string, type: string) => `add set ${TABLE} ${name} { type ${type} ; }`;
  const map = (name: string, key: string) => `add map ${TABLE} ${name} { type ${key} : verdict ; }`;
  return [
    set("cluster-ips", "ipv4_addr"),
    set("nodeport-ips", "ipv4_addr"),
    set("hairpin-connections", "ipv4_addr . ipv4_addr . inet_proto . inet_service"),
    map("firewall-ips", ADDRESS_PORT),
    map("no-endpoint-nodeports", "inet_proto . inet_service"),
    map("no-endpoint-services", ADDRESS_PORT),
    map("service-ips", ADDRESS_PORT),
    map("service-nodeports", "inet_proto . inet_service"),
  ];
}

function chainCommands(): string[] {
  const hooked = (name: string, type: string, hook: string, priority: number) =>
    `add chain ${TABLE} ${name} { type ${type} hook ${hook} priority ${priority} ; }`;
  const plain = [
    ...["cluster-ips-check", "firewall-check", "masquerading", "nodeport-endpoints-check"],
    ...["reject-chain", "services", "service-endpoints-check"],
  ];
  return [
    ...plain.map((name) => `add chain ${TABLE} ${name}`),
    hooked("filter-prerouting-pre-dnat", "filter", "prerouting", -110),
    hooked("filter-output-pre-dnat", "filter", "output", -110),
    hooked("filter-forward", "filter", "forward", 0),
    hooked("filter-input", "filter", "input", 0),
    hooked("filter-output", "filter", "output", 0),
    hooked("nat-output", "nat", "output", -100),
    hooked("nat-postrouting", "nat", "postrouting", 100),
    hooked("nat-prerouting", "nat", "prerouting", -100),
  ];
}

/** What one port adds. */
export function portCommands(port: NftPort): string[] {
  const { clusterIp, protocol } = port;
  return [
    `add chain ${TABLE} ${chainName(port)}`,
    portRule(port),
    `add element ${TABLE} cluster-ips { ${clusterIp} }`,
    `add element ${TABLE} service-ips { ${clusterIp} . ${protocol} . ${port.port} : goto ${chainName(port)} }`,
    ...port.endpoints.map((address) => `add element ${TABLE} hairpin-connections { ${hairpin(port, address)} }`),
  ];
}

function portRule(port: NftPort): string {
  const { endpoints, targetPort, protocol } = port;
  const choices = endpoints.map((address, i) => `${i} : ${address} . ${targetPort}`).join(" , ");
  const pick = `numgen random mod ${endpoints.length} map { ${choices} }`;
  return `add rule ${TABLE} ${chainName(port)} meta l4proto ${protocol} dnat ip to ${pick}`;
}

function hairpin({ protocol, targetPort }: Pick<NftPort, "protocol" | "targetPort">, address: string): string {
  return `${address} . ${address} . ${protocol} . ${targetPort}`;
}

/** RFC 4648, of five bytes: eight characters. */
function base32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  return Array.from(
    { length: 8 },
    (_, i) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number((bits >> BigInt(35 - 5 * i)) & 31n)],
  ).join("");
}
