import { formatCidr, formatIp } from "#base/ip.ts";
import type { Target } from "../../model/index.ts";
import { endpointChain, type PortChains, portChains } from "./names.ts";
import type { Address, ServicePort } from "./servicePort.ts";

/** Chains in which every Service has rules, by table. */
export const dispatchChains = {
  filter: ["KUBE-NODEPORTS", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"],
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS"],
} as const;
export type Table = keyof typeof dispatchChains;

/** How rules are written; fixed for all Services of a family but for {@link RuleStyle.isLarge}. */
export interface RuleStyle {
  /** Match for traffic of this node's pods, and for all other traffic; absent: it cannot be told. */
  readonly pods?: { readonly local: string; readonly notLocal: string };
  readonly masqueradeAll: boolean;
  /** Many endpoints: rules for each of them go without comments (kube-proxy's large cluster mode). */
  readonly isLarge: boolean;
}

/** What a port has in the chains that all Services share: rules without `-A chain`, by `table chain`. */
export type Dispatch = ReadonlyMap<string, readonly string[]>;

/** A chain of a Service in table nat, and its rules without `-A chain`. */
export interface ServiceChain {
  readonly name: string;
  readonly rules: readonly string[];
}

/** Rules of a port in the chains that all Services share. Pure. Source: kube-proxy's syncProxyRules. */
export function dispatchRules(port: ServicePort): Dispatch {
  const rules = new Map<string, string[]>();
  const add = (place: string, rule: string) => {
    const list = rules.get(place);
    if (list) list.push(rule);
    else rules.set(place, [rule]);
  };
  const chains = portChains(port.label, port.protocol);
  dispatchInternal(port, chains, add);
  dispatchExternal(port, chains, add);
  if (port.healthCheckNodePort !== undefined) {
    const words = comment(`${port.label} health check node port`);
    add("filter KUBE-NODEPORTS", `${words} -m tcp -p tcp --dport ${port.healthCheckNodePort} -j ACCEPT`);
  }
  return rules;
}

type Add = (place: string, rule: string) => void;

function dispatchInternal(port: ServicePort, chains: PortChains, add: Add): void {
  const { label, hasEndpoints, isInternalLocal, local } = port;
  for (const address of port.clusterIps) {
    const to = match(port, address);
    if (!hasEndpoints) add("filter KUBE-SERVICES", `${comment(`${label} has no endpoints`)} ${to} -j REJECT`);
    else if (isInternalLocal && local.length === 0)
      add("filter KUBE-SERVICES", `${comment(`${label} has no local endpoints`)} ${to} -j DROP`);
    else {
      const chain = isInternalLocal ? chains.local : chains.cluster;
      add("nat KUBE-SERVICES", `${comment(`${label} cluster IP`)} ${to} -j ${chain}`);
    }
  }
}

function dispatchExternal(port: ServicePort, chains: PortChains, add: Add): void {
  const { label, protocol, hasEndpoints, nodePort, sources } = port;
  const refusal = externalRefusal(port);
  const refuse = (to: string) => {
    if (refusal) add("filter KUBE-EXTERNAL-SERVICES", `${refusal.words} ${to} -j ${refusal.target}`);
  };
  for (const address of port.externalIps) {
    const to = match(port, address);
    if (hasEndpoints) add("nat KUBE-SERVICES", `${comment(`${label} external IP`)} ${to} -j ${chains.external}`);
    refuse(to);
  }
  for (const address of port.loadBalancers) {
    const to = match(port, address);
    const chain = sources ? chains.firewall : chains.external;
    if (hasEndpoints) add("nat KUBE-SERVICES", `${comment(`${label} loadbalancer IP`)} ${to} -j ${chain}`);
    if (hasEndpoints && sources) {
      const words = comment(`${label} traffic not accepted by ${chains.firewall}`);
      add("filter KUBE-PROXY-FIREWALL", `${words} ${to} -j DROP`);
    }
    refuse(to);
  }
  if (nodePort === undefined) return;
  const to = `-m ${protocol} -p ${protocol} --dport ${nodePort}`;
  if (hasEndpoints) add("nat KUBE-NODEPORTS", `-m comment --comment ${label} ${to} -j ${chains.external}`);
  refuse(`-m addrtype --dst-type LOCAL ${to}`);
}

/** What happens to external traffic that no chain of table nat took. */
function externalRefusal(port: ServicePort): { words: string; target: string } | undefined {
  const { label, hasEndpoints, isExternalLocal, local } = port;
  if (!hasEndpoints) return { words: comment(`${label} has no endpoints`), target: "REJECT" };
  if (isExternalLocal && local.length === 0)
    return { words: comment(`${label} has no local endpoints`), target: "DROP" };
  return undefined;
}

/** The chains of a port, in the order in which kube-proxy writes them; none when it has no endpoints. Pure. */
export function serviceChains(port: ServicePort, style: RuleStyle): ServiceChain[] {
  if (!port.hasEndpoints) return [];
  const names = portChains(port.label, port.protocol);
  const isExternal = port.nodePort !== undefined || port.externalIps.length + port.loadBalancers.length > 0;
  const usesLocal = port.local.length > 0;
  const all = [...port.cluster, ...port.local.filter((target) => !port.cluster.includes(target))];
  const endpoints = new Map(all.map((target) => [endpointText(target), target]));
  return [
    ...(isExternal ? [{ name: names.external, rules: externalRules(port, names, style) }] : []),
    ...(isExternal && port.sources && port.loadBalancers.length > 0
      ? [{ name: names.firewall, rules: firewallRules(port, names) }]
      : []),
    // Pods and the node itself reach all endpoints by external addresses, whatever the policy.
    ...(isExternal || !port.isInternalLocal
      ? [{ name: names.cluster, rules: policyRules(port, style, port.cluster, !port.isInternalLocal) }]
      : []),
    ...(usesLocal ? [{ name: names.local, rules: policyRules(port, style, port.local, port.isInternalLocal) }] : []),
    ...[...endpoints.keys()].map((endpoint) => endpointRules(port, style, endpoint)),
  ];
}

function externalRules(port: ServicePort, names: PortChains, style: RuleStyle): string[] {
  const { label, isExternalLocal, local } = port;
  const about = (words: string) => comment(`${words} ${label} external destinations`);
  if (!isExternalLocal) {
    // The endpoint may be on another node: the answer has to come back by this one.
    return [`${about("masquerade traffic for")} -j KUBE-MARK-MASQ`, `-j ${names.cluster}`];
  }
  const fromNode = "-m addrtype --src-type LOCAL";
  return [
    ...(style.pods ? [`${about("pod traffic for")} ${style.pods.local} -j ${names.cluster}`] : []),
    `${about("masquerade LOCAL traffic for")} ${fromNode} -j KUBE-MARK-MASQ`,
    `${about("route LOCAL traffic for")} ${fromNode} -j ${names.cluster}`,
    ...(local.length ? [`-j ${names.local}`] : []),
  ];
}

function firewallRules({ label, sources = [] }: ServicePort, names: PortChains): string[] {
  const words = comment(`${label} loadbalancer IP`);
  return [
    ...sources.map((cidr) => `${words} -s ${formatCidr(cidr)} -j ${names.external}`),
    comment(`other traffic to ${label} will be dropped by KUBE-PROXY-FIREWALL`),
  ];
}

/** @param isInternal traffic to the ClusterIP comes by this chain */
function policyRules(port: ServicePort, style: RuleStyle, targets: readonly Target[], isInternal: boolean): string[] {
  return [...(isInternal ? clusterIpMasquerade(port, style) : []), ...choiceRules(port, style, targets)];
}

function clusterIpMasquerade(port: ServicePort, { pods, masqueradeAll }: RuleStyle): string[] {
  if (!masqueradeAll && !pods) return [];
  return port.clusterIps.map((address) => {
    const to = `${comment(`${port.label} cluster IP`)} ${match(port, address)}`;
    return masqueradeAll || !pods ? `${to} -j KUBE-MARK-MASQ` : `${to} ${pods.notLocal} -j KUBE-MARK-MASQ`;
  });
}

/** Clients that are remembered, then one of the endpoints at random. */
function choiceRules(port: ServicePort, { isLarge }: RuleStyle, targets: readonly Target[]): string[] {
  const { label, protocol, affinitySeconds } = port;
  const entries = targets.map((target) => {
    const endpoint = endpointText(target);
    const words = isLarge ? "" : `${comment(`${label} -> ${endpoint}`)} `;
    return { words, chain: endpointChain(label, protocol, endpoint) };
  });
  const remembered = affinitySeconds === undefined ? [] : entries;
  return [
    ...remembered.map(
      ({ words, chain }) =>
        `${words}-m recent --name ${chain} --rcheck --seconds ${affinitySeconds} --reap -j ${chain}`,
    ),
    ...entries.map(({ words, chain }, index) => {
      const left = entries.length - index;
      const chance = left > 1 ? `-m statistic --mode random --probability ${(1 / left).toFixed(10)} ` : "";
      return `${words}${chance}-j ${chain}`;
    }),
  ];
}

function endpointRules(port: ServicePort, { isLarge }: RuleStyle, endpoint: string): ServiceChain {
  const { label, protocol, affinitySeconds } = port;
  const name = endpointChain(label, protocol, endpoint);
  const words = isLarge ? "" : `-m comment --comment ${label} `;
  const remember = affinitySeconds === undefined ? "" : `-m recent --name ${name} --set `;
  const ip = endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/[[\]]/g, "");
  return {
    name,
    rules: [
      // A pod that reaches itself.
      `${words}-s ${ip} -j KUBE-MARK-MASQ`,
      `${words}${remember}-m ${protocol} -p ${protocol} -j DNAT --to-destination ${endpoint}`,
    ],
  };
}

function endpointText({ ip, port }: Target): string {
  return ip.family === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;
}

function match({ protocol }: ServicePort, { ip, port }: Address): string {
  return `-m ${protocol} -p ${protocol} -d ${formatIp(ip)} --dport ${port}`;
}

function comment(words: string): string {
  return `-m comment --comment "${words}"`;
}
