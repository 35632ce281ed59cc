import { badRequest, expired, notFound, StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { keyOf } from "../object.ts";
import { CompactedError, type Entry, type Store } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import { type Call, jsonPieces, jsonReply, type Reply } from "./call.ts";
import { type Continue, decodeContinue, encodeContinue } from "./continue.ts";
import { type ListOptions, listOptions } from "./list-options.ts";
import type { RequestInfo } from "./request-info.ts";
import { type Selection, selectionOf } from "./select.ts";
import { columnsJson, entryMetadataJson, entryRowJson, type IncludeObject, tableJson, tableParts } from "./table.ts";

/** The includeObject parameter. */
export function includeObject(query: URLSearchParams): IncludeObject {
  const value = query.get("includeObject") || "Metadata";
  if (value === "None" || value === "Metadata" || value === "Object") return value;
  throw badRequest(
    `includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** An entry's JSON in a kind's own version. */
export function entryJson(kind: Kind, entry: Entry): string {
  const object = kind.fromStored(entry.object);
  return object === entry.object ? entry.json : JSON.stringify(object);
}

/** GET of one object. */
export function getObject(store: Store, kind: Kind, info: RequestInfo, call: Call): Reply {
  const entry = store.get(kind.storage, keyOf(info.namespace, info.name));
  if (!entry) throw notFound(kind, info.name);
  switch (acceptedForm(call.headers.accept)) {
    case "table": {
      const row = entryRowJson(kind, entry, includeObject(info.query), Date.now());
      return jsonReply(tableJson({ resourceVersion: entry.object.metadata.resourceVersion }, columnsJson(kind), [row]));
    }
    case "metadata":
      return jsonReply(entryMetadataJson(entry));
    case "object":
      return jsonReply(entryJson(kind, entry));
  }
}

/** The objects of a list and the metadata of the answer. */
interface Page {
  readonly entries: readonly Entry[];
  readonly metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
}

/** GET of a collection. */
export function listObjects(store: Store, kind: Kind, info: RequestInfo, call: Call): Reply {
  const page = listPage(store, kind, info);
  const metadata = JSON.stringify(page.metadata);
  switch (acceptedForm(call.headers.accept)) {
    case "table": {
      const include = includeObject(info.query);
      const now = Date.now();
      const row = (entry: Entry) => entryRowJson(kind, entry, include, now);
      const [head, tail] = tableParts(page.metadata, columnsJson(kind));
      return jsonPieces(head, map(page.entries, row), tail);
    }
    case "metadata": {
      const head = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":${metadata},"items":[`;
      return jsonPieces(head, map(page.entries, entryMetadataJson), "]}");
    }
    case "object": {
      const head = `{"kind":"${kind.listKind}","apiVersion":"${apiVersionOf(kind)}","metadata":${metadata},"items":[`;
      return jsonPieces(
        head,
        map(page.entries, (entry) => entryJson(kind, entry)),
        "]}",
      );
    }
  }
}

function* map<T, U>(items: Iterable<T>, change: (item: T) => U): Generator<U> {
  for (const item of items) yield change(item);
}

/** Selects and pages. Throws StatusError 400, 410, 422 and 504. */
export function listPage(store: Store, kind: Kind, info: RequestInfo): Page {
  const options = listOptions(info.query, false);
  const selection = selectionOf(kind, info);
  const { limit } = options;
  const from = options.continue ? decodeContinue(options.continue) : undefined;
  const revision = revisionOf(store, options, from);
  const all = snapshot(store, kind, revision, from);
  const prefix = selection.namespace ? `${selection.namespace}/` : "";
  const entries: Entry[] = [];
  let position = lowerBound(all, prefix + (from?.start ?? ""));
  for (; position < all.length; position++) {
    const entry = all[position] as Entry;
    if (prefix && !entry.key.startsWith(prefix)) break;
    if (limit > 0 && entries.length === limit) break;
    if (selected(selection, entry)) entries.push(entry);
  }
  const metadata: Page["metadata"] = { resourceVersion: String(revision) };
  const more = limit > 0 && entries.length === limit && rest(all, position, selection);
  if (more) {
    const last = (entries.at(-1) as Entry).key.slice(prefix.length);
    metadata.continue = encodeContinue({ revision, start: `${last}\0` });
    if (selection.everything && !selection.name) metadata.remainingItemCount = more;
  }
  return { entries, metadata };
}

/** Whether an entry is selected, all but the namespace. */
export function selected(selection: Selection, entry: Entry): boolean {
  if (selection.name && entry.name !== selection.name) return false;
  return selection.everything || selection.matches(entry.object);
}

/** How many entries follow. */
function rest(all: readonly Entry[], position: number, selection: Selection): number {
  if (!selection.namespace) return all.length - position;
  // `0` is the character after `/`.
  return Math.max(0, lowerBound(all, `${selection.namespace}0`) - position);
}

/** First position whose key is not smaller. */
function lowerBound(all: readonly Entry[], key: string): number {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((all[middle] as Entry).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

const tooOld =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

function snapshot(store: Store, kind: Kind, revision: number, from: Continue | undefined): readonly Entry[] {
  // A token of a store that has begun anew since: what it names is not what will be stored under that revision.
  if (from && revision > store.revision) throw expired(tooOld, encodeContinue({ revision: -1, start: from.start }));
  try {
    return revision === store.revision ? store.list(kind.storage) : store.listAt(kind.storage, revision);
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    if (!from) throw expired("The resourceVersion for the provided list is too old.");
    throw expired(tooOld, encodeContinue({ revision: -1, start: from.start }));
  }
}

/**
 * The revision that a list shows: that of its continue token, an exact one where it is asked for (or where a limit
 * comes with a revision and no rule), else the newest, which must not be older than the one named.
 */
function revisionOf(store: Store, options: ListOptions, from: Continue | undefined): number {
  const asked = parseRevision(options.resourceVersion);
  if (from) {
    if (asked > 0) throw badRequest("specifying resource version is not allowed when using continue");
    return from.revision > 0 ? from.revision : store.revision;
  }
  if (asked > store.revision) throw futureRevision(asked, store.revision);
  if (options.match === "Exact") return asked;
  return options.match === "" && options.limit > 0 && asked > 0 ? asked : store.revision;
}

/** 504 with the cause by which clients know to retry with another revision. */
export function futureRevision(asked: number, current: number): StatusError {
  return new StatusError(504, "Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

/** A revision's number, 0 for none. Throws StatusError 400. */
export function parseRevision(text: string): number {
  if (text === "") return 0;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return Number(text);
}
