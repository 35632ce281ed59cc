import { errorMessage } from "#base/errors.ts";
import type { Ip } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import type { Frontend, NodeView, ServiceAddress } from "../../model/index.ts";
import type { ServiceBackend } from "../backend.ts";
import { FamilyRules, type RestoreInput } from "./familyRules.ts";
import { CANARY, canaryTables, familyLayout, type IptablesSettings } from "./layout.ts";
import type { Iptables } from "./programs.ts";
import { cleanupText, parseSaved, udpAddresses } from "./saved.ts";

/** Default of {@link IptablesSettings.syncPeriodMs}, as kube-proxy's iptables.syncPeriod. */
const SYNC_PERIOD_MS = 30_000;

/** Settings and dependencies of the iptables backend. */
export interface IptablesBackendOptions extends IptablesSettings {
  readonly iptables: Iptables;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

/** Services as chains of iptables, with kube-proxy's names and rules. */
export function iptablesBackend(options: IptablesBackendOptions): ServiceBackend {
  return new IptablesBackend(options);
}

class IptablesBackend implements ServiceBackend {
  readonly mode = "iptables";
  readonly #options: IptablesBackendOptions;
  readonly #families: readonly FamilyRules[];
  readonly #record: ReturnType<typeof ruleMetrics>;
  readonly #timers = new Set<NodeJS.Timeout>();
  #nodeAddresses: readonly Ip[] = [];
  /** Addresses of UDP that were read last. */
  #found: ServiceAddress[] = [];
  /** The canaries are there: their loss means something. */
  #isWritten = false;

  constructor(options: IptablesBackendOptions) {
    this.#options = options;
    this.#families = ([4, 6] as const).map((family) => new FamilyRules(familyLayout(family, options)));
    this.#record = ruleMetrics(options.metrics ?? new Metrics());
  }

  setNode(node: NodeView): void {
    this.#nodeAddresses = node.nodePortAddresses ?? node.addresses;
    for (const family of this.#families) family.setNode(node);
  }

  setService(service: string, frontends: readonly Frontend[]): void {
    for (const family of this.#families) family.setService(service, frontends);
  }

  async readBack(): Promise<void> {
    const saved = await all(this.#families.map(({ layout }) => this.#options.iptables.save(layout.family)));
    this.#found = [];
    for (const [i, family] of this.#families.entries()) {
      const state = parseSaved(saved[i] ?? "");
      family.adopt(state);
      const own = this.#nodeAddresses.filter((ip) => ip.family === family.layout.family);
      this.#found.push(...udpAddresses(state, own));
    }
  }

  foundAddresses(): Iterable<ServiceAddress> {
    return this.#found;
  }

  async commit(): Promise<void> {
    const { iptables } = this.#options;
    // Both families at once: the programs spend their time waiting for the kernel.
    await all(
      this.#families.map(async (family) => {
        const input = family.plan();
        if (!input) return;
        if (input.isFull && family.layout.hasLocalhostNodePorts)
          iptables.setSysctl("net.ipv4.conf.all.route_localnet", "1");
        try {
          if (input.text !== "") await iptables.restore(family.layout.family, input.text);
        } catch (error) {
          this.#record.failed(family.layout.family, input);
          throw error;
        }
        family.applied();
        this.#record.written(family, input);
      }),
    );
    this.#isWritten = true;
  }

  onForeignChange(listener: (what: string) => void): () => void {
    const { syncPeriodMs = SYNC_PERIOD_MS, log } = this.#options;
    const check = async () => {
      try {
        const lost = this.#isWritten ? await this.#lostCanary() : undefined;
        if (lost && this.#timers.has(timer)) listener(lost);
      } catch (error) {
        log?.warn("Looking for the canary chains failed", { error: errorMessage(error) });
      }
      if (this.#timers.has(timer)) timer.refresh();
    };
    const timer = setTimeout(() => void check(), syncPeriodMs).unref();
    this.#timers.add(timer);
    return () => this.#end(timer);
  }

  async cleanup(): Promise<void> {
    const { iptables } = this.#options;
    this.#isWritten = false;
    await all(
      this.#families.map(async ({ layout: { family } }) => {
        const text = cleanupText(parseSaved(await iptables.save(family)));
        if (text) await iptables.restore(family, text);
      }),
    );
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) this.#end(timer);
  }

  #end(timer: NodeJS.Timeout): void {
    this.#timers.delete(timer);
    clearTimeout(timer);
  }

  /** Which table somebody flushed; undefined when all canaries are there. */
  async #lostCanary(): Promise<string | undefined> {
    for (const { layout } of this.#families) {
      for (const table of canaryTables) {
        if (!(await this.#options.iptables.hasChain(layout.family, table, CANARY)))
          return `IPv${layout.family} table ${table} lost its chain ${CANARY}`;
      }
    }
    return undefined;
  }
}

/** Waits for all, so that no program runs on behind the caller. @throws what the first of them threw */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return await Promise.all(work);
}

/** Metrics under kube-proxy's names (pkg/proxy/metrics). */
function ruleMetrics(metrics: Metrics) {
  const prefix = "kubeproxy_sync_proxy_rules_iptables";
  const failures = metrics.counter(`${prefix}_restore_failures_total`, "Cumulative proxy iptables restore failures");
  const partialFailures = metrics.counter(
    `${prefix}_partial_restore_failures_total`,
    "Cumulative proxy iptables partial restore failures",
  );
  const last = metrics.gauge(`${prefix}_last`, "Number of iptables rules written by kube-proxy in last sync");
  const total = metrics.gauge(`${prefix}_total`, "Total number of iptables rules owned by kube-proxy");
  for (const counter of [failures, partialFailures])
    for (const family of [4, 6]) counter.inc({ ip_family: `IPv${family}` }, 0);
  return {
    failed(family: 4 | 6, { isFull }: RestoreInput): void {
      failures.inc({ ip_family: `IPv${family}` });
      if (!isFull) partialFailures.inc({ ip_family: `IPv${family}` });
    },
    written({ layout: { family }, rules: owned }: FamilyRules, { rules }: RestoreInput): void {
      for (const table of ["filter", "nat"] as const) {
        const labels = { ip_family: `IPv${family}`, table };
        last.set(rules[table], labels);
        total.set(owned[table], labels);
      }
    },
  };
}
