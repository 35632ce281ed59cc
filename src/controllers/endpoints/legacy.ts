import type { EndpointAddress, EndpointSubset, Endpoints, Pod, Service } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import { isPodReady, isPodTerminal } from "../objects.ts";
import { endpointPorts, familiesOf, hostnameOf, isHeadless, podAddresses, podReference } from "./model.ts";
import { annotated, headlessLabel } from "./slices.ts";

/** The label by which others see that these Endpoints are generated (core/v1, since 1.33). */
export const endpointsManagedBy = { "endpoints.kubernetes.io/managed-by": "endpoint-controller" } as const;

/** Addresses in one Endpoints object; what is beyond is cut off and annotated. */
const maxAddresses = 1000;
const overCapacity = "endpoints.kubernetes.io/over-capacity";

/**
 * The Endpoints of a Service for clients that do not read EndpointSlices: first family only, pods being deleted left
 * out unless the Service publishes pods that are not ready. Returns undefined when the present one is right.
 */
export function planEndpoints(
  service: Service,
  pods: readonly Pod[],
  present?: Endpoints,
  triggerTime?: string,
): Endpoints | undefined {
  const { subsets, truncated } = truncate(pack(service, pods));
  const { [headlessLabel]: _, ...own } = service.metadata.labels ?? {};
  const labels = { ...own, ...(isHeadless(service) ? { [headlessLabel]: "" } : {}), ...endpointsManagedBy };
  const { annotations = {} } = present?.metadata ?? {};
  if (
    present &&
    equalJson(present.subsets ?? [], subsets) &&
    equalJson(present.metadata.labels ?? {}, labels) &&
    (annotations[overCapacity] === "truncated") === truncated
  ) {
    return undefined;
  }
  const { name, namespace } = service.metadata;
  const { annotations: before = {}, ...metadata } = present?.metadata ?? {
    name,
    ...(namespace === undefined ? {} : { namespace }),
  };
  const { [overCapacity]: __, ...kept } = before;
  const marked = truncated ? { ...kept, [overCapacity]: "truncated" } : kept;
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { ...metadata, labels, ...annotated({ annotations: marked }, triggerTime) },
    subsets,
  };
}

/** Cuts off what is too much: first of those that are not ready, each subset in proportion to its size. */
function truncate(subsets: EndpointSubset[]): { subsets: EndpointSubset[]; truncated: boolean } {
  const count = (field: "addresses" | "notReadyAddresses") =>
    subsets.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0);
  const [ready, notReady] = [count("addresses"), count("notReadyAddresses")];
  if (ready + notReady <= maxAddresses) return { subsets, truncated: false };
  const room = Math.max(0, maxAddresses - ready);
  const cut = subsets.map((subset) => {
    const addresses = share(subset.addresses, ready, maxAddresses);
    const notReadyAddresses = share(subset.notReadyAddresses, notReady, room);
    const { ports } = subset;
    return {
      ...(addresses.length > 0 ? { addresses } : {}),
      ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
      ...(ports ? { ports } : {}),
    };
  });
  return { subsets: cut.filter((subset) => "addresses" in subset || "notReadyAddresses" in subset), truncated: true };
}

function share(addresses: readonly EndpointAddress[] = [], total: number, room: number): readonly EndpointAddress[] {
  if (total <= room) return addresses;
  return addresses.slice(0, Math.floor((addresses.length * room) / total));
}

/** One subset per set of ports, addresses sorted, so that the same pods always give the same text. */
function pack(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const family = familiesOf(service)[0] ?? "IPv4";
  const tolerant = service.spec.publishNotReadyAddresses === true;
  const byPorts = new Map<
    string,
    { ready: EndpointAddress[]; notReady: EndpointAddress[]; ports: EndpointSubset["ports"] }
  >();
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const ip = podAddresses(pod, family)[0];
    if (isPodTerminal(pod) || ip === undefined) continue;
    if (pod.metadata.deletionTimestamp !== undefined && !tolerant) continue;
    const ports = endpointPorts(service, pod);
    // A Service with ports, none of which this pod has, has no endpoint there; a headless one without ports has.
    if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue;
    const named = ports.map(({ name = "", port = 0, ...rest }) => ({ ...(name ? { name } : {}), port, ...rest }));
    const key = JSON.stringify(named);
    const subset = byPorts.get(key) ?? { ready: [], notReady: [], ports: named };
    byPorts.set(key, subset);
    (tolerant || isPodReady(pod) ? subset.ready : subset.notReady).push(addressOf(service, pod, ip));
  }
  const sorted = [...byPorts].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([, { ready, notReady, ports }]) => ({
    ...(ready.length > 0 ? { addresses: byIp(ready) } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: byIp(notReady) } : {}),
    ...(ports && ports.length > 0 ? { ports } : {}),
  }));
}

function addressOf(service: Service, pod: Pod, ip: string): EndpointAddress {
  const hostname = hostnameOf(service, pod);
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    targetRef: podReference(pod),
  };
}

function byIp(addresses: EndpointAddress[]): EndpointAddress[] {
  return addresses.sort((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0));
}
