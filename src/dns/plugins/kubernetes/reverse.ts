import { formatIp, type Ip } from "#base/ip.ts";
import type { ClusterIndex, SliceEntry } from "./clusterIndex.ts";
import { endpointLabel } from "./names.ts";
import { isExposed, type RecordOptions } from "./options.ts";

/** Names that an address has: the Service with it, else all ready endpoints with it, those of headless Services first. */
export function hostsAt(index: ClusterIndex, address: Ip, options: RecordOptions): string[] {
  const zone = options.primaryZone === "." ? "" : options.primaryZone;
  const service = index.serviceAt(address);
  if (service)
    return isExposed(options, index, service.namespace) ? [`${service.name}.${service.namespace}.svc.${zone}`] : [];
  const text = formatIp(address);
  const hosts = index.slicesAt(address).flatMap((slice) => {
    const owner = serviceOf(index, slice);
    if (!owner || !isExposed(options, index, owner.namespace)) return [];
    return slice.endpoints
      .filter((entry) => formatIp(entry.address) === text && (entry.ready || owner.publishNotReady))
      .map((entry) => ({
        host: `${endpointLabel(entry, options.endpointPodNames)}.${owner.name}.${owner.namespace}.svc.${zone}`,
        rank: owner.kind === "headless" ? 0 : 1,
      }));
  });
  return [...new Set(hosts.sort((a, b) => a.rank - b.rank).map(({ host }) => host))];
}

/** Names and addresses of the server with these addresses: the Services that it is an endpoint of, or itself. */
export function nameServers(
  index: ClusterIndex,
  own: readonly Ip[],
  zone: string,
): readonly { readonly host: string; readonly address: Ip }[] {
  const below = zone === "." ? "" : zone;
  const services = own
    .flatMap((address) => index.slicesAt(address))
    .flatMap((slice) => serviceOf(index, slice) ?? [])
    .filter((service) => service.kind === "cluster");
  const found = [...new Set(services)].flatMap(({ name, namespace, addresses }) =>
    addresses.map((address) => ({ host: `${name}.${namespace}.svc.${below}`, address })),
  );
  return found.length > 0 ? found : own.map((address) => ({ host: `ns.dns.${below}`, address }));
}

function serviceOf(index: ClusterIndex, slice: SliceEntry) {
  const [namespace, name] = slice.service.split("/") as [string, string];
  return index.service(namespace, name);
}
