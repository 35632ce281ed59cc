import { createHash } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Client } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import { type ConfiguredSite, configure } from "./configuration.ts";
import { Answerer, type Instance, makeReply, type Plugin, type TcpTimeouts } from "./core/index.ts";
import { type Environment, parseCorefile } from "./corefile/index.ts";
import { HotPath } from "./hot/hotPath.ts";
import { openPort } from "./ports.ts";
import { HttpListeners } from "./transport/http.ts";
import type { Listener } from "./transport/udp.ts";

/** How a server is started. */
export interface ServerOptions {
  /** File of the Corefile. */
  readonly corefile: string;
  /** Text to use instead of the file's; the file's name stays for messages and relative names. */
  readonly corefileText?: string;
  /** For server blocks that name none. Default 53. */
  readonly defaultPort?: number;
  /** Address to listen on. Default: all. */
  readonly host?: string;
  /**
   * Queries a second and port from which on a thread answers what is known in advance; 0: from the first one. Default
   * 500; Infinity: never.
   */
  readonly hotPathFrom?: number;
}

/** What a server needs. */
export interface ServerDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly environment: Environment;
  /** Called when the server cannot go on (a forwarding loop). */
  readonly fatal: (message: string) => void;
  /** Reaches the cluster's API where the Corefile does not say how. Default: as a pod does. */
  readonly connectApi?: () => Promise<Client>;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly now?: () => number;
}

/** A Corefile at work. */
interface Running {
  readonly text: string;
  readonly sites: readonly ConfiguredSite[];
  readonly plugins: readonly Plugin[];
}

/** One address and port: UDP and TCP with the same answers. */
interface Port {
  readonly address: string;
  readonly answerer: Answerer;
  readonly hotPath: HotPath;
  readonly listeners: readonly Listener[];
}

/** Below this rate a thread would cost more than it saves (some 8 MB). */
const hotPathFrom = 500;

/** Addresses of a server block up to which each has a hot path. */
const maxHotAddresses = 4;

/** Longest wait of a reload for plugins that have to catch up, milliseconds (CoreDNS' start-up time-out). */
const settleMs = 5000;

/** A DNS server that runs a Corefile, and changes over to a new one without closing its ports. */
export class DnsServer {
  readonly #options: ServerOptions;
  readonly #deps: ServerDeps;
  readonly #now: () => number;
  readonly #http = new HttpListeners();
  /** By server name, such as `dns://:53`. */
  readonly #ports = new Map<string, Port>();
  #running: Running = { text: "", sites: [], plugins: [] };
  #reloading: Promise<void> | undefined;

  constructor(options: ServerOptions, deps: ServerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
  }

  /** Ports with their DNS listeners open; for a key with port 0 the one that the kernel chose. */
  listening(): { readonly address: string; readonly port: number }[] {
    return [...this.#ports.values()].flatMap(({ address, listeners }) =>
      listeners[0] ? [{ address, port: listeners[0].port }] : [],
    );
  }

  /**
   * Reads the Corefile, starts the plugins and opens the ports. Resolves when DNS is served; ready() may come later.
   * @throws CorefileError, bind errors, or a plugin's reason why it cannot start
   */
  async start(): Promise<void> {
    const next = await this.#prepare(this.#options.corefileText ?? (await this.#readCorefile()));
    try {
      // In this order, as CoreDNS: a port that answers before its plugins know anything would refuse what exists.
      await startAll(next.plugins);
      await this.#openPorts(next.sites);
    } catch (error) {
      await stopAll(next.plugins);
      await this.#closePorts(() => true);
      throw error;
    }
    this.#running = next;
    this.#useSites(next.sites);
    for (const { zones, port } of next.sites) for (const zone of zones) this.#deps.log.info(`Serving ${zone}:${port}`);
    this.#deps.log.info("Running configuration", {
      sha512: createHash("sha512").update(next.text).digest("hex"),
    });
    for (const plugin of next.plugins) plugin.started?.();
  }

  /**
   * Changes over to the Corefile's present content: new plugins are started and caught up before they take over.
   * @throws like start; the old configuration then stays in use
   */
  async reload(): Promise<void> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    await this.#reloading;
  }

  /** Names of plugins that are not ready; empty when all are. */
  notReady(): string[] {
    return waiting(this.#running.plugins);
  }

  /** Serves on for the longest lameduck time, then closes everything. `skipLameduck`: at once. */
  async stop(skipLameduck = false): Promise<void> {
    const lameduckMs = Math.max(0, ...this.#running.plugins.map((plugin) => plugin.lameduckMs ?? 0));
    if (lameduckMs > 0 && !skipLameduck) {
      this.#deps.log.info(`Going into lameduck mode for ${lameduckMs / 1000}s`);
      await new Promise((done) => setTimeout(done, lameduckMs));
    }
    await this.#closePorts(() => true);
    const { plugins } = this.#running;
    this.#running = { text: "", sites: [], plugins: [] };
    await stopAll(plugins);
  }

  async #reload(): Promise<void> {
    this.#deps.log.info("Reloading");
    const next = await this.#prepare(await this.#readCorefile());
    try {
      await startAll(next.plugins);
      await settled(next.plugins);
      await this.#openPorts(next.sites);
    } catch (error) {
      await stopAll(next.plugins);
      throw error;
    }
    const before = this.#running;
    this.#running = next;
    this.#useSites(next.sites);
    await this.#closePorts((name) => !next.sites.some((site) => this.#namesOf(site).includes(name)));
    await stopAll(before.plugins);
    for (const plugin of next.plugins) plugin.started?.();
    this.#deps.log.info("Reloading complete");
  }

  async #prepare(text: string): Promise<Running> {
    const file = resolve(this.#options.corefile);
    const { log, environment } = this.#deps;
    const plugins: Plugin[] = [];
    const blocks = parseCorefile(this.#options.corefile, text, {
      environment,
      readImport: (pattern) => readImports(dirname(file), pattern),
    });
    const sites = await configure(blocks, {
      log,
      defaultPort: this.#options.defaultPort ?? 53,
      directory: dirname(file),
      environment,
      instance: this.#instance(text, plugins),
      now: this.#now,
    });
    plugins.push(...sites.flatMap((site) => site.plugins));
    return { text, sites, plugins };
  }

  /** @param plugins those of this Corefile, filled in once they are set up */
  #instance(corefileText: string, plugins: readonly Plugin[]): Instance {
    const { metrics, fatal, connectApi } = this.#deps;
    return {
      metrics,
      http: this.#http,
      corefileText,
      fatal,
      ...(connectApi && { connectApi }),
      resolve: (request) => this.#ports.get(request.server)?.answerer.resolve(request) ?? makeReply("", { rcode: 2 }),
      notReady: () => waiting(plugins),
      troubles: () =>
        plugins.flatMap((plugin) => (plugin.troubles?.() ?? []).map((text) => `plugin/${plugin.name}: ${text}`)),
      readCorefile: () => this.#readCorefile(),
      reload: () => this.reload(),
      listening: () => this.listening(),
    };
  }

  async #readCorefile(): Promise<string> {
    return await readFile(this.#options.corefile, "utf8");
  }

  /** Names of the servers that a site is part of, one for each address. */
  #namesOf({ addresses, port }: ConfiguredSite): string[] {
    return addresses.map((address) => `dns://${address.includes(":") ? `[${address}]` : address}:${port}`);
  }

  /** Opens the ports that are not open yet; closes those again when one cannot be opened. */
  async #openPorts(sites: readonly ConfiguredSite[]): Promise<void> {
    const opened = new Set<string>();
    try {
      for (const site of sites) {
        for (const [i, name] of this.#namesOf(site).entries()) {
          if (this.#ports.has(name)) continue;
          const address = site.addresses[i] || (this.#options.host ?? "");
          const here = sites.filter((other) => this.#namesOf(other).includes(name));
          const timeouts = Object.assign({}, ...here.map(({ tcpTimeouts }) => tcpTimeouts)) as TcpTimeouts;
          const hotPath = new HotPath({ log: this.#deps.log, metrics: this.#deps.metrics, server: name });
          const answerer = new Answerer(name, here, this.#now, hotPath.answers);
          opened.add(name);
          const listeners = await openPort(address, site.port, {
            answerer,
            hotPath,
            timeouts,
            log: this.#deps.log,
            metrics: this.#deps.metrics,
            startAt: this.#options.hotPathFrom ?? hotPathFrom,
          });
          this.#ports.set(name, { address, answerer, hotPath, listeners });
        }
      }
    } catch (error) {
      await this.#closePorts((name) => opened.has(name));
      throw error;
    }
  }

  #useSites(sites: readonly ConfiguredSite[]): void {
    for (const [name, { answerer, hotPath }] of this.#ports) {
      const own = sites.filter((site) => this.#namesOf(site).includes(name));
      answerer.use(own);
      // Each address has a table of its own: a block at many is answered by its plugins.
      hotPath.use(own.some(({ addresses }) => addresses.length > maxHotAddresses) ? [] : own);
    }
  }

  async #closePorts(which: (name: string) => boolean): Promise<void> {
    for (const [name, { listeners, hotPath }] of this.#ports) {
      if (!which(name)) continue;
      this.#ports.delete(name);
      await Promise.all(listeners.map((listener) => listener.close()));
      hotPath.close();
    }
  }
}

function waiting(plugins: readonly Plugin[]): string[] {
  return plugins.filter((plugin) => plugin.ready?.() === false).map(({ name }) => name);
}

async function startAll(plugins: readonly Plugin[]): Promise<void> {
  const results = await Promise.allSettled(plugins.map(async (plugin) => await plugin.start?.()));
  for (const [i, result] of results.entries()) {
    if (result.status === "rejected") {
      throw new Error(`plugin/${plugins[i]?.name}: ${errorMessage(result.reason)}`, { cause: result.reason });
    }
  }
}

async function stopAll(plugins: readonly Plugin[]): Promise<void> {
  await Promise.allSettled(plugins.map(async (plugin) => await plugin.stop?.()));
}

async function settled(plugins: readonly Plugin[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, settleMs);
  });
  await Promise.race([Promise.allSettled(plugins.map(async (plugin) => await plugin.settled?.())), late]);
  clearTimeout(timer);
}

/** Files of an import pattern, relative to the Corefile's directory, in the order of their names. */
function readImports(directory: string, pattern: string): { readonly file: string; readonly text: string }[] {
  return globSync(pattern, { cwd: directory })
    .sort()
    .map((name) => resolve(directory, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => ({ file, text: readFileSync(file, "utf8") }));
}
