import { formatIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import { labelsOf, lowerName, tryParseName } from "#wire/dns/index.ts";
import { parseHosts } from "../plugins/hosts/hostsFile.ts";
import { type AskServer, failsByItself, type Lookup, lookUp } from "./lookup.ts";
import { type NameSource, parseHostSources } from "./nsswitch.ts";
import { parseResolverSettings, type ResolverSettings, type Tool } from "./resolvConf.ts";
import { ruleOf } from "./rules.ts";

/** What is asked about, and how it is looked up. */
export interface DnsQuestion {
  readonly name: string;
  readonly tool: Tool;
  /** Whether nslookup, host or dig end with SERVFAIL, where that is not as they do by themselves. */
  readonly fail?: boolean;
  /** Who asks, in words. */
  readonly from: string;
  /** Text of the client's /etc/resolv.conf, and what says so. */
  readonly resolvConf: string;
  readonly resolvConfOrigin?: Origin;
  /** Text of the client's /etc/hosts; absent: not known. */
  readonly hosts?: string;
  /** Text of the client's /etc/nsswitch.conf. */
  readonly nsswitch?: string;
  /** Whether an avahi daemon answers the mdns sources there (absent: yes); none does in pods and machines of a lab. */
  readonly multicast?: boolean;
}

/** What a source of names other than DNS says. */
export interface SourceStep {
  readonly source: string;
  /** Addresses that it has for the name. */
  readonly addresses: readonly string[];
  readonly because: string;
}

/** What a lookup costs. */
export interface Cost {
  /** Packets that are sent. */
  readonly queries: number;
  /** Those of them for names that the search list made up and that do not exist. */
  readonly inVain: number;
  /** Seconds of waiting for silent servers. */
  readonly waitSeconds: number;
  /** What would save them. */
  readonly advice?: string;
}

/** A lookup from the name to its end. */
export interface DnsAnswer {
  readonly name: string;
  readonly tool: Tool;
  readonly from: string;
  /** What resolv.conf says; `rule`, in words: which server is asked when, where there are several. */
  readonly resolver: ResolverSettings & { readonly rule?: string; readonly origin?: Origin };
  readonly sources: readonly SourceStep[];
  /** Absent where a source before DNS ended the lookup. */
  readonly lookup?: Lookup;
  readonly cost: Cost;
}

/** Answers `podwire dns explain`: no packet is sent by it. @param ask what each server would say */
export async function explainLookup(question: DnsQuestion, ask: AskServer): Promise<DnsAnswer> {
  const { name, tool, from, resolvConf, resolvConfOrigin: origin, fail = failsByItself(tool) } = question;
  const settings = parseResolverSettings(resolvConf, tool);
  const rule = ruleOf(settings, tool, fail);
  const { steps, asksDns } = beforeDns(question);
  const lookup = asksDns ? await lookUp(name, settings, tool, ask, { fail }) : undefined;
  return {
    name,
    tool,
    from,
    resolver: { ...settings, ...(rule !== undefined && { rule }), ...(origin && { origin }) },
    sources: steps,
    ...(lookup && { lookup }),
    cost: costOf(name, settings, lookup),
  };
}

/** What is asked before DNS. nslookup, host and dig ask DNS alone; musl knows no nsswitch.conf. */
function beforeDns({ tool, name, hosts, nsswitch = "", multicast = true }: DnsQuestion): {
  steps: SourceStep[];
  asksDns: boolean;
} {
  if (tool !== "glibc" && tool !== "musl") {
    const because = `${tool} asks DNS alone: /etc/hosts does not count`;
    return { steps: [{ source: "files", addresses: [], because }], asksDns: true };
  }
  const steps: SourceStep[] = [];
  for (const source of parseHostSources(tool === "musl" ? "" : nsswitch)) {
    if (source.name === "dns") return { steps, asksDns: true };
    const step = stepOf(source, name, hosts, multicast);
    steps.push(step);
    if (step.addresses.length || (isDecisive(source, name, multicast) && !source.goesOnAfterNotFound))
      return { steps, asksDns: false };
  }
  return { steps, asksDns: false };
}

function stepOf(source: NameSource, name: string, hosts: string | undefined, multicast: boolean): SourceStep {
  const none = (because: string): SourceStep => ({ source: source.name, addresses: [], because });
  if (source.name === "files") {
    if (hosts === undefined) return none("/etc/hosts of the client is not known");
    const addresses = (parseHosts(hosts).addresses.get(lowerName(tryParseName(name) ?? ".")) ?? []).map(formatIp);
    return addresses.length
      ? { source: "files", addresses, because: "/etc/hosts has it" }
      : none("/etc/hosts does not have it");
  }
  if (!isMulticast(source)) return none(`what ${source.name} says is not known here; taken as nothing`);
  if (!isLocalName(name)) return none("it is for names of two labels that end in .local");
  if (!multicast) return none("no avahi daemon runs here: it is unavailable, and the next source is asked");
  return none(
    source.goesOnAfterNotFound
      ? "it asks by multicast; taken as unanswered"
      : "it asks by multicast, and [NOTFOUND=return] ends the lookup here",
  );
}

/** Whether a source that does not have the name is sure of it: `files` is, multicast DNS for its own names. */
function isDecisive(source: NameSource, name: string, multicast: boolean): boolean {
  return source.name === "files" || (multicast && isMulticast(source) && isLocalName(name));
}

function isMulticast({ name }: NameSource): boolean {
  return /^mdns[46]?(_minimal)?$/.test(name);
}

/** nss-mdns' own: `name.local`. */
function isLocalName(name: string): boolean {
  const labels = name.replace(/\.$/, "").split(".");
  return labels.length === 2 && labels[1]?.toLowerCase() === "local";
}

function costOf(name: string, settings: ResolverSettings, lookup: Lookup | undefined): Cost {
  const queries = lookup?.queries ?? [];
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const sent = sum(queries.map(({ times }) => times));
  const last = queries.at(-1)?.name;
  const vain = queries.filter((query) => query.domain !== undefined && query.name !== last);
  const inVain = sum(vain.map(({ times }) => times));
  const advice = inVain > 0 ? adviceOf(name, settings, lookup) : undefined;
  return {
    queries: sent,
    inVain,
    waitSeconds: sum(queries.map((query) => query.waitSeconds)),
    ...(advice !== undefined && { advice }),
  };
}

/** What saves the queries for names of the search list that are not there. */
function adviceOf(name: string, { ndots, search }: ResolverSettings, lookup: Lookup | undefined): string | undefined {
  const parsed = tryParseName(name);
  if (parsed === undefined || !lookup) return undefined;
  const dots = labelsOf(parsed).length - 1;
  if (lookup.end === "found" && lookup.name !== parsed) return `${lookup.name} would be found by the first query`;
  if (dots === 0 || lookup.end === "not-found" || lookup.end === "nodata") return undefined;
  const count = dots === 1 ? "one dot is" : `${dots} dots are`;
  return `${count} less than ndots:${ndots}, so ${search.length} search domains come first: ask for ${parsed} with its last dot, or set ndots to ${dots} in spec.dnsConfig`;
}
