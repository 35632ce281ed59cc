import type { V1Container, V1EphemeralContainer, V1PodSpec, V1Volume } from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { form, oneOf, oneOfOrNone } from "../checks.ts";
import { dnsLabel, portName, portNumber } from "../names.ts";
import { validateEnvironment } from "./environment.ts";
import { validateHooks } from "./handlers.ts";
import { validateDescending } from "./names.ts";
import { validateResources } from "./resources.ts";
import { validateSecurity } from "./security.ts";

/** The pod around the containers. */
export interface Around {
  readonly spec: V1PodSpec;
  readonly volumes: ReadonlyMap<string, V1Volume>;
  /** The path of the pod's spec. */
  readonly path: string;
}

/** All containers of a pod (validateContainers and its sisters of core/validation). */
export function validateAllContainers(around: Around, errors: FieldErrors): void {
  const { spec, path } = around;
  const names = new Set<string>();
  if (!spec.containers?.length) errors.required(`${path}.containers`);
  spec.containers?.forEach((c, i) => {
    const at = `${path}.containers[${i}]`;
    validateContainer(around, c, at, errors);
    noteName(c, at, names, errors);
    validateHooks(c, graceOf(spec), at, errors);
    oneOfOrNone(c.restartPolicy, ["Always", "Never", "OnFailure"], `${at}.restartPolicy`, errors);
  });
  validateHostPorts(spec.containers ?? [], `${path}.containers`, errors);
  spec.initContainers?.forEach((c, i) => {
    const at = `${path}.initContainers[${i}]`;
    validateContainer(around, c, at, errors);
    noteName(c, at, names, errors);
    validateInit(c, graceOf(spec), at, errors);
    validateHostPorts([c], `${path}.initContainers`, errors, i);
  });
  const targets = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ name }) => name));
  spec.ephemeralContainers?.forEach((c, i) => {
    validateEphemeral(around, c, { names, targets }, `${path}.ephemeralContainers[${i}]`, errors);
  });
}

const graceOf = (spec: V1PodSpec) => spec.terminationGracePeriodSeconds ?? 30;

function noteName(c: V1Container, at: string, names: Set<string>, errors: FieldErrors): void {
  if (c.name && names.has(c.name)) errors.duplicate(`${at}.name`, c.name);
  names.add(c.name);
}

/** Probes and hooks belong to what runs beside the pod's own containers. */
function validateInit(c: V1Container, grace: number, at: string, errors: FieldErrors): void {
  oneOfOrNone(c.restartPolicy, ["Always", "Never", "OnFailure"], `${at}.restartPolicy`, errors);
  if (c.restartPolicy === "Always") {
    validateHooks(c, grace, at, errors);
    return;
  }
  for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const)
    if (c[field]) errors.forbidden(`${at}.${field}`, "may not be set for init containers without restartPolicy=Always");
}

const notEphemeral = [
  ...(["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy"] as const),
];

function validateEphemeral(
  around: Around,
  c: V1EphemeralContainer,
  { names, targets }: { readonly names: Set<string>; readonly targets: ReadonlySet<string> },
  at: string,
  errors: FieldErrors,
): void {
  validateContainer(around, c as V1Container, at, errors);
  noteName(c as V1Container, at, names, errors);
  if (c.targetContainerName && !targets.has(c.targetContainerName))
    errors.notFound(`${at}.targetContainerName`, c.targetContainerName);
  const forbidden = "cannot be set for an Ephemeral Container";
  for (const field of notEphemeral) if (c[field] !== undefined) errors.forbidden(`${at}.${field}`, forbidden);
  if (Object.keys(c.resources ?? {}).length > 0) errors.forbidden(`${at}.resources`, forbidden);
  c.volumeMounts?.forEach((mount, i) => {
    for (const field of ["subPath", "subPathExpr"] as const)
      if (mount[field]) errors.forbidden(`${at}.volumeMounts[${i}].${field}`, forbidden);
  });
}

/** What containers of every sort must be (validateContainerCommon). */
function validateContainer({ spec, volumes }: Around, c: V1Container, at: string, errors: FieldErrors): void {
  if (!c.name) errors.required(`${at}.name`);
  else form(c.name, dnsLabel(c.name), `${at}.name`, errors);
  if (!c.image) errors.required(`${at}.image`);
  else if (c.image.trim() !== c.image)
    errors.invalid(`${at}.image`, c.image, "must not have leading or trailing whitespace");
  oneOf(c.terminationMessagePolicy, ["FallbackToLogsOnError", "File"], `${at}.terminationMessagePolicy`, errors);
  validatePorts(c, at, errors);
  validateEnvironment(c, at, errors);
  validateMounts(c, volumes, at, errors);
  validateDevices(c, volumes, at, errors);
  oneOf(c.imagePullPolicy, ["Always", "IfNotPresent", "Never"], `${at}.imagePullPolicy`, errors);
  validateResources(c.resources, `${at}.resources`, errors);
  c.resizePolicy?.forEach((policy, i) => {
    const path = `${at}.resizePolicy[${i}]`;
    oneOf(policy.resourceName, ["cpu", "memory"], `${path}.resourceName`, errors);
    oneOf(policy.restartPolicy, ["NotRequired", "RestartContainer"], `${path}.restartPolicy`, errors);
  });
  validateSecurity(c.securityContext, spec.hostUsers !== false, `${at}.securityContext`, errors);
  if (!spec.hostNetwork) return;
  c.ports?.forEach((port, i) => {
    if (port.hostPort !== undefined && port.hostPort !== port.containerPort)
      errors.invalid(
        `${at}.ports[${i}].containerPort`,
        port.containerPort,
        "must match `hostPort` when `hostNetwork` is true",
      );
  });
}

function validatePorts(c: V1Container, at: string, errors: FieldErrors): void {
  const names = new Set<string>();
  c.ports?.forEach((port, i) => {
    const path = `${at}.ports[${i}]`;
    if (port.name) {
      const problems = portName(port.name);
      form(port.name, problems, `${path}.name`, errors);
      if (problems.length === 0 && names.has(port.name)) errors.duplicate(`${path}.name`, port.name);
      names.add(port.name);
    }
    if (!port.containerPort) errors.required(`${path}.containerPort`);
    else
      for (const problem of portNumber(port.containerPort))
        errors.invalid(`${path}.containerPort`, port.containerPort, problem);
    if (port.hostPort)
      for (const problem of portNumber(port.hostPort)) errors.invalid(`${path}.hostPort`, port.hostPort, problem);
    oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${path}.protocol`, errors);
  });
}

/** A port of the node can be taken once in a pod. */
function validateHostPorts(containers: readonly V1Container[], path: string, errors: FieldErrors, first = 0): void {
  const taken = new Set<string>();
  containers.forEach((c, i) => {
    c.ports?.forEach((port, j) => {
      if (!port.hostPort) return;
      const key = `${port.protocol}/${port.hostIP ?? ""}/${port.hostPort}`;
      if (taken.has(key)) errors.duplicate(`${path}[${i + first}].ports[${j}].hostPort`, key);
      taken.add(key);
    });
  });
}

function validateMounts(c: V1Container, volumes: ReadonlyMap<string, V1Volume>, at: string, errors: FieldErrors): void {
  const paths = new Set<string>();
  const devices = new Set(c.volumeDevices?.map(({ name }) => name));
  const devicePaths = new Set(c.volumeDevices?.map(({ devicePath }) => devicePath));
  c.volumeMounts?.forEach((mount, i) => {
    const path = `${at}.volumeMounts[${i}]`;
    if (!mount.name) errors.required(`${path}.name`);
    if (!volumes.has(mount.name)) errors.notFound(`${path}.name`, mount.name ?? "");
    if (!mount.mountPath) errors.required(`${path}.mountPath`);
    if (paths.has(mount.mountPath)) errors.invalid(`${path}.mountPath`, mount.mountPath, "must be unique");
    paths.add(mount.mountPath);
    if (devices.has(mount.name)) errors.invalid(`${path}.name`, mount.name, "must not already exist in volumeDevices");
    if (devicePaths.has(mount.mountPath))
      errors.invalid(`${path}.mountPath`, mount.mountPath, "must not already exist as a path in volumeDevices");
    if (mount.subPath) validateDescending(mount.subPath, `${at}.volumeMounts.subPath`, errors);
    if (mount.subPathExpr) {
      if (mount.subPath)
        errors.invalid(`${path}.subPathExpr`, mount.subPathExpr, "subPathExpr and subPath are mutually exclusive");
      validateDescending(mount.subPathExpr, `${at}.volumeMounts.subPathExpr`, errors);
    }
    validatePropagation(c, mount.mountPropagation, `${at}.volumeMounts.mountPropagation`, errors);
  });
}

function validatePropagation(c: V1Container, mode: string | undefined, path: string, errors: FieldErrors): void {
  oneOfOrNone(mode, ["Bidirectional", "HostToContainer", "None"], path, errors);
  if (mode === "Bidirectional" && !c.securityContext?.privileged)
    errors.forbidden(path, "Bidirectional mount propagation is available only to privileged containers");
}

function validateDevices(
  c: V1Container,
  volumes: ReadonlyMap<string, V1Volume>,
  at: string,
  errors: FieldErrors,
): void {
  const [names, paths] = [new Set<string>(), new Set<string>()];
  c.volumeDevices?.forEach((device, i) => {
    const path = `${at}.volumeDevices[${i}]`;
    const volume = volumes.get(device.name);
    if (!device.name) errors.required(`${path}.name`);
    if (names.has(device.name)) errors.invalid(`${path}.name`, device.name, "must be unique");
    if (volume && !volume.persistentVolumeClaim && !volume.ephemeral)
      errors.invalid(
        `${path}.name`,
        device.name,
        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
      );
    if (!volume) errors.notFound(`${path}.name`, device.name ?? "");
    if (!device.devicePath) errors.required(`${path}.devicePath`);
    if (paths.has(device.devicePath)) errors.invalid(`${path}.devicePath`, device.devicePath, "must be unique");
    names.add(device.name);
    paths.add(device.devicePath);
  });
}
