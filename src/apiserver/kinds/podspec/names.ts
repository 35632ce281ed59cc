import type { FieldErrors } from "../../errors.ts";
import { form } from "../checks.ts";
import { configKey, portName, portNumber, qualifiedName } from "../names.ts";

/** Small forms that containers and volumes share. */

/** What upstream says of an address that is none. */
export const badIp = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/** A port by number or by name (ValidatePortNumOrName). */
export function validatePort(port: unknown, path: string, errors: FieldErrors): void {
  if (typeof port === "string") form(port, portName(port), path, errors);
  else for (const problem of portNumber(port)) errors.invalid(path, port ?? 0, problem);
}

/** A path below a directory (validateLocalDescendingPath). */
export function validateDescending(text: string, path: string, errors: FieldErrors): void {
  if (text.startsWith("/")) errors.invalid(path, text, "must be a relative path");
  validateNoBacksteps(text, path, errors);
}

/** No `..` among the parts of a path (validatePathNoBacksteps). */
export function validateNoBacksteps(text: string, path: string, errors: FieldErrors): void {
  if (text.split("/").includes("..")) errors.invalid(path, text, "must not contain '..'");
}

/** A path below a directory of a volume that the kubelet writes: what begins with `..` is its own. */
export function validateVolumeFile(text: string | undefined, path: string, errors: FieldErrors): void {
  if (!text) {
    errors.required(path);
    return;
  }
  validateDescending(text, path, errors);
  if (text.startsWith("..") && !text.startsWith("../")) errors.invalid(path, text, "must not start with '..'");
}

/** Permission bits of a file. */
export function validateMode(mode: number | undefined, path: string, errors: FieldErrors): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777))
    errors.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
}

/** A key of a ConfigMap or Secret that something refers to. */
export function validateKey(key: string | undefined, path: string, errors: FieldErrors): void {
  if (!key) errors.required(path);
  else form(key, configKey(key), path, errors);
}

/** Fields of a pod that can be passed into it, and which of them as environment variables. */
const convertible = new Set([
  ...["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"],
  ...["spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "spec.hostname"],
  ...["status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"],
]);

/** Fields for environment variables. */
export const envFields: readonly string[] = [
  ...["metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"],
  ...["status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"],
];

/** Fields for files of a downwardAPI volume. */
export const fileFields: readonly string[] = [
  ...["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"],
];

/** A reference to a field of the pod (validateObjectFieldSelector). */
export function validateFieldRef(
  ref: { apiVersion?: string; fieldPath?: string },
  allowed: readonly string[],
  path: string,
  errors: FieldErrors,
): void {
  const field = ref.fieldPath ?? "";
  if (!ref.apiVersion) {
    errors.required(`${path}.apiVersion`);
    return;
  }
  if (field === "") {
    errors.required(`${path}.fieldPath`);
    return;
  }
  const subscript = /^(.+)\['(.*)'\]$/.exec(field);
  if (subscript) {
    const [, base = "", key = ""] = subscript;
    if (base === "metadata.annotations") form(key, qualifiedName(key.toLowerCase()), path, errors);
    else if (base === "metadata.labels") form(key, qualifiedName(key), path, errors);
    else errors.invalid(path, base, "does not support subscript");
    return;
  }
  if (!convertible.has(field))
    errors.invalid(`${path}.fieldPath`, field, `error converting fieldPath: field label not supported: ${field}`);
  else if (!allowed.includes(field)) errors.unsupported(`${path}.fieldPath`, field, allowed);
}

const resourceFields: readonly string[] = ["limits", "requests"].flatMap((part) =>
  ["cpu", "ephemeral-storage", "memory"].map((name) => `${part}.${name}`),
);

/** A reference to a resource of a container (validateContainerResourceFieldSelector). */
export function validateResourceFieldRef(
  ref: { containerName?: string; resource?: string },
  needsContainer: boolean,
  path: string,
  errors: FieldErrors,
): void {
  const { containerName, resource = "" } = ref;
  if (needsContainer && !containerName) errors.required(`${path}.containerName`);
  else if (resource === "") errors.required(`${path}.resource`);
  else if (!resourceFields.includes(resource) && !/^(limits|requests)\.hugepages-/.test(resource))
    errors.unsupported(`${path}.resource`, resource, resourceFields);
}
