import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Conntrack } from "#kernel/conntrack/index.ts";
import type { ServiceBackend } from "./backends/index.ts";
import type { FrontendChange } from "./model/index.ts";
import { cleanStaleFlows, leavesFlows } from "./staleFlows.ts";

/** What cleaning needs. */
export interface FlowCleanerDeps {
  readonly backend: ServiceBackend;
  readonly log: Logger;
  /** Absent: no flow is removed. */
  readonly conntrack?: Conntrack;
}

/** What was cleaned. */
export interface Cleaned {
  /** Flows, by family. */
  readonly removed: Readonly<Record<4 | 6, number>>;
  readonly durationMs: number;
}

/** Gathers changes of frontends until their rules are there, and then ends connections that lead elsewhere. */
export class FlowCleaner {
  readonly #deps: FlowCleanerDeps;
  /** What changed since connections were last looked through, by address. */
  readonly #changes = new Map<string, FrontendChange>();

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

  /** Call it when the rules are there. Never throws. @returns undefined when it failed; the next call tries again */
  clean(): Cleaned | undefined {
    const { conntrack, log } = this.#deps;
    const started = performance.now();
    try {
      const changes = [...this.#changes.values()].map((change) => this.#asOnTheWire(change));
      const removed = conntrack ? cleanStaleFlows(conntrack, changes) : { 4: 0, 6: 0 };
      this.#changes.clear();
      return { removed, durationMs: performance.now() - started };
    } catch (error) {
      log.warn("Cleaning up connections failed", { error: errorMessage(error) });
      return undefined;
    }
  }

  /** A change as flows show it, in modes whose rules lead elsewhere than to endpoints. */
  #asOnTheWire(change: FrontendChange): FrontendChange {
    const { after } = change;
    const serving = after && this.#deps.backend.flowTargets?.(after);
    // Without what was before, every flow to the address is looked at.
    return serving ? { after: { ...after, choice: { serving } } } : change;
  }
}
