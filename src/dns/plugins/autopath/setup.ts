import { resolve } from "node:path";
import { errorMessage } from "#base/errors.ts";
import { isSubdomain, lowerName, Rcode, RecordType, tryParseName } from "#wire/dns/index.ts";
import {
  asking,
  type Handler,
  longestZone,
  type Plugin,
  type Reply,
  type Request,
  type Setup,
  type SetupContext,
} from "../../core/index.ts";
import { CorefileError, noBlock, type Token, zonesOrDefault } from "../../corefile/index.ts";

/**
 * `autopath [ZONES...] @PLUGIN|RESOLV-CONF`: answers a name with the first search domain behind it as the whole search
 * list would end, in one exchange instead of one for each domain. `@kubernetes` knows the search list of each pod.
 */
export const setup: Setup = (directive, context) => {
  const { zones, siblings, instance } = context;
  noBlock(directive);
  const source = directive.args.at(-1);
  if (!source)
    throw new CorefileError(directive.at, "no resolv-conf specified; expected: autopath [ZONES...] @kubernetes");
  const own = zonesOrDefault(directive.args.slice(0, -1), zones);
  const successes = instance.metrics.counter(
    "coredns_autopath_success_total",
    "Counter of requests that did autopath.",
  );
  const asked = source.text.startsWith("@") ? source.text.slice(1) : undefined;
  const search = asked === undefined ? searchList(source, context) : undefined;
  const searchOf = (request: Request): readonly string[] | undefined => {
    if (asked === undefined) return search;
    const plugin = siblings().find((other): other is Plugin => other.name === asked);
    return plugin?.searchPath?.(request);
  };
  return {
    name: "autopath",
    start: async () => {
      const plugin = siblings().find((other) => other.name === asked);
      if (plugin && !plugin.searchPath) throw new Error(`${asked} does not implement the AutoPather interface`);
    },
    handle: (request, next) => {
      if (longestZone(own, request.name) === undefined) return next(request);
      const domains = searchOf(request);
      const first = domains?.[0];
      if (!domains || first === undefined || request.name === first || !isSubdomain(request.name, first))
        return next(request);
      return walk(request, next, domains, () => successes.inc({ server: request.server, view: "" }));
    },
  };
};

/** Asks for each domain in turn, and for the bare name at last, until one exists; if none does, for the first one's answer. */
async function walk(request: Request, next: Handler, domains: readonly string[], success: () => void): Promise<Reply> {
  const { question } = request;
  const bare = question.name.slice(0, -(domains[0] as string).length);
  let first: Reply | undefined;
  for (const domain of [...domains, "."]) {
    const name = tryParseName(domain === "." ? bare : `${bare}${domain}`);
    if (name === undefined) continue; // too long to be a name: it cannot exist
    const reply = await next(asking(request, { ...question, name }));
    first ??= reply;
    if (reply.rcode === Rcode.NXDOMAIN) continue;
    success();
    return { ...withAlias(reply, question.name), plugin: reply.plugin };
  }
  return first ?? (await next(request));
}

/** The answer under the name that was asked: an alias leads from it to the name that exists. */
function withAlias(reply: Reply, asked: string): Reply {
  const found = reply.answers.find((record) => lowerName(record.name) !== lowerName(asked));
  if (!found) return reply;
  const alias = {
    name: asked,
    type: RecordType.CNAME,
    class: found.class,
    ttl: found.ttl,
    data: { kind: "name", target: found.name },
  } as const;
  return { ...reply, answers: [alias, ...reply.answers] };
}

/** The search list of a file in the form of resolv.conf. */
function searchList(token: Token, { directory, readText }: SetupContext): string[] {
  let text: string;
  try {
    text = readText(resolve(directory, token.text));
  } catch (error) {
    throw new CorefileError(token, `failed to parse ${JSON.stringify(token.text)}: ${errorMessage(error)}`);
  }
  return searchDomains(text);
}

/** Domains of the last `search` or `domain` line of a resolv.conf, absolute and in lower case (resolv.conf(5)). */
export function searchDomains(resolvConf: string): string[] {
  const lines = resolvConf.split("\n").map((line) => /^\s*(?:search|domain)\s+(.*)$/.exec(line)?.[1]);
  const last = lines.findLast((line) => line !== undefined) ?? "";
  return last
    .split(/\s+/)
    .flatMap((domain) => (domain === "" ? [] : (tryParseName(domain) ?? [])))
    .map(lowerName)
    .filter((domain) => domain !== ".");
}
