import { readFileSync } from "node:fs";
import type { Logger } from "#base/log.ts";
import { Rcode, tryParseName } from "#wire/dns/index.ts";
import {
  chain,
  type Instance,
  makeReply,
  type Plugin,
  type Setup,
  type SetupContext,
  type Site,
  serverName,
  type TcpTimeouts,
} from "./core/index.ts";
import {
  CorefileError,
  type Directive,
  integer,
  type Location,
  type ServerBlock,
  type Token,
  zonesOf,
} from "./corefile/index.ts";
import { foreignPlugins, type PluginEntry, pluginOrder } from "./plugins/order.ts";

/** A server block made ready: its site, and the port that it is served on. */
export interface ConfiguredSite extends Site {
  readonly port: number;
  /** Addresses to listen on; "" is all. */
  readonly addresses: readonly string[];
  readonly tcpTimeouts: TcpTimeouts;
  /** The directive of each plugin, in the order of `plugins`. */
  readonly directives: readonly Directive[];
}

/** What makes sites from server blocks. */
export interface ConfigurationDeps {
  readonly log: Logger;
  readonly defaultPort: number;
  readonly directory: string;
  readonly environment: SetupContext["environment"];
  readonly instance: Instance;
  readonly now: () => number;
  /** Makes a plugin with its setup. Absent: calls it. */
  readonly setUp?: (setup: Setup, directive: Directive, context: SetupContext) => Plugin;
}

interface Key {
  readonly zones: readonly string[];
  readonly port: number;
}

/**
 * Sets up the plugins of all server blocks. A block with keys for several ports is set up once for each.
 * @throws CorefileError for wrong keys, unknown plugins, wrong directives, a zone named twice on a port
 */
export async function configure(blocks: readonly ServerBlock[], deps: ConfigurationDeps): Promise<ConfiguredSite[]> {
  const taken = new Map<string, Location>();
  const sites: ConfiguredSite[] = [];
  const debugging = blocks.some(({ directives }) => directives.some(({ name }) => name === "debug"));
  const log = debugging ? withDebug(deps.log) : deps.log;
  for (const block of blocks) {
    const byPort = new Map<number, Map<string, Token>>();
    for (const token of block.keys) {
      const { zones, port } = readKey(token, deps.defaultPort);
      const places = byPort.get(port) ?? new Map<string, Token>();
      byPort.set(port, places);
      for (const zone of zones) {
        const before = places.get(zone);
        if (before) throw definedTwice(zone, `port ${port}`, token, before);
        places.set(zone, token);
      }
    }
    for (const [port, places] of byPort) {
      const site = await siteOf(block, [...places.keys()], port, { ...deps, log });
      for (const address of site.addresses) {
        for (const [zone, token] of places) {
          const place = address === "" ? `port ${port}` : `port ${port} of ${address}`;
          const before = taken.get(`${zone} ${place}`);
          if (before) throw definedTwice(zone, place, token, before);
          taken.set(`${zone} ${place}`, token);
        }
      }
      sites.push(site);
    }
  }
  return sites;
}

function definedTwice(zone: string, place: string, at: Location, before: Location): CorefileError {
  return new CorefileError(at, `zone ${zone} on ${place} is already defined at ${before.file}:${before.line}`);
}

/** A log that writes debug messages too, whatever the program's level is. */
function withDebug(log: Logger): Logger {
  return { ...log, debug: log.info, child: (name) => withDebug(log.child(name)) };
}

/** Reads `[dns://]ZONE[:PORT]` or `:PORT`; the zone may be a network in CIDR form. */
function readKey(token: Token, defaultPort: number): Key {
  const [, scheme, rest] = /^(?:([a-z0-9]+):\/\/)?(.*)$/.exec(token.text) as unknown as [
    string,
    string | undefined,
    string,
  ];
  if (scheme !== undefined && scheme !== "dns") {
    throw new CorefileError(token, `serving ${scheme}:// is not supported; allowed: dns://`);
  }
  const [, zone, portText] = /^(.*?)(?::(\d+))?$/.exec(rest) as unknown as [string, string, string | undefined];
  const port = portText === undefined ? defaultPort : integer(portText, token, "port", 0, 65535);
  if (zone === "") return { zones: ["."], port };
  if (!zone.includes("/") && (zone.includes(":") || tryParseName(zone) === undefined)) {
    throw new CorefileError(
      token,
      `${JSON.stringify(token.text)} is no server block key; expected ZONE[:PORT] such as .:53`,
    );
  }
  return { zones: zonesOf(zone, token), port };
}

async function siteOf(
  block: ServerBlock,
  zones: readonly string[],
  port: number,
  deps: ConfigurationDeps,
): Promise<ConfiguredSite> {
  const server = serverName("", port);
  const plugins: Plugin[] = [];
  const used: Directive[] = [];
  let { directory } = deps;
  refuseUnknown(block.directives);
  for (const entry of pluginOrder) {
    const directives = block.directives.filter(({ name }) => name === entry.name);
    refuseRepetition(entry, directives);
    if (directives.length === 0) continue;
    const { setup } = await entry.load();
    for (const directive of directives) {
      const { environment, instance, now, log, setUp = callSetup } = deps;
      const plugin = setUp(setup, directive, {
        log: log.child(`plugin/${entry.name}`),
        zones,
        server,
        directory,
        readText: (path) => readFileSync(path, "utf8"),
        corefileDirectory: deps.directory,
        servers: () => addressesOf(plugins).map((address) => serverName(address, port)),
        environment,
        instance,
        siblings: () => plugins,
        now,
      });
      directory = plugin.directory ?? directory;
      plugins.push(plugin);
      used.push(directive);
    }
  }
  // As CoreDNS: a name that no plugin wanted is a failure of the configuration. Without any plugin it refuses.
  const answers = plugins.some((plugin) => plugin.handle !== undefined);
  const last = () => makeReply("", { rcode: answers ? Rcode.SERVFAIL : Rcode.REFUSED });
  return {
    zones,
    plugins,
    directives: used,
    port,
    handler: chain(plugins, last),
    anyClass: plugins.some((plugin) => plugin.anyClass),
    addresses: addressesOf(plugins),
    tcpTimeouts: plugins.find((plugin) => plugin.tcpTimeouts)?.tcpTimeouts ?? {},
  };
}

function callSetup(setup: Setup, directive: Directive, context: SetupContext): Plugin {
  return setup(directive, context);
}

/** Addresses to listen on; "" is all. */
function addressesOf(plugins: readonly Plugin[]): readonly string[] {
  const addresses = [...new Set(plugins.flatMap((plugin) => plugin.addresses ?? []))];
  return addresses.length > 0 ? addresses : [""];
}

function refuseUnknown(directives: readonly Directive[]): void {
  for (const { name, at } of directives) {
    if (pluginOrder.some((entry) => entry.name === name)) continue;
    const allowed = pluginOrder.map((entry) => entry.name).join(", ");
    const what = foreignPlugins.has(name)
      ? `plugin ${name} of CoreDNS is not part of this server`
      : `Unknown directive '${name}'`;
    throw new CorefileError(at, `${what}; allowed: ${allowed}`);
  }
}

function refuseRepetition(entry: PluginEntry, directives: readonly Directive[]): void {
  const [first, second] = directives;
  if (!first || !second || entry.repeatable) return;
  throw new CorefileError(
    second.at,
    `${entry.name} is already at line ${first.at.line}; it can be used once per server block`,
  );
}
