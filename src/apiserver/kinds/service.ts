import type { V1Service, V1ServicePort, V1ServiceSpec } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { dns1035Label } from "./names.ts";
import { age, balancerAddresses, labelText, orNone } from "./print.ts";
import { allocate, carryAllocations } from "./service-allocation.ts";
import { reachableFromOutside, validateService, validateServiceUpdate } from "./service-validate.ts";

type Service = Stored<V1Service>;

/** core/v1 Service. */
export const service = defineKind<Service>({
  group: "",
  kind: "Service",
  plural: "services",
  type: "core.v1.Service",
  createOnUpdate: true,
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
  warnings: (o) => serviceWarnings(o),
  validate: validateService,
  validateUpdate: validateServiceUpdate,
});

/** What of a Service has no effect (k8s.io/kubernetes/pkg/api/service/warnings.go). */
function serviceWarnings({ metadata, spec }: Service): string[] {
  const old = "service.kubernetes.io/topology-aware-hints";
  const external = spec?.type === "ExternalName";
  const headless = !external && spec?.clusterIP === "None";
  const ignored = (field: string) => `${field} is ignored for headless services`;
  return [
    ...(metadata.annotations?.[old] === undefined
      ? []
      : [`annotation ${old} is deprecated, please use service.kubernetes.io/topology-mode instead`]),
    ...(headless && spec.loadBalancerIP ? [ignored("spec.loadBalancerIP")] : []),
    ...(headless && spec.externalIPs?.length ? [ignored("spec.externalIPs")] : []),
    ...(headless && spec.sessionAffinity !== "None" ? [ignored("spec.SessionAffinity")] : []),
    ...(external && spec.externalIPs?.length ? ['spec.externalIPs is ignored when spec.type is "ExternalName"'] : []),
    ...(!external && spec?.externalName ? ['spec.externalName is ignored when spec.type is not "ExternalName"'] : []),
  ];
}

function defaults(o: Service): void {
  o.spec ??= {};
  const spec = o.spec;
  spec.type ??= "ClusterIP";
  spec.sessionAffinity ??= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  else if (spec.sessionAffinity === "ClientIP") spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10800 } };
  for (const port of spec.ports ?? []) {
    port.protocol ??= "TCP";
    port.targetPort ||= port.port;
  }
  if (reachableFromOutside(spec)) spec.externalTrafficPolicy ??= "Cluster";
  if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  o.status ??= { loadBalancer: {} };
}

function externalIp(o: Service): string {
  const external = o.spec?.externalIPs ?? [];
  switch (o.spec?.type) {
    case "ExternalName":
      return o.spec.externalName ?? "";
    case "LoadBalancer": {
      const ingress = balancerAddresses(o.status?.loadBalancer?.ingress);
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
