import type { Kind } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import type { Entry } from "../store/index.ts";

/** What rows carry of their object. */
export type IncludeObject = "None" | "Metadata" | "Object";

const metadataHead = `"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"`;
const tableHead = `"kind":"Table","apiVersion":"meta.k8s.io/v1"`;

/** The columns of a kind as JSON. */
export function columnsJson(kind: Kind): string {
  return JSON.stringify(kind.columns);
}

/** One row as JSON. */
export function rowJson(kind: Kind, object: StoredObject, include: IncludeObject, now: number): string {
  return rowOf(kind.row(object, now), object, include);
}

/** A row of these cells as JSON. */
export function rowOf(row: readonly unknown[], object: StoredObject, include: IncludeObject): string {
  const cells = JSON.stringify(row);
  if (include === "None") return `{"cells":${cells}}`;
  const shown = include === "Object" ? object : partialMetadata(object);
  return `{"cells":${cells},"object":${JSON.stringify(shown)}}`;
}

/** The row of a stored object in a kind's own version. */
export function entryRowJson(kind: Kind, entry: Entry, include: IncludeObject, now: number): string {
  const object = kind.fromStored(entry.object);
  if (include !== "Metadata" || object !== entry.object) return rowJson(kind, object, include, now);
  return `{"cells":${JSON.stringify(kind.row(object, now))},"object":${entryMetadataJson(entry)}}`;
}

/** The PartialObjectMetadata of a stored object as JSON. */
export function entryMetadataJson(entry: Entry): string {
  return `{${metadataHead},"metadata":${entry.metadataJson}}`;
}

/** A Table's JSON before and after its rows; without columns for the later events of a watch. */
export function tableParts(metadata: object, columns: string | undefined): [head: string, tail: string] {
  return [
    `{${tableHead},"metadata":${JSON.stringify(metadata)},"columnDefinitions":${columns ?? "null"},"rows":[`,
    "]}",
  ];
}

/** A Table as JSON, whole. */
export function tableJson(metadata: object, columns: string | undefined, rows: readonly string[]): string {
  return tableParts(metadata, columns).join(rows.join(","));
}

/** meta/v1 PartialObjectMetadata. */
export function partialMetadata(object: StoredObject): object {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}
