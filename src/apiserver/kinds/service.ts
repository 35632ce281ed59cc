import type { V1Service, V1ServicePort, V1ServiceSpec } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import { invalid } from "../errors.ts";
import { equalJson } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { dns1035Label } from "./names.ts";
import { age, labelText, orNone } from "./print.ts";
import { reachableFromOutside, validateService, validateServiceUpdate } from "./service-validate.ts";

type Service = Stored<V1Service>;

/** core/v1 Service. */
export const service = defineKind<Service>({
  group: "",
  kind: "Service",
  plural: "services",
  type: "core.v1.Service",
  shortNames: ["svc"],
  categories: ["all"],
  status: true,
  generation: false,
  nameRule: dns1035Label,
  subresources: { proxy: { kind: "ServiceProxyOptions", verbs: ["create", "delete", "get", "patch", "update"] } },
  columns: columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.type ?? "",
    o.spec?.clusterIPs?.[0] ?? (o.spec?.clusterIP || "<none>"),
    externalIp(o),
    portsText(o.spec?.ports ?? []),
    age(o.metadata.creationTimestamp, now),
    labelText(o.spec?.selector),
  ],
  selectableFields: ["spec.clusterIP", "spec.type"],
  selectable: (o) => ({ "spec.clusterIP": o.spec?.clusterIP ?? "", "spec.type": o.spec?.type ?? "" }),
  defaults,
  prepareCreate(o, context) {
    o.status = { loadBalancer: {} };
    allocate(o, undefined, context);
  },
  prepareUpdate(o, old, context) {
    dropTypeFields(o.spec as V1ServiceSpec, old.spec as V1ServiceSpec);
    keepAddresses(o.spec as V1ServiceSpec, old.spec as V1ServiceSpec);
    allocate(o, old, context);
  },
  validate: validateService,
  validateUpdate: validateServiceUpdate,
});

function defaults(o: Service): void {
  o.spec ??= {};
  const spec = o.spec;
  spec.type ??= "ClusterIP";
  spec.sessionAffinity ??= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  else if (spec.sessionAffinity === "ClientIP") spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10800 } };
  for (const port of spec.ports ?? []) {
    port.protocol ??= "TCP";
    port.targetPort ??= port.port;
  }
  if (reachableFromOutside(spec)) spec.externalTrafficPolicy ??= "Cluster";
  if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  o.status ??= { loadBalancer: {} };
}

/** Fields that only the old type had, and that the client merely sends back, go with it (dropTypeDependentFields). */
function dropTypeFields(spec: V1ServiceSpec, old: V1ServiceSpec): void {
  const same = (field: keyof V1ServiceSpec) => equalJson(spec[field], old[field]);
  if (reachableFromOutside(old) && !reachableFromOutside(spec) && same("externalTrafficPolicy"))
    delete spec.externalTrafficPolicy;
  if (old.type !== "LoadBalancer" || spec.type === "LoadBalancer") return;
  for (const field of ["allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"] as const)
    if (same(field)) delete spec[field];
}

/** What an update leaves out is kept: kubectl replace and apply send no addresses. */
function keepAddresses(spec: V1ServiceSpec, old: V1ServiceSpec): void {
  if (spec.type === "ExternalName" || old.type === "ExternalName") return;
  if (!spec.clusterIP && !spec.clusterIPs?.length) {
    if (old.clusterIP) spec.clusterIP = old.clusterIP;
    if (old.clusterIPs) spec.clusterIPs = [...old.clusterIPs];
  }
  if (!spec.clusterIPs?.length && spec.clusterIP === old.clusterIP && old.clusterIPs)
    spec.clusterIPs = [...old.clusterIPs];
  if (!spec.ipFamilies?.length && old.ipFamilies) spec.ipFamilies = [...old.ipFamilies];
  if (!spec.ipFamilyPolicy && old.ipFamilyPolicy) spec.ipFamilyPolicy = old.ipFamilyPolicy;
  if (!needsNodePorts(spec) || !needsNodePorts(old)) return;
  for (const port of spec.ports ?? []) {
    const before = old.ports?.find((p) => p.port === port.port && p.protocol === port.protocol);
    const taken = spec.ports?.some(
      (p) => p !== port && p.nodePort === before?.nodePort && p.protocol === port.protocol,
    );
    if (before?.nodePort && !taken) port.nodePort ??= before.nodePort;
  }
}

function needsNodePorts(spec: V1ServiceSpec): boolean {
  return spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);
}

const familyOf = (ip: string): "IPv4" | "IPv6" => (ip.includes(":") ? "IPv6" : "IPv4");

/** Fills in addresses, families and node ports. Throws the 422 of an address or port that cannot be had. */
function allocate(o: Service, old: Service | undefined, context: WriteContext): void {
  const spec = o.spec as V1ServiceSpec;
  const owner = `${o.metadata.namespace}/${o.metadata.name}`;
  const fail = (field: string, value: unknown, text: string) =>
    invalid("Service", "", o.metadata.name, [
      { reason: "FieldValueInvalid", field, message: `Invalid value: ${JSON.stringify(value)}: ${text}` },
    ]);
  if (spec.type === "ExternalName") {
    for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] as const)
      if (old) delete spec[field];
    for (const port of spec.ports ?? []) if (old) delete port.nodePort;
    return;
  }
  if (spec.clusterIPs?.length && !spec.clusterIP) spec.clusterIP = spec.clusterIPs[0] as string;
  const asked = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
  const families = chooseFamilies(spec, asked, context);
  spec.ipFamilies = families;
  if (asked[0] === "None") {
    spec.clusterIP = "None";
    spec.clusterIPs = ["None"];
  } else {
    const ips = families.map((family, i) => {
      const ip = asked[i];
      if (!ip) return context.allocator.allocateIp(family);
      const problem = tryParseIp(ip) ? context.allocator.ipProblem(ip, owner) : undefined;
      if (problem)
        throw fail(
          i === 0 ? "spec.clusterIPs" : `spec.clusterIPs[${i}]`,
          spec.clusterIPs ?? [ip],
          `failed to allocate IP ${ip}: ${problem}`,
        );
      return ip;
    });
    spec.clusterIP = ips[0] as string;
    spec.clusterIPs = ips;
  }
  allocatePorts(o, owner, context, fail);
}

function chooseFamilies(spec: V1ServiceSpec, asked: readonly string[], context: WriteContext): ("IPv4" | "IPv6")[] {
  const cluster = context.allocator.families;
  const given = (spec.ipFamilies ?? []) as ("IPv4" | "IPv6")[];
  const byAddress = asked.filter((ip) => ip !== "None").map(familyOf);
  const first = given[0] ?? byAddress[0] ?? (cluster[0] as "IPv4" | "IPv6");
  const both = (given.length || byAddress.length) > 1;
  spec.ipFamilyPolicy ??= both ? "RequireDualStack" : "SingleStack";
  if (spec.ipFamilyPolicy === "SingleStack") return [first];
  const second = cluster.find((family) => family !== first);
  if (!second && spec.ipFamilyPolicy === "RequireDualStack") {
    throw invalid("Service", "", context.name, [
      {
        reason: "FieldValueInvalid",
        field: "spec.ipFamilyPolicy",
        message: 'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      },
    ]);
  }
  return second ? [first, second] : [first];
}

function allocatePorts(
  o: Service,
  owner: string,
  context: WriteContext,
  fail: (field: string, value: unknown, text: string) => Error,
): void {
  const spec = o.spec as V1ServiceSpec;
  if (!needsNodePorts(spec)) {
    // Ports of a type left behind are given back; a port asked for here is refused by validation.
    for (const port of spec.ports ?? [])
      if (spec.type === "ClusterIP" && port.nodePort && context.get("services", owner)) delete port.nodePort;
    return;
  }
  const taken = new Set((spec.ports ?? []).flatMap((p) => (p.nodePort ? [p.nodePort] : [])));
  spec.ports?.forEach((port, i) => {
    if (port.nodePort) {
      const problem = context.allocator.portProblem(port.nodePort, port.protocol as string, owner);
      if (problem) throw fail(`spec.ports[${i}].nodePort`, port.nodePort, problem);
      return;
    }
    // The same number serves TCP and UDP of one port number, as for DNS.
    const twin = spec.ports?.find(
      (p) => p !== port && p.port === port.port && p.protocol !== port.protocol && p.nodePort,
    );
    port.nodePort = twin?.nodePort ?? context.allocator.allocatePort(taken);
    taken.add(port.nodePort);
  });
}

function externalIp(o: Service): string {
  const external = o.spec?.externalIPs ?? [];
  switch (o.spec?.type) {
    case "ExternalName":
      return o.spec.externalName ?? "";
    case "LoadBalancer": {
      const ingress = (o.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || "").filter(Boolean);
      const all = [...ingress, ...external];
      return all.length > 0 ? all.join(",") : "<pending>";
    }
    default:
      return orNone(external);
  }
}

function portsText(ports: readonly V1ServicePort[]): string {
  return orNone(ports.map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ""}/${p.protocol}`));
}
