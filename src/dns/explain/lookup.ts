import type { Origin } from "#base/origin.ts";
import type { Location } from "../corefile/index.ts";
import { type Candidate, candidatesOf } from "./candidates.ts";
import type { ResolverSettings, Tool } from "./resolvConf.ts";

/**
 * How a question ends: `unreachable`: the server refuses packets, which is known at once; `silent`: it does not answer;
 * `unknown`: a server that is not of this cluster decides.
 */
export type Outcome = "records" | "nodata" | "nxdomain" | "servfail" | "refused" | "unreachable" | "silent" | "unknown";

/** What a server says to a question, and what makes it say so. */
export interface ServerAnswer {
  readonly outcome: Outcome;
  /** Data of the records asked for, such as `10.96.0.10`; names of aliases that led there have an arrow. */
  readonly records: readonly string[];
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

/** What lookups ask for; MX is host's alone. */
export type QueryType = "A" | "AAAA" | "MX";

/** Asks a server. @param name absolute */
export type AskServer = (server: string, name: string, type: QueryType) => Promise<ServerAnswer>;

/** A question that is sent. */
export interface Query extends ServerAnswer {
  readonly name: string;
  readonly type: QueryType;
  readonly server: string;
  readonly domain?: string;
  /** How often it is sent: servers that do not answer are asked again. */
  readonly times: number;
  /** Seconds that pass before the next one is asked. */
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
  readonly queries: readonly Query[];
}

/** What a tool asks for. */
const TYPES: Readonly<Record<Tool, readonly QueryType[]>> = {
  glibc: ["A", "AAAA"],
  musl: ["A", "AAAA"],
  nslookup: ["A", "AAAA"],
  host: ["A", "AAAA", "MX"],
  dig: ["A"],
};

interface Rules {
  readonly settings: ResolverSettings;
  readonly tool: Tool;
  readonly ask: AskServer;
}

/** Follows a lookup of a name's addresses. @param ask what each server would say; asked once for each question */
export async function lookUp(text: string, settings: ResolverSettings, tool: Tool, ask: AskServer): Promise<Lookup> {
  const queries: Query[] = [];
  let end: LookupEnd = "not-found";
  let gaveUpSearch = false;
  for (const candidate of candidatesOf(text, settings, tool)) {
    if (gaveUpSearch && candidate.domain !== undefined) continue;
    const asked = await WAYS[tool](candidate, { settings, tool, ask });
    queries.push(...asked);
    const last = lastOf(asked);
    const addresses = last.flatMap(({ type, records }) => (type === "MX" ? [] : records));
    if (addresses.length) return { end: "found", name: candidate.name, addresses, queries };
    const outcomes = last.map(({ outcome }) => outcome);
    if (outcomes.some((outcome) => stops(outcome, tool))) return { end: endOf(outcomes), addresses: [], queries };
    // res_nsearch() then leaves the search list for the name as it is.
    gaveUpSearch ||= outcomes.some((outcome) => outcome === "refused" || outcome === "silent");
    end = worse(end, endOf(outcomes));
  }
  return { end, addresses: [], queries };
}

/** All that is sent for one name. */
type Way = (candidate: Candidate, rules: Rules) => Promise<Query[]>;

const WAYS: Readonly<Record<Tool, Way>> = {
  glibc: askServersInTurn,
  musl: askServersAtOnce,
  nslookup: askTypesInTurn,
  host: askTypesInTurn,
  dig: askTypesInTurn,
};

/** The queries whose answers count: of each type that of the server which was asked last. */
function lastOf(queries: readonly Query[]): Query[] {
  return [...new Map(queries.map((query) => [query.type, query])).values()];
}

/** glibc: both families of one server, then of the next; all again when none could say (res_nsend). */
async function askServersInTurn(candidate: Candidate, rules: Rules): Promise<Query[]> {
  const queries: Query[] = [];
  for (const server of rules.settings.nameservers) {
    const asked = await Promise.all(TYPES[rules.tool].map((type) => askOne(candidate, server, type, rules)));
    queries.push(...asked);
    if (!asked.some(({ outcome }) => isFailure(outcome))) return queries;
  }
  const { attempts, timeoutSeconds } = rules.settings;
  return queries.map((query) => ({
    ...query,
    times: attempts,
    waitSeconds: query.outcome === "silent" ? attempts * timeoutSeconds : 0,
  }));
}

/** musl: each question to all servers at once; the first answer that is no failure counts. */
async function askServersAtOnce(candidate: Candidate, rules: Rules): Promise<Query[]> {
  const { nameservers, attempts, timeoutSeconds } = rules.settings;
  const asked = await Promise.all(
    TYPES[rules.tool].map(async (type) => {
      const ofServers = await Promise.all(nameservers.map((server) => askOne(candidate, server, type, rules)));
      if (ofServers.every(({ outcome }) => isFailure(outcome)))
        // Failures are no answers: within the time-out each attempt asks anew, and SERVFAIL at once twice more
        // (__res_msend_rc).
        return ofServers.map((query) => ({
          ...query,
          times: attempts * (query.outcome === "servfail" ? 3 : 1),
          waitSeconds: timeoutSeconds,
        }));
      // What counts comes last, as lastOf() has it.
      return ofServers.sort((a, b) => Number(!isFailure(a.outcome)) - Number(!isFailure(b.outcome)));
    }),
  );
  return asked.flat();
}

/** BIND's tools: one type after the other, the next of a name that is there alone; the next server after SERVFAIL. */
async function askTypesInTurn(candidate: Candidate, rules: Rules): Promise<Query[]> {
  const queries: Query[] = [];
  for (const type of TYPES[rules.tool]) {
    for (const server of rules.settings.nameservers) {
      queries.push(await askOne(candidate, server, type, rules));
      if (!["servfail", "silent", "unreachable"].includes(queries.at(-1)?.outcome ?? "")) break;
    }
    if (!["records", "nodata", "unknown"].includes(queries.at(-1)?.outcome ?? "")) break;
  }
  return queries;
}

async function askOne(candidate: Candidate, server: string, type: QueryType, { ask, settings }: Rules): Promise<Query> {
  const answer = await ask(server, candidate.name, type);
  const { name, domain } = candidate;
  const waitSeconds = answer.outcome === "silent" ? settings.timeoutSeconds : 0;
  return { ...answer, name, type, server, ...(domain !== undefined && { domain }), times: 1, waitSeconds };
}

/** Whether a server could not say. */
function isFailure(outcome: Outcome): boolean {
  return outcome === "servfail" || outcome === "refused" || outcome === "unreachable" || outcome === "silent";
}

/** Whether a lookup ends with a name that has no address, without a look at the next one. */
function stops(outcome: Outcome, tool: Tool): boolean {
  // res_nsearch() gives up where nobody listens (ECONNREFUSED).
  if (tool === "glibc") return outcome === "unreachable";
  // name_from_dns() and BIND's tools go on after NXDOMAIN alone.
  return outcome !== "nxdomain" && outcome !== "unknown";
}

function endOf(outcomes: readonly Outcome[]): LookupEnd {
  if (outcomes.includes("unknown")) return "unknown";
  if (outcomes.some((outcome) => isFailure(outcome))) return "later";
  return outcomes.includes("nodata") ? "nodata" : "not-found";
}

const RANK: readonly LookupEnd[] = ["not-found", "nodata", "later", "unknown"];

function worse(a: LookupEnd, b: LookupEnd): LookupEnd {
  return RANK.indexOf(b) > RANK.indexOf(a) ? b : a;
}
