import type { Frontend, NodeView } from "../../model/index.ts";
import { CANARY, type FamilyLayout, KUBELETS_CHAIN, nodePortRules } from "./layout.ts";
import { hasChain, missingJumps, type Saved, staleChains, withRules } from "./saved.ts";
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
import { TableText } from "./tableText.ts";

/** Above so many endpoints rules go without comments for each of them (kube-proxy's large cluster mode). */
const LARGE = 1000;

/** The chain whose last rules are those for NodePorts. */
const WITH_NODE_PORTS = "nat KUBE-SERVICES";

interface Entry {
  readonly ports: readonly ServicePort[];
  readonly dispatch: readonly Dispatch[];
  readonly endpoints: number;
}

/** A Service's own chains. */
interface OwnChains {
  readonly names: readonly string[];
  readonly rules: number;
}

/** What to hand to iptables-restore. */
export interface RestoreInput {
  /** Empty when everything is there. */
  readonly text: string;
  /** Rules written, by table. */
  readonly rules: Readonly<Record<Table, number>>;
  /** All was compared with what is there. */
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
  /** Each Service's chains that are in the kernel. */
  readonly #written = new Map<string, OwnChains>();
  /** The same after what was planned last. */
  readonly #planned = new Map<string, OwnChains>();
  /** Rules in chains that all Services share, by table. */
  readonly #shared: Record<Table, number> = { filter: 0, nat: 0 };
  /** Rules in Services' own chains that are in the kernel. */
  #ownRules = 0;
  #nodePorts: readonly string[] = [];
  #endpoints = 0;
  /** What is really there: everything has to be compared with it. */
  #saved: Saved | undefined;

  constructor(layout: FamilyLayout) {
    this.layout = layout;
  }

  /** How many rules are in the kernel when all is written, by table; without jumps of the kernel's own chains. */
  get rules(): Readonly<Record<Table, number>> {
    const fixed = (table: Table) => this.layout.fixed[table].reduce((sum, [, rules]) => sum + rules.length, 0);
    const nat = fixed("nat") + this.#shared.nat + this.#nodePorts.length + this.#ownRules;
    return { filter: fixed("filter") + this.#shared.filter, nat };
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
      const [was, is] = [rulesAt(before, place), rulesAt(after, place)];
      if (was.join("\n") !== is.join("\n")) this.#dirtyPlaces.add(place);
      this.#shared[tableOf(place)] += is.length - was.length;
    }
    this.#endpoints += endpoints - (before?.endpoints ?? 0);
    this.#dirty.add(service);
    if (ports.length) this.#services.set(service, after);
    else this.#services.delete(service);
  }

  /** Takes what is really there: the next plan writes every chain that is different and removes what is too much. */
  adopt(saved: Saved): void {
    this.#saved = saved;
  }

  /** What has to be written; undefined when nothing has changed. */
  plan(): RestoreInput | undefined {
    const saved = this.#saved;
    if (!saved && this.#dirty.size + this.#dirtyPlaces.size === 0) return undefined;
    const style: RuleStyle = { ...this.layout.style, isLarge: this.#endpoints > LARGE };
    const chains = this.#plannedChains(saved ? this.#services.keys() : this.#dirty, style);
    const wanted = new Set(chains.map(({ name }) => name));
    const former = [...this.#planned.keys()].flatMap((service) => this.#written.get(service)?.names ?? []);
    const gone = saved
      ? staleChains(saved, (chain) => wanted.has(chain))
      : former.filter((chain) => !wanted.has(chain));
    const tables = { filter: new TableText("filter"), nat: new TableText("nat") };
    const write = (table: Table, chain: string, rules: readonly string[]) => {
      if (!saved || !hasChain(saved, table, chain, rules)) tables[table].chain(chain, rules);
    };
    if (saved) {
      for (const table of ["filter", "nat"] as const) {
        write(table, CANARY, []);
        for (const [chain, rules] of this.layout.fixed[table])
          write(table, chain, chain === KUBELETS_CHAIN ? withRules(saved, table, chain, rules) : rules);
      }
      for (const { table, from, rule } of missingJumps(saved, this.layout.jumps)) tables[table].insert(from, rule);
    }
    for (const place of saved ? places() : this.#dirtyPlaces)
      write(tableOf(place), place.split(" ")[1] ?? "", this.#rulesOf(place));
    for (const { name, rules } of chains) write("nat", name, rules);
    for (const chain of gone) tables.nat.remove(chain);
    const canary = saved && !hasChain(saved, "mangle", CANARY, []) ? `*mangle\n:${CANARY} - [0:0]\nCOMMIT\n` : "";
    // First filter: a Service that gets its first endpoint is no longer refused when table nat leads to it.
    const text = `${canary}${tables.filter.text()}${tables.nat.text()}`;
    const rules = { filter: tables.filter.count, nat: tables.nat.count };
    return { text, rules, isFull: saved !== undefined };
  }

  /** What was planned is in the kernel now. */
  applied(): void {
    if (this.#saved) {
      this.#written.clear();
      this.#ownRules = 0;
    }
    for (const [service, chains] of this.#planned) {
      this.#ownRules += chains.rules - (this.#written.get(service)?.rules ?? 0);
      if (chains.names.length) this.#written.set(service, chains);
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
      const rules = chains.reduce((sum, chain) => sum + chain.rules.length, 0);
      this.#planned.set(service, { names: chains.map(({ name }) => name), rules });
      for (const chain of chains) all.push(chain);
    }
    return all;
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

/** Every chain that all Services share, as `table chain`. */
function places(): string[] {
  return (["filter", "nat"] as const).flatMap((table) => dispatchChains[table].map((chain) => `${table} ${chain}`));
}

function tableOf(place: string): Table {
  return place.startsWith("nat ") ? "nat" : "filter";
}
