import type { FieldErrors } from "../errors.ts";
import type { Meta, StoredObject } from "../object.ts";
import type { Kind, WriteContext } from "./definition.ts";
import { dnsLabel, labelValue, qualifiedName } from "./names.ts";

/** Bytes of all annotations of an object (apimachinery TotalAnnotationSizeLimitB). */
const annotationLimit = 256 * 1024;

/** Validates what every object has (apimachinery ValidateObjectMeta). */
export function validateMeta(kind: Kind, object: StoredObject, errors: FieldErrors): void {
  const meta = object.metadata;
  if (meta.generateName && !meta.name) {
    for (const problem of kind.nameRule(meta.generateName, true))
      errors.invalid("metadata.generateName", meta.generateName, problem);
  }
  if (!meta.name) errors.required("metadata.name", "name or generateName is required");
  else for (const problem of kind.nameRule(meta.name, false)) errors.invalid("metadata.name", meta.name, problem);
  if (kind.namespaced) {
    if (!meta.namespace) errors.required("metadata.namespace");
    else for (const problem of dnsLabel(meta.namespace)) errors.invalid("metadata.namespace", meta.namespace, problem);
  } else if (meta.namespace) errors.forbidden("metadata.namespace", "not allowed on this type");
  if (meta.labels) validateLabels(meta.labels, "metadata.labels", errors);
  validateAnnotations(meta.annotations ?? {}, errors);
  validateOwners(meta, errors);
  // Definitions and custom objects may have finalizers of any name, and a deleted definition has one.
  for (const finalizer of meta.finalizers ?? []) validateFinalizer(finalizer, kind.decode !== undefined, errors);
}

/** Validates keys and values of labels. */
export function validateLabels(labels: Readonly<Record<string, string>>, path: string, errors: FieldErrors): void {
  for (const [key, value] of Object.entries(labels)) {
    for (const problem of qualifiedName(key)) errors.invalid(path, key, problem);
    for (const problem of labelValue(value)) errors.invalid(path, value, problem);
  }
}

function validateAnnotations(annotations: Readonly<Record<string, string>>, errors: FieldErrors): void {
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    for (const problem of qualifiedName(key.toLowerCase())) errors.invalid("metadata.annotations", key, problem);
    size += key.length + Buffer.byteLength(value);
  }
  if (size > annotationLimit) errors.tooLong("metadata.annotations", annotationLimit);
}

function validateOwners(meta: Meta, errors: FieldErrors): void {
  let controllers = 0;
  meta.ownerReferences?.forEach((owner, i) => {
    const path = `metadata.ownerReferences[${i}]`;
    for (const field of ["apiVersion", "kind", "name", "uid"] as const) {
      if (!owner[field])
        errors.invalid(
          `${path}.${field}`,
          owner[field] ?? "",
          `${field === "apiVersion" ? "version" : field} must not be empty`,
        );
    }
    if (owner.controller) controllers++;
  });
  if (controllers > 1) {
    errors.invalid(
      "metadata.ownerReferences",
      meta.ownerReferences,
      "Only one reference can have Controller set to true",
    );
  }
}

const standardFinalizers = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

function validateFinalizer(finalizer: string, free: boolean, errors: FieldErrors): void {
  for (const problem of qualifiedName(finalizer)) errors.invalid("metadata.finalizers", finalizer, problem);
  if (!free && !finalizer.includes("/") && !standardFinalizers.has(finalizer)) {
    errors.invalid(
      "metadata.finalizers",
      finalizer,
      "name is neither a standard finalizer name nor is it fully qualified",
    );
  }
}

/** Validates what an update may not change in the metadata (apimachinery ValidateObjectMetaUpdate). */
export function validateMetaUpdate(object: StoredObject, old: StoredObject, errors: FieldErrors): void {
  const [now, before] = [object.metadata, old.metadata];
  for (const field of ["name", "namespace", "uid", "creationTimestamp"] as const) {
    if (now[field] !== before[field]) errors.invalid(`metadata.${field}`, now[field] ?? "", "field is immutable");
  }
  if (before.deletionTimestamp === undefined) return;
  const added = (now.finalizers ?? []).filter((f) => !before.finalizers?.includes(f));
  if (added.length > 0) {
    errors.forbidden(
      "metadata.finalizers",
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(", ")}}`,
    );
  }
}

/** Reports a field that may not change. */
export function immutable(value: unknown, old: unknown, path: string, errors: FieldErrors): void {
  if (JSON.stringify(value) !== JSON.stringify(old)) errors.invalid(path, value, "field is immutable");
}

/**
 * As the StorageObjectInUseProtection admission plugin: a finalizer that its controller takes away when nobody uses the
 * object any more.
 * @param what `pv`, `pvc` or `vac`
 */
export function protect({ metadata }: StoredObject, what: string, { pluginOn }: WriteContext): void {
  if (!pluginOn("StorageObjectInUseProtection")) return;
  const finalizer = `kubernetes.io/${what}-protection`;
  if (!metadata.finalizers?.includes(finalizer)) metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
}
