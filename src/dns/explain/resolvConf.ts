/** What a resolv.conf says, as the C library of a pod reads it (resolv.conf(5)). */
export interface ResolverSettings {
  /** In the file's order. */
  readonly nameservers: readonly string[];
  /** Search domains, without a trailing dot; the root is `.`. */
  readonly search: readonly string[];
  /** Names with fewer dots are looked for in the search domains first. */
  readonly ndots: number;
  /** Seconds until a server counts as silent. */
  readonly timeoutSeconds: number;
  /** How often all servers are asked. */
  readonly attempts: number;
  /** Each name begins with another server. */
  readonly rotate: boolean;
  /** Options that change what is sent, and that this resolver knows: `use-vc`, `single-request`, … */
  readonly options: readonly string[];
  /** What of the file has no effect, and why. */
  readonly ignored: readonly string[];
}

/** Whose rules are followed. */
export type Tool = "glibc" | "musl" | "nslookup" | "host" | "dig";

/** All of them know three servers (MAXNS in <resolv.h> and in musl's lookup.h; BIND's tools link to the same limit). */
const MAX_NAMESERVERS = 3;
/** musl keeps the search list in 256 bytes, and passes over a longer line (src/network/resolvconf.c). */
const MUSL_SEARCH_BYTES = 256;
/** Largest values that glibc takes (RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY in <resolv.h>); musl's are the same but attempts: 10, timeout: 60. */
const LIMITS = {
  glibc: { ndots: 15, timeout: 30, attempts: 5 },
  musl: { ndots: 15, timeout: 60, attempts: 10 },
} as const;
/** Tries without an option: RES_DFLRETRY; those of nslookup(1) and dig(1); host(1) makes its two whatever the file says. */
const ATTEMPTS: Readonly<Record<Tool, number>> = { glibc: 2, musl: 2, nslookup: 3, dig: 3, host: 2 };

/** Options with numbers, which all resolvers know. */
const NUMBERED: ReadonlySet<string> = new Set(["ndots", "timeout", "attempts"]);
/** Options that change what glibc sends; the others do not know them. */
const SENDING: ReadonlySet<string> = new Set([
  "rotate",
  "single-request",
  "single-request-reopen",
  "use-vc",
  "no-aaaa",
  "no-tld-query",
]);
/** Options that change nothing of which names and servers are asked. */
const HARMLESS: ReadonlySet<string> = new Set(
  "debug edns0 trust-ad inet6 ip6-bytestring ip6-dotint no-ip6-dotint no-check-names no-reload strict-error".split(" "),
);

/** Reads a resolv.conf; lines that are none are passed over, as the libraries do. */
export function parseResolverSettings(text: string, tool: Tool): ResolverSettings {
  const nameservers: string[] = [];
  let search: readonly string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [keyword, ...words] = (line.split(/[#;]/)[0] as string).trim().split(/\s+/);
    if (keyword === "nameserver" && words[0]) nameservers.push(words[0]);
    else if (keyword === "search") search = words;
    else if (keyword === "domain") search = words.slice(0, 1);
    else if (keyword === "options") for (const word of words) addOption(options, word);
  }
  const ignored = [...ignoredServers(nameservers, tool), ...ignoredOptions(options, tool)];
  if (tool === "musl" && search.join(" ").length >= MUSL_SEARCH_BYTES) {
    ignored.push("the search list: musl passes over one of more than 255 characters");
    search = [];
  }
  const sending = tool === "glibc" ? [...options.keys()].filter((name) => SENDING.has(name)) : [];
  return {
    // Without one it is this machine (resolv.conf(5)).
    nameservers: nameservers.length ? nameservers.slice(0, MAX_NAMESERVERS) : ["127.0.0.1"],
    search: search.map((domain) => (domain === "." ? domain : domain.replace(/\.$/, ""))),
    ...numbers(options, tool),
    rotate: sending.includes("rotate"),
    options: sending,
    ignored,
  };
}

function addOption(options: Map<string, string>, word: string): void {
  const [name = "", value = ""] = word.split(":", 2);
  options.set(name, value);
}

function ignoredServers(nameservers: readonly string[], tool: Tool): string[] {
  const more = nameservers.slice(MAX_NAMESERVERS);
  return more.length ? [`nameserver ${more.join(", ")}: ${tool} asks the first three`] : [];
}

function ignoredOptions(options: ReadonlyMap<string, string>, tool: Tool): string[] {
  const names = [...options.keys()];
  const known = (name: string) => NUMBERED.has(name) || SENDING.has(name) || HARMLESS.has(name);
  return [
    ...names.filter((name) => !known(name)).map((name) => `${name}: no option that resolv.conf(5) has`),
    ...(tool === "glibc" ? [] : names.filter((name) => SENDING.has(name)).map((name) => withoutEffect(name, tool))),
    ...(tool === "host" && options.has("attempts") ? ["attempts: host asks a silent server twice"] : []),
  ];
}

function withoutEffect(name: string, tool: Tool): string {
  if (name !== "rotate") return `${name}: ${tool} does not know it`;
  return `rotate: ${tool === "musl" ? "musl asks all servers at once" : `${tool} begins with the first server`}`;
}

function numbers(options: ReadonlyMap<string, string>, tool: Tool) {
  const most = LIMITS[tool === "musl" ? "musl" : "glibc"];
  const number = (name: keyof typeof most, otherwise: number): number => {
    const value = Number.parseInt(options.get(name) ?? "", 10);
    return value >= 0 ? Math.min(value, most[name]) : otherwise;
  };
  const attempts = tool === "host" ? ATTEMPTS.host : number("attempts", ATTEMPTS[tool]);
  return { ndots: number("ndots", 1), timeoutSeconds: number("timeout", 5), attempts };
}
