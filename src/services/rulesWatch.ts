import type { Logger } from "#base/log.ts";
import type { ServiceBackend } from "./backends/index.ts";

/** What watching needs. */
interface RulesWatch {
  readonly log: Logger;
  /** In ms; absent: the clock alone is no reason. */
  readonly syncPeriodMs?: number;
  /** How long the last reading took, in ms. */
  tookMs(): number;
  /** The rules are to be read and put right. */
  distrust(): void;
}

/** Reading what is there takes at most this part of the time, however large the tables are. */
const SHARE = 1 / 20;

/** Somebody else changed the rules, or may have: they are read and put right. @returns ends it */
export function watchRules(backend: ServiceBackend, { log, syncPeriodMs, tookMs, distrust }: RulesWatch): () => void {
  let last = performance.now();
  const look = () => {
    if (performance.now() - last < tookMs() / SHARE) return;
    last = performance.now();
    distrust();
  };
  const timer = syncPeriodMs === undefined ? undefined : setInterval(look, syncPeriodMs).unref();
  const unsubscribe = backend.onForeignChange?.((what) => {
    log.warn("Somebody else changed the rules; putting them right", { what });
    distrust();
  });
  return () => {
    clearInterval(timer);
    unsubscribe?.();
  };
}
