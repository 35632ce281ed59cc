import type { V1PersistentVolume, V1PersistentVolumeClaim, V1StorageClass } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { age } from "./print.ts";

const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const modesText = (modes: readonly string[] | undefined) =>
  [...new Set(modes ?? [])].map((m) => accessModes[m] ?? m).join(",");

/** core/v1 PersistentVolume, stored. */
export const persistentVolume = defineKind<Stored<V1PersistentVolume>>({
  group: "",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  type: "core.v1.PersistentVolume",
  shortNames: ["pv"],
  namespaced: false,
  status: true,
  generation: false,
  columns: columns(
    "Name",
    "Capacity",
    "Access Modes",
    "Reclaim Policy",
    "Status",
    "Claim",
    "StorageClass",
    "VolumeAttributesClass",
    "Reason",
    "Age",
    "+VolumeMode",
  ),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.capacity?.storage ?? "",
    modesText(o.spec?.accessModes),
    o.spec?.persistentVolumeReclaimPolicy ?? "",
    o.metadata.deletionTimestamp ? "Terminating" : (o.status?.phase ?? ""),
    o.spec?.claimRef ? `${o.spec.claimRef.namespace}/${o.spec.claimRef.name}` : "",
    o.spec?.storageClassName ?? "",
    o.spec?.volumeAttributesClassName ?? "<unset>",
    o.status?.reason ?? "",
    age(o.metadata.creationTimestamp, now),
    o.spec?.volumeMode ?? "<unset>",
  ],
  defaults(o) {
    o.spec ??= {};
    o.spec.persistentVolumeReclaimPolicy ??= "Retain";
    o.spec.volumeMode ??= "Filesystem";
    if (o.spec.hostPath) o.spec.hostPath.type ??= "";
    o.status ??= { phase: "Pending" };
  },
  prepareCreate(o) {
    o.status = { phase: "Pending" };
  },
  validate(o, errors) {
    if (!o.spec?.accessModes?.length) errors.required("spec.accessModes");
    if (!o.spec?.capacity?.storage) errors.required("spec.capacity");
  },
});

/** core/v1 PersistentVolumeClaim, stored. */
export const persistentVolumeClaim = defineKind<Stored<V1PersistentVolumeClaim>>({
  group: "",
  kind: "PersistentVolumeClaim",
  plural: "persistentvolumeclaims",
  type: "core.v1.PersistentVolumeClaim",
  shortNames: ["pvc"],
  status: true,
  generation: false,
  columns: columns(
    "Name",
    "Status",
    "Volume",
    "Capacity",
    "Access Modes",
    "StorageClass",
    "VolumeAttributesClass",
    "Age",
    "+VolumeMode",
  ),
  row: (o, now) => [
    o.metadata.name,
    o.metadata.deletionTimestamp ? "Terminating" : (o.status?.phase ?? ""),
    o.spec?.volumeName ?? "",
    o.spec?.volumeName ? (o.status?.capacity?.storage ?? "0") : "",
    o.spec?.volumeName ? modesText(o.status?.accessModes) : "",
    o.spec?.storageClassName ?? "",
    o.spec?.volumeAttributesClassName ?? "<unset>",
    age(o.metadata.creationTimestamp, now),
    o.spec?.volumeMode ?? "<unset>",
  ],
  defaults(o) {
    o.spec ??= {};
    o.spec.volumeMode ??= "Filesystem";
    o.status ??= { phase: "Pending" };
  },
  prepareCreate(o) {
    o.status = { phase: "Pending" };
  },
  validate(o, errors) {
    if (!o.spec?.accessModes?.length) errors.required("spec.accessModes", "at least 1 access mode is required");
    if (!o.spec?.resources?.requests?.storage) errors.required("spec.resources[storage]");
  },
  validateUpdate(o, old, errors) {
    const rest = (c: typeof o) =>
      JSON.stringify({ ...c.spec, resources: undefined, volumeName: undefined, volumeAttributesClassName: undefined });
    if (rest(o) !== rest(old)) {
      errors.forbidden(
        "spec",
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
      );
    }
  },
});

/** storage.k8s.io/v1 StorageClass, stored. */
export const storageClass = defineKind<Stored<V1StorageClass>>({
  group: "storage.k8s.io",
  kind: "StorageClass",
  plural: "storageclasses",
  type: "storage.v1.StorageClass",
  shortNames: ["sc"],
  namespaced: false,
  columns: columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
  row(o, now) {
    const marked = o.metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true";
    return [
      marked ? `${o.metadata.name} (default)` : o.metadata.name,
      o.provisioner,
      o.reclaimPolicy ?? "Delete",
      o.volumeBindingMode ?? "Immediate",
      o.allowVolumeExpansion ?? false,
      age(o.metadata.creationTimestamp, now),
    ];
  },
  defaults(o) {
    o.reclaimPolicy ??= "Delete";
    o.volumeBindingMode ??= "Immediate";
  },
  validate(o, errors) {
    if (!o.provisioner) errors.required("provisioner");
  },
  validateUpdate(o, old, errors) {
    if (o.provisioner !== old.provisioner) errors.forbidden("provisioner", "updates to provisioner are forbidden.");
    if (JSON.stringify(o.parameters) !== JSON.stringify(old.parameters))
      errors.forbidden("parameters", "updates to parameters are forbidden.");
    if (o.reclaimPolicy !== old.reclaimPolicy)
      errors.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.");
  },
});
