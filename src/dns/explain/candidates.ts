import { tryParseIp } from "#base/ip.ts";
import { labelsOf, maxNameBytes, reverseName, tryParseName } from "#wire/dns/index.ts";
import type { QueryType } from "./lookup.ts";
import type { ResolverSettings, Tool } from "./resolvConf.ts";

/** A full name that a lookup may ask for. */
export interface Candidate {
  /** Absolute, with its trailing dot; case kept. */
  readonly name: string;
  /** The search domain that was added; absent: the name as it is. */
  readonly domain?: string;
  /** What is asked for; absent: what the tool asks for. */
  readonly types?: readonly QueryType[];
}

/** The names of a lookup, and which search domains are left out. */
export interface Candidates {
  readonly names: readonly Candidate[];
  /** In words: the domain and why. */
  readonly leftOut: readonly string[];
}

/**
 * The names that a lookup asks for, one after the other until one is found:
 * - glibc (res_nsearch): with at least ndots dots the name as it is first, else last; the search domains in both cases;
 * - musl (name_from_dns_search), BIND's nslookup and host: the search domains only for names with fewer dots than ndots;
 * - dig: the name as it is (without +search);
 * - nslookup and host: of an address its reverse name, whose PTR record they ask for;
 * - all: a name that ends in a dot as it is.
 * None for what is no name at all.
 */
export function candidatesOf(text: string, settings: ResolverSettings, tool: Tool): Candidates {
  const number = tool === "nslookup" || tool === "host" ? tryParseIp(text) : undefined;
  if (number) return { names: [{ name: reverseName(number), types: ["PTR"] }], leftOut: [] };
  const name = tryParseName(text);
  if (name === undefined || name === ".") return { names: [], leftOut: [] };
  const asIs: Candidate = { name };
  if (text.endsWith(".") || tool === "dig") return { names: [asIs], leftOut: [] };
  const dots = labelsOf(name).length - 1;
  if (dots >= settings.ndots && tool !== "glibc") return { names: [asIs], leftOut: [] };
  const { names, leftOut, isTheEnd } = searched(text, name, settings, tool);
  if (dots >= settings.ndots) return { names: [asIs, ...names], leftOut };
  // glibc asks for the name as it is once, and with no-tld-query never for one without a dot.
  const isDone = tool === "glibc" && names.some((one) => one.domain === ".");
  const isLeftOut = dots === 0 && names.length > 0 && settings.options.includes("no-tld-query");
  return { names: isDone || isLeftOut || isTheEnd ? names : [...names, asIs], leftOut };
}

/** The name in each search domain. */
function searched(text: string, name: string, { search }: ResolverSettings, tool: Tool) {
  const names: Candidate[] = [];
  const leftOut: string[] = [];
  for (const domain of search) {
    if (domain === "." && tool === "musl") {
      leftOut.push(
        `search domain .: musl makes ${text}.. of it, which no server understands, and the lookup ends there`,
      );
      return { names, leftOut, isTheEnd: true };
    }
    const full = domain === "." ? name : tryParseName(`${text}.${domain}`);
    if (full !== undefined) names.push({ name: full, domain });
    else {
      const rest = tool === "glibc" ? ", and glibc leaves those after it as well" : "";
      leftOut.push(`search domain ${domain}: with it the name is longer than the ${maxNameBytes} bytes of DNS${rest}`);
      if (tool === "glibc") break;
    }
  }
  return { names, leftOut, isTheEnd: false };
}
