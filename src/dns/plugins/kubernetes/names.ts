import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";
import { labelsOf } from "#wire/dns/index.ts";
import type { EndpointEntry } from "./clusterIndex.ts";

/** What a name below the cluster's zone speaks of (DNS-based service discovery §2). All parts in lower case. */
export type ClusterName =
  | { readonly kind: "apex" }
  | { readonly kind: "version" }
  /** `dns` and `ns.dns`, where the zone's name server lives. */
  | { readonly kind: "server"; readonly full: boolean }
  /** `svc` or `pod` alone. */
  | { readonly kind: "area" }
  | { readonly kind: "namespace"; readonly namespace: string }
  | {
      readonly kind: "service";
      readonly namespace: string;
      readonly service: string;
      /** Of `_port._protocol.service…`, without the underscores. */
      readonly port?: string;
      readonly protocol?: string;
      /** Of `endpoint.service…`. */
      readonly endpoint?: string;
    }
  | { readonly kind: "pod"; readonly namespace: string; readonly address: Ip }
  | { readonly kind: "unknown" };

/** Takes apart a name (lower case, absolute) that lies in the zone. */
export function parseClusterName(name: string, zone: string): ClusterName {
  if (name === zone) return { kind: "apex" };
  const labels = labelsOf(zone === "." ? name : name.slice(0, -zone.length));
  const [area, namespace, subject, ...rest] = labels.reverse() as [string, ...(string | undefined)[]];
  if (area === "dns-version" && namespace === undefined) return { kind: "version" };
  if (area === "dns" && (namespace === undefined || namespace === "ns") && subject === undefined) {
    return { kind: "server", full: namespace === "ns" };
  }
  if (area !== "svc" && area !== "pod") return { kind: "unknown" };
  if (namespace === undefined) return { kind: "area" };
  if (subject === undefined) return { kind: "namespace", namespace };
  const below = rest as string[];
  return area === "svc" ? serviceName(namespace, subject, below) : podName(namespace, subject, below);
}

function serviceName(namespace: string, service: string, below: readonly string[]): ClusterName {
  const base = { kind: "service", namespace, service } as const;
  const [first, second, ...more] = below;
  if (more.length > 0) return { kind: "unknown" };
  if (first === undefined) return base;
  if (second === undefined) {
    // `_tcp.service…` has no records, but exists as soon as a port below it does.
    return first.startsWith("_") ? { ...base, protocol: first.slice(1) } : { ...base, endpoint: first };
  }
  if (!first.startsWith("_") || !second.startsWith("_")) return { kind: "unknown" };
  return { ...base, protocol: first.slice(1), port: second.slice(1) };
}

function podName(namespace: string, dashed: string, below: readonly string[]): ClusterName {
  const address = below.length === 0 ? addressOfDashed(dashed) : undefined;
  return address ? { kind: "pod", namespace, address } : { kind: "unknown" };
}

/** The address of `10-244-2-5` or `fd00--1`. */
export function addressOfDashed(label: string): Ip | undefined {
  return tryParseIp(/^\d+-\d+-\d+-\d+$/.test(label) ? label.replaceAll("-", ".") : label.replaceAll("-", ":"));
}

/** `10-244-2-5`, or for IPv6 `fd00--1`: an address as one label. */
export function dashedAddress(address: Ip): string {
  return formatIp(address).replaceAll(/[.:]/g, "-");
}

/** The label of an endpoint: its hostname, else (when wanted) its pod's name, else the dashed address. */
export function endpointLabel(endpoint: EndpointEntry, podNames: boolean): string {
  if (endpoint.hostname) return endpoint.hostname;
  return (podNames && endpoint.podName) || dashedAddress(endpoint.address);
}
