/** A question that a name server saw. */
export interface SeenQuery {
  readonly name: string;
  readonly type: string;
  readonly server: string;
  readonly protocol: "udp" | "tcp";
}

/** Name servers of the lookups. */
export const SERVERS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"] as const;
/** Nobody listens here: packets are refused. */
export const CLOSED = "127.0.0.9";

/** What a server says to a question. */
export interface SaidAnswer {
  readonly outcome: "records" | "nodata" | "nxdomain" | "servfail" | "refused" | "silent" | "unreachable";
  readonly address?: string;
  /** The name that the asked one is an alias of. */
  readonly alias?: string;
}

/** Aliases; the server that is asked for the second one could not say what is behind it. */
const ALIASES: Readonly<Record<string, string>> = {
  "alias.shop.test.": "web.shop.test.",
  "lost.shop.test.": "gone.elsewhere.",
};

/** Names that all servers know alike. */
const ADDRESSES: Readonly<Record<string, string>> = {
  "web.shop.test.": "192.0.2.7",
  "web.test.": "192.0.2.8",
  "www.example.": "192.0.2.9",
  "a.b.example.": "192.0.2.10",
  "only.test.": "192.0.2.11",
  "broken.test.": "192.0.2.12",
  "printer.local.": "192.0.2.14",
  "both.example.": "192.0.2.15",
};

/** What is wrong with names, by server: the last one holds for those after it, `ok`: it has an address. */
const TROUBLES: Readonly<Record<string, readonly (SaidAnswer["outcome"] | "ok")[]>> = {
  "broken.shop.test.": ["servfail", "ok"],
  "denied.shop.test.": ["refused", "ok"],
  "quiet.shop.test.": ["silent", "ok"],
  "wrong.shop.test.": ["servfail"],
  "closed.shop.test.": ["refused"],
  "dead.shop.test.": ["silent"],
  "mixed.shop.test.": ["servfail", "silent"],
};

/** What a server says; NXDOMAIN of most names. */
export function answerFor(name: string, type: string, server: string): SaidAnswer {
  if (server === CLOSED) return { outcome: "unreachable" };
  const full = name.toLowerCase();
  if (full === "only.shop.test.") return { outcome: "nodata" };
  const trouble = TROUBLES[full];
  const outcome = trouble?.[SERVERS.indexOf(server as (typeof SERVERS)[number])] ?? trouble?.at(-1) ?? "ok";
  if (outcome !== "ok") return { outcome };
  const alias = ALIASES[full];
  if (alias !== undefined)
    return { ...(ADDRESSES[alias] ? answerFor(alias, type, server) : { outcome: "nodata" }), alias };
  const address = trouble ? "192.0.2.13" : ADDRESSES[full];
  if (address === undefined) return { outcome: "nxdomain" };
  return type === "A" ? { outcome: "records", address } : { outcome: "nodata" };
}

/** A lookup: what is looked up, by which tool, with which resolv.conf. */
export interface LookupCase {
  readonly tool: "glibc" | "musl" | "nslookup" | "host" | "dig";
  readonly name: string;
  readonly resolvConf: string;
  /** Words for the tool before the name. */
  readonly words?: readonly string[];
  /** Text of nsswitch.conf; absent: `hosts: files dns`. */
  readonly nsswitch?: string;
}

/** What /etc/hosts says of names, some of which DNS has as well. */
export const HOSTS = "127.0.0.1 localhost\n192.0.2.99 in.hosts both.example\n";

const servers = (...numbers: number[]) => numbers.map((n) => `nameserver ${SERVERS[n - 1]}\n`).join("");
const search = "search shop.test test\n";

/** A name that DNS could have, but not with the domain behind it. */
const LONG = ["a", "b", "c"].map((letter) => letter.repeat(60)).join(".");
const LONG_DOMAIN = ["d", "e"].map((letter) => letter.repeat(60)).join(".");

/** Servers that answer have two seconds, so that a busy machine is not taken for a silent one. */
const situations: readonly (readonly [name: string, resolvConf: string])[] = [
  // Servers that do not answer: these lookups take longest, and begin first.
  ["quiet.shop.test", `${servers(1, 2)}options timeout:2 attempts:1\n`],
  ["quiet", `${search}${servers(1, 2)}options timeout:2 attempts:1\n`],
  ["mixed", `${search}${servers(1, 2)}options timeout:2 attempts:1\n`],
  ["dead.shop.test", `${servers(1)}options timeout:1 attempts:1\n`],
  ["dead.shop.test", `${servers(1)}options timeout:1 attempts:4\n`],
  ["dead", `${search}${servers(1)}options timeout:1 attempts:1\n`],
  ["dead.shop.test", `${servers(1, 2, 3)}options timeout:1\n`],
  ["dead.shop.test", `${servers(1, 2)}options timeout:1 single-request\n`],
  // The search list, and ndots.
  ["web", `${search}${servers(1)}options ndots:5\n`],
  ["web", servers(1)],
  ["web.shop.test", `${search}${servers(1)}options ndots:5\n`],
  ["web.shop.test.", `${search}${servers(1)}options ndots:5\n`],
  ["www.example", `${search}${servers(1)}options ndots:5\n`],
  ["www.example", `${search}${servers(1)}`],
  ["a.b.example", `${search}${servers(1)}options ndots:2\n`],
  ["nowhere", `${search}${servers(1)}options ndots:5\n`],
  ["no.where", `${search}${servers(1)}`],
  ["only", `${search}${servers(1)}options ndots:5\n`],
  ["Web", `${search}${servers(1)}options ndots:5 attempts:3\n`],
  ["web", `domain shop.test\n${servers(1)}`],
  ["web", `${search}search test\n${servers(1)}`],
  ["www.example", `search . shop.test\n${servers(1)}options ndots:5 timeout:2\n`],
  ["nowhere", `search shop.test . test\n${servers(1)}options ndots:5 timeout:2\n`],
  ["nowhere", `${search}${servers(1)}options no-tld-query\n`],
  [LONG, `search ${LONG_DOMAIN} test\n${servers(1)}options ndots:5\n`],
  // Aliases.
  ["alias", `${search}${servers(1)}options ndots:5\n`],
  ["lost", `${search}${servers(1)}options ndots:5\n`],
  ["lost.shop.test", servers(1)],
  // Servers in their order, and what they say.
  ["web", `${search}${servers(2, 1)}options ndots:5\n`],
  ["web", `${search}${servers(1, 2, 3)}nameserver ${CLOSED}\n`],
  ["broken", `${search}${servers(1)}options ndots:5 timeout:2\n`],
  ["broken", `${search}${servers(1, 2)}options ndots:5\n`],
  ["broken.shop.test", servers(1, 2)],
  ["wrong.shop.test", `${servers(1, 2, 3)}options timeout:2 attempts:3\n`],
  ["wrong.shop.test", `${servers(1, 2)}options timeout:2\n`],
  ["denied", `${search}${servers(1)}options ndots:5 timeout:2\n`],
  ["denied", `${search}${servers(1, 2)}options ndots:5\n`],
  ["denied.shop.test", servers(1, 2)],
  ["closed.shop.test", `${servers(1, 2)}options timeout:2\n`],
  ["web.shop.test", `nameserver ${CLOSED}\n${servers(2)}`],
  ["web", `${search}nameserver ${CLOSED}\noptions timeout:1\n`],
  // Options that change what is sent.
  ["nowhere", `${search}${servers(1, 2)}options rotate\n`],
  ["nowhere", `${search}${servers(1, 2, 3)}options rotate\n`],
  ["broken", `${search}${servers(1, 2)}options rotate\n`],
  ["web", `${search}${servers(1)}options single-request\n`],
  ["web", `${search}${servers(1)}options single-request-reopen\n`],
  ["broken.shop.test", `${servers(1, 2)}options single-request\n`],
  ["web", `${search}${servers(1)}options use-vc\n`],
  ["broken", `${search}${servers(1, 2)}options use-vc\n`],
  ["web.shop.test", `nameserver ${CLOSED}\n${servers(2)}options use-vc\n`],
  ["web", `${search}${servers(1)}options no-aaaa\n`],
];

const TOOLS = ["glibc", "musl", "nslookup", "host", "dig"] as const;

/** Whether a tool's queries depend on it: dig knows no search list; musl's attempts are fractions of the time-out. */
function concerns(tool: LookupCase["tool"], name: string, resolvConf: string): boolean {
  if (tool === "dig") return name.includes(".") || !resolvConf.includes("search");
  return tool !== "musl" || !/attempts:[34]/.test(resolvConf);
}

/** All lookups. */
export const lookupCases: readonly LookupCase[] = [
  ...situations.flatMap(([name, resolvConf]) =>
    TOOLS.filter((tool) => concerns(tool, name, resolvConf)).map((tool) => ({ tool, name, resolvConf })),
  ),
  { tool: "nslookup", name: "broken.shop.test", resolvConf: servers(1, 2), words: ["-fail"] },
  { tool: "host", name: "broken.shop.test", resolvConf: servers(1, 2), words: ["-s"] },
  { tool: "dig", name: "broken.shop.test", resolvConf: servers(1, 2), words: ["+nofail"] },
];

/** Lookups by glibc through the sources of nsswitch.conf. `mdns4_minimal` is there or not, but no avahi daemon. */
export const sourceCases: readonly (LookupCase & { readonly nsswitch: string })[] = [
  ["in.hosts", "files dns"],
  ["both.example", "files dns"],
  ["both.example", "dns files"],
  ["in.hosts", "dns files"],
  ["web.shop.test", "files [NOTFOUND=return] dns"],
  ["printer.local", "files mdns4_minimal [NOTFOUND=return] dns"],
  ["web.shop.test", "files mdns4_minimal [NOTFOUND=return] dns"],
  ["web.shop.test", "dns [!UNAVAIL=return] files"],
].map(([name = "", sources]) => ({
  tool: "glibc",
  name,
  resolvConf: servers(1),
  nsswitch: `hosts: ${sources}\n`,
}));
