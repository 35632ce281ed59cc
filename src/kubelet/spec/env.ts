import type { ConfigMap, Container, EnvVar, KeySelector, Pod, Secret, Service } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";

/** Where the values of a container's environment come from. Lookups give undefined for what does not exist. */
export interface EnvSources {
  readonly pod: Pod;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  /** The node's resources, which count where a container has no limit. */
  readonly allocatable: Readonly<Record<string, string>>;
  readonly configMap: (name: string) => Promise<ConfigMap | undefined>;
  readonly secret: (name: string) => Promise<Secret | undefined>;
  /** Services whose addresses are told to the container. */
  readonly services: readonly Service[];
}

/** A container's configuration cannot be built: reason CreateContainerConfigError. */
export class ContainerConfigError extends PodwireError {
  constructor(message: string) {
    super("ERR_CONTAINER_CONFIG", message);
  }
}

/**
 * Replaces `$(NAME)` by the variable's value; `$$(NAME)` stays as `$(NAME)`, an unknown name stays as it is.
 * Source: Kubernetes API reference, Container.command and EnvVar.value.
 */
export function expand(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => {
    if (whole === "$$") return "$";
    return name !== undefined && Object.hasOwn(values, name) ? (values[name] ?? "") : whole;
  });
}

function bracketed(path: string): { readonly map: string; readonly key: string } | undefined {
  const match = /^metadata\.(annotations|labels)\['(.+)'\]$/.exec(path);
  return match ? { map: match[1] as string, key: match[2] as string } : undefined;
}

function lines(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join("\n");
}

/**
 * Value of a downward API field.
 * @throws ContainerConfigError for a path that the API does not name
 */
export function fieldValue(
  path: string,
  { pod, podIPs, hostIPs }: Pick<EnvSources, "pod" | "podIPs" | "hostIPs">,
): string {
  const inMap = bracketed(path);
  if (inMap) return (inMap.map === "labels" ? pod.metadata.labels : pod.metadata.annotations)?.[inMap.key] ?? "";
  switch (path) {
    case "metadata.name":
      return pod.metadata.name;
    case "metadata.namespace":
      return pod.metadata.namespace ?? "";
    case "metadata.uid":
      return pod.metadata.uid ?? "";
    case "metadata.labels":
      return lines(pod.metadata.labels);
    case "metadata.annotations":
      return lines(pod.metadata.annotations);
    case "spec.nodeName":
      return pod.spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec.serviceAccountName ?? "";
    case "status.podIP":
      return podIPs[0] ?? "";
    case "status.podIPs":
      return podIPs.join(",");
    case "status.hostIP":
      return hostIPs[0] ?? "";
    case "status.hostIPs":
      return hostIPs.join(",");
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${path}`);
  }
}

/**
 * Value of a resourceFieldRef: an amount of the container's resources, divided and rounded up. Where it has no limit,
 * that is what the node has.
 */
export function resourceValue(
  container: Container,
  resource: string,
  divisor: string | undefined,
  allocatable: Readonly<Record<string, string>>,
): string {
  const dot = resource.indexOf(".");
  const table = container.resources?.[resource.slice(0, dot) as "limits" | "requests"];
  const name = resource.slice(dot + 1);
  // As upstream: cores are counted in thousandths, everything else in wholes, before they are divided.
  const count = (text: string): bigint => scaledQuantity(parseQuantity(text), name === "cpu" ? -3 : 0);
  const unset = resource.startsWith("limits.") ? (allocatable[name] ?? "0") : "0";
  const amount = count(table?.[name] ?? unset);
  const unit = count(divisor ?? "0") || count("1");
  return String((amount + unit - 1n) / unit);
}

/**
 * The container that a resourceFieldRef names, init containers among them.
 * @throws ContainerConfigError in upstream's words when there is none (findContainerInPod)
 */
export function namedContainer({ spec }: Pod, name: string): Container {
  const found = [...spec.containers, ...(spec.initContainers ?? [])].find((c) => c.name === name);
  if (!found) throw new ContainerConfigError(`container ${name} not found`);
  return found;
}

async function keyValue(
  kind: "configmap" | "secret",
  ref: KeySelector,
  sources: EnvSources,
): Promise<string | undefined> {
  const name = ref.name ?? "";
  const data = kind === "configmap" ? (await sources.configMap(name))?.data : decoded(await sources.secret(name));
  if (data && Object.hasOwn(data, ref.key)) return data[ref.key];
  if (ref.optional) return undefined;
  if (!data) throw new ContainerConfigError(`${kind} "${name}" not found`);
  const shown = kind === "configmap" ? "ConfigMap" : "Secret";
  throw new ContainerConfigError(`couldn't find key ${ref.key} in ${shown} ${sources.pod.metadata.namespace}/${name}`);
}

/** A secret's data as text; undefined for no secret. */
function decoded(secret: Secret | undefined): Record<string, string> | undefined {
  if (!secret) return undefined;
  const entries = Object.entries(secret.data ?? {});
  return Object.fromEntries(entries.map(([k, v]) => [k, Buffer.from(v, "base64").toString()]));
}

async function referenced(variable: EnvVar, container: Container, sources: EnvSources): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (from?.fieldRef) return fieldValue(from.fieldRef.fieldPath, sources);
  if (from?.configMapKeyRef) return keyValue("configmap", from.configMapKeyRef, sources);
  if (from?.secretKeyRef) return keyValue("secret", from.secretKeyRef, sources);
  if (from?.resourceFieldRef) {
    const { containerName, resource, divisor } = from.resourceFieldRef;
    const of = containerName ? namedContainer(sources.pod, containerName) : container;
    return resourceValue(of, resource, divisor, sources.allocatable);
  }
  return undefined;
}

async function fromSources(container: Container, sources: EnvSources): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const ref = configMapRef ?? secretRef;
    if (!ref) continue;
    const name = ref.name ?? "";
    const data = configMapRef
      ? await sources.configMap(name).then((m) => m && (m.data ?? {}))
      : decoded(await sources.secret(name));
    if (!data && !ref.optional) {
      throw new ContainerConfigError(`${configMapRef ? "configmap" : "secret"} "${name}" not found`);
    }
    for (const [key, value] of Object.entries(data ?? {})) result[prefix + key] = value;
  }
  return result;
}

/**
 * The environment of a container, later ones winning: Services, envFrom, env (each may use those before it).
 * @throws ContainerConfigError for a ConfigMap, Secret or key that is not there
 */
export async function containerEnv(container: Container, sources: EnvSources): Promise<Record<string, string>> {
  const links = serviceEnv(sources.services, sources.pod);
  const values: Record<string, string> = { ...links, ...(await fromSources(container, sources)) };
  for (const variable of container.env ?? []) {
    if (variable.valueFrom) {
      const value = await referenced(variable, container, sources);
      if (value !== undefined) values[variable.name] = value;
    } else {
      values[variable.name] = expand(variable.value ?? "", values);
    }
  }
  return values;
}

/**
 * Environment variables that tell a container of Services: those of its own namespace (unless enableServiceLinks is
 * false) and always `kubernetes` of the default namespace. Source: Kubernetes documentation, "Service: discovering services".
 */
export function serviceEnv(services: readonly Service[], pod: Pod): Record<string, string> {
  const links = pod.spec.enableServiceLinks !== false;
  const result: Record<string, string> = {};
  const isMaster = (s: Service) => s.metadata.namespace === "default" && s.metadata.name === "kubernetes";
  const wanted = services.filter((s) => isMaster(s) || (links && s.metadata.namespace === pod.metadata.namespace));
  for (const service of wanted) {
    const ip = service.spec.clusterIP;
    const first = service.spec.ports?.[0];
    if (!ip || ip === "None" || !first) continue;
    const name = service.metadata.name.toUpperCase().replaceAll("-", "_");
    const host = ip.includes(":") ? `[${ip}]` : ip;
    result[`${name}_SERVICE_HOST`] = ip;
    result[`${name}_SERVICE_PORT`] = String(first.port);
    const url = (port: number, protocol: string) => `${protocol}://${host}:${port}`;
    result[`${name}_PORT`] = url(first.port, (first.protocol ?? "TCP").toLowerCase());
    for (const port of service.spec.ports ?? []) {
      const protocol = port.protocol ?? "TCP";
      if (port.name) result[`${name}_SERVICE_PORT_${port.name.toUpperCase().replaceAll("-", "_")}`] = String(port.port);
      const prefix = `${name}_PORT_${port.port}_${protocol}`;
      result[prefix] = url(port.port, protocol.toLowerCase());
      result[`${prefix}_PROTO`] = protocol.toLowerCase();
      result[`${prefix}_PORT`] = String(port.port);
      result[`${prefix}_ADDR`] = ip;
    }
  }
  return result;
}
