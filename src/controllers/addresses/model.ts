import { type Condition, type KubeObject, resource, type Service } from "#api/index.ts";
import { type Cidr, cidrContains, parseCidr, tryParseIp } from "#base/ip.ts";

/** networking.k8s.io/v1 IPAddress: stands for an address that somebody has. Its name is the address. */
export interface IpAddress extends KubeObject {
  readonly spec?: {
    readonly parentRef?: {
      readonly group?: string;
      readonly resource: string;
      readonly namespace?: string;
      readonly name: string;
    };
  };
}

/** networking.k8s.io/v1 ServiceCIDR: networks that Services get addresses from. */
export interface ServiceCidr extends KubeObject {
  readonly spec?: { readonly cidrs?: readonly string[] };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** Where the two live. */
export const addressResources = {
  ipAddresses: resource<IpAddress>("networking.k8s.io", "v1", "ipaddresses", "IPAddress", false),
  serviceCidrs: resource<ServiceCidr>("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", false),
} as const;

/** Value of the label below: who makes the IPAddresses of Services. */
export const managedBy = "ipallocator.k8s.io";
/** Label of who manages an IPAddress. */
export const managedByLabel = "ipaddress.kubernetes.io/managed-by";
/** Label of the family of an IPAddress: `IPv4` or `IPv6`. */
export const familyLabel = "ipaddress.kubernetes.io/ip-family";

/** The networks of a ServiceCIDR. */
export function networksOf({ spec }: ServiceCidr): readonly Cidr[] {
  return (spec?.cidrs ?? []).map((text) => parseCidr(text));
}

/** Whether one of the networks holds the address. */
export function isWithin(text: string, networks: readonly Cidr[]): boolean {
  const ip = tryParseIp(text);
  return ip !== undefined && networks.some((network) => network.ip.family === ip.family && cidrContains(network, ip));
}

/** The addresses of a Service; a headless one has none. */
export function clusterIpsOf({ spec }: Service): readonly string[] {
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter((ip) => ip !== "" && ip !== "None");
}

/** The IPAddress that a Service's address should have. */
export function addressFor(ip: string, service: Service): IpAddress {
  const { namespace = "", name } = service.metadata;
  const labels = { [familyLabel]: ip.includes(":") ? "IPv6" : "IPv4", [managedByLabel]: managedBy };
  return {
    metadata: { name: ip, labels },
    spec: { parentRef: { group: "", resource: "services", namespace, name } },
  };
}
