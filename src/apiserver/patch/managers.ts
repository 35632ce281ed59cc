import { equalJson } from "#base/json.ts";
import { type FieldSet, isDict, type ManagedFieldsEntry, type StoredObject } from "../object.ts";
import { isEmpty, isFieldSet, union } from "./field-set.ts";
import type { SharedSets } from "./shared-sets.ts";

/**
 * The managers of an object's fields: metadata.managedFields taken apart and put together again.
 * Source: k8s.io/apimachinery/pkg/util/managedfields/internal.
 */

/** One manager with the fields it owns. */
export interface Managed {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** `status`, another subresource, or empty. */
  readonly subresource: string;
  /** RFC 3339; absent for an apply that changed nothing but owners. */
  readonly time?: string;
  readonly set: FieldSet;
}

/** Managers by their identity. */
export type Managers = ReadonlyMap<string, Managed>;

/** Most managers of updates that are told apart. */
const updateManagerLimit = 10;

/** What tells managers apart: one who applies is the same in every version. */
export function identityOf(entry: Omit<Managed, "set" | "time">): string {
  const { manager, operation, apiVersion, subresource } = entry;
  return JSON.stringify({
    ...(manager ? { manager } : {}),
    operation,
    ...(operation === "Update" ? { apiVersion } : {}),
    ...(subresource ? { subresource } : {}),
  });
}

/** Whether a list from a client asks to forget all managers: empty, or with one empty entry. */
export function isReset(entries: readonly ManagedFieldsEntry[] | undefined): boolean {
  if (!entries) return false;
  return entries.length === 0 || (entries.length === 1 && Object.keys(entries[0] as object).length === 0);
}

/** Reads metadata.managedFields; undefined where an entry is not valid. */
export function readManagers(entries: readonly ManagedFieldsEntry[] | undefined): Managers | undefined {
  const out = new Map<string, Managed>();
  for (const entry of entries ?? []) {
    const { manager = "", operation, apiVersion, subresource = "", time, fieldsType, fieldsV1 = {} } = entry;
    if (operation !== "Apply" && operation !== "Update") return undefined;
    if (!apiVersion || fieldsType !== "FieldsV1" || !isDict(fieldsV1) || !isFieldSet(fieldsV1)) return undefined;
    const managed = { manager, operation, apiVersion, subresource, ...(time ? { time } : {}), set: fieldsV1 };
    out.set(identityOf(managed), managed);
  }
  return out;
}

/** The entries of metadata.managedFields, in order; undefined when nobody owns anything. */
export function writeManagers(managers: Managers, sets: SharedSets): ManagedFieldsEntry[] | undefined {
  const owning = [...managers.values()].filter((m) => !isEmpty(m.set)).sort(byOrder);
  if (owning.length === 0) return undefined;
  return owning.map((managed) => managerEntry(managed, sets.of(managed.set)));
}

/** One entry of metadata.managedFields. */
export function managerEntry(managed: Omit<Managed, "set">, fieldsV1: FieldSet): ManagedFieldsEntry {
  const { manager, operation, apiVersion, subresource, time } = managed;
  return {
    ...(manager ? { manager } : {}),
    operation,
    apiVersion,
    ...(time ? { time } : {}),
    fieldsType: "FieldsV1",
    fieldsV1,
    ...(subresource ? { subresource } : {}),
  };
}

/** Whether two objects differ in nothing but when their managers wrote. */
export function sameButTimes(a: StoredObject, b: StoredObject): boolean {
  const rest = ({ metadata: { managedFields: _, ...metadata }, ...object }: StoredObject) => ({ ...object, metadata });
  if (!equalJson(rest(a), rest(b))) return false;
  const owners = ({ metadata }: StoredObject) =>
    (metadata.managedFields ?? []).map(({ time: _, ...entry }) => JSON.stringify(entry)).sort();
  return equalJson(owners(a), owners(b));
}

function byOrder(a: Managed, b: Managed): number {
  return (
    compareText(a.operation, b.operation) ||
    compareText(a.time ?? "", b.time ?? "") ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Joins the oldest updates into one entry per version, `ancient-changes`, until no more than ten managers of updates
 * are left.
 */
export function capManagers(managers: Managers): Managers {
  const updates = [...managers.entries()].filter(([, m]) => m.operation === "Update");
  let count = updates.length;
  if (count <= updateManagerLimit) return managers;
  updates.sort(([a, x], [b, y]) => compareText(x.time ?? "", y.time ?? "") || compareText(a, b));
  const out = new Map(managers);
  const firsts = new Map<string, string>();
  for (const [id, managed] of updates) {
    if (count <= updateManagerLimit) break;
    const { apiVersion } = managed;
    const first = firsts.get(apiVersion);
    if (first === undefined) {
      firsts.set(apiVersion, id);
      continue;
    }
    const ancient = { manager: "ancient-changes", operation: "Update" as const, apiVersion, subresource: "" };
    const bucket = identityOf(ancient);
    const before = out.get(bucket) ?? out.get(first);
    if (!out.has(bucket)) out.delete(first);
    out.delete(id);
    const { time } = managed;
    out.set(bucket, { ...ancient, ...(time ? { time } : {}), set: union(managed.set, before?.set ?? {}) });
    count--;
  }
  return out;
}
