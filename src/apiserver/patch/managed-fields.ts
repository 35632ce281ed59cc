import { StatusError, unclassified } from "../errors.ts";
import { type Dict, type FieldSet, isDict, type StoredObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { createdFields } from "./created-fields.ts";
import { isEmpty, paths, union } from "./field-set.ts";
import { annotatedManager, followAnnotation, remainingConflict } from "./last-applied.ts";
import {
  capManagers,
  identityOf,
  isReset,
  type Managed,
  type Managers,
  managerEntry,
  readManagers,
  writeManagers,
} from "./managers.ts";
import { DuplicateItem } from "./merge-applied.ts";
import type { SharedSets } from "./shared-sets.ts";
import { rootNode } from "./typed.ts";
import { type AppliedObject, ApplyConflict, applyToObject, type Ground, updateManagers } from "./updater.ts";

/** Who writes which part of an object. */
export interface FieldOwner {
  /** Where the sets of all objects are. */
  readonly sets: SharedSets;
  readonly manager: string;
  readonly apiVersion: string;
  /** `status`, `scale` or empty. */
  readonly subresource: string;
  readonly now: string;
  /** The kind has a status subresource, so that the main resource does not own status. */
  readonly statusApart: boolean;
}

/** Manager of what an object had before anybody applied to it. */
const firstManager = "before-first-apply";

function groundOf(schema: Schema, type: string, owner: FieldOwner): Ground {
  const owns =
    owner.subresource === "status"
      ? (field: string) => field === "status" || field === "metadata"
      : (field: string) => !owner.statusApart || field !== "status";
  return { schema, root: rootNode(schema, type), owns };
}

/** An object as far as fields are compared: its managers are no fields of their own. */
function compared(object: StoredObject | undefined): Dict {
  if (!object) return {};
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/**
 * Notes in metadata.managedFields what an ordinary write changed; an object whose managers were forgotten stays
 * without. Changes `object` only.
 */
export function trackUpdate(
  schema: Schema,
  type: string,
  old: StoredObject | undefined,
  object: StoredObject,
  owner: FieldOwner,
): void {
  const managers = managersFor(old, object, owner);
  if (managers.size === 0 && old) {
    store(object, managers, owner);
    return;
  }
  const ground = groundOf(schema, type, owner);
  if (managers.size === 0) created(ground, object, owner);
  else store(object, capManagers(updated(ground, compared(old), compared(object), managers, owner)), owner);
}

/** An object that was not there, and has no managers of its own, has one. */
function created(ground: Ground, object: StoredObject, { sets, now, ...owner }: FieldOwner): void {
  const text = createdFields(ground, object);
  if (text === "") delete object.metadata.managedFields;
  else object.metadata.managedFields = [managerEntry({ ...owner, operation: "Update", time: now }, sets.get(text))];
}

/** The managers that a write starts from: those in its body, so that they can be edited, else the live ones. */
function managersFor(old: StoredObject | undefined, object: StoredObject, owner: FieldOwner): Managers {
  const live = () => readManagers(old?.metadata.managedFields) ?? new Map<string, Managed>();
  if (owner.subresource !== "") return live();
  const given = object.metadata.managedFields;
  if (isReset(given)) return new Map();
  const managers = readManagers(given);
  return managers && managers.size > 0 ? managers : live();
}

function updated(ground: Ground, before: Dict, after: Dict, managers: Managers, owner: FieldOwner): Managers {
  const { manager, apiVersion, subresource, now } = owner;
  const { managers: rest, taken } = updateManagers(ground, before, after, managers);
  if (isEmpty(taken)) return rest;
  const self = { manager, operation: "Update" as const, apiVersion, subresource, time: now };
  const id = identityOf(self);
  return new Map(rest).set(id, { ...self, set: union(rest.get(id)?.set ?? {}, taken) });
}

function store(object: StoredObject, managers: Managers, { sets }: FieldOwner): void {
  const entries = writeManagers(managers, sets);
  if (entries) object.metadata.managedFields = entries;
  else delete object.metadata.managedFields;
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
  const ground = groundOf(schema, type, owner);
  const before = compared(live);
  const managers = managersOfLive(ground, live, owner);
  const { manager, apiVersion, subresource, now } = owner;
  const self = { manager, operation: "Apply" as const, apiVersion, subresource };
  const id = identityOf(self);
  const run = (forced: boolean): AppliedObject =>
    applyToObject(ground, before, configuration, managers, { id, self, force: forced });
  const { object, managers: next } = unlessConflicting(ground, live, owner, run, force);
  const time = object ? now : managers.get(id)?.time;
  const finish = (finished: StoredObject) => {
    const mine = next.get(id);
    // Nothing owned of an object that nobody owns: it stays as it is, so that applying it again changes nothing.
    if (!mine && live && !live.metadata.managedFields) return store(finished, new Map(), owner);
    store(finished, mine ? new Map(next).set(id, { ...mine, ...(time ? { time } : {}) }) : next, owner);
  };
  const result = object ?? before;
  if (manager === annotatedManager) followAnnotation(result, configuration);
  return { object: result, finish };
}

/** Applies; what conflicts only with kubectl's own client-side applies is taken over. Throws the 409. */
function unlessConflicting(
  ground: Ground,
  live: StoredObject | undefined,
  owner: FieldOwner,
  run: (force: boolean) => AppliedObject,
  force: boolean,
): AppliedObject {
  try {
    return run(force);
  } catch (error) {
    if (error instanceof DuplicateItem) throw unclassified(`failed to merge config: ${error.message}`);
    if (!(error instanceof ApplyConflict)) throw error;
    if (owner.manager !== annotatedManager || !live) throw conflictError(error.conflicts);
    const rest = remainingConflict(ground, live, error, owner.apiVersion);
    if (rest) throw conflictError(rest.conflicts);
    return run(true);
  }
}

/** The managers of the live object; all that an object without any holds belongs to `before-first-apply`. */
function managersOfLive(ground: Ground, live: StoredObject | undefined, owner: FieldOwner): Managers {
  const managers = readManagers(live?.metadata.managedFields) ?? new Map<string, Managed>();
  if (managers.size > 0 || !live) return managers;
  return updated(ground, {}, compared(live), managers, { ...owner, manager: firstManager });
}

function conflictError(conflicts: ReadonlyMap<string, FieldSet>): StatusError {
  const all = [...conflicts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, set]) => ({ who: managerText(id), fields: paths(set) }));
  const causes = all.flatMap(({ who, fields }) =>
    fields.map((field) => ({ reason: "FieldManagerConflict", message: `conflict with ${who}`, field })),
  );
  const text =
    causes.length === 1
      ? `1 conflict: ${causes[0]?.message}: ${causes[0]?.field}`
      : `${causes.length} conflicts: ${all
          .map(({ who, fields }) => [`conflicts with ${who}:`, ...fields.map((f) => `- ${f}`)].join("\n"))
          .join("\n")}`;
  return new StatusError(409, "Conflict", `Apply failed with ${text}`, { causes });
}

function managerText(identity: string): string {
  const { manager = "", operation, apiVersion, subresource } = JSON.parse(identity) as Partial<Managed>;
  const sub = subresource ? ` with subresource "${subresource}"` : "";
  return `"${manager}"${sub}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
}

/** Whether a body gives a list of managers at all: an empty one means something, and decoding drops it. */
export function resetsManagers(value: unknown): boolean {
  const metadata = isDict(value) ? value.metadata : undefined;
  return isDict(metadata) && Array.isArray(metadata.managedFields) && metadata.managedFields.length === 0;
}
