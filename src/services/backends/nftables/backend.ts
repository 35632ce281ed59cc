import { Metrics } from "#base/metrics.ts";
import { type Nftables, type OriginIndex, Transaction } from "#kernel/nft/index.ts";
import type { Frontend, ServiceAddress } from "../../model/index.ts";
import type { ServiceBackend, TrafficSettings } from "../backend.ts";
import { FamilyTable } from "./familyTable.ts";
import { type Layout, SERVICES_TABLE, serviceLayout } from "./layout.ts";
import { type FrontendPlan, planFrontend } from "./plan.ts";
import { type OwnedPlan, StandIns, standInName } from "./standIns.ts";

/** What the tables look like: another form is for modes in which somebody else leads packets to endpoints. */
export interface TableForm {
  layout(family: "ip" | "ip6", settings: TrafficSettings, tableName: string): Layout;
  plan(layout: Layout, frontend: Frontend): FrontendPlan;
}

const ownForm: TableForm = { layout: serviceLayout, plan: planFrontend };

/** Settings and dependencies of the nftables backend. */
export interface NftablesBackendOptions extends TrafficSettings {
  /** nftables of the node's network namespace. Stays open when the backend is closed. */
  readonly nft: Nftables;
  readonly metrics?: Metrics;
  /** Name of its tables. Default: {@link SERVICES_TABLE}. */
  readonly tableName?: string;
  readonly form?: TableForm;
}

/** Services as elements of a few large maps: one table for each family ({@link serviceLayout} draws it). */
export function nftablesBackend(options: NftablesBackendOptions): ServiceBackend {
  return new NftablesBackend(options);
}

class NftablesBackend implements ServiceBackend {
  readonly mode = "nftables";
  readonly origins: OriginIndex;
  readonly #nft: Nftables;
  readonly #tableName: string;
  readonly #form: TableForm;
  readonly #tables: Readonly<Record<4 | 6, FamilyTable>>;
  readonly #standIns: StandIns;
  readonly #record: ReturnType<typeof tableMetrics>;
  /** What each Service has. */
  readonly #plans = new Map<string, readonly FamilyPlan[]>();
  /** Ends the telling of origins. */
  #ends: readonly (() => void)[] = [];

  constructor({ nft, metrics, tableName = SERVICES_TABLE, form = ownForm, ...settings }: NftablesBackendOptions) {
    this.#nft = nft;
    this.#tableName = tableName;
    this.#form = form;
    this.origins = nft.origins;
    this.#record = tableMetrics(metrics ?? new Metrics());
    this.#tables = {
      4: new FamilyTable(form.layout("ip", settings, tableName)),
      6: new FamilyTable(form.layout("ip6", settings, tableName)),
    };
    const standIns = (["ip", "ip6"] as const).map((family) => form.layout(family, settings, standInName(tableName)));
    this.#standIns = new StandIns(nft, standIns);
  }

  /** NodePorts are frontends of their own for each address: nothing else depends on the node. */
  setNode(): void {}

  setService(service: string, frontends: readonly Frontend[]): void {
    const former = this.#plans.get(service);
    const before = former && new Map(former.map((one) => [one.plan.key, one]));
    const after: FamilyPlan[] = [];
    for (const frontend of frontends) {
      const { family } = frontend.ip;
      const plan = this.#form.plan(this.#tables[family].layout, frontend);
      after.push({ family, plan });
    }
    after.push(...besides(after));
    for (const { family, plan } of after) {
      this.#tables[family].setFrontend(service, plan);
      const replaced = before?.get(plan.key);
      if (replaced) this.#tables[family].releaseShared(service, replaced.plan, plan);
      before?.delete(plan.key);
    }
    for (const { family, plan } of before?.values() ?? []) this.#tables[family].removeFrontend(service, plan);
    if (after.length) this.#plans.set(service, after);
    else this.#plans.delete(service);
  }

  async readBack(): Promise<void> {
    if (this.#ends.length === 0) {
      const tables = Object.values(this.#tables);
      this.#ends = tables.map((one) => this.#nft.tellOrigins(one.layout.table, (set, key) => one.originOf(set, key)));
    }
    for (const table of Object.values(this.#tables)) table.adopt(await this.#nft.readTable(table.layout.table));
    await this.#standIns.look();
  }

  *foundAddresses(): Iterable<ServiceAddress> {
    for (const table of Object.values(this.#tables)) yield* table.foundAddresses();
  }

  isEmpty(): boolean {
    // A stand-in goes with the first commit: all that it serves has to be in that one.
    return Object.values(this.#tables).every((table) => table.isEmpty) && !this.#standIns.isPresent;
  }

  async commit(): Promise<void> {
    try {
      const tables = Object.values(this.#tables);
      // Else it is planned at once: more Services may come while the kernel is at work.
      if (tables.some(({ isForeign }) => isForeign)) await this.#replaceForeign();
      const transaction = new Transaction();
      for (const table of tables) {
        table.plan(transaction, this.#nft);
        // The next one is planned from there on; when this one fails, what is there is read first.
        table.applied();
      }
      this.#standIns.remove(transaction);
      await this.#nft.commit(transaction);
    } catch (error) {
      this.#record.failed();
      throw error;
    }
    this.#record.committed(this.#tables);
  }

  /** While a table of another make is replaced, another one serves. */
  async #replaceForeign(): Promise<void> {
    for (const [version, { isForeign, layout }] of Object.entries(this.#tables)) {
      if (isForeign) await this.#standIns.put(layout.family, this.#plansOf(Number(version)));
    }
  }

  *#plansOf(version: number): Iterable<OwnedPlan> {
    for (const [service, plans] of this.#plans)
      for (const { family, plan } of plans) if (family === version) yield [service, plan];
  }

  onForeignChange(listener: (what: string) => void): () => void {
    return this.#nft.onForeignChange((table) => {
      if (table === undefined) listener("some table");
      else if (table.name === this.#tableName) listener(`table ${table.family} ${table.name}`);
    });
  }

  async cleanup(): Promise<void> {
    const names = [this.#tableName, standInName(this.#tableName)];
    const ours = (await this.#nft.listTables()).filter(({ name }) => names.includes(name));
    const transaction = new Transaction();
    for (const table of ours) transaction.deleteTable(table);
    await this.#nft.commit(transaction);
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
  }
}

interface FamilyPlan {
  readonly family: 4 | 6;
  readonly plan: FrontendPlan;
}

/** Entries beside those of a Service's frontends, one for each address that none of them has. */
function besides(plans: readonly FamilyPlan[]): FamilyPlan[] {
  if (plans.every(({ plan }) => plan.beside === undefined)) return [];
  const keys = new Set(plans.map(({ plan }) => plan.key));
  const found: FamilyPlan[] = [];
  for (const { family, plan } of plans) {
    if (!plan.beside || keys.has(plan.beside.key)) continue;
    keys.add(plan.beside.key);
    found.push({ family, plan: plan.beside });
  }
  return found;
}

function tableMetrics(metrics: Metrics) {
  const failures = metrics.counter(
    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    "Cumulative proxy nftables sync failures",
  );
  // One transaction holds the rules of both families.
  const count = (by: number) => {
    for (const family of ["IPv4", "IPv6"]) failures.inc({ ip_family: family }, by);
  };
  count(0);
  const elements = metrics.gauge("podwire_services_map_elements", "Elements of the service maps");
  return {
    failed(): void {
      count(1);
    },
    committed(tables: Readonly<Record<4 | 6, FamilyTable>>): void {
      for (const [version, table] of Object.entries(tables)) {
        for (const map of ["services", "endpoints"] as const) {
          elements.set(table.size(map), { map, family: version === "4" ? "IPv4" : "IPv6" });
        }
      }
    },
  };
}
