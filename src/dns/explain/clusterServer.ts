import { isIP } from "node:net";
import type { Client } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import {
  addressText,
  isSubdomain,
  query,
  Rcode,
  RecordClass,
  RecordType,
  type ResourceRecord,
  rcodeName,
} from "#wire/dns/index.ts";
import { type ConfiguredSite, configure } from "../configuration.ts";
import {
  Answerer,
  chain,
  type Handler,
  type Instance,
  makeReply,
  type Plugin,
  type Reply,
  type Setup,
  type SetupContext,
} from "../core/index.ts";
import {
  type Directive,
  parseCorefile,
  type ServerBlock,
  type Token,
  zonesOf,
  zonesOrDefault,
} from "../corefile/index.ts";
import type { Outcome, QueryType, ServerAnswer } from "./lookup.ts";
import type { ServerSurroundings } from "./podFiles.ts";

/** Plugins whose answers come from elsewhere: other servers, or files of their pod. */
const ELSEWHERE: ReadonlySet<string> = new Set(["forward", "proxy", "file", "auto"]);

/** Properties that say how others are reached. */
const CREDENTIALS: Readonly<Record<string, readonly string[]>> = {
  forward: ["tls"],
  kubernetes: ["endpoint", "tls", "kubeconfig"],
};

/** Plugins that change nothing of what is answered, but have a life of their own. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(["cache", "loop", "loadbalance", "log", "errors", "prometheus"]);

/** Who asks where nobody is named: plugins that look at clients (acl) see the pod network's first address. */
const SOMEBODY = "10.244.0.1";

/** How a cluster's server is set up. */
export interface ClusterServerOptions extends Partial<ServerSurroundings> {
  /** Name of the Corefile in messages. */
  readonly file: string;
  readonly text: string;
  /** The API; closed by {@link ClusterServer.stop}. */
  readonly connect: () => Promise<Client>;
  /** The client's address. */
  readonly peer?: string;
}

/**
 * A cluster's DNS server as its Corefile says, without its ports: the same plugins over the same API. What it would ask
 * others is not asked.
 */
export class ClusterServer {
  readonly #sites: readonly ConfiguredSite[];
  readonly #answerer: Answerer;
  readonly #peer: string;

  private constructor(sites: readonly ConfiguredSite[], answerer: Answerer, peer = SOMEBODY) {
    this.#sites = sites;
    this.#answerer = answerer;
    this.#peer = peer;
  }

  /** Sets up a Corefile; resolves when its kubernetes plugins know the cluster. @throws CorefileError */
  static async start(options: ClusterServerOptions): Promise<ClusterServer> {
    const { file, text, connect, environment = {}, readImport, addresses = [], peer } = options;
    const { directory = "/nonexistent", readText = () => undefined } = options;
    const answerer = new Answerer("dns://:53", [], () => performance.now());
    const instance: Instance = {
      metrics: new Metrics(),
      http: { serve: async () => async () => {} },
      resolve: (request) => answerer.resolve(request),
      notReady: () => [],
      troubles: () => [],
      corefileText: text,
      readCorefile: async () => text,
      reload: async () => {},
      fatal: () => {},
      connectApi: connect,
      addresses,
      listening: () => [],
    };
    const blocks = parseCorefile(file, text, { environment, ...(readImport && { readImport }) });
    const sites = await configure(blocks.map(withoutCredentials), {
      log: createLogger("dns", { write: () => {} }),
      defaultPort: 53,
      directory,
      setUp: (setup, directive, context) => setUp(setup, directive, context, readText),
      environment,
      instance,
      now: () => performance.now(),
    });
    const served = sites.filter(({ port }) => port === 53);
    answerer.use(served.map((site) => ({ ...site, handler: handlerOf(site) })));
    const server = new ClusterServer(served, answerer, peer);
    await Promise.all(server.#kubernetes().map(async (plugin) => await plugin.start?.()));
    await Promise.all(server.#kubernetes().map(async (plugin) => await plugin.settled?.()));
    return server;
  }

  /** The zones of its kubernetes plugins. */
  get clusterZones(): readonly string[] {
    return this.#sites.flatMap(({ directives, zones }) =>
      directives.filter(({ name }) => name === "kubernetes").flatMap(({ args }) => [...zonesOrDefault(args, zones)]),
    );
  }

  /** What it says to a question. @param name absolute */
  async ask(name: string, type: QueryType): Promise<ServerAnswer> {
    const question = { name, type: RecordType[type], class: RecordClass.IN };
    const lower = name.toLowerCase();
    const peer = { address: this.#peer, port: 53_000, protocol: "udp" } as const;
    const request = { message: query(1, question), question, name: lower, peer, server: "dns://:53", zone: "." };
    try {
      return this.#answerOf(await this.#answerer.resolve(request), lower);
    } catch (error) {
      if (error instanceof AskedElsewhere) return elsewhere(error);
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#kubernetes().map(async (plugin) => await plugin.stop?.()));
  }

  #kubernetes(): Plugin[] {
    return this.#sites.flatMap(({ plugins }) => plugins.filter(({ name }) => name === "kubernetes"));
  }

  #answerOf(reply: Reply, name: string): ServerAnswer {
    const records = reply.answers.filter(({ type }) => type !== RecordType.CNAME);
    const directive = this.#directiveOf(reply.plugin, name);
    const ttl = Math.min(...reply.answers.map((record) => record.ttl));
    const alias = reply.answers.flatMap(({ data }) => (data.kind === "name" ? [data.target] : [])).at(-1);
    return {
      outcome: outcomeOf(reply, records.length > 0),
      records: records.map(dataText),
      ...(alias !== undefined && { alias }),
      ...(reply.answers.length > 0 && { ttl }),
      ...(reply.plugin !== "" && { plugin: reply.plugin }),
      ...(directive && { at: directive.at }),
      ...(reply.plugin === "" && reply.rcode !== Rcode.NOERROR && { because: withoutPlugin(reply.rcode) }),
    };
  }

  /** The directive by which a plugin stands in the server block that a name falls into. */
  #directiveOf(plugin: string, name: string): Directive | undefined {
    const fitting = this.#sites
      .flatMap((site) => site.zones.filter((zone) => isSubdomain(name, zone)).map((zone) => ({ site, zone })))
      .sort((a, b) => b.zone.length - a.zone.length)[0];
    return fitting?.site.directives.find((directive) => directive.name === plugin);
  }
}

/** Nobody is asked by TLS here, and the API is reached as the explainer does: the credentials lie in the server's pod. */
function withoutCredentials(block: ServerBlock): ServerBlock {
  const directives = block.directives.map((directive) => {
    const left = CREDENTIALS[directive.name];
    return left && directive.block
      ? { ...directive, block: directive.block.filter(({ name }) => !left.includes(name)) }
      : directive;
  });
  return { ...block, directives };
}

/** Sets up a plugin with the files of the server's pod. One that needs a file which is not known is asked elsewhere. */
function setUp(
  setup: Setup,
  directive: Directive,
  context: SetupContext,
  known: ServerSurroundings["readText"],
): Plugin {
  const { name } = directive;
  // They would look for their files on this machine.
  if (name === "file" || name === "auto") return askedElsewhere(name, directive);
  let missing: string | undefined;
  const readText = (path: string): string => {
    const text = known(path);
    if (text !== undefined) return text;
    missing = path;
    throw new Error(`${path} is in the server's pod`);
  };
  try {
    return setup(directive, { ...context, readText });
  } catch (error) {
    if (missing === undefined) throw error;
    return askedElsewhere(name, directive, missing);
  }
}

/** A plugin was met whose answer is not here to be had. */
class AskedElsewhere extends Error {
  readonly directive: Directive;
  /** The file that is not known, if that is why. */
  readonly file: string | undefined;

  constructor(directive: Directive, file?: string) {
    super(`asked ${directive.name}`);
    this.directive = directive;
    this.file = file;
  }
}

/** The plugins that decide, in their order. */
function handlerOf({ plugins, directives }: ConfiguredSite): Handler {
  const deciding = plugins.flatMap((plugin, index): Plugin[] => {
    const directive = directives[index] as Directive;
    if (WITHOUT_EFFECT.has(directive.name)) return [];
    if (directive.name === "hosts" && directive.args.length) return [withUnreadFile(plugin, directive)];
    return ELSEWHERE.has(directive.name) ? [askedElsewhere(plugin.name, directive)] : [plugin];
  });
  const answers = plugins.some((plugin) => plugin.handle !== undefined);
  return chain(deciding, () => makeReply("", { rcode: answers ? Rcode.SERVFAIL : Rcode.REFUSED }));
}

function askedElsewhere(name: string, directive: Directive, file?: string): Plugin {
  return {
    name,
    handle: (request, next) => {
      if (!takes(directive, request.name, request.zone)) return next(request);
      throw new AskedElsewhere(directive, file);
    },
  };
}

/** A hosts plugin whose file lies in the server's pod: what its own entries do not answer is up to that file. */
function withUnreadFile(plugin: Plugin, directive: Directive): Plugin {
  const unknown = (): never => {
    throw new AskedElsewhere(directive);
  };
  return {
    name: plugin.name,
    handle: async (request, next) => {
      if (!takes(directive, request.name, request.zone)) return await next(request);
      const reply = await plugin.handle?.(request, unknown);
      return reply?.answers.length ? reply : unknown();
    },
  };
}

/** Whether a plugin that asks elsewhere is for a name (lower case). */
function takes({ name, args, block }: Directive, asked: string, siteZone: string): boolean {
  const words = zoneWords(name, args);
  const zones = words.length ? words.flatMap((token) => zonesOf(token.text, token)) : [siteZone];
  const except = (block ?? [])
    .filter((property) => property.name === "except")
    .flatMap((property) => property.args.flatMap((token) => zonesOf(token.text, token)));
  const isIn = (zone: string) => isSubdomain(asked, zone);
  return zones.includes(asked) || (zones.some(isIn) && !except.some(isIn));
}

/** The words of a directive that are zones. */
function zoneWords(name: string, args: readonly Token[]): readonly Token[] {
  if (name === "file" || name === "hosts") return args.slice(1);
  if (name === "autopath") return args.slice(0, -1);
  return name === "auto" || name === "acl" ? args : args.slice(0, 1);
}

function elsewhere({ directive, file }: AskedElsewhere): ServerAnswer {
  const targets = directive.args.slice(1).map(({ text }) => text);
  const isForward = !["file", "auto", "hosts", "acl", "autopath"].includes(directive.name);
  const because = !isForward
    ? `a file of the server's decides: ${file ?? directive.args[0]?.text ?? "auto"}`
    : `it is asked of ${targets.map((text) => (isIP(text) ? text : `the servers of ${text}`)).join(", ")}`;
  return { outcome: "unknown", records: [], plugin: directive.name, at: directive.at, because };
}

function outcomeOf({ rcode }: Reply, hasRecords: boolean): Outcome {
  if (rcode === Rcode.NXDOMAIN) return "nxdomain";
  if (rcode === Rcode.REFUSED) return "refused";
  if (rcode !== Rcode.NOERROR) return "servfail";
  return hasRecords ? "records" : "nodata";
}

function withoutPlugin(rcode: number): string {
  return rcode === Rcode.REFUSED
    ? "no server block of the Corefile is for this name"
    : `no plugin of the Corefile is for this name: ${rcodeName(rcode)}`;
}

function dataText({ data }: ResourceRecord): string {
  if (data.kind === "name") return data.target;
  return data.kind === "address" ? addressText(data.address) : "";
}
