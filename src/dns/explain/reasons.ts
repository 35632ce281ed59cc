import type { EndpointSlice, Namespace, Pod, Service } from "#api/index.ts";
import { formatIp } from "#base/ip.ts";
import { nearest } from "#base/nearest.ts";
import type { Origin } from "#base/origin.ts";
import { isSubdomain, tryParseName } from "#wire/dns/index.ts";
import { type ClusterName, parseClusterName } from "../plugins/kubernetes/names.ts";
import type { ServerAnswer } from "./lookup.ts";

type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

/** What of a cluster is looked at. */
export interface ClusterObjects {
  readonly namespaces: readonly Namespace[];
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly pods: readonly Pod[];
}

/** What stands behind an answer of the cluster's zone. */
export interface Reason {
  readonly origin?: Origin;
  readonly because?: string;
}

/** Names that are shown of a list. */
const SHOWN = 5;

/**
 * The object behind an answer of a kubernetes plugin, or why there is none.
 * @param name absolute, lower case; @param zones the plugin's
 */
export function reasonOf(
  objects: ClusterObjects,
  zones: readonly string[],
  name: string,
  type: string,
  { outcome }: ServerAnswer,
): Reason {
  const zone = zoneOf(zones, name);
  if (zone === undefined) return {};
  const parsed = parseClusterName(name, zone);
  if (parsed.kind === "service") return serviceReason(objects, parsed, type, outcome);
  if (parsed.kind === "pod") return podReason(objects, parsed, outcome);
  if (parsed.kind === "namespace") return missingNamespace(objects, parsed.namespace) ?? {};
  if (outcome !== "nxdomain") return {};
  const forms = `SERVICE.NAMESPACE.svc.${zone.slice(0, -1)}, 10-244-1-2.NAMESPACE.pod.${zone.slice(0, -1)}`;
  return { because: `no name of this form is in ${zone.slice(0, -1)}; there are ${forms}` };
}

/** The name that a Service of type ExternalName stands for; none for other names. @param name absolute, lower case */
export function aliasOf(
  { services }: ClusterObjects,
  zones: readonly string[],
  name: string,
): { readonly target: string; readonly origin: Origin & { readonly namespace: string } } | undefined {
  const zone = zoneOf(zones, name);
  const parsed = zone === undefined ? undefined : parseClusterName(name, zone);
  if (parsed?.kind !== "service") return undefined;
  const { namespace, service } = parsed;
  const found = services.find(({ metadata }) => metadata.name === service && metadata.namespace === namespace);
  const target = found?.spec.type === "ExternalName" ? tryParseName(found.spec.externalName ?? "") : undefined;
  if (target === undefined) return undefined;
  return { target, origin: { kind: "Service", namespace, name: service, field: "spec.externalName" } };
}

function zoneOf(zones: readonly string[], name: string): string | undefined {
  return zones.filter((one) => isSubdomain(name, one)).sort((a, b) => b.length - a.length)[0];
}

function missingNamespace({ namespaces }: ClusterObjects, wanted: string): Reason | undefined {
  const names = namespaces.map(({ metadata }) => metadata.name);
  if (names.includes(wanted)) return undefined;
  const near = nearest(wanted, names);
  return { because: `there is no namespace ${wanted}${near.length ? `; near are ${near.join(", ")}` : ""}` };
}

type ServiceName = ClusterName & { readonly kind: "service" };

function serviceReason(
  objects: ClusterObjects,
  asked: ServiceName,
  type: string,
  outcome: ServerAnswer["outcome"],
): Reason {
  const { namespace, service: name } = asked;
  const service = objects.services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  if (!service) return missingNamespace(objects, namespace) ?? missingService(objects, namespace, name);
  const origin = (field: string): Origin => ({ kind: "Service", namespace, name, field });
  if (service.spec.type === "ExternalName") return { origin: origin("spec.externalName") };
  if (service.spec.clusterIP === "None") return headlessReason(objects, asked, service, type, outcome);
  const family = type === "AAAA" ? "IPv6" : "IPv4";
  if (outcome === "nodata") {
    const because = `Service ${namespace}/${name} has no ${family} address`;
    return { origin: origin("spec.ipFamilies"), because };
  }
  if (outcome === "records")
    return { origin: origin(addressField(service, type)), ...withoutEndpoints(objects, service) };
  if (asked.endpoint === undefined && asked.port === undefined) return { origin: origin("spec") };
  const what = asked.port === undefined ? `endpoint ${asked.endpoint}` : `port ${asked.port}/${asked.protocol}`;
  return { origin: origin("spec"), because: `Service ${namespace}/${name} has no ${what}` };
}

/** What is wrong with an address that is answered all the same: nothing is behind it. */
function withoutEndpoints({ slices }: ClusterObjects, { metadata }: Service): { readonly because?: string } {
  const { namespace, name } = metadata;
  const all = endpointsOf(slices, namespace ?? "", name);
  if (all.some(isReady)) return {};
  const has = all.length ? `of its ${all.length} endpoints none is ready` : "it has no endpoints";
  return { because: `Service ${namespace}/${name} is there, but ${has}: connections are refused` };
}

function addressField({ spec }: Service, type: string): string {
  const texts = spec.clusterIPs ?? [spec.clusterIP ?? ""];
  return `spec.clusterIPs[${Math.max(
    0,
    texts.findIndex((text) => text.includes(":") === (type === "AAAA")),
  )}]`;
}

function missingService({ services }: ClusterObjects, namespace: string, name: string): Reason {
  const words = `there is no Service ${name} in namespace ${namespace}`;
  const elsewhere = services.filter(({ metadata }) => metadata.name === name);
  if (elsewhere.length) {
    const places = elsewhere.slice(0, SHOWN).map(({ metadata }) => `${name}.${metadata.namespace}`);
    return { because: `${words}; it is in another one: ${places.join(", ")}` };
  }
  const here = services.filter(({ metadata }) => metadata.namespace === namespace).map(({ metadata }) => metadata.name);
  const near = nearest(name, here);
  if (near.length) return { because: `${words}; near are ${near.join(", ")}` };
  const shown = `${here.slice(0, SHOWN).join(", ")}${here.length > SHOWN ? ", …" : ""}`;
  return { because: here.length ? `${words}; there are ${shown}` : `${words}, which has none` };
}

function headlessReason(
  { slices }: ClusterObjects,
  { namespace, service: name, endpoint }: ServiceName,
  service: Service,
  type: string,
  outcome: ServerAnswer["outcome"],
): Reason {
  const own = slicesOf(slices, namespace, service.metadata.name);
  const who = `Service ${namespace}/${name} is headless`;
  const family = type === "AAAA" ? "IPv6" : "IPv4";
  const fitting = own.find(({ addressType }) => addressType === family) ?? own[0];
  if (outcome === "records" && fitting) {
    const { metadata } = fitting;
    return { origin: { kind: "EndpointSlice", namespace, name: metadata.name, field: "endpoints" } };
  }
  const origin: Origin = { kind: "Service", namespace, name, field: "spec.selector" };
  if (outcome === "nodata") return { origin, because: `${who} and has no ${family} endpoints` };
  const all = own.flatMap(({ endpoints }) => endpoints ?? []);
  const ready = all.filter(isReady);
  if (endpoint !== undefined && ready.length)
    return { origin, because: `${who}; no ready endpoint is named ${endpoint}` };
  if (all.length === 0) return { origin, because: `${who} and has no endpoints: no pod is selected` };
  return { origin, because: `${who}, and of its ${all.length} endpoints none is ready` };
}

function slicesOf(slices: readonly EndpointSlice[], namespace: string, service: string): EndpointSlice[] {
  return slices.filter(
    ({ metadata }) => metadata.namespace === namespace && metadata.labels?.["kubernetes.io/service-name"] === service,
  );
}

/** Endpoints of a Service. */
export function endpointsOf(slices: readonly EndpointSlice[], namespace: string, service: string): Endpoint[] {
  return slicesOf(slices, namespace, service).flatMap(({ endpoints }) => endpoints ?? []);
}

/** Whether an endpoint is used: what says nothing is ready. */
export function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready ?? true;
}

function podReason(
  objects: ClusterObjects,
  { namespace, address }: ClusterName & { readonly kind: "pod" },
  outcome: ServerAnswer["outcome"],
): Reason {
  const ip = formatIp(address);
  const pod = objects.pods.find(
    ({ metadata, status }) => metadata.namespace === namespace && status?.podIPs?.some((one) => one.ip === ip),
  );
  const origin = pod && ({ kind: "Pod", namespace, name: pod.metadata.name, field: "status.podIPs" } satisfies Origin);
  if (outcome !== "nxdomain") return origin ? { origin } : { because: "pods insecure: it is answered for any address" };
  const missing = missingNamespace(objects, namespace);
  if (missing) return missing;
  return pod
    ? { origin: origin as Origin, because: "names of pods are not answered: pods disabled in the Corefile" }
    : { because: `no pod of namespace ${namespace} has the address ${ip}` };
}
