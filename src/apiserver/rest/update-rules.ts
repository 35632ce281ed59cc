import { equalJson } from "#base/json.ts";
import { badRequest, conflict, invalid, type StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { cloneJson, type Dict, keyOf, type Meta, type StoredObject } from "../object.ts";

/** What every update has in common, whatever its kind. */

/** Throws StatusError 400, 409 and 422 for an update that is of another object, or of another version of it. */
export function checkIdentity(
  kind: Kind,
  old: StoredObject,
  draft: StoredObject,
  namespace: string,
  name: string,
): void {
  const meta = checkName(kind, draft, namespace, name);
  if (meta.uid && meta.uid !== old.metadata.uid)
    throw otherUid(kind, keyOf(namespace, name), meta.uid, old.metadata.uid);
  const given = meta.resourceVersion === "0" ? "" : (meta.resourceVersion ?? "");
  if (given === "" && !kind.unconditionalUpdate) throw withoutVersion(kind, name);
  if (given !== "" && given !== old.metadata.resourceVersion) throw conflict(kind, name);
}

/** Throws StatusError 400 for a body whose name or namespace is not the path's; fills in what it leaves out. */
export function checkName(kind: Kind, draft: StoredObject, namespace: string, name: string): Meta {
  draft.metadata ??= { name };
  const meta = draft.metadata;
  if (!meta.name) meta.name = name;
  if (meta.name !== name)
    throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${name})`);
  if (kind.namespaced) {
    meta.namespace ||= namespace;
    if (meta.namespace !== namespace)
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  return meta;
}

/**
 * The 409 for an update of another object than the one that is there.
 * @param key `namespace/name`, or the name alone
 */
export function otherUid(kind: Kind, key: string, asked: string, actual = ""): StatusError {
  return conflict(
    kind,
    key.slice(key.indexOf("/") + 1),
    `StorageError: invalid object, Code: 4, Key: /registry/${kind.plural}/${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${asked}, UID in object meta: ${actual}`,
  );
}

/** The 422 in upstream's words, which name the resource in the kind's place. */
function withoutVersion(kind: Kind, name: string): StatusError {
  const message = "Invalid value: 0x0: must be specified for an update";
  return invalid(kind.plural, kind.group, name, [
    { reason: "FieldValueInvalid", message, field: "metadata.resourceVersion" },
  ]);
}

/** Fields that a write through this resource cannot change keep their old value. */
export function carryOver(kind: Kind, old: StoredObject, object: StoredObject, subresource: string): void {
  const meta = object.metadata;
  const was = old.metadata;
  for (const field of [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
  ] as const) {
    if (was[field] === undefined) delete meta[field];
    else Object.assign(meta, { [field]: was[field] });
  }
  if (writesStatus(subresource)) {
    for (const field of Object.keys(object))
      if (!["status", "metadata", "apiVersion", "kind"].includes(field)) delete object[field];
    for (const [field, value] of Object.entries(old))
      if (field !== "status" && field !== "metadata") object[field] = cloneJson(value);
    for (const field of ["ownerReferences", "finalizers"] as const) {
      if (was[field] === undefined) delete meta[field];
      else Object.assign(meta, { [field]: cloneJson(was[field]) });
    }
  } else if (kind.status) {
    if (old.status === undefined) delete object.status;
    else object.status = cloneJson(old.status);
  }
}

/** Subresources that write the status and nothing else. */
export function writesStatus(subresource: string): boolean {
  return subresource === "status" || subresource === "approval";
}

/** Subresources that change what a pod's ordinary update cannot. */
export function changesPodPart(subresource: string): boolean {
  return subresource === "ephemeralcontainers" || subresource === "resize";
}

/** metadata.generation grows when anything but metadata and a status apart changes. */
export function countGeneration(kind: Kind, old: StoredObject, object: StoredObject): void {
  const counted = ({ metadata: _, status, ...rest }: StoredObject): Dict => (kind.status ? rest : { ...rest, status });
  if (!equalJson(counted(kind.toStored(kind.fromStored(old))), counted(object)))
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
}
