import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import type { Entry } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import type { Call } from "./call.ts";
import { entryJson, includeObject } from "./list.ts";
import type { RequestInfo } from "./request-info.ts";
import { columnsJson, entryMetadataJson, entryRowJson, tableJson } from "./table.ts";

/** Turns entries into the event lines of one form. */
export interface Format {
  /** Key of the shared encodings. */
  readonly name: string;
  /** Whether the first line differs from the others. */
  readonly columnsOnce: boolean;
  object(entry: Entry, first: boolean): string;
  bookmark(revision: number, initialEnd: boolean): string;
}

/** The line of an event, as bytes. */
export function eventLine(type: string, objectJson: string): Buffer {
  return Buffer.from(`{"type":"${type}","object":${objectJson}}\n`);
}

function bookmarkMeta(revision: number, initialEnd: boolean): object {
  return {
    resourceVersion: String(revision),
    ...(initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
  };
}

/** The form that a watch asks for: objects, their metadata, or rows of a Table. Throws StatusError 400. */
export function formatOf(kind: Kind, info: RequestInfo, call: Call): Format {
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
