import type { V1Container, V1PodSpec, V1PodTemplateSpec, V1Probe, V1Volume } from "@kubernetes/client-node";
import { compareQuantities, parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../errors.ts";
import { validateLabels } from "./metadata.ts";
import { dnsLabel, dnsSubdomain, envName, portName, portNumber } from "./names.ts";

/** Validation of pods and pod templates (k8s.io/kubernetes/pkg/apis/core/validation). */

/** Validates a pod's spec. `path` is the field's path, such as `spec` or `spec.template.spec`. */
export function validatePodSpec(spec: V1PodSpec | undefined, path: string, errors: FieldErrors): void {
  const volumes = validateVolumes(spec?.volumes ?? [], `${path}.volumes`, errors);
  const containers = spec?.containers ?? [];
  if (containers.length === 0) errors.required(`${path}.containers`);
  const names = new Set<string>();
  validateContainers(containers, `${path}.containers`, volumes, names, errors);
  validateContainers(spec?.initContainers ?? [], `${path}.initContainers`, volumes, names, errors);
  if (!spec) return;
  oneOf(spec.restartPolicy, ["Always", "OnFailure", "Never"], `${path}.restartPolicy`, errors);
  oneOf(spec.dnsPolicy, ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], `${path}.dnsPolicy`, errors);
  if (spec.dnsPolicy === "None" && !spec.dnsConfig?.nameservers?.length) {
    errors.required(
      `${path}.dnsConfig.nameservers`,
      "must provide at least one DNS nameserver when `dnsPolicy` is None",
    );
  }
  for (const [field, value] of [
    ["hostname", spec.hostname],
    ["subdomain", spec.subdomain],
  ] as const) {
    if (value) for (const problem of dnsLabel(value)) errors.invalid(`${path}.${field}`, value, problem);
  }
  for (const [field, value] of [
    ["serviceAccountName", spec.serviceAccountName],
    ["nodeName", spec.nodeName],
  ] as const) {
    if (value) for (const problem of dnsSubdomain(value)) errors.invalid(`${path}.${field}`, value, problem);
  }
  if (spec.nodeSelector) validateLabels(spec.nodeSelector, `${path}.nodeSelector`, errors);
  if ((spec.activeDeadlineSeconds ?? 1) < 1) {
    errors.invalid(
      `${path}.activeDeadlineSeconds`,
      spec.activeDeadlineSeconds,
      "must be between 1 and 2147483647, inclusive",
    );
  }
  spec.tolerations?.forEach((t, i) => {
    const at = `${path}.tolerations[${i}]`;
    if (t.operator) oneOf(t.operator, ["Equal", "Exists", "Lt", "Gt"], `${at}.operator`, errors);
    if (t.effect) oneOf(t.effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"], `${at}.effect`, errors);
    if (!t.key && t.operator !== "Exists") {
      errors.invalid(
        `${at}.operator`,
        t.operator ?? "",
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    }
    if (t.operator === "Exists" && t.value)
      errors.invalid(`${at}.operator`, t.value, "value must be empty when `operator` is 'Exists'");
  });
}

/** Validates a template and that the selector of its owner selects it. */
export function validatePodTemplate(template: V1PodTemplateSpec | undefined, path: string, errors: FieldErrors): void {
  if (template?.metadata?.labels) validateLabels(template.metadata.labels, `${path}.labels`, errors);
  validatePodSpec(template?.spec, `${path}.spec`, errors);
}

function oneOf(value: string | undefined, allowed: readonly string[], path: string, errors: FieldErrors): void {
  if (!value) errors.required(path);
  else if (!allowed.includes(value)) errors.unsupported(path, value, allowed);
}

function validateVolumes(volumes: readonly V1Volume[], path: string, errors: FieldErrors): Set<string> {
  const names = new Set<string>();
  volumes.forEach((volume, i) => {
    const at = `${path}[${i}]`;
    if (!volume.name) errors.required(`${at}.name`);
    else {
      for (const problem of dnsLabel(volume.name)) errors.invalid(`${at}.name`, volume.name, problem);
      if (names.has(volume.name)) errors.duplicate(`${at}.name`, volume.name);
    }
    const sources = Object.keys(volume).filter((key) => key !== "name");
    if (sources.length === 0) errors.required(at, "must specify a volume type");
    for (const extra of sources.slice(1)) errors.forbidden(`${at}.${extra}`, "may not specify more than 1 volume type");
    if (volume.configMap && !volume.configMap.name) errors.required(`${at}.configMap.name`);
    if (volume.secret && !volume.secret.secretName) errors.required(`${at}.secret.secretName`);
    if (volume.hostPath && !volume.hostPath.path) errors.required(`${at}.hostPath.path`);
    if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName)
      errors.required(`${at}.persistentVolumeClaim.claimName`);
    names.add(volume.name);
  });
  return names;
}

function validateContainers(
  containers: readonly V1Container[],
  path: string,
  volumes: ReadonlySet<string>,
  names: Set<string>,
  errors: FieldErrors,
): void {
  containers.forEach((container, i) => {
    const at = `${path}[${i}]`;
    if (!container.name) errors.required(`${at}.name`);
    else {
      for (const problem of dnsLabel(container.name)) errors.invalid(`${at}.name`, container.name, problem);
      if (names.has(container.name)) errors.duplicate(`${at}.name`, container.name);
      names.add(container.name);
    }
    if (!container.image) errors.required(`${at}.image`);
    else if (container.image.trim() !== container.image)
      errors.invalid(`${at}.image`, container.image, "must not have leading or trailing whitespace");
    oneOf(container.imagePullPolicy, ["Always", "IfNotPresent", "Never"], `${at}.imagePullPolicy`, errors);
    validatePorts(container, at, errors);
    validateEnv(container, at, errors);
    validateMounts(container, at, volumes, errors);
    validateResources(container, at, errors);
    for (const name of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
      validateProbe(container[name], `${at}.${name}`, errors);
    }
  });
}

function validatePorts(container: V1Container, path: string, errors: FieldErrors): void {
  const names = new Set<string>();
  container.ports?.forEach((port, i) => {
    const at = `${path}.ports[${i}]`;
    if (port.name) {
      for (const problem of portName(port.name)) errors.invalid(`${at}.name`, port.name, problem);
      if (names.has(port.name)) errors.duplicate(`${at}.name`, port.name);
      names.add(port.name);
    }
    if (!port.containerPort) errors.required(`${at}.containerPort`);
    else
      for (const problem of portNumber(port.containerPort))
        errors.invalid(`${at}.containerPort`, port.containerPort, problem);
    if (port.hostPort)
      for (const problem of portNumber(port.hostPort)) errors.invalid(`${at}.hostPort`, port.hostPort, problem);
    oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${at}.protocol`, errors);
  });
}

function validateEnv(container: V1Container, path: string, errors: FieldErrors): void {
  container.env?.forEach((env, i) => {
    const at = `${path}.env[${i}]`;
    if (!env.name) errors.required(`${at}.name`);
    else for (const problem of envName(env.name)) errors.invalid(`${at}.name`, env.name, problem);
    if (!env.valueFrom) return;
    const sources = Object.keys(env.valueFrom).length;
    if (sources === 0) {
      errors.invalid(
        `${at}.valueFrom`,
        "",
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
      );
    }
    if (env.value) errors.invalid(`${at}.valueFrom`, "", "may not be specified when `value` is not empty");
    else if (sources > 1) errors.invalid(`${at}.valueFrom`, "", "may not have more than one field specified at a time");
  });
}

function validateMounts(container: V1Container, path: string, volumes: ReadonlySet<string>, errors: FieldErrors): void {
  const paths = new Set<string>();
  container.volumeMounts?.forEach((mount, i) => {
    const at = `${path}.volumeMounts[${i}]`;
    if (!mount.name) errors.required(`${at}.name`);
    if (!volumes.has(mount.name)) errors.notFound(`${at}.name`, mount.name ?? "");
    if (!mount.mountPath) errors.required(`${at}.mountPath`);
    else if (paths.has(mount.mountPath)) errors.invalid(`${at}.mountPath`, mount.mountPath, "must be unique");
    paths.add(mount.mountPath);
  });
}

function validateResources(container: V1Container, path: string, errors: FieldErrors): void {
  const { requests = {}, limits = {} } = container.resources ?? {};
  for (const [name, value] of Object.entries(requests)) {
    const limit = limits[name];
    if (parseQuantity(value).unscaled < 0n)
      errors.invalid(`${path}.resources.requests[${name}]`, value, "must be greater than or equal to 0");
    if (limit !== undefined && compareQuantities(parseQuantity(value), parseQuantity(limit)) > 0) {
      errors.invalid(`${path}.resources.requests`, value, `must be less than or equal to ${name} limit of ${limit}`);
    }
  }
  for (const [name, value] of Object.entries(limits)) {
    if (parseQuantity(value).unscaled < 0n)
      errors.invalid(`${path}.resources.limits[${name}]`, value, "must be greater than or equal to 0");
  }
}

function validateProbe(probe: V1Probe | undefined, path: string, errors: FieldErrors): void {
  if (!probe) return;
  const handlers = (["exec", "httpGet", "tcpSocket", "grpc"] as const).filter((name) => probe[name]);
  if (handlers.length === 0) errors.required(path, "must specify a handler type");
  for (const extra of handlers.slice(1))
    errors.forbidden(`${path}.${extra}`, "may not specify more than 1 handler type");
  for (const name of [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const) {
    if ((probe[name] ?? 0) < 0) errors.invalid(`${path}.${name}`, probe[name], "must be greater than or equal to 0");
  }
  const port = probe.httpGet?.port ?? probe.tcpSocket?.port;
  if (typeof port === "number")
    for (const problem of portNumber(port)) errors.invalid(`${path}.${handlers[0]}.port`, port, problem);
  else if (typeof port === "string")
    for (const problem of portName(port)) errors.invalid(`${path}.${handlers[0]}.port`, port, problem);
}
