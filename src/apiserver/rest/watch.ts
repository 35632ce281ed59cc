import { expired } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { type Change, CompactedError, type Store } from "../store/index.ts";
import type { Call, Reply, Sink } from "./call.ts";
import { futureRevision, parseRevision } from "./list.ts";
import { type ListOptions, listOptions } from "./list-options.ts";
import type { RequestInfo } from "./request-info.ts";
import { selectionOf } from "./select.ts";
import { formatOf } from "./watch-format.ts";
import { Watcher } from "./watcher.ts";

/** How often a quiet watch tells the client the current revision. */
const bookmarkMs = 60_000;

/** How long before its end a watch sends a last bookmark. */
const lastBookmarkMs = 2000;

/** Longest watch without timeoutSeconds: 30 to 60 minutes, as --min-request-timeout. */
const defaultTimeoutMs = 1_800_000;

/** Serves a watch. What is forgotten is told by an ERROR event with code 410. Throws StatusError 400, 422 and 504. */
export function watchObjects(store: Store, kind: Kind, info: RequestInfo, call: Call): Reply {
  const options = listOptions(info.query, true);
  const selection = selectionOf(kind, info);
  const format = formatOf(kind, info, call);
  const asked = parseRevision(options.resourceVersion);
  if (asked > store.revision) throw futureRevision(asked, store.revision);
  const stream = (sink: Sink, signal: AbortSignal) => {
    const watcher = new Watcher(kind, selection, format, sink);
    watcher.leaveOn(signal);
    if (kind.custom?.retired) watcher.endOn(kind.custom.retired);
    startTimers(store, watcher, options);
    return follow(store, kind, watcher, asked, options);
  };
  return { status: 200, headers: { "content-type": "application/json" }, body: "", stream };
}

/** Sends what there is, where that is wanted, then the changes since, and then those that come. */
async function follow(store: Store, kind: Kind, watcher: Watcher, asked: number, options: ListOptions): Promise<void> {
  const initial = options.sendInitialEvents;
  // Revision 0 or none: what there is comes first, as events.
  const listFirst = initial ?? asked === 0;
  const from = listFirst ? store.revision : asked || store.revision;
  try {
    if (listFirst) await watcher.paced(store.list(kind.storage), (entry) => watcher.initial(entry));
    if (initial && options.allowWatchBookmarks) watcher.bookmark(from, true);
    const reached = await catchUp(store, kind, watcher, from);
    if (watcher.ended) return;
    watcher.atEnd(store.watch(kind.storage, reached, (change) => watcher.change(change)));
    watcher.live = true;
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    watcher.fail(expired(`too old resource version: ${error.requested} (${error.oldest})`));
  }
}

/**
 * Sends the changes after a revision from what the store remembers, as fast as the client reads. Nothing of a watch
 * waits in memory meanwhile: a client that falls behind what is remembered has to list again. Throws CompactedError.
 * @returns the revision that was reached
 */
async function catchUp(store: Store, kind: Kind, watcher: Watcher, from: number): Promise<number> {
  for (let reached = from; ; ) {
    const changes = published(store, kind, reached);
    const last = changes.at(-1);
    if (!last || watcher.ended) return reached;
    await watcher.paced(changes, (change) => watcher.change(change));
    reached = last.revision;
  }
}

/** The remembered changes after a revision that watchers may see. Throws CompactedError. */
function published(store: Store, kind: Kind, revision: number): readonly Change[] {
  const all = store.changesSince(kind.storage, revision);
  if (!all) throw new CompactedError(revision, store.oldest(kind.storage));
  return all.filter((change) => change.revision <= store.published);
}

/** Longest time that a timer can be set to. */
const longestTimer = 2 ** 31 - 1;

/** Bookmarks every minute and shortly before the end, and the end. */
function startTimers(store: Store, watcher: Watcher, options: ListOptions): void {
  const { timeoutSeconds, allowWatchBookmarks } = options;
  const timeout = timeoutSeconds ? timeoutSeconds * 1000 : defaultTimeoutMs * (1 + Math.random());
  const end = setTimeout(() => watcher.end(), Math.min(timeout, longestTimer));
  watcher.atEnd(() => clearTimeout(end));
  if (!allowWatchBookmarks) return;
  // Only what the watcher has been told of may be marked.
  const mark = () => {
    if (watcher.live) watcher.bookmark(store.published, false);
  };
  const ticker = setInterval(mark, bookmarkMs);
  const last = setTimeout(mark, Math.min(timeout - lastBookmarkMs, longestTimer));
  if (timeout <= lastBookmarkMs) clearTimeout(last);
  watcher.atEnd(() => {
    clearTimeout(last);
    clearInterval(ticker);
  });
}
