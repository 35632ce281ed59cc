import { errorMessage } from "#base/errors.ts";
import type { Cidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { ServiceBackend } from "./backends/index.ts";
import { addressKey, type Frontend, type FrontendChange, type ServiceAddress } from "./model/index.ts";
import { cleanStaleFlows, type FlowChange, type FlowPlace, leavesFlows, type ServiceNetworks } from "./staleFlows.ts";

/** What cleaning needs. */
export interface FlowCleanerDeps {
  readonly backend: ServiceBackend;
  readonly log: Logger;
  /** Absent: no flow is removed. */
  readonly conntrack?: Conntrack;
}

interface Noted {
  readonly before?: FlowPlace;
  readonly after?: Frontend;
}

/** What was cleaned. */
export interface Cleaned {
  /** Flows, by family. */
  readonly removed: Readonly<Record<4 | 6, number>>;
  readonly durationMs: number;
}

interface Swept {
  readonly cidrs: readonly Cidr[];
  readonly known: () => Iterable<ServiceAddress>;
}

function networksOf({ cidrs, known }: Swept, isServed: ServiceNetworks["isServed"]): ServiceNetworks {
  const keys = new Set<string>();
  for (const address of known()) keys.add(addressKey(address));
  return { cidrs, isServed: (address) => keys.has(addressKey(address)) || isServed(address) };
}

/** Gathers changes of frontends until their rules are there, and then ends connections that lead elsewhere. */
export class FlowCleaner {
  readonly #deps: FlowCleanerDeps;
  /** What changed since connections were last looked through, by address. */
  readonly #changes = new Map<string, Noted>();
  /** Addresses that a former process served, as far as is known. */
  readonly #found = new Map<string, ServiceAddress>();
  /** What is swept with the next cleaning. */
  #swept: Swept | undefined;

  constructor(deps: FlowCleanerDeps) {
    this.#deps = deps;
  }

  /** @param changes by address */
  note(changes: Iterable<readonly [string, FrontendChange]>): void {
    for (const [address, change] of changes) {
      if (!leavesFlows(change)) continue;
      const { before, after } = change;
      const first = this.#changes.get(address);
      const was = first ? first.before : before;
      this.#changes.set(address, { ...(was && { before: was }), ...(after && { after }) });
    }
  }

  /** These addresses were served by a former process, or may have been. A commit that fails may remove them all the same. */
  noteFound(addresses: Iterable<ServiceAddress>): void {
    for (const address of addresses)
      if (address.protocol === protocols.UDP) this.#found.set(addressKey(address), address);
  }

  /**
   * With the next cleaning, flows to addresses of these networks that no Service has are removed as well.
   * @param known addresses of all Services, also of those that another proxy serves
   * @returns whether there is anything to clean for it
   */
  sweep(cidrs: readonly Cidr[], known: Swept["known"]): boolean {
    this.#swept = cidrs.length ? { cidrs, known } : undefined;
    return this.#swept !== undefined;
  }

  /**
   * Call it when the rules are there. Never throws.
   * @param isServed whether a Service has an address now
   * @returns undefined when it failed; the next call tries again
   */
  clean(isServed: ServiceNetworks["isServed"]): Cleaned | undefined {
    const { conntrack, log } = this.#deps;
    const started = performance.now();
    try {
      for (const [key, address] of this.#found) if (!isServed(address)) this.#noteGone(key, address);
      this.#found.clear();
      const changes = [...this.#changes.values()].map((change) => this.#asOnTheWire(change));
      const networks = this.#swept && networksOf(this.#swept, isServed);
      const removed = conntrack ? cleanStaleFlows(conntrack, changes, networks) : { 4: 0, 6: 0 };
      this.#changes.clear();
      this.#swept = undefined;
      return { removed, durationMs: performance.now() - started };
    } catch (error) {
      log.warn("Cleaning up connections failed", { error: errorMessage(error) });
      return undefined;
    }
  }

  #noteGone(key: string, address: ServiceAddress): void {
    if (!this.#changes.has(key)) this.#changes.set(key, { before: { ...address, choice: { serving: [] } } });
  }

  /** A change as flows show it, in modes whose rules lead elsewhere than to endpoints. */
  #asOnTheWire(change: Noted): FlowChange {
    const { after } = change;
    const serving = after && this.#deps.backend.flowTargets?.(after);
    // Without what was before, every flow to the address is looked at.
    return serving ? { after: { ...after, choice: { serving } } } : change;
  }
}
