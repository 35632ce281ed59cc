import type { EndpointSlice, Namespace, Pod, Service } from "#api/index.ts";
import { formatIp } from "#base/ip.ts";
import { nearest } from "#base/nearest.ts";
import type { Origin } from "#base/origin.ts";
import { isSubdomain } from "#wire/dns/index.ts";
import { type ClusterName, parseClusterName } from "../plugins/kubernetes/names.ts";
import type { ServerAnswer } from "./lookup.ts";

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
  const zone = zones.filter((one) => isSubdomain(name, one)).sort((a, b) => b.length - a.length)[0];
  if (zone === undefined) return {};
  const parsed = parseClusterName(name, zone);
  if (parsed.kind === "service") return serviceReason(objects, parsed, type, outcome);
  if (parsed.kind === "pod") return podReason(objects, parsed, outcome);
  if (parsed.kind === "namespace") return missingNamespace(objects, parsed.namespace) ?? {};
  if (outcome !== "nxdomain") return {};
  const forms = `SERVICE.NAMESPACE.svc.${zone.slice(0, -1)}, 10-244-1-2.NAMESPACE.pod.${zone.slice(0, -1)}`;
  return { because: `no name of this form is in ${zone.slice(0, -1)}; there are ${forms}` };
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
  if (outcome === "records") return { origin: origin(addressField(service, type)) };
  if (asked.endpoint === undefined && asked.port === undefined) return { origin: origin("spec") };
  const what = asked.port === undefined ? `endpoint ${asked.endpoint}` : `port ${asked.port}/${asked.protocol}`;
  return { origin: origin("spec"), because: `Service ${namespace}/${name} has no ${what}` };
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
  const own = slices.filter(
    ({ metadata }) =>
      metadata.namespace === namespace && metadata.labels?.["kubernetes.io/service-name"] === service.metadata.name,
  );
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
  const ready = all.filter(({ conditions }) => conditions?.ready ?? true);
  if (endpoint !== undefined && ready.length)
    return { origin, because: `${who}; no ready endpoint is named ${endpoint}` };
  if (all.length === 0) return { origin, because: `${who} and has no endpoints: no pod is selected` };
  return { origin, because: `${who}, and of its ${all.length} endpoints none is ready` };
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
