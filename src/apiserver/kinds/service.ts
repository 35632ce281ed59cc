import type { V1Service, V1ServicePort, V1ServiceSpec } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import type { FieldErrors } from "../errors.ts";
import { equalJson } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { dns1035Label, dnsLabel, dnsSubdomain, portName, portNumber } from "./names.ts";
import { age, labelText, orNone } from "./print.ts";
import { allocate, carryAllocations } from "./service-allocation.ts";

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
    carryAllocations(o.spec as V1ServiceSpec, old.spec as V1ServiceSpec);
    allocate(o, old, context);
  },
  validate,
  validateUpdate,
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
  const external = spec.type === "NodePort" || spec.type === "LoadBalancer" || (spec.externalIPs?.length ?? 0) > 0;
  if (external && spec.type !== "ExternalName") spec.externalTrafficPolicy ??= "Cluster";
  if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  o.status ??= { loadBalancer: {} };
}

function validate(o: Service, errors: FieldErrors): void {
  const spec = o.spec as V1ServiceSpec;
  const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
  if (!types.includes(spec.type as string)) errors.unsupported("spec.type", spec.type, types);
  const ports = spec.ports ?? [];
  if (ports.length === 0 && spec.clusterIP !== "None" && spec.type !== "ExternalName") errors.required("spec.ports");
  if (spec.type === "ExternalName") {
    const name = (spec.externalName ?? "").replace(/\.$/, "");
    if (!name) errors.required("spec.externalName");
    else for (const problem of dnsSubdomain(name)) errors.invalid("spec.externalName", name, problem);
    if (spec.clusterIP) errors.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
  }
  if (!["ClientIP", "None"].includes(spec.sessionAffinity ?? ""))
    errors.unsupported("spec.sessionAffinity", spec.sessionAffinity, ["ClientIP", "None"]);
  if (spec.clusterIP === "None" && spec.type !== "ClusterIP")
    errors.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  spec.clusterIPs?.forEach((ip, i) => {
    if (ip !== "None" && !tryParseIp(ip))
      errors.invalid(`spec.clusterIPs[${i}]`, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  });
  spec.externalIPs?.forEach((ip, i) => {
    if (!tryParseIp(ip))
      errors.invalid(`spec.externalIPs[${i}]`, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  });
  for (const field of ["externalTrafficPolicy", "internalTrafficPolicy"] as const) {
    const value = spec[field];
    if (value && !["Cluster", "Local"].includes(value))
      errors.unsupported(`spec.${field}`, value, ["Cluster", "Local"]);
  }
  validateTypeFields(spec, errors);
  validatePorts(spec, errors);
}

/** Fields that only some types have. */
function validateTypeFields(spec: V1ServiceSpec, errors: FieldErrors): void {
  const outside = spec.type === "NodePort" || spec.type === "LoadBalancer" || (spec.externalIPs?.length ?? 0) > 0;
  if (spec.externalTrafficPolicy && (!outside || spec.type === "ExternalName"))
    errors.invalid(
      "spec.externalTrafficPolicy",
      spec.externalTrafficPolicy,
      "may only be set for externally-accessible services",
    );
  if (spec.healthCheckNodePort && !(spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local"))
    errors.invalid(
      "spec.healthCheckNodePort",
      spec.healthCheckNodePort,
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    );
  for (const field of ["allocateLoadBalancerNodePorts", "loadBalancerClass"] as const)
    if (spec.type !== "LoadBalancer" && spec[field] !== undefined)
      errors.forbidden(`spec.${field}`, "may only be used when `type` is 'LoadBalancer'");
}

function validatePorts(spec: V1ServiceSpec, errors: FieldErrors): void {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const keys = new Set<string>();
  ports.forEach((port, i) => {
    const path = `spec.ports[${i}]`;
    if (ports.length > 1 && !port.name) errors.required(`${path}.name`);
    else if (port.name) {
      for (const problem of dnsLabel(port.name)) errors.invalid(`${path}.name`, port.name, problem);
      if (names.has(port.name)) errors.duplicate(`${path}.name`, port.name);
      names.add(port.name);
    }
    for (const problem of portNumber(port.port)) errors.invalid(`${path}.port`, port.port ?? 0, problem);
    if (!["SCTP", "TCP", "UDP"].includes(port.protocol ?? ""))
      errors.unsupported(`${path}.protocol`, port.protocol, ["SCTP", "TCP", "UDP"]);
    if (typeof port.targetPort === "number")
      for (const p of portNumber(port.targetPort)) errors.invalid(`${path}.targetPort`, port.targetPort, p);
    if (typeof port.targetPort === "string")
      for (const p of portName(port.targetPort)) errors.invalid(`${path}.targetPort`, port.targetPort, p);
    if (port.nodePort && !["NodePort", "LoadBalancer"].includes(spec.type ?? "")) {
      errors.forbidden(`${path}.nodePort`, `may not be used when \`type\` is '${spec.type}'`);
    }
    const key = `${port.protocol}/${port.port}`;
    if (keys.has(key)) errors.duplicate(path, { protocol: port.protocol, port: port.port });
    keys.add(key);
  });
}

function validateUpdate(o: Service, old: Service, errors: FieldErrors): void {
  const [now, before] = [o.spec as V1ServiceSpec, old.spec as V1ServiceSpec];
  if (now.type === "ExternalName" || before.type === "ExternalName") return;
  if (before.clusterIP && before.clusterIP !== now.clusterIP) {
    errors.invalid("spec.clusterIPs[0]", now.clusterIPs, "may not change once set");
  }
  if (before.ipFamilies?.[0] && before.ipFamilies[0] !== now.ipFamilies?.[0]) {
    errors.invalid("spec.ipFamilies[0]", now.ipFamilies?.[0], "may not change once set");
  }
  if (before.loadBalancerClass && !equalJson(before.loadBalancerClass, now.loadBalancerClass)) {
    errors.invalid("spec.loadBalancerClass", now.loadBalancerClass, "may not change once set");
  }
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
