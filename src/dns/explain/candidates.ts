import { labelsOf, maxNameBytes, tryParseName } from "#wire/dns/index.ts";
import type { ResolverSettings, Tool } from "./resolvConf.ts";

/** A full name that a lookup may ask for. */
export interface Candidate {
  /** Absolute, with its trailing dot; case kept. */
  readonly name: string;
  /** The search domain that was added; absent: the name as it is. */
  readonly domain?: string;
}

/**
 * The names that a lookup asks for, one after the other until one is found:
 * - glibc (res_nsearch): with at least ndots dots the name as it is first, else last; the search domains in both cases;
 * - musl (name_from_dns_search), BIND's nslookup and host: the search domains only for names with fewer dots than ndots;
 * - dig: the name as it is (without +search);
 * - all: a name that ends in a dot as it is.
 * Those too long for DNS are left out, as a search domain's are. None for what is no name at all.
 */
export function candidatesOf(text: string, { search, ndots }: ResolverSettings, tool: Tool): Candidate[] {
  const name = tryParseName(text);
  if (name === undefined || name === ".") return [];
  const asIs: Candidate = { name };
  if (text.endsWith(".") || tool === "dig") return [asIs];
  const dots = labelsOf(name).length - 1;
  const searched = search.flatMap((domain) => {
    const full = tryParseName(`${text}.${domain}`);
    return full === undefined || full.length > maxNameBytes ? [] : [{ name: full, domain }];
  });
  if (dots < ndots) return [...searched, asIs];
  return tool === "glibc" ? [asIs, ...searched] : [asIs];
}
