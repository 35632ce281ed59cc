/** A question that a name server saw. */
export interface SeenQuery {
  readonly name: string;
  readonly type: string;
  readonly server: string;
}

/** Name servers of the lookups: both know the same names. */
export const SERVERS = ["127.0.0.1", "127.0.0.2"] as const;

/** Names by what a server says to a question for them. */
const ANSWERS: Readonly<Record<string, { readonly outcome: string; readonly address?: string }>> = {
  "web.shop.test.": { outcome: "records", address: "192.0.2.7" },
  "web.test.": { outcome: "records", address: "192.0.2.8" },
  "www.example.": { outcome: "records", address: "192.0.2.9" },
  "a.b.example.": { outcome: "records", address: "192.0.2.10" },
  "only.shop.test.": { outcome: "nodata" },
  "only.test.": { outcome: "records", address: "192.0.2.11" },
  "broken.shop.test.": { outcome: "servfail" },
  "broken.test.": { outcome: "records", address: "192.0.2.12" },
  "denied.shop.test.": { outcome: "refused" },
};

/** What a server says; NXDOMAIN of most names. The second one knows `broken.shop.test` and `denied.shop.test`. */
export function answerFor(name: string, type: string, server: string): { outcome: string; address?: string } {
  const found = ANSWERS[name.toLowerCase()] ?? { outcome: "nxdomain" };
  if (server === SERVERS[1] && (found.outcome === "servfail" || found.outcome === "refused"))
    return type === "A" ? { outcome: "records", address: "192.0.2.13" } : { outcome: "nodata" };
  return found.outcome === "records" && type !== "A" ? { outcome: "nodata" } : { ...found };
}

/** A lookup: what is looked up, by which tool, with which resolv.conf. */
export interface LookupCase {
  readonly tool: "glibc" | "musl" | "nslookup" | "host" | "dig";
  readonly name: string;
  readonly resolvConf: string;
}

const one = `nameserver ${SERVERS[0]}\n`;
const two = `${one}nameserver ${SERVERS[1]}\n`;
const search = "search shop.test test\n";

const situations: readonly (readonly [name: string, resolvConf: string])[] = [
  ["web", `${search}${one}options ndots:5\n`],
  ["web", one],
  ["web.shop.test", `${search}${one}options ndots:5\n`],
  ["web.shop.test.", `${search}${one}options ndots:5\n`],
  ["www.example", `${search}${one}options ndots:5\n`],
  ["www.example", `${search}${one}`],
  ["a.b.example", `${search}${one}options ndots:2\n`],
  ["nowhere", `${search}${one}options ndots:5\n`],
  ["no.where", `${search}${one}`],
  ["only", `${search}${one}options ndots:5\n`],
  ["broken", `${search}${one}options ndots:5 timeout:1\n`],
  ["broken", `${search}${two}options ndots:5\n`],
  ["denied", `${search}${one}options ndots:5 timeout:1\n`],
  ["denied", `${search}${two}options ndots:5\n`],
  ["Web", `${search}${one}options ndots:5 attempts:3\n`],
];

/** All lookups. */
export const lookupCases: readonly LookupCase[] = (["glibc", "musl", "nslookup", "host", "dig"] as const).flatMap(
  (tool) => situations.map(([name, resolvConf]) => ({ tool, name, resolvConf })),
);
