import type { V1PersistentVolume, V1PersistentVolumeClaim, V1StorageClass } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { compareQuantities, parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../errors.ts";
import { form, oneOfOrNone } from "./checks.ts";
import { validateParameters, validateProvisioner } from "./csi.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { immutable, protect } from "./metadata.ts";
import { dnsSubdomain } from "./names.ts";
import { validateNodeSelector } from "./podspec/placement.ts";
import { validateHostPath } from "./podspec/volumes.ts";
import { age } from "./print.ts";
import { validateAccessModes, validateClaimSpec } from "./storage-claims.ts";

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const modesText = (modes: readonly string[] | undefined) =>
  [...new Set(modes ?? [])].map((m) => shortModes[m] ?? m).join(",");

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
  prepareCreate(o, context) {
    o.status = { phase: "Pending" };
    protect(o, "pv", context);
  },
  validate: validateVolume,
  validateUpdate(o, old, errors) {
    const source = (v: Volume) => pick(v.spec, volumeSources(v));
    if (!equalJson(source(o), source(old)))
      errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
    immutable(o.spec?.volumeMode, old.spec?.volumeMode, "spec.volumeMode", errors);
    if (old.spec?.nodeAffinity && !equalJson(o.spec?.nodeAffinity, old.spec.nodeAffinity))
      errors.invalid("spec.nodeAffinity", o.spec?.nodeAffinity, "field is immutable");
  },
});

type Volume = Stored<V1PersistentVolume>;

/** Fields of a volume's spec that say nothing of where it is. */
const ordinary = new Set([
  ...["capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName"],
  ...["mountOptions", "volumeMode", "nodeAffinity", "volumeAttributesClassName"],
]);

function volumeSources(o: Volume): string[] {
  return Object.keys(o.spec ?? {}).filter((field) => !ordinary.has(field));
}

function pick(spec: object | undefined, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(fields.map((field) => [field, (spec as Record<string, unknown>)[field]]));
}

function validateVolume(o: Volume, errors: FieldErrors): void {
  const spec = o.spec ?? {};
  validateAccessModes(spec.accessModes, "", "spec.accessModes", errors);
  const capacity = spec.capacity ?? {};
  if (Object.keys(capacity).length === 0) errors.required("spec.capacity");
  else if (capacity.storage === undefined || Object.keys(capacity).length > 1)
    errors.unsupported("spec.capacity", capacity, ["storage"]);
  for (const [name, value] of Object.entries(capacity))
    if (parseQuantity(value).unscaled <= 0n)
      errors.invalid(`spec.capacity[${name}]`, value, "must be greater than zero");
  oneOfOrNone(
    spec.persistentVolumeReclaimPolicy,
    ["Delete", "Recycle", "Retain"],
    "spec.persistentVolumeReclaimPolicy",
    errors,
  );
  if (spec.nodeAffinity?.required)
    validateNodeSelector(spec.nodeAffinity.required.nodeSelectorTerms, "spec.nodeAffinity.required", errors);
  const [source, ...more] = volumeSources(o);
  if (!source) errors.required("spec", "must specify a volume type");
  for (const extra of more) errors.forbidden(`spec.${extra}`, "may not specify more than 1 volume type");
  if (source === "hostPath") validateHostPath(spec.hostPath, "spec.hostPath", errors);
  if (source === "local" && !spec.local?.path) errors.required("spec.local.path");
  if (source === "local" && !spec.nodeAffinity?.required)
    errors.required("spec.nodeAffinity", "Local volume requires node affinity");
  if (spec.hostPath?.path === "/" && spec.persistentVolumeReclaimPolicy === "Recycle")
    errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'");
  if (spec.storageClassName)
    form(spec.storageClassName, dnsSubdomain(spec.storageClassName), "spec.storageClassName", errors);
  oneOfOrNone(spec.volumeMode, ["Block", "Filesystem"], "spec.volumeMode", errors);
}

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
  prepareCreate(o, context) {
    o.status = { phase: "Pending" };
    protect(o, "pvc", context);
    const name = o.spec?.storageClassName === undefined ? defaultClass(context) : undefined;
    if (name && o.spec) o.spec.storageClassName = name;
  },
  validate: (o, errors) => validateClaimSpec(o.spec, "spec", errors),
  validateUpdate(o, old, errors) {
    const rest = (c: typeof o) =>
      JSON.stringify({ ...c.spec, resources: undefined, volumeName: undefined, volumeAttributesClassName: undefined });
    if (rest(o) !== rest(old)) {
      errors.forbidden(
        "spec",
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
      );
    }
    const size = (c: typeof o) => c.spec?.resources?.requests?.storage ?? "0";
    if (compareQuantities(parseQuantity(size(o)), parseQuantity(size(old))) < 0)
      errors.forbidden("spec.resources.requests.storage", "field can not be less than previous value");
  },
});

const defaultMark = "storageclass.kubernetes.io/is-default-class";

/** As the DefaultStorageClass admission plugin: the newest class that is marked as the default. */
function defaultClass(context: WriteContext): string | undefined {
  if (!context.pluginOn("DefaultStorageClass")) return undefined;
  const marked = context
    .list("storageclasses.storage.k8s.io")
    .map((e) => e.object.metadata)
    .filter((meta) => meta.annotations?.[defaultMark] === "true");
  const newest = marked.sort((a, b) => ((a.creationTimestamp ?? "") < (b.creationTimestamp ?? "") ? 1 : -1))[0];
  return newest?.name;
}

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
    const marked = o.metadata.annotations?.[defaultMark] === "true";
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
    validateProvisioner(o.provisioner ?? "", "provisioner", errors);
    validateParameters(o.parameters ?? {}, errors);
    oneOfOrNone(o.reclaimPolicy, ["Delete", "Retain"], "reclaimPolicy", errors);
    oneOfOrNone(o.volumeBindingMode, ["Immediate", "WaitForFirstConsumer"], "volumeBindingMode", errors);
  },
  validateUpdate(o, old, errors) {
    if (o.provisioner !== old.provisioner) errors.forbidden("provisioner", "updates to provisioner are forbidden.");
    if (JSON.stringify(o.parameters) !== JSON.stringify(old.parameters))
      errors.forbidden("parameters", "updates to parameters are forbidden.");
    if (o.reclaimPolicy !== old.reclaimPolicy)
      errors.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.");
    immutable(o.volumeBindingMode, old.volumeBindingMode, "volumeBindingMode", errors);
  },
});
