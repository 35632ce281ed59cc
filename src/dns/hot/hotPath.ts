import { randomInt } from "node:crypto";
import type { Logger } from "#base/log.ts";
import type { Gauge, Metrics } from "#base/metrics.ts";
import { isSubdomain } from "#wire/dns/index.ts";
import {
  type AnswerSink,
  type CachedAnswer,
  type FixedAnswer,
  longestZone,
  type ReadyAnswers,
  type Site,
} from "../core/index.ts";
import { cachedEntry } from "./cachedEntries.ts";
import { sharedClock } from "./clock.ts";
import { type CountedZone, type HotCounters, maxZones } from "./counters.ts";
import { type Eligibility, eligibility } from "./eligibility.ts";
import { tableEntry } from "./entries.ts";
import { cachedField, type HotMemory } from "./layout.ts";
import { MainReader } from "./mainReader.ts";
import { AnswerTable, type TableEntry } from "./table.ts";

/** What the hot path of a port needs. */
export interface HotPathDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The server's name, such as `dns://:53`. */
  readonly server: string;
  /** Milliseconds that the end of cached answers is told in. Default: what threads of the process share. */
  readonly clock?: () => number;
}

/** A thread that answers from the table. */
export interface HotClient {
  readonly control: Int32Array;
  readonly counters: HotCounters;
  /** Is given every table from now on. */
  use(memory: HotMemory): void;
}

/**
 * The answers of one port that are given without its plugins: which server blocks have such, the table with them, and
 * who reads it. Counts go to the plugins that are told of them.
 */
export class HotPath {
  readonly #deps: HotPathDeps;
  readonly #clients = new Map<HotClient, () => void>();
  readonly #clock: () => number;
  readonly #reader: MainReader;
  /** Zones of server blocks by the number that they are counted under; numbers are never given anew. */
  readonly #zones: CountedZone[] = [];
  /** Zones for which no number was left. */
  readonly #uncounted = new Set<string>();
  readonly #enabled: Gauge;
  readonly #endCollecting: () => void;
  /** What plugins know for certain; and apart from it, since it changes with every question, what caches have. */
  #table: AnswerTable;
  #cached: AnswerTable;
  #sites: readonly Site[] = [];
  #ends: (() => void)[] = [];
  #active = false;

  constructor(deps: HotPathDeps) {
    this.#deps = deps;
    this.#clock = deps.clock ?? sharedClock();
    this.#reader = new MainReader(randomInt(1, 2 ** 31), this.#clock);
    [this.#table, this.#cached] = this.#tables();
    this.#reader.use(this.memory);
    this.#enabled = deps.metrics.gauge(
      "podwire_dns_hot_path_enabled",
      "1 for the server blocks whose answers are given without their plugins.",
    );
    const size = deps.metrics.gauge("podwire_dns_hot_path_entries", "Entries of the table of ready answers.");
    const bytes = deps.metrics.gauge("podwire_dns_hot_path_bytes", "Bytes of the table of ready answers.");
    this.#endCollecting = deps.metrics.onCollect(() => {
      this.#tellCounts();
      size.set(this.#table.size + this.#cached.size, { server: deps.server });
      bytes.set(this.#table.bytes + this.#cached.bytes, { server: deps.server });
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

  /** The present tables. */
  get memory(): HotMemory {
    return { fixed: this.#table.memory, cached: this.#cached.memory };
  }

  /** Changes over to other server blocks: publishes theirs, ends the former ones'. */
  use(sites: readonly Site[]): void {
    this.#tellCounts();
    for (const end of this.#ends) end();
    this.#sites = sites;
    this.#uncounted.clear();
    [this.#table, this.#cached] = this.#tables();
    this.#ends = sites.flatMap((site) => this.#publish(site));
    this.#active = this.#ends.length > 0;
    this.#changed();
  }

  /** Adds a thread that reads. Returns its removal, after which it must not read any more. */
  join(client: HotClient): () => void {
    this.#clients.set(client, this.#addReader(client));
    client.use(this.memory);
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

  /** Publishes a block's answers, as far as that may be; returns what ends it. */
  #publish(site: Site): (() => void)[] {
    const { server } = this.#deps;
    const found = eligibility(site);
    const any = found.some(({ allowed }) => allowed);
    for (const zone of site.zones) this.#enabled.set(any ? 1 : 0, { server, zone });
    return found.flatMap((one) => {
      if (one.allowed) return [one.publisher.publish(this.#sink(site, one))];
      this.#refused(site, one);
      return [];
    });
  }

  #refused({ zones }: Site, { publisher, reason }: Eligibility & { readonly allowed: false }): void {
    const { log, server } = this.#deps;
    // A cache speeds up whatever is behind it; who has one need not wonder that it is asked.
    const say = publisher.name === "cache" ? log.debug : log.info;
    say("Every query goes through the plugins", { server, zones: zones.join(), publisher: publisher.name, reason });
  }

  #sink(site: Site, { publisher, shuffles }: Eligibility & { readonly allowed: true }): AnswerSink {
    const [table, cached] = [this.#table, this.#cached];
    const ownerOf = (owner: string) => `${publisher.name} ${site.zones[0]} ${owner}`;
    return {
      put: (owner, answers) =>
        table.put(
          ownerOf(owner),
          answers.flatMap((answer) => this.#entry(site, publisher.name, shuffles, answer) ?? []),
        ),
      keep: (owner, answer) => {
        const entry = answer && this.#cachedEntry(site, publisher.name, shuffles, answer);
        cached.put(ownerOf(owner), entry ? [entry] : []);
      },
      sinceUse: (owner) => {
        const used = cached.bodyOf(ownerOf(owner))?.getFloat64(cachedField.used, true);
        return used === undefined ? Number.POSITIVE_INFINITY : this.#clock() - used;
      },
    };
  }

  /** The entry of an answer; undefined for a name that falls into another server block. */
  #entry(site: Site, plugin: string, shuffles: boolean, answer: FixedAnswer): TableEntry | undefined {
    const zone = this.#zoneOf(site, answer.name);
    const number = zone === undefined ? maxZones : this.#numberOf({ zone, plugin });
    if (number >= maxZones) return undefined;
    // Names of a zone within this one are not denied here: they belong to another server block.
    const zones = this.#sites.flatMap((one) => one.zones);
    const within = answer.kind === "apex" && zones.some((one) => one !== zone && isSubdomain(one, answer.name));
    return tableEntry(within ? { ...answer, closed: false } : answer, { zone: number, shuffles });
  }

  #cachedEntry(site: Site, plugin: string, shuffles: boolean, answer: CachedAnswer): TableEntry | undefined {
    const zone = this.#zoneOf(site, answer.name);
    const number = zone === undefined ? maxZones : this.#numberOf({ zone, plugin, cached: answer.kind });
    return number >= maxZones ? undefined : cachedEntry(answer, { zone: number, shuffles }, this.#clock());
  }

  /** The zone of a block that a name falls into; undefined when it falls into another block. */
  #zoneOf(site: Site, name: string): string | undefined {
    const zone = longestZone(
      this.#sites.flatMap(({ zones }) => zones),
      name,
    );
    return zone !== undefined && site.zones.includes(zone) ? zone : undefined;
  }

  #numberOf({ zone, plugin, cached }: CountedZone): number {
    const known = this.#zones.findIndex(
      (entry) => entry.zone === zone && entry.plugin === plugin && entry.cached === cached,
    );
    if (known >= 0) return known;
    if (this.#zones.length < maxZones) return this.#zones.push({ zone, plugin, ...(cached && { cached }) }) - 1;
    this.#notCounted(zone);
    return maxZones;
  }

  /** Tells once of a zone with answers that stay with the plugins. */
  #notCounted(zone: string): void {
    if (this.#uncounted.has(zone)) return;
    this.#uncounted.add(zone);
    const { log, server } = this.#deps;
    this.#enabled.set(0, { server, zone });
    const reason = `${maxZones} kinds of answers of zones are counted apart; those of zones that are gone end with a restart`;
    log.warn("Queries go through the plugins", { server, zones: zone, reason });
  }

  #tables(): [AnswerTable, AnswerTable] {
    return [new AnswerTable(() => this.#changed()), new AnswerTable(() => this.#changed())];
  }

  #addReader({ control }: HotClient): () => void {
    const ends = [this.#table.addReader(control), this.#cached.addReader(control)];
    return () => {
      for (const end of ends) end();
    };
  }

  #changed(): void {
    this.#reader.use(this.memory);
    for (const [client, remove] of this.#clients) {
      remove();
      this.#clients.set(client, this.#addReader(client));
      client.use(this.memory);
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
