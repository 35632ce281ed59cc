import { equalJson } from "#base/json.ts";
import type { Dict, FieldSet } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { compare, type Difference } from "./compare.ts";
import { difference, intersection, isEmpty, place, union } from "./field-set.ts";
import type { Managed, Managers } from "./managers.ts";
import { mergeApplied, removeFields, withNamedFields } from "./merge-applied.ts";
import { fieldsOf, type Node } from "./typed.ts";

/**
 * Who owns what after a write, and what an applied configuration makes of an object.
 * Source: structured-merge-diff v6, merge/update.go.
 */

/** What the two operations work on. */
export interface Ground {
  readonly schema: Schema;
  /** The node of the whole object. */
  readonly root: Node;
  /** Whether a top-level field can be owned through this resource at all (status is not, through the main one). */
  owns(field: string): boolean;
}

/** Fields of others that an apply would change. */
export class ApplyConflict extends Error {
  readonly conflicts: ReadonlyMap<string, FieldSet>;

  constructor(conflicts: ReadonlyMap<string, FieldSet>) {
    super("conflict");
    this.conflicts = conflicts;
  }
}

/** Metadata that nobody owns. */
export const unowned = new Set([
  "f:name",
  "f:namespace",
  "f:creationTimestamp",
  "f:selfLink",
  "f:uid",
  "f:generation",
  "f:managedFields",
  "f:resourceVersion",
]);

/** The part of a set that the writer of this resource can own. */
export function ownable(ground: Ground, set: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const element in visible(ground, set)) {
    const mine = set[element] as FieldSet;
    if (element === "f:apiVersion" || element === "f:kind") continue;
    if (element !== "f:metadata") out[element] = mine;
    else {
      const inner: FieldSet = {};
      for (const name in mine) if (name !== "." && !unowned.has(name)) inner[name] = mine[name] as FieldSet;
      place(out, element, inner, false);
    }
  }
  return out;
}

function visible(ground: Ground, set: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const element in set) if (ground.owns(element.slice(2))) out[element] = set[element] as FieldSet;
  return out;
}

function differ(ground: Ground, before: unknown, after: unknown): Difference {
  const { changed, removed } = compare(ground.schema, before, after, ground.root);
  return { changed: visible(ground, changed), removed: visible(ground, removed) };
}

/** The managers after an ordinary write, without the writer's own new fields; and these fields. */
export function updateManagers(
  ground: Ground,
  before: Dict,
  after: Dict,
  managers: Managers,
): { managers: Managers; taken: FieldSet } {
  const changes = differ(ground, before, after);
  return { managers: without(managers, changes, undefined), taken: ownable(ground, changes.changed) };
}

/** Takes changed and removed fields from all managers but one. */
function without(managers: Managers, { changed, removed }: Difference, except: string | undefined): Managers {
  if (isEmpty(changed) && isEmpty(removed)) return managers;
  const out = new Map<string, Managed>();
  for (const [id, managed] of managers) {
    const set = id === except ? managed.set : difference(difference(managed.set, changed), removed);
    if (!isEmpty(set)) out.set(id, { ...managed, set });
  }
  return out;
}

/** What an apply comes to. */
export interface AppliedObject {
  /** The new object before defaults; undefined when it is the live one. */
  readonly object: Dict | undefined;
  readonly managers: Managers;
}

/**
 * Applies a configuration of the manager `self` (with its identity) to a live object. Throws ApplyConflict unless
 * forced, and DuplicateItem.
 */
export function applyToObject(
  ground: Ground,
  live: Dict,
  configuration: Dict,
  managers: Managers,
  { id, self, force }: { id: string; self: Omit<Managed, "set">; force: boolean },
): AppliedObject {
  const { schema, root } = ground;
  const merged = mergeApplied(schema, live, configuration, root) as Dict;
  const last = managers.get(id)?.set ?? {};
  const set = visible(ground, fieldsOf(schema, configuration, root));
  const next = new Map(managers);
  next.set(id, { ...self, set });
  const object = isEmpty(last) ? merged : prune(ground, merged, last, next);
  const changes = differ(ground, live, object);
  const conflicts = new Map<string, FieldSet>();
  for (const [other, managed] of managers) {
    const fields = other === id ? {} : intersection(managed.set, changes.changed);
    if (!isEmpty(fields)) conflicts.set(other, fields);
  }
  if (conflicts.size > 0 && !force) throw new ApplyConflict(conflicts);
  const rest = new Map(without(next, changes, id));
  const owned = ownable(ground, set);
  if (isEmpty(owned)) rest.delete(id);
  else rest.set(id, { ...self, set: owned });
  return { object: equalJson(live, object) ? undefined : object, managers: rest };
}

/** Removes what the manager applied last time, unless somebody owns it now. */
function prune(ground: Ground, merged: Dict, lastSet: FieldSet, managers: Managers): Dict {
  const { schema, root } = ground;
  const named = (set: FieldSet) => withNamedFields(schema, set, root);
  const last = named(lastSet);
  const all = named(fieldsOf(schema, merged, root));
  let kept: FieldSet = {};
  for (const managed of managers.values()) kept = union(kept, managed.set);
  const bare = removeFields(schema, merged, last, root);
  const stays = union(named(fieldsOf(schema, bare, root)), named(kept));
  const pruned = removeFields(schema, merged, difference(all, stays), root);
  const left = named(fieldsOf(schema, pruned, root));
  return (removeFields(schema, merged, intersection(difference(all, left), last), root) ?? {}) as Dict;
}
