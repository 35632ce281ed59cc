import { randomInt } from "node:crypto";
import type { Logger } from "#base/log.ts";
import type { Gauge, Metrics } from "#base/metrics.ts";
import { isSubdomain } from "#wire/dns/index.ts";
import { type AnswerSink, type FixedAnswer, longestZone, type ReadyAnswers, type Site } from "../core/index.ts";
import { type HotCounters, maxZones } from "./counters.ts";
import { eligibility } from "./eligibility.ts";
import { tableEntry } from "./entries.ts";
import type { TableMemory } from "./layout.ts";
import { MainReader } from "./mainReader.ts";
import { AnswerTable, type TableEntry } from "./table.ts";

/** What the hot path of a port needs. */
export interface HotPathDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The server's name, such as `dns://:53`. */
  readonly server: string;
}

/** A thread that answers from the table. */
export interface HotClient {
  readonly control: Int32Array;
  readonly counters: HotCounters;
  /** Is given every table from now on. */
  use(memory: TableMemory): void;
}

/**
 * The answers of one port that are given without its plugins: which server blocks have such, the table with them, and
 * who reads it. Counts go to the plugins that are told of them.
 */
export class HotPath {
  readonly #deps: HotPathDeps;
  readonly #clients = new Map<HotClient, () => void>();
  readonly #reader = new MainReader(randomInt(1, 2 ** 31));
  /** Zones of server blocks by the number that they are counted under; numbers are never given anew. */
  readonly #zones: { readonly zone: string; readonly plugin: string }[] = [];
  readonly #enabled: Gauge;
  readonly #endCollecting: () => void;
  #table: AnswerTable;
  #sites: readonly Site[] = [];
  #ends: (() => void)[] = [];
  #active = false;

  constructor(deps: HotPathDeps) {
    this.#deps = deps;
    this.#table = new AnswerTable((memory) => this.#changed(memory));
    this.#reader.use(this.#table.memory);
    this.#enabled = deps.metrics.gauge(
      "podwire_dns_hot_path_enabled",
      "1 for the server blocks whose answers are given without their plugins.",
    );
    const size = deps.metrics.gauge("podwire_dns_hot_path_entries", "Entries of the table of ready answers.");
    const bytes = deps.metrics.gauge("podwire_dns_hot_path_bytes", "Bytes of the table of ready answers.");
    this.#endCollecting = deps.metrics.onCollect(() => {
      this.#tellCounts();
      size.set(this.#table.size, { server: deps.server });
      bytes.set(this.#table.bytes, { server: deps.server });
    });
  }

  /** What is answered on this thread. */
  get answers(): ReadyAnswers {
    return this.#reader;
  }

  /** The server's name, such as `dns://:53`. */
  get server(): string {
    return this.#deps.server;
  }

  /** Whether any server block's answers are in the table. */
  get active(): boolean {
    return this.#active;
  }

  /** The present table. */
  get memory(): TableMemory {
    return this.#table.memory;
  }

  /** Changes over to other server blocks: publishes theirs, ends the former ones'. */
  use(sites: readonly Site[]): void {
    this.#tellCounts();
    for (const end of this.#ends) end();
    this.#sites = sites;
    this.#table = new AnswerTable((memory) => this.#changed(memory));
    this.#ends = sites.flatMap((site) => this.#publish(site, this.#table));
    this.#active = this.#ends.length > 0;
    this.#changed(this.#table.memory);
  }

  /** Adds a thread that reads. Returns its removal, after which it must not read any more. */
  join(client: HotClient): () => void {
    this.#clients.set(client, this.#table.addReader(client.control));
    client.use(this.#table.memory);
    return () => {
      this.#tellCounts();
      this.#clients.get(client)?.();
      this.#clients.delete(client);
    };
  }

  close(): void {
    this.#tellCounts();
    for (const end of this.#ends) end();
    this.#endCollecting();
  }

  /** Publishes a block's answers, if that may be; returns what ends it. */
  #publish(site: Site, table: AnswerTable): (() => void)[] {
    const { log, server } = this.#deps;
    const found = eligibility(site);
    for (const zone of site.zones) this.#enabled.set(found.allowed ? 1 : 0, { server, zone });
    if (!found.allowed) {
      // Where nothing could be published anyway, nobody wonders.
      const say = site.plugins.some(({ publish }) => publish) ? log.info : log.debug;
      say("Every query goes through the plugins", { server, zones: site.zones.join(), reason: found.reason });
      return [];
    }
    const { publisher, shuffles } = found;
    const sink: AnswerSink = {
      put: (owner, answers) =>
        table.put(
          `${publisher.name} ${site.zones[0]} ${owner}`,
          answers.flatMap((answer) => this.#entry(site, publisher.name, shuffles, answer) ?? []),
        ),
    };
    return [publisher.publish(sink)];
  }

  /** The entry of an answer; undefined for a name that falls into another server block. */
  #entry(site: Site, plugin: string, shuffles: boolean, answer: FixedAnswer): TableEntry | undefined {
    const zones = this.#sites.flatMap((one) => one.zones);
    const zone = longestZone(zones, answer.name);
    if (zone === undefined || !site.zones.includes(zone)) return undefined;
    const number = this.#numberOf(zone, plugin);
    if (number >= maxZones) return undefined;
    // Names of a zone within this one are not denied here: they belong to another server block.
    const within = answer.kind === "apex" && zones.some((one) => one !== zone && isSubdomain(one, answer.name));
    return tableEntry(within ? { ...answer, closed: false } : answer, { zone: number, shuffles });
  }

  #numberOf(zone: string, plugin: string): number {
    const known = this.#zones.findIndex((entry) => entry.zone === zone && entry.plugin === plugin);
    return known >= 0 ? known : this.#zones.push({ zone, plugin }) - 1;
  }

  #changed(memory: TableMemory): void {
    this.#reader.use(memory);
    for (const [client, remove] of this.#clients) {
      remove();
      this.#clients.set(client, this.#table.addReader(client.control));
      client.use(memory);
    }
  }

  /** Tells plugins what was answered without them. */
  #tellCounts(): void {
    for (const counters of [...this.#reader.counters, ...[...this.#clients.keys()].map((client) => client.counters)]) {
      for (const answers of counters.take(this.#zones)) {
        const site = this.#sites.find(({ zones }) => zones.includes(answers.zone));
        for (const plugin of site?.plugins ?? []) plugin.answeredHot?.({ ...answers, server: this.server });
      }
    }
  }
}
