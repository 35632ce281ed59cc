import { expired, type StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { type Change, CompactedError, type Entry, type Store } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import type { Call, Reply, Sink } from "./call.ts";
import { entryJson, futureRevision, includeObject, parseRevision, selected } from "./list.ts";
import { type ListOptions, listOptions } from "./list-options.ts";
import type { RequestInfo } from "./request-info.ts";
import { type Selection, selectionOf } from "./select.ts";
import { columnsJson, entryMetadataJson, entryRowJson, tableJson } from "./table.ts";

/** A client that lets this much pile up is cut off; it will list again. */
const backlogLimit = 16 << 20;

/** How often a quiet watch tells the client the current revision. */
const bookmarkMs = 60_000;

/** How long before its end a watch sends a last bookmark. */
const lastBookmarkMs = 2000;

/** Longest watch without timeoutSeconds: 30 to 60 minutes, as --min-request-timeout. */
const defaultTimeoutMs = 1_800_000;

/** Turns entries into the event lines of one form. */
interface Format {
  /** Key of the shared encodings. */
  readonly name: string;
  /** Whether the first line differs from the others. */
  readonly columnsOnce: boolean;
  object(entry: Entry, first: boolean): string;
  bookmark(revision: number, initialEnd: boolean): string;
}

/** Serves a watch. What is forgotten is told by an ERROR event with code 410. Throws StatusError 400, 422 and 504. */
export function watchObjects(store: Store, kind: Kind, info: RequestInfo, call: Call): Reply {
  const options = listOptions(info.query, true);
  const selection = selectionOf(kind, info);
  const format = formatOf(kind, info, call);
  const asked = parseRevision(options.resourceVersion);
  if (asked > store.revision) throw futureRevision(asked, store.revision);
  const stream = (sink: Sink, signal: AbortSignal) => {
    const watcher = new Watcher(kind, selection, format, sink);
    const timers = startTimers(store, watcher, options);
    let stop = () => {};
    watcher.onEnd = () => {
      stop();
      timers();
    };
    signal.addEventListener("abort", () => watcher.onEnd(), { once: true });
    try {
      stop = follow(store, kind, watcher, asked, options);
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error;
      watcher.fail(expired(`too old resource version: ${error.requested} (${error.oldest})`));
    }
    const { retired } = kind.custom ?? {};
    if (retired?.aborted) watcher.end();
    else retired?.addEventListener("abort", () => watcher.end(), { once: true, signal });
  };
  return { status: 200, headers: { "content-type": "application/json" }, body: "", stream };
}

/** Sends what there is, where that is wanted, and then the changes. Throws CompactedError. @returns ends it */
function follow(store: Store, kind: Kind, watcher: Watcher, asked: number, options: ListOptions): () => void {
  const initial = options.sendInitialEvents;
  // Revision 0 or none: what there is comes first, as events.
  const listFirst = initial ?? asked === 0;
  const from = listFirst ? store.revision : asked || store.revision;
  if (listFirst) for (const entry of store.list(kind.storage)) watcher.initial(entry);
  if (initial && options.allowWatchBookmarks) watcher.bookmark(from, true);
  return store.watch(kind.storage, from, (change) => watcher.change(change));
}

/** Longest time that a timer can be set to. */
const longestTimer = 2 ** 31 - 1;

/** Bookmarks every minute and shortly before the end, and the end. @returns stops them */
function startTimers(store: Store, watcher: Watcher, options: ListOptions): () => void {
  const { timeoutSeconds, allowWatchBookmarks } = options;
  const timeout = timeoutSeconds ? timeoutSeconds * 1000 : defaultTimeoutMs * (1 + Math.random());
  const end = setTimeout(() => watcher.end(), Math.min(timeout, longestTimer));
  if (!allowWatchBookmarks) return () => clearTimeout(end);
  // Only what watchers have been told of may be marked.
  const mark = () => watcher.bookmark(store.published, false);
  const ticker = setInterval(mark, bookmarkMs);
  const last = setTimeout(mark, Math.min(timeout - lastBookmarkMs, longestTimer));
  if (timeout <= lastBookmarkMs) clearTimeout(last);
  return () => {
    clearTimeout(end);
    clearTimeout(last);
    clearInterval(ticker);
  };
}

class Watcher {
  readonly #kind: Kind;
  readonly #selection: Selection;
  readonly #format: Format;
  readonly #sink: Sink;
  #first = true;
  #ended = false;
  onEnd: () => void = () => {};

  constructor(kind: Kind, selection: Selection, format: Format, sink: Sink) {
    this.#kind = kind;
    this.#selection = selection;
    this.#format = format;
    this.#sink = sink;
  }

  initial(entry: Entry): void {
    if (!this.#inNamespace(entry) || !selected(this.#selection, entry)) return;
    if (!this.#hand("ADDED", entry)) this.#send(eventLine("ADDED", this.#format.object(entry, this.#takeFirst())));
  }

  /** A change, seen through the selector: an object that comes to match is ADDED, one that ceases to is DELETED. */
  change(change: Change): void {
    if (this.#ended || !this.#inNamespace(change.entry)) return;
    const selection = this.#selection;
    const before = change.previous !== undefined && selected(selection, change.previous);
    const after = change.type !== "DELETED" && selected(selection, change.entry);
    if (before && after) this.#encode("MODIFIED", change, change.entry);
    else if (after) this.#encode("ADDED", change, change.entry);
    else if (before) this.#encode("DELETED", change, change.entry);
  }

  bookmark(revision: number, initialEnd: boolean): void {
    if (this.#format.name === "object" && this.#sink.event) {
      this.#sink.event("BOOKMARK", JSON.parse(this.#format.bookmark(revision, initialEnd)));
      return;
    }
    this.#send(eventLine("BOOKMARK", this.#format.bookmark(revision, initialEnd)));
  }

  /** Ends the watch with an ERROR event. */
  fail(error: StatusError): void {
    const status = error.toStatus();
    if (this.#sink.event) this.#sink.event("ERROR", status);
    else this.#send(eventLine("ERROR", JSON.stringify(status)));
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd();
    this.#sink.end();
  }

  #inNamespace(entry: Entry): boolean {
    return this.#selection.namespace === "" || entry.namespace === this.#selection.namespace;
  }

  #takeFirst(): boolean {
    const first = this.#first;
    this.#first = false;
    return first;
  }

  /** Gives the object itself to a client in this process. @returns false when the client wants bytes */
  #hand(type: string, entry: Entry): boolean {
    if (this.#format.name !== "object" || !this.#sink.event) return false;
    if (!this.#ended) this.#sink.event(type, this.#kind.fromStored(entry.object));
    return true;
  }

  /** The line of a change; all watchers of one form share the encoded bytes. */
  #encode(type: string, change: Change, entry: Entry): void {
    if (this.#hand(type, entry)) return;
    const first = this.#takeFirst() && this.#format.columnsOnce;
    const key = `${type} ${apiVersionOf(this.#kind)} ${this.#format.name}${first ? " first" : ""}`;
    let line = change.encodings.get(key);
    if (!line) {
      line = eventLine(type, this.#format.object(entry, first));
      change.encodings.set(key, line);
    }
    this.#send(line);
  }

  #send(line: Uint8Array): void {
    if (this.#ended) return;
    this.#sink.write(line);
    if (this.#sink.backlog > backlogLimit) this.end();
  }
}

function eventLine(type: string, objectJson: string): Buffer {
  return Buffer.from(`{"type":"${type}","object":${objectJson}}\n`);
}

function bookmarkMeta(revision: number, initialEnd: boolean): object {
  return {
    resourceVersion: String(revision),
    ...(initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
  };
}

function formatOf(kind: Kind, info: RequestInfo, call: Call): Format {
  const apiVersion = apiVersionOf(kind);
  switch (acceptedForm(call.headers.accept)) {
    case "table": {
      const include = includeObject(info.query);
      const columns = columnsJson(kind);
      return {
        name: `table ${include}`,
        columnsOnce: true,
        object: (entry, first) =>
          tableJson({ resourceVersion: String(entry.revision) }, first ? columns : undefined, [
            entryRowJson(kind, entry, include, Date.now()),
          ]),
        bookmark: (revision, end) => tableJson(bookmarkMeta(revision, end), undefined, []),
      };
    }
    case "metadata":
      return {
        name: "metadata",
        columnsOnce: false,
        object: entryMetadataJson,
        bookmark: (revision, end) =>
          JSON.stringify({
            kind: "PartialObjectMetadata",
            apiVersion: "meta.k8s.io/v1",
            metadata: bookmarkMeta(revision, end),
          }),
      };
    case "object":
      return {
        name: "object",
        columnsOnce: false,
        object: (entry) => entryJson(kind, entry),
        bookmark: (revision, end) =>
          JSON.stringify({ kind: kind.kind, apiVersion, metadata: bookmarkMeta(revision, end) }),
      };
  }
}
