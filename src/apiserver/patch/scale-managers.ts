import type { FieldSet, ManagedFieldsEntry } from "../object.ts";
import { difference, intersection, isEmpty } from "./field-set.ts";
import { identityOf, type Managed, readManagers, writeManagers } from "./managers.ts";
import type { SharedSets } from "./shared-sets.ts";

/**
 * Who owns the number of replicas, told for an object and for its Scale.
 * Source: k8s.io/apimachinery/pkg/util/managedfields, ScaleHandler.
 */

const scaleVersion = "autoscaling/v1";
const replicasOfScale: FieldSet = { "f:spec": { "f:replicas": {} } };

type Entries = readonly ManagedFieldsEntry[] | undefined;

/** A path of plain fields as a set. */
export function fieldPath(fields: readonly string[]): FieldSet {
  return fields.reduceRight<FieldSet>((below, field) => ({ [`f:${field}`]: below }), {});
}

/** The entries of a Scale: the managers that own the object's number of replicas, which stands at `path`. */
export function scaleEntries(parent: Entries, path: FieldSet, sets: SharedSets): ManagedFieldsEntry[] | undefined {
  const owners = [...(readManagers(parent) ?? new Map<string, Managed>()).values()].filter((m) => owns(m, path));
  const shown = owners.map((m) => ({ ...m, apiVersion: scaleVersion, set: replicasOfScale }));
  return writeManagers(new Map(shown.map((m) => [identityOf(m), m])), sets);
}

/**
 * The entries of the object after its Scale was applied: who lost the number of replicas keeps the rest, who has it
 * now owns it under the object's own version.
 */
export function parentEntries(
  parent: Entries,
  scale: Entries,
  apiVersion: string,
  path: FieldSet,
  sets: SharedSets,
): ManagedFieldsEntry[] | undefined {
  const inScale = readManagers(scale) ?? new Map<string, Managed>();
  const owners = new Map([...inScale.values()].map((m) => [identityOf({ ...m, apiVersion }), m]));
  const next = new Map<string, Managed>();
  for (const [id, managed] of readManagers(parent) ?? []) {
    if (!owns(managed, path) || owners.delete(identityOf({ ...managed, apiVersion }))) next.set(id, managed);
    else next.set(id, { ...managed, set: difference(managed.set, path) });
  }
  for (const [id, managed] of owners) next.set(id, { ...managed, apiVersion, set: path });
  return writeManagers(next, sets);
}

function owns({ set }: Managed, path: FieldSet): boolean {
  return !isEmpty(intersection(set, path));
}
