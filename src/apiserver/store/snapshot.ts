import type { Entry } from "./entry.ts";
import type { LogRecord } from "./log-format.ts";

/** Everything there is at a revision, as records. */
export function* snapshotOf(
  revision: number,
  all: readonly { readonly resource: string; readonly entries: readonly Entry[] }[],
): Generator<LogRecord> {
  // The first record carries the counter, which may be ahead of every object that is left.
  yield { revision, resource: "-", key: "-", json: "{}", snapshot: true };
  for (const { resource, entries } of all) {
    for (const entry of entries) {
      yield { revision: entry.revision, resource, key: entry.key, json: entry.json, snapshot: true };
    }
  }
}
