import type { V1KeyToPath, V1Volume, V1VolumeProjection } from "@kubernetes/client-node";
import { parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../../errors.ts";
import { form } from "../checks.ts";
import { validateDriverName } from "../csi.ts";
import { dnsLabel } from "../names.ts";
import { validateClaimSpec } from "../storage-claims.ts";
import {
  fileFields,
  validateFieldRef,
  validateMode,
  validateNoBacksteps,
  validateResourceFieldRef,
  validateVolumeFile,
} from "./names.ts";

/** Validates a pod's volumes (ValidateVolumes of core/validation); gives them by name. */
export function validateVolumes(
  volumes: readonly V1Volume[],
  podName: string,
  path: string,
  errors: FieldErrors,
): Map<string, V1Volume> {
  const known = new Map<string, V1Volume>();
  volumes.forEach((volume, i) => {
    const at = `${path}[${i}]`;
    const { name, ...sources } = volume;
    const types = Object.keys(sources) as (keyof typeof sources)[];
    for (const extra of types.slice(1)) errors.forbidden(`${at}.${extra}`, "may not specify more than 1 volume type");
    if (types[0]) validateSource(volume, types[0], podName, `${at}.${types[0]}`, errors);
    else errors.required(at, "must specify a volume type");
    if (!name) errors.required(`${at}.name`);
    else form(name, dnsLabel(name), `${at}.name`, errors);
    if (name && known.has(name)) errors.duplicate(`${at}.name`, name);
    known.set(name, volume);
  });
  return known;
}

const hostPathTypes = [
  ...["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"],
];

function validateSource(v: V1Volume, type: keyof V1Volume, podName: string, at: string, errors: FieldErrors): void {
  switch (type) {
    case "emptyDir":
      if (v.emptyDir?.sizeLimit && parseQuantity(v.emptyDir.sizeLimit).unscaled < 0n)
        errors.forbidden(`${at}.sizeLimit`, "SizeLimit field must be a valid resource quantity");
      break;
    case "hostPath":
      validateHostPath(v.hostPath, at, errors);
      break;
    case "secret":
      if (!v.secret?.secretName) errors.required(`${at}.secretName`);
      validateFiles(v.secret, at, errors);
      break;
    case "configMap":
      if (!v.configMap?.name) errors.required(`${at}.name`);
      validateFiles(v.configMap, at, errors);
      break;
    case "downwardAPI":
      validateMode(v.downwardAPI?.defaultMode, `${at}.defaultMode`, errors);
      validateDownward(v.downwardAPI?.items, at, errors);
      break;
    case "projected":
      validateProjected(v, at, errors);
      break;
    case "persistentVolumeClaim":
      if (!v.persistentVolumeClaim?.claimName) errors.required(`${at}.claimName`);
      break;
    case "ephemeral":
      validateEphemeral(v, podName, at, errors);
      break;
    default:
      validateRemote(v, type, at, errors);
  }
}

/** A path on the node; shared with PersistentVolumes. */
export function validateHostPath(
  source: { path?: string; type?: string } | undefined,
  at: string,
  errors: FieldErrors,
): void {
  if (!source?.path) {
    errors.required(`${at}.path`);
    return;
  }
  validateNoBacksteps(source.path, `${at}.path`, errors);
  if (source.type !== undefined && !hostPathTypes.includes(source.type))
    errors.unsupported(`${at}.type`, source.type, hostPathTypes);
}

/** Sources outside the cluster that need some of their fields. */
function validateRemote(v: V1Volume, type: keyof V1Volume, at: string, errors: FieldErrors): void {
  if (type === "nfs") {
    if (!v.nfs?.server) errors.required(`${at}.server`);
    if (!v.nfs?.path) errors.required(`${at}.path`);
    else if (!v.nfs.path.startsWith("/")) errors.invalid(`${at}.path`, v.nfs.path, "must be an absolute path");
  }
  if (type === "csi") {
    validateDriverName(v.csi?.driver ?? "", `${at}.driver`, errors);
    if (v.csi?.nodePublishSecretRef && !v.csi.nodePublishSecretRef.name)
      errors.required(`${at}.nodePublishSecretRef.name`);
  }
  if (type === "gitRepo" && !v.gitRepo?.repository) errors.required(`${at}.repository`);
  if (type === "image" && !v.image?.reference) errors.required(`${at}.reference`);
}

/** Keys and modes of a Secret's or ConfigMap's files. */
function validateFiles(
  source: { defaultMode?: number; items?: V1KeyToPath[] } | undefined,
  at: string,
  errors: FieldErrors,
): void {
  validateMode(source?.defaultMode, `${at}.defaultMode`, errors);
  source?.items?.forEach((item, i) => {
    const path = `${at}.items[${i}]`;
    if (!item.key) errors.required(`${path}.key`);
    validateVolumeFile(item.path, `${path}.path`, errors);
    validateMode(item.mode, `${path}.mode`, errors);
  });
}

function validateDownward(
  items: NonNullable<V1Volume["downwardAPI"]>["items"] | undefined,
  at: string,
  errors: FieldErrors,
): void {
  items?.forEach((item, i) => {
    const path = `${at}.items[${i}]`;
    validateVolumeFile(item.path, `${path}.path`, errors);
    if (item.fieldRef) {
      validateFieldRef(item.fieldRef, fileFields, `${path}.fieldRef`, errors);
      if (item.resourceFieldRef)
        errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (item.resourceFieldRef)
      validateResourceFieldRef(item.resourceFieldRef, true, `${path}.resourceFieldRef`, errors);
    else errors.required(path, "one of fieldRef and resourceFieldRef is required");
    validateMode(item.mode, `${path}.mode`, errors);
  });
}

function validateProjected(v: V1Volume, at: string, errors: FieldErrors): void {
  validateMode(v.projected?.defaultMode, `${at}.defaultMode`, errors);
  const paths = new Set<string>();
  v.projected?.sources?.forEach((source, i) => {
    const path = `${at}.sources[${i}]`;
    const types = Object.keys(source) as (keyof V1VolumeProjection)[];
    for (const extra of types.slice(1)) errors.forbidden(`${path}.${extra}`, "may not specify more than 1 volume type");
    for (const type of ["secret", "configMap"] as const) {
      if (!source[type]) continue;
      if (!source[type].name) errors.required(`${path}.${type}.name`);
      validateFiles(source[type], `${path}.${type}`, errors);
    }
    validateDownward(source.downwardAPI?.items, `${path}.downwardAPI`, errors);
    if (source.serviceAccountToken) validateToken(source.serviceAccountToken, `${path}.serviceAccountToken`, errors);
    for (const file of filesOf(source)) {
      if (paths.has(file)) errors.invalid(at, file, "conflicting duplicate paths");
      paths.add(file);
    }
  });
}

function filesOf(source: V1VolumeProjection): string[] {
  const items = [...(source.secret?.items ?? []), ...(source.configMap?.items ?? [])];
  const files = [...items, ...(source.downwardAPI?.items ?? [])].map((item) => item.path);
  return source.serviceAccountToken ? [...files, source.serviceAccountToken.path] : files;
}

function validateToken(token: { expirationSeconds?: number; path?: string }, path: string, errors: FieldErrors): void {
  const seconds = token.expirationSeconds ?? 3600;
  if (seconds < 600)
    errors.invalid(`${path}.expirationSeconds`, seconds, "may not specify a duration less than 10 minutes");
  if (seconds > 2 ** 32)
    errors.invalid(`${path}.expirationSeconds`, seconds, "may not specify a duration larger than 2^32 seconds");
  validateVolumeFile(token.path, `${path}.path`, errors);
}

function validateEphemeral(v: V1Volume, podName: string, at: string, errors: FieldErrors): void {
  const template = v.ephemeral?.volumeClaimTemplate;
  if (!template) {
    errors.required(`${at}.volumeClaimTemplate`);
    return;
  }
  validateClaimSpec(template.spec, `${at}.volumeClaimTemplate.spec`, errors);
  // The claim that is made gets the pod's and the volume's name.
  const claim = `${podName}-${v.name}`;
  if (podName && claim.length > 253)
    errors.invalid(`${at}.name`, v.name, `PVC name ${JSON.stringify(claim)}: must be no more than 253 characters`);
}
