import { Backoff } from "#api/index.ts";
import { formatGoDuration } from "#base/goDuration.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import type { ServiceBackend } from "./backends/index.ts";

/** What watching needs. */
interface RulesWatch {
  readonly log: Logger;
  /** In ms; absent: the clock alone is no reason. */
  readonly syncPeriodMs?: number;
  readonly metrics?: Metrics;
  /** How long the last reading took, in ms. */
  tookMs(): number;
  /** The rules are to be read and put right. */
  distrust(): void;
}

/** Reading what is there takes at most this part of the time, however large the tables are. */
const SHARE = 1 / 20;

/** Waiting before rules that somebody changed again soon are put right again, in ms; doubled each time. */
const AGAIN_MS = 1000;
/** The longest of these waits, in ms: kube-proxy's default of syncPeriod. */
const MAX_AGAIN_MS = 30_000;

/** Somebody else changed the rules, or may have: they are read and put right. @returns ends it */
export function watchRules(backend: ServiceBackend, watch: RulesWatch): () => void {
  const { syncPeriodMs, tookMs, distrust } = watch;
  let last = performance.now();
  const look = () => {
    if (performance.now() - last < tookMs() / SHARE) return;
    last = performance.now();
    distrust();
  };
  const timer = syncPeriodMs === undefined ? undefined : setInterval(look, syncPeriodMs).unref();
  const end = followOthers(backend, watch);
  return () => {
    clearInterval(timer);
    end();
  };
}

/**
 * Somebody else's change is put right at once. One who changes the rules over and over finds them put right after longer
 * and longer waits: two who undo each other's work would take all of the machine.
 */
function followOthers(backend: ServiceBackend, { log, metrics = new Metrics(), distrust }: RulesWatch): () => void {
  const changes = metrics.counter(
    "podwire_services_foreign_changes_total",
    "Notices that somebody else changed the rules",
  );
  const held = metrics.counter(
    "podwire_services_foreign_changes_held_back_total",
    "How often rules were put right later, as somebody else had changed them shortly before",
  );
  for (const counter of [changes, held]) counter.inc({}, 0);
  const waits = new Backoff({
    ...{ initialMs: AGAIN_MS, maxMs: MAX_AGAIN_MS },
    ...{ resetMs: 2 * MAX_AGAIN_MS, firstAtOnce: true },
  });
  let timer: NodeJS.Timeout | undefined;
  const unsubscribe = backend.onForeignChange?.((what) => {
    changes.inc();
    if (timer) return;
    const wait = waits.failed(performance.now());
    timer = setTimeout(() => {
      timer = undefined;
      distrust();
    }, wait).unref();
    if (wait === 0) return log.warn("Somebody else changed the rules; putting them right", { what });
    held.inc();
    log.warn("Somebody else keeps changing the rules; waiting before they are put right", {
      what,
      after: formatGoDuration(wait),
    });
  });
  return () => {
    clearTimeout(timer);
    unsubscribe?.();
  };
}
