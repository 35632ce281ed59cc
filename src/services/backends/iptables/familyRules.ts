import type { Frontend, NodeView } from "../../model/index.ts";
import { CANARY, type FamilyLayout, nodePortRules } from "./layout.ts";
import { missingJumps, type Saved, staleChains } from "./saved.ts";
import { type ServicePort, servicePorts } from "./servicePort.ts";
import {
  type Dispatch,
  dispatchChains,
  dispatchRules,
  type RuleStyle,
  type ServiceChain,
  serviceChains,
  type Table,
} from "./serviceRules.ts";

/** Above so many endpoints rules go without comments for each of them (kube-proxy's large cluster mode). */
const LARGE = 1000;

/** The chain whose last rules are those for NodePorts. */
const WITH_NODE_PORTS = "nat KUBE-SERVICES";

interface Entry {
  readonly ports: readonly ServicePort[];
  readonly dispatch: readonly Dispatch[];
  readonly endpoints: number;
}

/** What to hand to iptables-restore. */
export interface RestoreInput {
  readonly text: string;
  /** Rules written, by table. */
  readonly rules: Readonly<Record<Table, number>>;
  readonly isFull: boolean;
}

/**
 * The wanted rules of one family, and which of them still have to be written. Chains of a Service are written again
 * when the Service changes; chains that all share, when a rule in them does.
 */
export class FamilyRules {
  readonly layout: FamilyLayout;
  readonly #services = new Map<string, Entry>();
  /** Services whose chains have to be written. */
  readonly #dirty = new Set<string>();
  /** Shared chains that have to be written, as `table chain`. */
  readonly #dirtyPlaces = new Set<string>();
  /** Names of each Service's chains that are in the kernel. */
  readonly #written = new Map<string, readonly string[]>();
  /** The same after what was planned last. */
  readonly #planned = new Map<string, readonly string[]>();
  #nodePorts: readonly string[] = [];
  #endpoints = 0;
  /** What is really there: everything has to be written. */
  #saved: Saved | undefined;

  constructor(layout: FamilyLayout) {
    this.layout = layout;
  }

  /** How many rules there are when all is written. */
  get services(): number {
    return this.#services.size;
  }

  setNode(node: NodeView): void {
    const rules = nodePortRules(this.layout, node);
    if (rules.join("\n") !== this.#nodePorts.join("\n")) this.#dirtyPlaces.add(WITH_NODE_PORTS);
    this.#nodePorts = rules;
  }

  setService(service: string, frontends: readonly Frontend[]): void {
    const before = this.#services.get(service);
    const ports = servicePorts(frontends, this.layout.family);
    if (!before && ports.length === 0) return;
    const endpoints = ports.reduce((sum, { cluster, local }) => sum + Math.max(cluster.length, local.length), 0);
    const after: Entry = { ports, dispatch: ports.map(dispatchRules), endpoints };
    for (const place of places()) {
      if (rulesAt(before, place).join("\n") !== rulesAt(after, place).join("\n")) this.#dirtyPlaces.add(place);
    }
    this.#endpoints += endpoints - (before?.endpoints ?? 0);
    this.#dirty.add(service);
    if (ports.length) this.#services.set(service, after);
    else this.#services.delete(service);
  }

  /** Takes what is really there: the next plan writes everything and removes what is too much. */
  adopt(saved: Saved): void {
    this.#saved = saved;
  }

  /** What has to be written; undefined when everything is there. */
  plan(): RestoreInput | undefined {
    const saved = this.#saved;
    if (!saved && this.#dirty.size + this.#dirtyPlaces.size === 0) return undefined;
    const style: RuleStyle = { ...this.layout.style, isLarge: this.#endpoints > LARGE };
    const chains = this.#plannedChains(saved ? this.#services.keys() : this.#dirty, style);
    const wanted = new Set(chains.map(({ name }) => name));
    const former = [...this.#planned.keys()].flatMap((service) => this.#written.get(service) ?? []);
    const gone = saved
      ? staleChains(saved, (chain) => wanted.has(chain))
      : former.filter((chain) => !wanted.has(chain));
    const filter = new TableText("filter");
    const nat = new TableText("nat");
    if (saved) this.#addFixed(saved, { filter, nat });
    for (const place of saved ? places() : this.#dirtyPlaces) {
      const [table, chain = ""] = place.split(" ");
      (table === "nat" ? nat : filter).chain(chain, this.#rulesOf(place));
    }
    for (const { name, rules } of chains) nat.chain(name, rules);
    for (const chain of gone) nat.remove(chain);
    const canary = saved ? `*mangle\n:${CANARY} - [0:0]\nCOMMIT\n` : "";
    // First filter: a Service that gets its first endpoint is no longer refused when table nat leads to it.
    const text = `${canary}${filter.text()}${nat.text()}`;
    return { text, rules: { filter: filter.count, nat: nat.count }, isFull: saved !== undefined };
  }

  /** What was planned is in the kernel now. */
  applied(): void {
    if (this.#saved) this.#written.clear();
    for (const [service, chains] of this.#planned) {
      if (chains.length) this.#written.set(service, chains);
      else this.#written.delete(service);
    }
    this.#planned.clear();
    this.#dirty.clear();
    this.#dirtyPlaces.clear();
    this.#saved = undefined;
  }

  #plannedChains(services: Iterable<string>, style: RuleStyle): ServiceChain[] {
    this.#planned.clear();
    const all: ServiceChain[] = [];
    for (const service of services) {
      const chains = (this.#services.get(service)?.ports ?? []).flatMap((port) => serviceChains(port, style));
      this.#planned.set(
        service,
        chains.map(({ name }) => name),
      );
      for (const chain of chains) all.push(chain);
    }
    return all;
  }

  #addFixed(saved: Saved, tables: Readonly<Record<Table, TableText>>): void {
    for (const table of ["filter", "nat"] as const) {
      tables[table].chain(CANARY, []);
      for (const [chain, rules] of this.layout.fixed[table]) tables[table].chain(chain, rules);
    }
    for (const { table, from, rule } of missingJumps(saved, this.layout.jumps)) tables[table].insert(from, rule);
  }

  #rulesOf(place: string): string[] {
    const rules: string[] = [];
    for (const entry of this.#services.values()) for (const rule of rulesAt(entry, place)) rules.push(rule);
    return place === WITH_NODE_PORTS ? [...rules, ...this.#nodePorts] : rules;
  }
}

function rulesAt(entry: Entry | undefined, place: string): string[] {
  return (entry?.dispatch ?? []).flatMap((dispatch) => dispatch.get(place) ?? []);
}

function places(): string[] {
  return (["filter", "nat"] as const).flatMap((table) => dispatchChains[table].map((chain) => `${table} ${chain}`));
}

/** Lines of a table for iptables-restore: chains (made, or emptied), rules, and what goes. */
class TableText {
  readonly #table: Table;
  readonly #chains: string[] = [];
  readonly #rules: string[] = [];
  readonly #removals: string[] = [];

  constructor(table: Table) {
    this.#table = table;
  }

  get count(): number {
    return this.#rules.length;
  }

  chain(name: string, rules: readonly string[]): void {
    this.#chains.push(`:${name} - [0:0]`);
    for (const rule of rules) this.#rules.push(`-A ${name} ${rule}`);
  }

  insert(chain: string, rule: string): void {
    this.#rules.push(`-I ${chain} ${rule}`);
  }

  remove(chain: string): void {
    // A chain can go only when it is empty, which its line sees to.
    this.#chains.push(`:${chain} - [0:0]`);
    this.#removals.push(`-X ${chain}`);
  }

  text(): string {
    if (this.#chains.length === 0) return "";
    const lines = [`*${this.#table}`, ...this.#chains, ...this.#rules, ...this.#removals, "COMMIT"];
    return `${lines.join("\n")}\n`;
  }
}
