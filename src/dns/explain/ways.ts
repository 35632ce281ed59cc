import type { Candidate } from "./candidates.ts";
import type { AskServer, Outcome, Query, QueryType } from "./lookup.ts";
import type { ResolverSettings, Tool } from "./resolvConf.ts";

/** How names are asked for. */
export interface Rules {
  readonly settings: ResolverSettings;
  readonly tool: Tool;
  readonly ask: AskServer;
  /** Whether SERVFAIL ends it: `fail` of BIND's tools. */
  readonly stopsAtServfail: boolean;
  /** Which server is the first one to be asked, counted from 0; `rotate` adds one for each name. */
  readonly firstServer: number;
}

/** What a tool asks for. */
const TYPES: Readonly<Record<Tool, readonly QueryType[]>> = {
  glibc: ["A", "AAAA"],
  musl: ["A", "AAAA"],
  nslookup: ["A", "AAAA"],
  host: ["A", "AAAA", "MX"],
  dig: ["A"],
};

/** Seconds in which the kernel gives up a connection that nobody answers (tcp_syn_retries); glibc waits no less. */
const CONNECT_SECONDS = 127;
/** How often musl asks again at once after SERVFAIL, in each attempt, for each type (servfail_retry). */
const SERVFAIL_AGAIN = 2;

/** All that is sent for one name, in order. */
export function askAbout(candidate: Candidate, rules: Rules): Promise<Query[]> {
  if (rules.tool === "glibc") return askServersInTurn(candidate, rules);
  if (rules.tool === "musl") return askServersAtOnce(candidate, rules);
  return askTypesInTurn(candidate, rules);
}

/** Whether a server could not say. */
export function isFailure(outcome: Outcome): boolean {
  return outcome === "servfail" || outcome === "refused" || outcome === "unreachable" || outcome === "silent";
}

/** glibc: both families of one server, then of the next; all again when none could say (res_nsend). */
async function askServersInTurn(candidate: Candidate, rules: Rules): Promise<Query[]> {
  const { settings } = rules;
  const { nameservers, attempts } = settings;
  const overTcp = settings.options.includes("use-vc");
  const queries: Query[] = [];
  for (let turn = 0; turn < nameservers.length; turn++) {
    const place = (turn + rules.firstServer) % nameservers.length;
    const asked = await askBoth(candidate, nameservers[place] as string, rules);
    queries.push(...waiting(asked, overTcp ? CONNECT_SECONDS : secondsFor(place, settings)));
    const outcomes = asked.map(({ outcome }) => outcome);
    // What comes over TCP counts, whatever it says (send_vc).
    const isAnswer = overTcp ? !outcomes.some(isNoAnswer) : !outcomes.some(isFailure);
    if (isAnswer) return queries;
  }
  // Over TCP there is one attempt.
  return overTcp ? queries : queries.map((query) => again(query, attempts));
}

/** Both families; with single-request the second one only when the first was answered. */
async function askBoth(candidate: Candidate, server: string, rules: Rules): Promise<Query[]> {
  const { options } = rules.settings;
  const types = options.includes("no-aaaa") ? TYPES.glibc.slice(0, 1) : TYPES.glibc;
  const first = await askOne(candidate, server, types[0] as QueryType, rules);
  const oneByOne = options.some((option) => option.startsWith("single-request")) && !options.includes("use-vc");
  if (oneByOne && isFailure(first.outcome)) return [first];
  return [first, ...(await Promise.all(types.slice(1).map((type) => askOne(candidate, server, type, rules))))];
}

/** glibc's time for a server by its place in the file: they share the doubled time (send_dg). */
function secondsFor(place: number, { nameservers, timeoutSeconds }: ResolverSettings): number {
  const seconds = timeoutSeconds * 2 ** place;
  return Math.max(1, place === 0 ? seconds : Math.floor(seconds / nameservers.length));
}

/** Queries of the same moment wait together: the first that is silent says how long. */
function waiting(queries: readonly Query[], seconds: number): Query[] {
  const silent = queries.findIndex(({ outcome }) => outcome === "silent");
  return queries.map((query, index) => (index === silent ? { ...query, waitSeconds: seconds } : query));
}

function again(query: Query, times: number): Query {
  return { ...query, times: query.times * times, waitSeconds: query.waitSeconds * times };
}

/** musl: each question to all servers at once; the first answer that is no failure counts (__res_msend_rc). */
async function askServersAtOnce(candidate: Candidate, rules: Rules): Promise<Query[]> {
  const { nameservers, attempts, timeoutSeconds } = rules.settings;
  const ofTypes = await Promise.all(
    TYPES.musl.map((type) => Promise.all(nameservers.map((server) => askOne(candidate, server, type, rules)))),
  );
  if (!ofTypes.some((asked) => asked.every(({ outcome }) => isFailure(outcome))))
    // What counts comes last, as outcomesOf() has it.
    return ofTypes.flatMap((asked) =>
      asked.sort((a, b) => Number(!isFailure(a.outcome)) - Number(!isFailure(b.outcome))),
    );
  // Failures are no answers: within the time-out each attempt asks anew, and after SERVFAIL at once, four times in all.
  const queries = ofTypes.flat();
  const failed = queries.filter(({ outcome }) => outcome === "servfail");
  const more = SERVFAIL_AGAIN * TYPES.musl.length;
  const share = (query: Query) => {
    const place = failed.indexOf(query);
    return place < 0 ? 0 : Math.ceil((more - place) / failed.length);
  };
  return queries.map((query, index) => ({
    ...query,
    times: attempts * (1 + share(query)),
    waitSeconds: index === 0 ? timeoutSeconds : 0,
  }));
}

/**
 * BIND's tools: one type after the other, the next of a name that is there alone; the next server after SERVFAIL unless
 * told to fail. A silent server is asked again, once for each try that is left: the ones after it get one each. nslookup
 * and host follow an alias themselves: further types are asked of the name behind it.
 */
async function askTypesInTurn(candidate: Candidate, rules: Rules): Promise<Query[]> {
  const [first, ...further] = candidate.types ?? TYPES[rules.tool];
  const queries = await askServersFor(first as QueryType, candidate, rules);
  const last = queries.at(-1);
  if (!["records", "nodata", "unknown"].includes(last?.outcome ?? "")) return queries;
  const { domain } = candidate;
  const behind = { name: last?.alias ?? candidate.name, ...(domain !== undefined && { domain }) };
  for (const type of further) queries.push(...(await askServersFor(type, behind, rules)));
  return queries;
}

async function askServersFor(type: QueryType, candidate: Candidate, rules: Rules): Promise<Query[]> {
  const { nameservers, attempts, timeoutSeconds } = rules.settings;
  const queries: Query[] = [];
  let tries = attempts;
  for (const server of nameservers) {
    const query = await askOne(candidate, server, type, rules);
    const isSilent = query.outcome === "silent";
    queries.push(isSilent ? { ...query, times: tries, waitSeconds: tries * timeoutSeconds } : query);
    if (isSilent) tries = 1;
    else if (query.outcome === "servfail" ? rules.stopsAtServfail : query.outcome !== "unreachable") break;
  }
  return queries;
}

async function askOne(candidate: Candidate, server: string, type: QueryType, { ask, settings }: Rules): Promise<Query> {
  const answer = await ask(server, candidate.name, type);
  const { name, domain } = candidate;
  const protocol = settings.options.includes("use-vc") ? "tcp" : "udp";
  const place = { name, type, server, protocol, ...(domain !== undefined && { domain }) } as const;
  return { ...answer, ...place, times: 1, waitSeconds: 0 };
}

/** Whether nothing comes from a server. */
function isNoAnswer(outcome: Outcome): boolean {
  return outcome === "unreachable" || outcome === "silent";
}
