import type { Column } from "../kinds/definition.ts";
import { age } from "../kinds/print.ts";
import type { StoredObject } from "../object.ts";
import { type JsonPath, parseJsonPath } from "./jsonpath.ts";
import type { CrdColumn } from "./model.ts";

/** The Table of a kind of custom objects (apiextensions-apiserver pkg/registry/customresource/tableconvertor). */
export interface CustomTable {
  readonly columns: readonly Column[];
  row(object: StoredObject, now: number): unknown[];
}

const nameText =
  "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const ageText =
  "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

const ageColumn: CrdColumn = {
  name: "Age",
  type: "date",
  description: ageText,
  jsonPath: ".metadata.creationTimestamp",
};

/** Name and the definition's columns; without any, the age. */
export function customTable(printed: readonly CrdColumn[] | undefined): CustomTable {
  const own = printed && printed.length > 0 ? printed : [ageColumn];
  const paths = own.map((column) => ({ type: column.type, path: parseJsonPath(column.jsonPath) }));
  const shown = own.map(({ name, type, format = "", description, priority = 0, jsonPath }) => ({
    name,
    type,
    format,
    description: description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
  }));
  return {
    columns: [{ name: "Name", type: "string", format: "name", description: nameText, priority: 0 }, ...shown],
    row: (object, now) => [object.metadata.name, ...paths.map(({ type, path }) => cell(type, path, object, now))],
  };
}

/** A cell's value; null where the object has none of the column's type. Only a path's first value is shown. */
function cell(type: string, path: JsonPath, object: StoredObject, now: number): unknown {
  const value = path.find(object)[0];
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "object" ? sortedJson(value) : String(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      if (typeof value !== "string") return null;
      return Number.isNaN(Date.parse(value)) ? "<invalid>" : age(value, now);
    default:
      return null;
  }
}

/** JSON with sorted keys, as Go prints maps. */
function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
