import { conflict } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import { timestamp } from "./time.ts";

/** What a delete asks for. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: readonly string[];
}

/** Whether nothing keeps an object that is being deleted. */
export function isGone(kind: Kind, object: StoredObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers } = object.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds > 0) return false;
  return !finalizers?.length && !kind.deletion.keeps?.(object);
}

/** Marks an object as being deleted. `grace` is in seconds. */
export function beginDeletion(kind: Kind, object: StoredObject, grace: number): void {
  object.metadata.deletionTimestamp = timestamp(Date.now() + grace * 1000);
  object.metadata.deletionGracePeriodSeconds = grace;
  if (kind.generation && object.metadata.generation) object.metadata.generation++;
  kind.deletion.begin?.(object);
}

/** Throws the 409 of a precondition that does not hold. */
export function checkPreconditions(kind: Kind, old: StoredObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  // As upstream, these name the kind where other conflicts name the resource.
  const subject = { group: kind.group, plural: kind.kind };
  const { name } = old.metadata;
  if (uid && uid !== old.metadata.uid) {
    throw conflict(
      subject,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${old.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(
      subject,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${old.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

/** The garbage collector's finalizers follow from the propagation policy. */
export function setPropagation(object: StoredObject, options: DeleteOptions): void {
  const policy = options.propagationPolicy ?? (options.orphanDependents === true ? "Orphan" : undefined);
  if (policy === undefined) return;
  const others = (object.metadata.finalizers ?? []).filter((f) => f !== "orphan" && f !== "foregroundDeletion");
  if (policy === "Orphan") others.push("orphan");
  if (policy === "Foreground") others.push("foregroundDeletion");
  if (others.length > 0) object.metadata.finalizers = others;
  else delete object.metadata.finalizers;
}
