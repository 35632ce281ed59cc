import { Metrics } from "#base/metrics.ts";
import { type Nftables, type OriginIndex, Transaction } from "#kernel/nft/index.ts";
import type { Frontend } from "../../model/index.ts";
import type { ServiceBackend, TrafficSettings } from "../backend.ts";
import { FamilyTable } from "./familyTable.ts";
import { SERVICES_TABLE, serviceLayout } from "./layout.ts";
import { type FrontendPlan, planFrontend } from "./plan.ts";

/** Settings and dependencies of the nftables backend. */
export interface NftablesBackendOptions extends TrafficSettings {
  /** nftables of the node's network namespace. Stays open when the backend is closed. */
  readonly nft: Nftables;
  readonly metrics?: Metrics;
  /** Name of its tables. Default: {@link SERVICES_TABLE}. */
  readonly tableName?: string;
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
  readonly #tables: Readonly<Record<4 | 6, FamilyTable>>;
  readonly #record: ReturnType<typeof tableMetrics>;
  /** What each Service has. */
  readonly #plans = new Map<string, readonly FamilyPlan[]>();
  /** Ends the telling of origins. */
  #ends: readonly (() => void)[] = [];

  constructor({ nft, metrics, tableName = SERVICES_TABLE, ...settings }: NftablesBackendOptions) {
    this.#nft = nft;
    this.#tableName = tableName;
    this.origins = nft.origins;
    this.#record = tableMetrics(metrics ?? new Metrics());
    this.#tables = {
      4: new FamilyTable(serviceLayout("ip", settings, tableName)),
      6: new FamilyTable(serviceLayout("ip6", settings, tableName)),
    };
  }

  /** NodePorts are frontends of their own for each address: nothing else depends on the node. */
  setNode(): void {}

  setService(service: string, frontends: readonly Frontend[]): void {
    const former = this.#plans.get(service);
    const before = former && new Map(former.map((one) => [one.plan.key, one]));
    const after = frontends.map((frontend): FamilyPlan => {
      const { family } = frontend.ip;
      const table = this.#tables[family];
      const plan = planFrontend(table.layout, frontend);
      table.setFrontend(service, plan);
      const replaced = before?.get(plan.key);
      if (replaced) table.releaseShared(service, replaced.plan, plan);
      before?.delete(plan.key);
      return { family, plan };
    });
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
  }

  async commit(): Promise<void> {
    const transaction = new Transaction();
    for (const table of Object.values(this.#tables)) {
      table.adoptOrigins(this.#nft);
      table.plan(transaction);
    }
    try {
      await this.#nft.commit(transaction);
    } catch (error) {
      this.#record.failed();
      throw error;
    }
    for (const table of Object.values(this.#tables)) table.applied();
    this.#record.committed(this.#tables);
  }

  onForeignChange(listener: (what: string) => void): () => void {
    return this.#nft.onForeignChange((table) => {
      if (table === undefined) listener("some table");
      else if (table.name === this.#tableName) listener(`table ${table.family} ${table.name}`);
    });
  }

  async cleanup(): Promise<void> {
    const ours = (await this.#nft.listTables()).filter(({ name }) => name === this.#tableName);
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

function tableMetrics(metrics: Metrics) {
  const failures = metrics.counter(
    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    "Cumulative proxy nftables sync failures",
  );
  const elements = metrics.gauge("podwire_services_map_elements", "Elements of the service maps");
  return {
    failed(): void {
      failures.inc();
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
