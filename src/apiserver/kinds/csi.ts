import type {
  V1CSIDriver,
  V1CSINode,
  V1CSIStorageCapacity,
  V1VolumeAttachment,
  V1VolumeAttributesClass,
} from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../errors.ts";
import { nonNegative, notNegative, oneOfOrNone, validateLabelSelector } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable, protect } from "./metadata.ts";
import { dnsSubdomain, qualifiedName } from "./names.ts";
import { age } from "./print.ts";

const group = "storage.k8s.io";

/** Name of a CSI driver (core ValidateCSIDriverName). */
export function validateDriverName(name: string, path: string, errors: FieldErrors): void {
  if (!name) errors.required(path);
  if (name.length > 63) errors.tooLong(path, 63);
  for (const problem of name ? dnsSubdomain(name.toLowerCase()) : []) errors.invalid(path, name, problem);
}

type Driver = Stored<V1CSIDriver>;

/** storage.k8s.io/v1 CSIDriver, stored. */
export const csiDriver = defineKind<Driver>({
  group,
  kind: "CSIDriver",
  plural: "csidrivers",
  type: "storage.v1.CSIDriver",
  unconditionalUpdate: false,
  namespaced: false,
  columns: [
    ...columns("Name", "AttachRequired", "PodInfoOnMount", "StorageCapacity", "TokenRequests", "RequiresRepublish"),
    ...columns("Modes", "Age"),
  ],
  row: (o, now) => [
    o.metadata.name,
    o.spec.attachRequired ?? true,
    o.spec.podInfoOnMount ?? false,
    o.spec.storageCapacity ?? false,
    o.spec.tokenRequests ? o.spec.tokenRequests.map((t) => t.audience).join(",") : "<unset>",
    o.spec.requiresRepublish ?? false,
    o.spec.volumeLifecycleModes?.join(",") || "<none>",
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    o.spec ??= {};
    o.spec.attachRequired ??= true;
    o.spec.podInfoOnMount ??= false;
    o.spec.storageCapacity ??= false;
    o.spec.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
    if (!o.spec.volumeLifecycleModes?.length) o.spec.volumeLifecycleModes = ["Persistent"];
    o.spec.requiresRepublish ??= false;
    o.spec.seLinuxMount ??= false;
  },
  validate(o, errors) {
    validateDriverName(o.metadata.name, "metadata.name", errors);
    o.spec.volumeLifecycleModes?.forEach((mode, i) => {
      oneOfOrNone(mode, ["Ephemeral", "Persistent"], `spec.volumeLifecycleModes[${i}]`, errors);
    });
    oneOfOrNone(o.spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"], "spec.fsGroupPolicy", errors);
    validateTokens(o, errors);
  },
  validateUpdate(o, old, errors) {
    immutable(o.spec.attachRequired, old.spec.attachRequired, "spec.attachedRequired", errors);
    immutable(o.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes, "spec.volumeLifecycleModes", errors);
  },
});

function validateTokens(o: Driver, errors: FieldErrors): void {
  const seen = new Set<string>();
  o.spec.tokenRequests?.forEach(({ audience, expirationSeconds }, i) => {
    const path = `spec.tokenRequests[${i}]`;
    if (seen.has(audience ?? "")) errors.duplicate(`${path}.audience`, audience ?? "");
    seen.add(audience ?? "");
    if (expirationSeconds === undefined) return;
    if (expirationSeconds < 600)
      errors.invalid(`${path}.expirationSeconds`, expirationSeconds, "may not specify a duration less than 10 minutes");
    if (expirationSeconds > 2 ** 32)
      errors.invalid(
        `${path}.expirationSeconds`,
        expirationSeconds,
        "may not specify a duration larger than 2^32 seconds",
      );
  });
}

type CsiNode = Stored<V1CSINode>;

/** storage.k8s.io/v1 CSINode, stored. */
export const csiNode = defineKind<CsiNode>({
  group,
  kind: "CSINode",
  plural: "csinodes",
  type: "storage.v1.CSINode",
  unconditionalUpdate: false,
  namespaced: false,
  columns: columns("Name", "Drivers#", "Age"),
  row: (o, now) => [o.metadata.name, o.spec.drivers?.length ?? 0, age(o.metadata.creationTimestamp, now)],
  defaults(o) {
    o.spec ??= { drivers: [] };
    o.spec.drivers ??= [];
  },
  validate(o, errors) {
    const names = new Set<string>();
    o.spec.drivers.forEach((driver, i) => {
      const path = `spec.drivers[${i}]`;
      validateDriverName(driver.name ?? "", `${path}.name`, errors);
      if (!driver.nodeID) errors.required(`${path}.nodeID`);
      else if (driver.nodeID.length > 256) errors.tooLong(`${path}.nodeID`, 256);
      nonNegative(driver.allocatable?.count, `${path}.allocatable.count`, errors);
      validateTopologyKeys(driver.topologyKeys ?? [], `${path}.topologyKeys`, errors);
      if (names.has(driver.name)) errors.duplicate(`${path}.name`, driver.name);
      names.add(driver.name);
    });
  },
  validateUpdate(o, old, errors) {
    // A driver that stays may not change; it may go and another come.
    o.spec.drivers.forEach((driver, i) => {
      const before = old.spec.drivers.find((d) => d.name === driver.name);
      const part = ({ allocatable: _a, ...rest }: typeof driver) => rest;
      if (before && !equalJson(part(before), part(driver)))
        errors.invalid(`spec.drivers[${i}]`, driver, "field is immutable");
    });
  },
});

function validateTopologyKeys(keys: readonly string[], path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  keys.forEach((key, i) => {
    if (seen.has(key)) errors.duplicate(`${path}[${i}]`, key);
    seen.add(key);
    for (const problem of qualifiedName(key)) errors.invalid(`${path}[${i}]`, key, problem);
  });
}

/** storage.k8s.io/v1 CSIStorageCapacity, stored. */
export const csiStorageCapacity = defineKind<Stored<V1CSIStorageCapacity>>({
  group,
  kind: "CSIStorageCapacity",
  plural: "csistoragecapacities",
  type: "storage.v1.CSIStorageCapacity",
  unconditionalUpdate: false,
  columns: columns("Name", "StorageClassName", "Capacity"),
  row: (o) => [o.metadata.name, o.storageClassName, o.capacity ?? "<unset>"],
  validate(o, errors) {
    for (const problem of dnsSubdomain(o.storageClassName ?? ""))
      errors.invalid("storageClassName", o.storageClassName ?? "", problem);
    validateLabelSelector(o.nodeTopology, "nodeTopology", errors);
    for (const field of ["capacity", "maximumVolumeSize"] as const) {
      const value = o[field];
      if (value !== undefined && parseQuantity(value).unscaled < 0n) errors.invalid(field, value, notNegative);
    }
  },
  validateUpdate(o, old, errors) {
    immutable(o.nodeTopology, old.nodeTopology, "nodeTopology", errors);
    immutable(o.storageClassName, old.storageClassName, "storageClassName", errors);
  },
});

type Attachment = Stored<V1VolumeAttachment>;

/** storage.k8s.io/v1 VolumeAttachment, stored. */
export const volumeAttachment = defineKind<Attachment>({
  group,
  kind: "VolumeAttachment",
  plural: "volumeattachments",
  type: "storage.v1.VolumeAttachment",
  unconditionalUpdate: false,
  namespaced: false,
  status: true,
  generation: false,
  columns: columns("Name", "Attacher", "PV", "Node", "Attached", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.spec.attacher,
    o.spec.source?.persistentVolumeName ?? "",
    o.spec.nodeName,
    o.status?.attached ?? false,
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    o.status ??= { attached: false };
  },
  validate(o, errors) {
    const { attacher, nodeName, source } = o.spec ?? {};
    validateDriverName(attacher ?? "", "spec.attacher", errors);
    const exactlyOne = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    if (!source?.inlineVolumeSpec && source?.persistentVolumeName === undefined)
      errors.required("spec.source", exactlyOne);
    else if (source.inlineVolumeSpec && source.persistentVolumeName !== undefined)
      errors.forbidden("spec.source", exactlyOne);
    else if (source.persistentVolumeName === "")
      errors.required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName");
    if (!nodeName) errors.required("spec.nodeName");
    else for (const problem of dnsSubdomain(nodeName)) errors.invalid("spec.nodeName", nodeName, problem);
  },
  validateUpdate: (o, old, errors) => immutable(o.spec, old.spec, "spec", errors),
});

/** storage.k8s.io/v1 VolumeAttributesClass, stored. */
export const volumeAttributesClass = defineKind<Stored<V1VolumeAttributesClass>>({
  group,
  kind: "VolumeAttributesClass",
  plural: "volumeattributesclasses",
  type: "storage.v1.VolumeAttributesClass",
  shortNames: ["vac"],
  namespaced: false,
  columns: columns("Name", "DriverName", "Age"),
  row: (o, now) => [o.metadata.name, o.driverName, age(o.metadata.creationTimestamp, now)],
  prepareCreate: (o, context) => protect(o, "vac", context),
  validate(o, errors) {
    validateProvisioner(o.driverName ?? "", "driverName", errors);
    if (Object.keys(o.parameters ?? {}).length === 0)
      errors.required("parameters", "must contain at least one key/value pair");
    validateParameters(o.parameters ?? {}, errors);
  },
  validateUpdate(o, old, errors) {
    if (o.driverName !== old.driverName) errors.forbidden("driverName", "updates to driverName are forbidden.");
    if (!equalJson(o.parameters, old.parameters))
      errors.forbidden("parameters", "updates to parameters are forbidden.");
  },
});

/** A provisioner's or driver's name: a qualified name in any case. */
export function validateProvisioner(name: string, path: string, errors: FieldErrors): void {
  if (!name) errors.required(path);
  else for (const problem of qualifiedName(name.toLowerCase())) errors.invalid(path, name, problem);
}

/** Parameters of a class, in keys and in bytes (validateParameters of storage). */
export function validateParameters(parameters: Readonly<Record<string, string>>, errors: FieldErrors): void {
  const entries = Object.entries(parameters);
  if (entries.length > 512) {
    errors.tooMany("parameters", entries.length, 512);
    return;
  }
  let size = 0;
  for (const [key, value] of entries) {
    if (key === "") errors.invalid("parameters", key, "field can not be empty.");
    size += key.length + value.length;
  }
  if (size > 256 * 1024) errors.tooLong("parameters", 256 * 1024);
}
