import { StatusError } from "../errors.ts";
import { type Dict, equalJson, type FieldSet, isDict, type ManagedFieldsEntry, type StoredObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { compare, difference, fieldsOf, intersection, isEmpty, paths, rootNode, union } from "./field-set.ts";
import { mergeApplied, prune } from "./merge-applied.ts";

/** Who writes which part of an object. */
export interface FieldOwner {
  readonly manager: string;
  readonly apiVersion: string;
  /** `status`, `scale` or empty. */
  readonly subresource: string;
  readonly now: string;
  /** The kind has a status subresource, so that the main resource does not own status. */
  readonly statusApart: boolean;
}

/** Metadata that nobody owns. */
const unowned = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "generation",
  "selfLink",
  "managedFields",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
]);

/** The part of an object whose fields an owner can own. */
function ownable(object: Dict | undefined, owner: FieldOwner): Dict {
  if (!object) return {};
  const { apiVersion: _a, kind: _k, metadata, status, ...rest } = object;
  if (owner.subresource === "status") return status === undefined ? {} : { status };
  const meta: Dict = {};
  for (const [key, value] of Object.entries(isDict(metadata) ? metadata : {})) if (!unowned.has(key)) meta[key] = value;
  return { ...rest, metadata: meta, ...(owner.statusApart || status === undefined ? {} : { status }) };
}

function isOwners(entry: ManagedFieldsEntry, owner: FieldOwner, operation: "Apply" | "Update"): boolean {
  return (
    entry.manager === owner.manager &&
    entry.operation === operation &&
    (entry.subresource ?? "") === owner.subresource &&
    (operation === "Apply" || entry.apiVersion === owner.apiVersion)
  );
}

function newEntry(owner: FieldOwner, operation: "Apply" | "Update", fieldsV1: FieldSet): ManagedFieldsEntry {
  return {
    manager: owner.manager,
    operation,
    apiVersion: owner.apiVersion,
    time: owner.now,
    fieldsType: "FieldsV1",
    fieldsV1,
    ...(owner.subresource ? { subresource: owner.subresource } : {}),
  };
}

function store(object: StoredObject, entries: readonly ManagedFieldsEntry[]): void {
  const kept = entries.filter((e) => !isEmpty(e.fieldsV1 ?? {}));
  if (kept.length > 0) object.metadata.managedFields = [...kept];
  else delete object.metadata.managedFields;
}

/** Notes in metadata.managedFields what an ordinary write changed. Changes `object` only. */
export function trackUpdate(
  schema: Schema,
  type: string,
  old: StoredObject | undefined,
  object: StoredObject,
  owner: FieldOwner,
): void {
  const given = object.metadata.managedFields ?? old?.metadata.managedFields ?? [];
  // A list with one empty entry is the documented way to drop all ownership.
  const entries = given.length === 1 && Object.keys(given[0] as object).length === 0 ? [] : given;
  const { changed, removed } = compare(schema, ownable(old, owner), ownable(object, owner), rootNode(schema, type));
  if (isEmpty(changed) && isEmpty(removed)) {
    store(object, entries);
    return;
  }
  const touched = union(changed, removed);
  const mine = entries.find((e) => isOwners(e, owner, "Update"));
  const fields = difference(union(mine?.fieldsV1 ?? {}, changed), removed);
  const next = entries.map((e) => {
    if (e === mine) return newEntry(owner, "Update", fields);
    const rest = difference(e.fieldsV1 ?? {}, touched);
    return equalJson(rest, e.fieldsV1) ? e : { ...e, fieldsV1: rest };
  });
  if (!mine) next.push(newEntry(owner, "Update", fields));
  store(object, next);
}

/** What a server-side apply makes of the live object, before defaults. */
export interface Applied {
  readonly object: Dict;
  /** Writes the new owners into the finished object. */
  finish(object: StoredObject): void;
}

/**
 * Server-side apply: merges a configuration into the live object, removes what this manager owned and no longer
 * names. Throws the 409 that lists fields of other managers whose value would change, unless forced.
 */
export function applyConfiguration(
  schema: Schema,
  type: string,
  live: StoredObject | undefined,
  configuration: Dict,
  owner: FieldOwner,
  force: boolean,
): Applied {
  const node = rootNode(schema, type);
  const entries = entriesOf(live, owner);
  const mine = entries.find((e) => isOwners(e, owner, "Apply"));
  const others = entries.filter((e) => e !== mine);
  const wanted = fieldsOf(schema, ownable(configuration, owner), node);
  const liveDict = (live ?? {}) as Dict;
  const merged = mergeApplied(schema, liveDict, configuration, node) as Dict;
  const { changed } = compare(schema, ownable(live, owner), ownable(merged, owner), node);
  const conflicts = others
    .map((entry) => ({ entry, fields: paths(intersection(entry.fieldsV1 ?? {}, intersection(changed, wanted))) }))
    .filter(({ fields }) => fields.length > 0);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const taken = others.map((e) => ({ entry: e, fields: difference(e.fieldsV1 ?? {}, intersection(changed, wanted)) }));
  const kept = taken.reduce((set, t) => union(set, t.fields), wanted);
  const object = mine?.fieldsV1 ? (prune(schema, merged, mine.fieldsV1, kept, node) as Dict) : merged;
  const finish = (finished: StoredObject) => {
    const same = mine && equalJson(mine.fieldsV1, wanted) && mine.apiVersion === owner.apiVersion;
    const rest = taken.map(({ entry, fields }) =>
      equalJson(fields, entry.fieldsV1) ? entry : { ...entry, fieldsV1: fields },
    );
    store(finished, [same ? mine : newEntry(owner, "Apply", wanted), ...rest]);
  };
  return { object, finish };
}

/** The entries of the live object; one that predates tracking counts as written by `before-first-apply`. */
function entriesOf(live: StoredObject | undefined, owner: FieldOwner): readonly ManagedFieldsEntry[] {
  return live?.metadata.managedFields?.filter((e) => e.manager !== undefined || owner.manager === "") ?? [];
}

function conflictError(conflicts: readonly { entry: ManagedFieldsEntry; fields: readonly string[] }[]): StatusError {
  const count = conflicts.reduce((sum, c) => sum + c.fields.length, 0);
  const texts = conflicts.map(({ entry, fields }) => {
    const who = managerText(entry);
    if (fields.length === 1) return `conflict with ${who}: ${fields[0]}`;
    return `conflicts with ${who}:\n${fields.map((f) => `- ${f}`).join("\n")}`;
  });
  const causes = conflicts.flatMap(({ entry, fields }) =>
    fields.map((field) => ({ reason: "FieldManagerConflict", message: `conflict with ${managerText(entry)}`, field })),
  );
  const plural = count === 1 ? "conflict" : "conflicts";
  return new StatusError(409, "Conflict", `Apply failed with ${count} ${plural}: ${texts.join("\n")}`, { causes });
}

function managerText(entry: ManagedFieldsEntry): string {
  const sub = entry.subresource ? ` with subresource "${entry.subresource}"` : "";
  const using = entry.operation === "Update" ? ` using ${entry.apiVersion}` : "";
  return `"${entry.manager}"${sub}${using}`;
}
