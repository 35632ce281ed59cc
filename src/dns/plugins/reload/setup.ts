import { createHash } from "node:crypto";
import { watch } from "node:fs/promises";
import { errorMessage } from "#base/errors.ts";
import type { Setup } from "../../core/index.ts";
import { args, CorefileError, duration, longestMs, noBlock } from "../../corefile/index.ts";

/** Shortest times that CoreDNS allows. */
const minIntervalMs = 2000;
const minJitterMs = 1000;

/**
 * `reload [INTERVAL] [JITTER]`: changes over to the Corefile's new content soon after it was written. The content, that of
 * imported files included, is compared every INTERVAL (30 s) plus a random part of JITTER (15 s, at most half the interval), as a ConfigMap volume swaps links below the file;
 * a watch on the directory makes it immediate where the kernel reports the change. A wrong Corefile is logged and the
 * running one kept.
 */
export const setup: Setup = (directive, { instance, log, corefileDirectory }) => {
  noBlock(directive);
  const [intervalText, jitterText] = args(directive, "reload [INTERVAL] [JITTER]", 0, 2);
  if (intervalText === "off") return { name: "reload" };
  const intervalMs = intervalText === undefined ? 30_000 : duration(intervalText, directive.at, "reload interval");
  const wishedMs = jitterText === undefined ? 15_000 : duration(jitterText, directive.at, "reload jitter");
  if (intervalMs < minIntervalMs) throw new CorefileError(directive.at, "reload interval below 2s");
  if (wishedMs < minJitterMs) throw new CorefileError(directive.at, "reload jitter below 1s");
  const jitterMs = Math.min(wishedMs, intervalMs / 2);
  const stopping = new AbortController();
  const failures = instance.metrics.counter(
    "coredns_reload_failed_total",
    "Counter of the number of failed reload attempts.",
  );
  const version = instance.metrics.gauge(
    "coredns_reload_version_info",
    "A metric with a constant '1' value labeled by hash, and value which type of hash generated.",
  );
  let refused: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const check = async () => {
    const text = await instance.readCorefile();
    if (stopping.signal.aborted || text === instance.corefileText || text === refused) return;
    try {
      await instance.reload();
    } catch (error) {
      refused = text; // say it once
      failures.inc();
      log.error("Corefile changed but is not used", { error: errorMessage(error) });
    }
  };
  const guarded = () =>
    void check().catch((error: unknown) => log.warn("Corefile cannot be read", { error: errorMessage(error) }));
  const arm = () => {
    timer = setTimeout(
      () => {
        guarded();
        arm();
      },
      Math.min(intervalMs + Math.random() * jitterMs, longestMs),
    );
    timer.unref();
  };
  return {
    name: "reload",
    started: () => {
      version.set(1, { hash: "sha512", value: createHash("sha512").update(instance.corefileText).digest("hex") });
      arm();
      void watchDirectory(corefileDirectory, stopping.signal, guarded).catch(() => {}); // the interval remains
    },
    stop: async () => {
      stopping.abort();
      clearTimeout(timer);
    },
  };
};

/** Calls back a moment after something in the directory changed (a ConfigMap volume renames its ..data link). */
async function watchDirectory(directory: string, signal: AbortSignal, changed: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    for await (const _event of watch(directory, { signal, persistent: false })) {
      clearTimeout(timer);
      timer = setTimeout(changed, 50); // an editor writes in several steps
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}
