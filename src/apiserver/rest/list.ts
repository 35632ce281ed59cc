import { badRequest, expired, notFound, StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { CompactedError, type Entry, type Store } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import { type Call, jsonPieces, jsonReply, type Reply } from "./call.ts";
import { keyOf } from "./objects.ts";
import type { RequestInfo } from "./request-info.ts";
import { type Selection, selectionOf } from "./select.ts";
import { columnsJson, type IncludeObject, partialMetadata, rowJson, tableJson, tableParts } from "./table.ts";

/** The includeObject parameter. */
export function includeObject(query: URLSearchParams): IncludeObject {
  const value = query.get("includeObject") || "Metadata";
  if (value === "None" || value === "Metadata" || value === "Object") return value;
  throw badRequest(`unrecognized includeObject value: "${value}"`);
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
      const row = rowJson(kind, kind.fromStored(entry.object), includeObject(info.query), Date.now());
      return jsonReply(tableJson({ resourceVersion: entry.object.metadata.resourceVersion }, columnsJson(kind), [row]));
    }
    case "metadata":
      return jsonReply(partialMetadata(entry.object));
    case "object":
      return jsonReply(entryJson(kind, entry));
  }
}

/** Where a chunked list goes on: the snapshot's revision and the last key. */
interface Continue {
  readonly revision: number;
  readonly after: string;
}

function encodeContinue(token: Continue): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: token.revision, start: token.after })).toString(
    "base64url",
  );
}

function decodeContinue(text: string): Continue {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (v === "meta.k8s.io/v1" && Number.isInteger(rv) && rv > 0 && typeof start === "string")
      return { revision: rv, after: start };
  } catch {
    // Falls through to the refusal below.
  }
  throw badRequest("continue key is not valid: the token was not made by this server");
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
      const row = (entry: Entry) => rowJson(kind, kind.fromStored(entry.object), include, now);
      const [head, tail] = tableParts(page.metadata, columnsJson(kind));
      return jsonPieces(head, map(page.entries, row), tail);
    }
    case "metadata": {
      const head = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":${metadata},"items":[`;
      return jsonPieces(
        head,
        map(page.entries, (entry) => JSON.stringify(partialMetadata(entry.object))),
        "]}",
      );
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

/** Selects and pages. Throws StatusError 400 and 410. */
export function listPage(store: Store, kind: Kind, info: RequestInfo): Page {
  const selection = selectionOf(kind, info);
  const limit = Number(info.query.get("limit") ?? "0") || 0;
  const token = info.query.get("continue");
  const from = token ? decodeContinue(token) : undefined;
  const revision = from?.revision ?? exactRevision(store, info.query) ?? store.revision;
  if (!from) checkRevision(store, info.query);
  const all = snapshot(store, kind, revision, from !== undefined);
  const entries: Entry[] = [];
  let position = from
    ? upperBound(all, from.after)
    : selection.namespace
      ? upperBound(all, `${selection.namespace}/`)
      : 0;
  for (; position < all.length; position++) {
    const entry = all[position] as Entry;
    if (selection.namespace && !entry.key.startsWith(`${selection.namespace}/`)) break;
    if (limit > 0 && entries.length === limit) break;
    if (selected(selection, entry)) entries.push(entry);
  }
  const metadata: Page["metadata"] = { resourceVersion: String(revision) };
  const more = limit > 0 && entries.length === limit && rest(all, position, selection);
  if (more) {
    metadata.continue = encodeContinue({ revision, after: (entries.at(-1) as Entry).key });
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
  return Math.max(0, upperBound(all, `${selection.namespace}0`) - position);
}

/** First position whose key is greater. */
function upperBound(all: readonly Entry[], key: string): number {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((all[middle] as Entry).key <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function snapshot(store: Store, kind: Kind, revision: number, continued: boolean): readonly Entry[] {
  try {
    return revision === store.revision ? store.list(kind.storage) : store.listAt(kind.storage, revision);
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    if (!continued) throw expired(`The resourceVersion for the provided list is too old.`);
    throw expired(
      "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
  }
}

/** The revision of resourceVersionMatch=Exact, or of a limited list that names one. */
function exactRevision(store: Store, query: URLSearchParams): number | undefined {
  const match = query.get("resourceVersionMatch");
  const text = query.get("resourceVersion") ?? "";
  const revision = parseRevision(text);
  if (match === "Exact") {
    if (!revision)
      throw badRequest(
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"',
      );
    return Math.min(revision, store.revision);
  }
  if (match && match !== "NotOlderThan")
    throw badRequest(
      `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "${match}": supported values: "Exact", "NotOlderThan", ""`,
    );
  return undefined;
}

/** A revision from the future cannot be served: the client is told to come back. */
function checkRevision(store: Store, query: URLSearchParams): void {
  const revision = parseRevision(query.get("resourceVersion") ?? "");
  if (revision > store.revision) throw futureRevision(revision, store.revision);
}

/** 504 with the cause by which clients know to retry with another revision. */
export function futureRevision(asked: number, current: number): StatusError {
  return new StatusError(504, "Timeout", `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

/** A revision's number, 0 for none. Throws StatusError 400. */
export function parseRevision(text: string): number {
  if (text === "") return 0;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  return Number(text);
}
