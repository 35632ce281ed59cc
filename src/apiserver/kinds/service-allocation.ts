import type { V1Service, V1ServicePort, V1ServiceSpec } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import { equalJson } from "#base/json.ts";
import { internal, invalid, type StatusCause } from "../errors.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { chooseFamilies } from "./service-families.ts";

type Service = Stored<V1Service>;

const needsClusterIp = (spec: V1ServiceSpec) => spec.type !== "ExternalName";
const mayHaveNodePorts = (spec: V1ServiceSpec) => spec.type === "NodePort" || spec.type === "LoadBalancer";
const allocatesNodePorts = (spec: V1ServiceSpec) =>
  spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);
const needsHealthCheck = (spec: V1ServiceSpec) =>
  spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";
const isReachedFromOutside = (spec: V1ServiceSpec) =>
  mayHaveNodePorts(spec) || (spec.type === "ClusterIP" && (spec.externalIPs?.length ?? 0) > 0);

/**
 * What an update leaves out is kept (kubectl replace and apply send no addresses), and what only the old type had is
 * dropped, unless the update changes it: then validation refuses it. Source: the Service strategy of kube-apiserver
 * (patchAllocatedValues, dropTypeDependentFields).
 */
export function carryAllocations(spec: V1ServiceSpec, old: V1ServiceSpec): void {
  if (needsClusterIp(spec) && needsClusterIp(old)) keepAddresses(spec, old);
  if (mayHaveNodePorts(spec) && mayHaveNodePorts(old)) keepNodePorts(spec.ports ?? [], old.ports ?? []);
  if (needsHealthCheck(spec) && needsHealthCheck(old) && !spec.healthCheckNodePort && old.healthCheckNodePort)
    spec.healthCheckNodePort = old.healthCheckNodePort;
  dropUnneeded(spec, old);
}

function keepAddresses(spec: V1ServiceSpec, old: V1ServiceSpec): void {
  // A new first address alone stands for all of them.
  if (spec.clusterIP && spec.clusterIP !== old.clusterIP && equalJson(spec.clusterIPs, old.clusterIPs))
    spec.clusterIPs = [spec.clusterIP];
  if (!spec.clusterIP && !spec.clusterIPs?.length && old.clusterIP) spec.clusterIP = old.clusterIP;
  if (!spec.clusterIPs?.length && spec.clusterIP === old.clusterIP && old.clusterIPs)
    spec.clusterIPs = [...old.clusterIPs];
  if (!spec.ipFamilies?.length && old.ipFamilies) spec.ipFamilies = [...old.ipFamilies];
  if (!spec.ipFamilyPolicy && old.ipFamilyPolicy) spec.ipFamilyPolicy = old.ipFamilyPolicy;
}

/** Ports are known by their names. */
function keepNodePorts(ports: readonly V1ServicePort[], old: readonly V1ServicePort[]): void {
  const used = new Set(ports.flatMap((port) => (port.nodePort ? [port.nodePort] : [])));
  for (const port of ports) {
    const before = old.find(({ name = "" }) => name === (port.name ?? ""))?.nodePort;
    if (!port.nodePort && before && !used.has(before)) port.nodePort = before;
  }
}

function dropUnneeded(spec: V1ServiceSpec, old: V1ServiceSpec): void {
  const dropSame = (...fields: (keyof V1ServiceSpec)[]) => {
    for (const field of fields) if (equalJson(spec[field], old[field])) delete spec[field];
  };
  if (needsClusterIp(old) && !needsClusterIp(spec)) {
    if (equalJson(spec.clusterIPs, old.clusterIPs) || !spec.clusterIPs?.length) dropSame("clusterIP", "clusterIPs");
    dropSame("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy");
  }
  const nodePorts = ({ ports = [] }: V1ServiceSpec) => ports.map((port) => port.nodePort ?? 0);
  if (mayHaveNodePorts(old) && !mayHaveNodePorts(spec) && isSubset(nodePorts(spec), nodePorts(old)))
    for (const port of spec.ports ?? []) delete port.nodePort;
  if (needsHealthCheck(old) && !needsHealthCheck(spec)) dropSame("healthCheckNodePort");
  if (old.type === "LoadBalancer" && spec.type !== "LoadBalancer")
    dropSame("allocateLoadBalancerNodePorts", "loadBalancerClass");
  if (isReachedFromOutside(old) && !isReachedFromOutside(spec)) dropSame("externalTrafficPolicy");
}

function isSubset(ports: readonly number[], of: readonly number[]): boolean {
  return ports.every((port) => port === 0 || of.includes(port));
}

type Fail = (cause: Omit<StatusCause, "reason">) => Error;

/** Fills in addresses, families and node ports. Throws the 422 of an address or port that cannot be had. */
export function allocate(o: Service, old: Service | undefined, context: WriteContext): void {
  const spec = o.spec as V1ServiceSpec;
  if (!needsClusterIp(spec)) return;
  const owner = `${o.metadata.namespace}/${o.metadata.name}`;
  const fail: Fail = (cause) => invalid("Service", "", o.metadata.name, [{ reason: "FieldValueInvalid", ...cause }]);
  if (spec.clusterIPs?.length && !spec.clusterIP) spec.clusterIP = spec.clusterIPs[0] as string;
  else if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  chooseFamilies(o, old?.spec?.type === "ExternalName" ? undefined : old, context.allocator.families);
  if (spec.clusterIP === "None") spec.clusterIPs = ["None"];
  else allocateAddresses(spec, { owner, kept: old?.spec?.clusterIPs ?? [] }, context, fail);
  allocateNodePorts(spec, owner, context, fail);
  allocateHealthCheck(spec, owner, context);
}

/** `kept`: the Service has these already, whatever became of their network. */
function allocateAddresses(
  spec: V1ServiceSpec,
  { owner, kept }: { readonly owner: string; readonly kept: readonly string[] },
  context: WriteContext,
  fail: Fail,
): void {
  const asked = spec.clusterIPs ?? [];
  const given = (spec.ipFamilies ?? []).map((family, i) => {
    const ip = asked[i];
    if (!ip) return context.allocator.allocateIp(family as "IPv4" | "IPv6");
    if (kept.includes(ip)) return ip;
    const problem = tryParseIp(ip) ? context.allocator.ipProblem(ip, owner) : undefined;
    if (problem === undefined) return ip;
    const message = `Invalid value: ${JSON.stringify(asked)}: failed to allocate IP ${ip}: ${problem}`;
    throw fail({ field: "spec.clusterIPs", message });
  });
  spec.clusterIP = given[0] as string;
  spec.clusterIPs = given;
}

function allocateNodePorts(spec: V1ServiceSpec, owner: string, context: WriteContext, fail: Fail): void {
  if (!mayHaveNodePorts(spec)) return;
  const taken = new Set((spec.ports ?? []).flatMap((port) => (port.nodePort ? [port.nodePort] : [])));
  if (spec.healthCheckNodePort) taken.add(spec.healthCheckNodePort);
  for (const [i, port] of (spec.ports ?? []).entries()) {
    if (port.nodePort) {
      const problem = context.allocator.portProblem(port.nodePort, port.protocol as string, owner);
      const field = `spec.ports[${i}].nodePort`;
      if (problem) throw fail({ field, message: `Invalid value: ${port.nodePort}: ${problem}` });
      continue;
    }
    if (!allocatesNodePorts(spec)) continue;
    // The same number serves TCP and UDP of one port number, as for DNS.
    const twin = spec.ports?.find(
      (other) => other !== port && other.port === port.port && other.protocol !== port.protocol && other.nodePort,
    );
    port.nodePort = twin?.nodePort ?? context.allocator.allocatePort(taken);
    taken.add(port.nodePort);
  }
}

/** The port where each node answers a load balancer whether it has an endpoint of the Service. */
function allocateHealthCheck(spec: V1ServiceSpec, owner: string, context: WriteContext): void {
  if (!needsHealthCheck(spec)) return;
  const { healthCheckNodePort: asked } = spec;
  if (asked) {
    const problem = context.allocator.portProblem(asked, "TCP", owner);
    if (problem) throw internal(`failed to allocate requested HealthCheck NodePort ${asked}: ${problem}`);
    return;
  }
  spec.healthCheckNodePort = context.allocator.allocatePort(
    new Set((spec.ports ?? []).map((port) => port.nodePort ?? 0)),
  );
}
