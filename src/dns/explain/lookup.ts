import type { Origin } from "#base/origin.ts";
import type { Location } from "../corefile/index.ts";
import { candidatesOf } from "./candidates.ts";
import type { ResolverSettings, Tool } from "./resolvConf.ts";
import { askAbout, isFailure } from "./ways.ts";

/**
 * How a question ends: `unreachable`: the server refuses packets, which is known at once; `silent`: it does not answer;
 * `unknown`: a server that is not of this cluster decides.
 */
export type Outcome = "records" | "nodata" | "nxdomain" | "servfail" | "refused" | "unreachable" | "silent" | "unknown";

/** What a server says to a question, and what makes it say so. */
export interface ServerAnswer {
  readonly outcome: Outcome;
  /** Data of the records asked for, such as `10.96.0.10`. */
  readonly records: readonly string[];
  /** The name that the answer says the asked one is an alias of, in the end. */
  readonly alias?: string;
  /** Seconds. */
  readonly ttl?: number;
  /** The plugin that decides. */
  readonly plugin?: string;
  /** The line of the Corefile that has the plugin. */
  readonly at?: Location;
  /** The object behind the answer. */
  readonly origin?: Origin;
  /** Why there is no such name or no answer. */
  readonly because?: string;
}

/** What lookups ask for; MX is host's alone, PTR is for addresses. */
export type QueryType = "A" | "AAAA" | "MX" | "PTR";

/** Asks a server. @param name absolute */
export type AskServer = (server: string, name: string, type: QueryType) => Promise<ServerAnswer>;

/** A question that is sent. */
export interface Query extends ServerAnswer {
  readonly name: string;
  readonly type: QueryType;
  readonly server: string;
  readonly protocol: "udp" | "tcp";
  /** The search domain that was added to the name. */
  readonly domain?: string;
  /** How often it is sent: servers that do not answer are asked again. */
  readonly times: number;
  /** Seconds that pass before the next one is asked, all times together; queries of one moment wait once. */
  readonly waitSeconds: number;
}

/** How a lookup ends: `later`: no server could say (EAI_AGAIN); `unknown`: up to servers elsewhere. */
export type LookupEnd = "found" | "nodata" | "not-found" | "later" | "unknown";

/** A lookup: what is sent, in order, and what comes of it. */
export interface Lookup {
  readonly end: LookupEnd;
  /** The name that was found. */
  readonly name?: string;
  readonly addresses: readonly string[];
  /** The server that had them. */
  readonly server?: string;
  readonly queries: readonly Query[];
  /** Search domains that are not asked for, each with the reason. */
  readonly leftOut: readonly string[];
}

/** What differs from a tool's own ways. */
export interface LookupOptions {
  /** Whether BIND's tools end with SERVFAIL (`fail`) or ask the next server (`nofail`); dig alone fails by itself. */
  readonly fail?: boolean;
  /** The server that `rotate` begins with, counted from 0; glibc takes any. */
  readonly firstServer?: number;
}

/** Follows a lookup of a name's addresses. @param ask what each server would say; asked once for each question */
export async function lookUp(
  text: string,
  settings: ResolverSettings,
  tool: Tool,
  ask: AskServer,
  { fail = failsByItself(tool), firstServer = 0 }: LookupOptions = {},
): Promise<Lookup> {
  const queries: Query[] = [];
  let end: LookupEnd = "not-found";
  let gaveUpSearch = false;
  let turns = 0;
  const { names: candidates, leftOut } = candidatesOf(text, settings, tool);
  for (const candidate of candidates) {
    if (gaveUpSearch && candidate.domain !== undefined) continue;
    const turn = settings.rotate ? firstServer + turns++ : 0;
    const asked = await askAbout(candidate, { settings, tool, ask, stopsAtServfail: fail, firstServer: turn });
    queries.push(...asked);
    const last = lastOf(asked);
    const found = last.filter(({ type, records }) => type !== "MX" && records.length);
    const addresses = found.flatMap(({ records }) => records);
    const server = found[0]?.server;
    if (server !== undefined) return { end: "found", name: candidate.name, addresses, server, queries, leftOut };
    if (stops(asked, tool)) return { end: endOf(last), addresses: [], queries, leftOut };
    gaveUpSearch ||= tool === "glibc" && givesUpSearch(asked);
    end = worse(end, endOf(last));
  }
  return { end, addresses: [], queries, leftOut };
}

/** Whether a tool ends with SERVFAIL when nothing tells it otherwise. */
export function failsByItself(tool: Tool): boolean {
  return tool === "dig";
}

/** The queries whose answers count: of each type that of the server which was asked last. */
function lastOf(queries: readonly Query[]): Query[] {
  return [...new Map(queries.map((query) => [query.type, query])).values()];
}

/** Whether a lookup ends with a name that has no address, without a look at the next one. */
function stops(asked: readonly Query[], tool: Tool): boolean {
  // res_nsearch() gives up where nobody listens at all (ECONNREFUSED).
  // An alias is an answer, also when nothing is behind it.
  if (tool === "glibc")
    return asked.every(({ outcome }) => outcome === "unreachable") || lastOf(asked).some(({ alias }) => alias);
  // name_from_dns() and BIND's tools go on after NXDOMAIN alone.
  return lastOf(asked).some(({ outcome }) => outcome !== "nxdomain" && outcome !== "unknown");
}

/** Whether res_nsearch() leaves the search list for the name as it is: a failure other than SERVFAIL is the last word. */
function givesUpSearch(asked: readonly Query[]): boolean {
  if (!lastOf(asked).some(({ outcome }) => isFailure(outcome))) return false;
  const said = asked.filter(({ outcome }) => outcome !== "silent" && outcome !== "unreachable");
  return said.at(-1)?.outcome !== "servfail";
}

function endOf(last: readonly Query[]): LookupEnd {
  const outcomes = last.map(({ outcome }) => outcome);
  if (outcomes.includes("unknown")) return "unknown";
  if (outcomes.some((outcome) => isFailure(outcome))) return "later";
  return outcomes.includes("nodata") ? "nodata" : "not-found";
}

const RANK: readonly LookupEnd[] = ["not-found", "nodata", "later", "unknown"];

function worse(a: LookupEnd, b: LookupEnd): LookupEnd {
  return RANK.indexOf(b) > RANK.indexOf(a) ? b : a;
}
