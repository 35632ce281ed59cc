import { formatGoDuration } from "#base/goDuration.ts";
import type { Logger } from "#base/log.ts";
import type { ProxyObserver, Sync } from "./observer.ts";

/** So often at most a line is written, in ms: a thousand changes a second are no thousand lines. */
const EVERY_MS = 1000;

/** Logs what is synced, in upstream's words; a burst becomes one line that says how many syncs it was. */
export function syncLog(log: Logger): { readonly observer: ProxyObserver; stop(): void } {
  let waiting: Sync[] = [];
  let lastAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  const write = () => {
    timer = undefined;
    lastAt = performance.now();
    const sum = (of: (sync: Sync) => number) => waiting.reduce((total, sync) => total + of(sync), 0);
    log.info("SyncProxyRules complete", {
      elapsed: formatGoDuration(Math.round(sum(({ durationMs }) => durationMs) * 1000) / 1000),
      services: sum(({ services }) => services),
      ...(waiting.length > 1 ? { syncs: waiting.length } : {}),
      ...(waiting.some(({ isFull }) => isFull) ? { full: true } : {}),
    });
    waiting = [];
  };
  return {
    observer: {
      synced(sync) {
        // A look that found nothing is nothing to tell.
        if (sync.services === 0 && waiting.length === 0 && lastAt > Number.NEGATIVE_INFINITY) return;
        waiting.push(sync);
        const wait = lastAt + EVERY_MS - performance.now();
        if (wait <= 0) write();
        else timer ??= setTimeout(write, wait).unref();
      },
    },
    stop() {
      clearTimeout(timer);
      if (waiting.length) write();
    },
  };
}
