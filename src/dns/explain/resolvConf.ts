/** What a resolv.conf says, as the C library of a pod reads it (resolv.conf(5)). */
export interface ResolverSettings {
  /** In the file's order. */
  readonly nameservers: readonly string[];
  /** Search domains, without a trailing dot. */
  readonly search: readonly string[];
  /** Names with fewer dots are looked for in the search domains first. */
  readonly ndots: number;
  /** Seconds until a server counts as silent. */
  readonly timeoutSeconds: number;
  /** How often all servers are asked. */
  readonly attempts: number;
  /** Each lookup begins with another server. */
  readonly rotate: boolean;
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

/** Reads a resolv.conf; lines that are none are passed over, as the libraries do. */
export function parseResolverSettings(text: string, tool: Tool): ResolverSettings {
  const nameservers: string[] = [];
  let search: readonly string[] = [];
  const options = new Map<string, string>();
  const ignored: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = (line.split(/[#;]/)[0] as string).trim().split(/\s+/);
    if (keyword === "nameserver" && words[0]) nameservers.push(words[0]);
    else if (keyword === "search") search = words;
    else if (keyword === "domain") search = words.slice(0, 1);
    else if (keyword === "options") for (const word of words) addOption(options, word);
  }
  if (nameservers.length > MAX_NAMESERVERS)
    ignored.push(`nameserver ${nameservers.slice(MAX_NAMESERVERS).join(", ")}: ${tool} asks the first three`);
  if (tool === "musl" && search.join(" ").length >= MUSL_SEARCH_BYTES) {
    ignored.push("the search list: musl passes over one of more than 255 characters");
    search = [];
  }
  if (tool === "musl" && options.has("rotate")) ignored.push("rotate: musl asks all servers at once");
  return {
    // Without one it is this machine (resolv.conf(5)).
    nameservers: nameservers.length ? nameservers.slice(0, MAX_NAMESERVERS) : ["127.0.0.1"],
    search: search.map((domain) => domain.replace(/\.$/, "")).filter((domain) => domain !== ""),
    ...numbers(options, tool),
    rotate: options.has("rotate") && tool !== "musl",
    ignored,
  };
}

function addOption(options: Map<string, string>, word: string): void {
  const [name = "", value = ""] = word.split(":", 2);
  options.set(name, value);
}

function numbers(options: ReadonlyMap<string, string>, tool: Tool) {
  const most = LIMITS[tool === "musl" ? "musl" : "glibc"];
  const number = (name: keyof typeof most, otherwise: number): number => {
    const value = Number.parseInt(options.get(name) ?? "", 10);
    return value >= 0 ? Math.min(value, most[name]) : otherwise;
  };
  return { ndots: number("ndots", 1), timeoutSeconds: number("timeout", 5), attempts: number("attempts", 2) };
}
