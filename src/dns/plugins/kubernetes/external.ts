import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";
import { addressOfReverseName, labelsOf } from "#wire/dns/index.ts";
import type { ClusterIndex, PortEntry, ServiceEntry } from "./clusterIndex.ts";
import { endpointLabel } from "./names.ts";
import { isExposed, isShown, type RecordOptions } from "./options.ts";

/** One address of a Service outside of the cluster. */
export interface ExternalTarget {
  /** An address, or a host name (of a cloud's load balancer). */
  readonly at: Ip | string;
  /** Name that SRV records point at. */
  readonly host: string;
  readonly ports: readonly PortEntry[];
}

/** What the names `SERVICE.NAMESPACE.ZONE` outside of the cluster lead to. */
export interface External {
  readonly exists: boolean;
  readonly targets: readonly ExternalTarget[];
}

const missing: External = { exists: false, targets: [] };
const empty: External = { exists: true, targets: [] };

/**
 * Looks a name up among the external addresses of Services: `[ENDPOINT.|_PORT._PROTOCOL.]SERVICE.NAMESPACE.ZONE`.
 * @param name lower case, below `zone`
 * @param headless ready endpoints of headless Services count as external addresses
 */
export function externalTargets(
  index: ClusterIndex,
  options: RecordOptions,
  name: string,
  zone: string,
  headless: boolean,
): External {
  const labels = labelsOf(zone === "." ? name : name.slice(0, -zone.length)).reverse();
  const [namespace, serviceName, ...below] = labels as [string, ...string[]];
  if (!isShown(options, namespace) || !index.hasNamespace(namespace)) return missing;
  if (serviceName === undefined) return empty;
  if (below.length > 2) return missing;
  const service = index.service(namespace, serviceName);
  if (!service) return missing;
  const bare = (label: string | undefined) => label?.replace(/^_/, "");
  const [first, second] = below;
  const wanted = second === undefined ? undefined : { protocol: bare(first), port: bare(second) };
  const endpoint = second === undefined ? bare(first) : undefined;
  const base = `${service.name}.${service.namespace}.${zone === "." ? "" : zone}`;
  const all =
    headless && service.external.length === 0 && (service.kind === "headless" || endpoint !== undefined)
      ? endpointTargets(index, options, service, base, endpoint)
      : service.external.map((text) => ({ at: tryParseIp(text) ?? text, host: base, ports: service.ports }));
  const fitting = all
    .map((target) => ({
      ...target,
      ports: target.ports.filter((port) => !wanted || (port.name === wanted.port && port.protocol === wanted.protocol)),
    }))
    .filter((target) => target.ports.length > 0);
  return fitting.length > 0 ? { exists: true, targets: fitting } : missing;
}

/** The Service with this external address, as `NAME.NAMESPACE`. */
export function externalHosts(index: ClusterIndex, options: RecordOptions, name: string): string[] {
  const address = addressOfReverseName(name);
  if (!address) return [];
  return index
    .servicesAtExternal(address)
    .filter(({ namespace }) => isExposed(options, index, namespace))
    .map((service) => `${service.name}.${service.namespace}`);
}

/** External addresses of the Services that the server with these addresses is an endpoint of, or its own ones. */
export function externalServers(index: ClusterIndex, own: readonly Ip[]): readonly Ip[] {
  const found = own
    .flatMap((address) => index.slicesAt(address))
    .flatMap(({ service }) => {
      const [namespace, name] = service.split("/") as [string, string];
      return index.service(namespace, name)?.external ?? [];
    })
    .flatMap((text) => tryParseIp(text) ?? []);
  return found.length > 0 ? [...new Map(found.map((ip) => [formatIp(ip), ip])).values()] : own;
}

function endpointTargets(
  index: ClusterIndex,
  options: RecordOptions,
  service: ServiceEntry,
  base: string,
  endpoint: string | undefined,
): ExternalTarget[] {
  return index.slices(service.namespace, service.name).flatMap(({ endpoints, ports }) =>
    endpoints
      .filter((entry) => entry.ready || service.publishNotReady)
      .map((entry) => ({ entry, label: endpointLabel(entry, options.endpointPodNames) }))
      .filter(({ label }) => endpoint === undefined || label.toLowerCase() === endpoint)
      .map(({ entry, label }) => ({ at: entry.address, host: `${label}.${base}`, ports })),
  );
}
