import type { Condition, Service } from "#api/index.ts";
import { type Cidr, cidrContains } from "#base/ip.ts";
import { setCondition } from "../objects.ts";
import {
  addressFor,
  clusterIpsOf,
  type IpAddress,
  isWithin,
  managedBy,
  managedByLabel,
  networksOf,
  type ServiceCidr,
} from "./model.ts";

/** Something that is wrong between Services and IPAddresses, in the words of kube-apiserver's repair controller. */
export interface Finding {
  readonly reason: string;
  readonly message: string;
  /** The IPAddress that is made, in place of the one that may be there. */
  readonly create?: IpAddress;
  readonly remove?: IpAddress;
}

/** What the checks look things up with. */
export interface Lookup {
  readonly networks: readonly Cidr[];
  address(ip: string): IpAddress | undefined;
  service(key: string): Service | undefined;
}

/** Compares a Service's addresses with the IPAddresses that should stand for them. */
export function checkService(service: Service, lookup: Lookup): Finding[] {
  return clusterIpsOf(service).flatMap((ip) => {
    const finding = checkClusterIp(ip, service, lookup);
    return finding ? [finding] : [];
  });
}

function checkClusterIp(ip: string, service: Service, lookup: Lookup): Finding | undefined {
  const { namespace, name } = service.metadata;
  const family = ip.includes(":") ? "IPv6" : "IPv4";
  if (!isWithin(ip, lookup.networks)) {
    const message = `Cluster IP [${family}]: ${ip} is not within any configured Service CIDR; please recreate service`;
    return { reason: "ClusterIPOutOfRange", message };
  }
  const create = addressFor(ip, service);
  const present = lookup.address(ip);
  if (!present) {
    const message = `Cluster IP [${family}]: ${ip} is not allocated; repairing`;
    return { reason: "ClusterIPNotAllocated", message, create };
  }
  const parent = present.spec?.parentRef;
  const isService = parent?.resource === "services" && (parent.group ?? "") === "";
  const isOwn = isService && parent.namespace === namespace && parent.name === name;
  if (!isOwn) {
    const other = isService ? lookup.service(`${parent.namespace}/${parent.name}`) : undefined;
    if (other && clusterIpsOf(other).includes(ip)) {
      const message = `Cluster IP [${family}]:${ip} was assigned to multiple services; please recreate service`;
      return { reason: "ClusterIPAlreadyAllocated", message };
    }
    const message = `the ClusterIP [${family}]: ${ip} for Service ${namespace}/${name} has a wrong reference; repairing`;
    return { reason: "ClusterIPNotAllocated", message, create, remove: present };
  }
  if (present.metadata.labels?.[managedByLabel] === managedBy) return undefined;
  const message = `the ClusterIP [${family}]: ${ip} for Service ${namespace}/${name} has a wrong reference; repairing`;
  return { reason: "ClusterIPNotAllocated", message, create, remove: present };
}

/** Whether an IPAddress that was made for a Service still has one. Those of others are left alone. */
export function checkAddress(address: IpAddress, lookup: Pick<Lookup, "service">): Finding | undefined {
  if (address.metadata.labels?.[managedByLabel] !== managedBy) return undefined;
  const { name: ip } = address.metadata;
  const { group = "", resource, namespace, name } = address.spec?.parentRef ?? {};
  if (group !== "" || resource !== "services") {
    const text = JSON.stringify(address.spec?.parentRef ?? {});
    const message = `IPAddress ${ip} appears to have been modified, not referencing a Service ${text}: cleaning up`;
    return { reason: "IPAddressNotAllocated", message, remove: address };
  }
  const service = lookup.service(`${namespace}/${name}`);
  const of = `IPAddress: ${ip} for Service ${namespace}/${name}`;
  if (!service)
    return { reason: "IPAddressNotAllocated", message: `${of} appears to have leaked: cleaning up`, remove: address };
  if (clusterIpsOf(service).includes(ip)) return undefined;
  return { reason: "IPAddressWrongReference", message: `${of} has a wrong reference; cleaning up`, remove: address };
}

/** Keeps a ServiceCIDR until no address needs it. */
export const protection = "networking.k8s.io/service-cidr-finalizer";

/** What a ServiceCIDR asks for now; absent parts are right. */
export interface CidrPlan {
  readonly finalizers?: readonly string[];
  readonly conditions?: readonly Condition[];
}

/** Source: kube-controller-manager's service-cidr-controller, with its messages. */
export function planServiceCidr(
  cidr: ServiceCidr,
  others: readonly ServiceCidr[],
  addresses: readonly IpAddress[],
  now: Date,
): CidrPlan {
  const finalizers = cidr.metadata.finalizers ?? [];
  const present = cidr.status?.conditions ?? [];
  const stated = (condition: Condition): CidrPlan => {
    const conditions = setCondition(present, condition, now);
    return conditions === present ? {} : { conditions };
  };
  if (cidr.metadata.deletionTimestamp === undefined) {
    const message = "Kubernetes Service CIDR is ready";
    const ready = stated({ type: "Ready", status: "True", reason: "", message });
    return finalizers.includes(protection) ? ready : { ...ready, finalizers: [...finalizers, protection] };
  }
  if (isNeeded(cidr, others, addresses)) {
    const message =
      "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    return stated({ type: "Ready", status: "False", reason: "Terminating", message });
  }
  return finalizers.includes(protection) ? { finalizers: finalizers.filter((one) => one !== protection) } : {};
}

/** Whether an address would be in no ServiceCIDR without this one. */
function isNeeded(cidr: ServiceCidr, others: readonly ServiceCidr[], addresses: readonly IpAddress[]): boolean {
  const rest = others.filter(({ metadata }) => metadata.name !== cidr.metadata.name).flatMap(networksOf);
  const own = networksOf(cidr);
  const covered = own.every((network) =>
    rest.some((other) => other.ip.family === network.ip.family && cidrContains(other, network)),
  );
  if (covered) return false;
  const services = addresses.filter(({ metadata }) => metadata.labels?.[managedByLabel] === managedBy);
  return services.some(({ metadata: { name } }) => isWithin(name, own) && !isWithin(name, rest));
}
