import type { Logger } from "#base/log.ts";
import { Rcode, tryParseName } from "#wire/dns/index.ts";
import { chain, type Instance, makeReply, type Plugin, type SetupContext, type Site } from "./core/index.ts";
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
  for (const block of blocks) {
    const byPort = new Map<number, string[]>();
    for (const token of block.keys) {
      const { zones, port } = readKey(token, deps.defaultPort);
      for (const zone of zones) {
        const place = `${zone} on port ${port}`;
        const before = taken.get(place);
        if (before) throw new CorefileError(token, `zone ${place} is already defined at ${before.file}:${before.line}`);
        taken.set(place, token);
      }
      byPort.set(port, [...(byPort.get(port) ?? []), ...zones]);
    }
    for (const [port, zones] of byPort) sites.push(await siteOf(block, zones, port, deps));
  }
  return sites;
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
  const server = `dns://:${port}`;
  const plugins: Plugin[] = [];
  const used: Directive[] = [];
  refuseUnknown(block.directives);
  for (const entry of pluginOrder) {
    const directives = block.directives.filter(({ name }) => name === entry.name);
    refuseRepetition(entry, directives);
    if (directives.length === 0) continue;
    const { setup } = await entry.load();
    for (const directive of directives) {
      const { directory, environment, instance, now, log } = deps;
      used.push(directive);
      plugins.push(
        setup(directive, {
          log: log.child(`plugin/${entry.name}`),
          zones,
          server,
          directory,
          environment,
          instance,
          now,
        }),
      );
    }
  }
  // As CoreDNS: a name that no plugin wanted is a failure of the configuration. Without any plugin it refuses.
  const answers = plugins.some((plugin) => plugin.handle !== undefined);
  const last = () => makeReply("", { rcode: answers ? Rcode.SERVFAIL : Rcode.REFUSED });
  return { zones, plugins, directives: used, port, handler: chain(plugins, last) };
}

function refuseUnknown(directives: readonly Directive[]): void {
  for (const { name, at } of directives) {
    if (pluginOrder.some((entry) => entry.name === name)) continue;
    const allowed = pluginOrder.map((entry) => entry.name).join(", ");
    const what = foreignPlugins.has(name)
      ? `plugin ${name} of CoreDNS is not part of this server`
      : `unknown plugin ${name}`;
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
