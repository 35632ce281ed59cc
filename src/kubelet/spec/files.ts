import type { Pod } from "#api/index.ts";

/** The cluster's and the node's resolver settings. */
export interface DnsSettings {
  readonly clusterDns: readonly string[];
  /** Without a trailing dot, e.g. `cluster.local`. */
  readonly clusterDomain: string;
  /** Text of the node's own resolv.conf. */
  readonly nodeResolvConf: string;
}

/** A resolv.conf in parts. */
interface Resolver {
  nameservers: string[];
  searches: string[];
  options: string[];
}

/** Limits of Kubernetes' pods: three nameservers, 32 search domains of 2,048 characters together (MaxDNSNameservers, …). */
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;

function parse(text: string): Resolver {
  const result: Resolver = { nameservers: [], searches: [], options: [] };
  for (const line of text.split("\n")) {
    const [keyword, ...rest] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && rest[0]) result.nameservers.push(rest[0]);
    else if (keyword === "search" || keyword === "domain") result.searches = rest;
    else if (keyword === "options") result.options = rest;
  }
  return result;
}

function policyResolver(pod: Pod, dns: DnsSettings): Resolver {
  const node = parse(dns.nodeResolvConf);
  const policy = pod.spec.dnsPolicy ?? "ClusterFirst";
  if (policy === "None") return { nameservers: [], searches: [], options: [] };
  // A pod in the node's network keeps the node's resolver unless it asks for the cluster's.
  const usesNode = policy === "Default" || (policy === "ClusterFirst" && pod.spec.hostNetwork);
  if (usesNode || dns.clusterDns.length === 0) return node;
  const domain = dns.clusterDomain;
  const searches = [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain];
  return {
    nameservers: [...dns.clusterDns],
    searches: [...searches, ...node.searches.filter((s) => s !== "." && !searches.includes(s))],
    options: ["ndots:5"],
  };
}

/**
 * Text of a pod's /etc/resolv.conf from its dnsPolicy and dnsConfig.
 * Source: Kubernetes documentation, "DNS for Services and Pods".
 */
export function resolvConf(pod: Pod, dns: DnsSettings): string {
  const { nameservers, searches, options } = withinLimits(resolverOf(pod, dns));
  return [
    ...(searches.length ? [`search ${searches.join(" ")}`] : []),
    ...nameservers.map((n) => `nameserver ${n}`),
    ...(options.length ? [`options ${options.join(" ")}`] : []),
    "",
  ].join("\n");
}

/** What of a pod's resolver does not fit its limits, in upstream's words (events with the reason DNSConfigForming). */
export function omittedFromResolvConf(pod: Pod, dns: DnsSettings): string[] {
  const wanted = resolverOf(pod, dns);
  const { nameservers, searches } = withinLimits(wanted);
  return [
    ...(nameservers.length < wanted.nameservers.length
      ? [
          `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${nameservers.join(" ")}`,
        ]
      : []),
    ...(searches.length < wanted.searches.length
      ? [
          `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(" ")}`,
        ]
      : []),
  ];
}

function resolverOf(pod: Pod, dns: DnsSettings): Resolver {
  const base = policyResolver(pod, dns);
  const extra = pod.spec.dnsConfig;
  const optionName = (option: string) => option.split(":")[0];
  const added = (extra?.options ?? []).map((o) => (o.value === undefined ? `${o.name}` : `${o.name}:${o.value}`));
  const overridden = new Set(added.map(optionName));
  return {
    nameservers: [...new Set([...base.nameservers, ...(extra?.nameservers ?? [])])],
    searches: [...new Set([...base.searches, ...(extra?.searches ?? [])])],
    options: [...base.options.filter((o) => !overridden.has(optionName(o))), ...added],
  };
}

function withinLimits({ nameservers, searches, options }: Resolver): Resolver {
  const kept = searches.slice(0, MAX_SEARCHES);
  while (kept.join(" ").length > MAX_SEARCH_CHARACTERS) kept.pop();
  return { nameservers: nameservers.slice(0, MAX_NAMESERVERS), searches: kept, options };
}

/** Longest host name that Linux takes in full (HOST_NAME_MAX is 64, DNS labels end at 63). */
const MAX_LABEL = 63;

/** The longest host name that Linux takes (sethostname(2)). */
const MAX_HOSTNAME = 64;

/** First part of a pod's name in the cluster: spec.hostname or its name, cut to one label. */
function shortName(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, MAX_LABEL).replace(/[-.]+$/, "");
}

/** A pod's full name in the cluster; undefined without a subdomain. */
function fullName(pod: Pod, clusterDomain: string): string | undefined {
  const { subdomain } = pod.spec;
  return subdomain ? `${shortName(pod)}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : undefined;
}

/**
 * What `hostname` says in a pod: its short name, or the full one where it asks for that; the node's for a pod in the
 * node's network.
 * @throws Error when the full name is too long for Linux
 */
export function podHostname(pod: Pod, nodeName: string, clusterDomain: string): string {
  if (pod.spec.hostnameOverride) return pod.spec.hostnameOverride;
  if (pod.spec.hostNetwork) return nodeName;
  const full = pod.spec.setHostnameAsFQDN ? fullName(pod, clusterDomain) : undefined;
  if (full === undefined) return shortName(pod);
  if (full.length > MAX_HOSTNAME)
    throw new Error(
      `Failed to construct FQDN from Pod hostname and cluster domain, FQDN ${full} is too long (${MAX_HOSTNAME} characters is the max, ${full.length} characters requested)`,
    );
  return full;
}

/** Text of a pod's /etc/hosts. Source: Kubernetes documentation, "Adding entries to Pod /etc/hosts with HostAliases". */
export function hostsFile(pod: Pod, podIPs: readonly string[], clusterDomain: string, nodeHosts: string): string {
  const aliases = (pod.spec.hostAliases ?? []).map((a) => `${a.ip}\t${(a.hostnames ?? []).join("\t")}\n`).join("");
  const added = aliases === "" ? "" : `\n# Entries added by HostAliases.\n${aliases}`;
  if (pod.spec.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${nodeHosts}${added}`;
  const full = fullName(pod, clusterDomain);
  const names = full === undefined ? shortName(pod) : `${full}\t${shortName(pod)}`;
  const fixed = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
  ];
  return `${[...fixed, ...podIPs.map((ip) => `${ip}\t${names}`)].join("\n")}\n${added}`;
}
