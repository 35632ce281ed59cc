import type {
  Endpoint,
  EndpointPort,
  IpFamilyName,
  Node,
  ObjectReference,
  Pod,
  Service,
  ServicePort,
} from "#api/index.ts";
import { isPodReady, isPodTerminal } from "../objects.ts";

/** Endpoints of one address family that offer the same ports. */
export interface EndpointGroup {
  readonly addressType: IpFamilyName;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/** Whether this controller makes endpoints for the Service: one with a selector that is not just a name elsewhere. */
export function isSelecting(service: Service): boolean {
  return service.spec.type !== "ExternalName" && Object.keys(service.spec.selector ?? {}).length > 0;
}

/** Whether the Service is headless: without an address of its own. */
export function isHeadless(service: Service): boolean {
  return service.spec.clusterIP === "None";
}

/** The families a Service wants endpoints in. */
export function familiesOf(service: Service): readonly IpFamilyName[] {
  if (service.spec.ipFamilies && service.spec.ipFamilies.length > 0) return service.spec.ipFamilies;
  return [familyOf(service.spec.clusterIP ?? "")];
}

/** The family of an address text. */
export function familyOf(address: string): IpFamilyName {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** The addresses of a pod in a family. */
export function podAddresses(pod: Pod, family: IpFamilyName): string[] {
  const all = pod.status?.podIPs?.map(({ ip }) => ip) ?? (pod.status?.podIP ? [pod.status.podIP] : []);
  return all.filter((ip) => familyOf(ip) === family);
}

/** The number of a Service's port on a pod: itself, or the container port of that name; undefined without one. */
export function targetPortOf(pod: Pod, port: ServicePort): number | undefined {
  const { targetPort = port.port, protocol = "TCP" } = port;
  if (typeof targetPort === "number") return targetPort === 0 ? port.port : targetPort;
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...sidecars]) {
    for (const candidate of container.ports ?? []) {
      if (candidate.name === targetPort && (candidate.protocol ?? "TCP") === protocol) return candidate.containerPort;
    }
  }
  return undefined;
}

/** The ports of a Service on one pod. */
export function endpointPorts(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPortOf(pod, port);
    if (number === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = port;
    return [{ name, protocol, port: number, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

/** The hostname that a pod gets in the DNS of a Service: only of the one its subdomain names. */
export function hostnameOf(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec;
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

/** A reference to a pod as endpoints carry it. */
export function podReference(pod: Pod): ObjectReference {
  const { name, namespace, uid } = pod.metadata;
  return {
    kind: "Pod",
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(uid === undefined ? {} : { uid }),
  };
}

/**
 * The endpoints of a Service, grouped by family and ports (a named port may have different numbers on different
 * pods). Pods that came to their end have none; pods being deleted stay until they are gone, as terminating. Pods of a
 * node that is gone serve nobody, unless the Service publishes pods that are not ready.
 */
export function endpointGroups(
  service: Service,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): EndpointGroup[] {
  const groups = new Map<string, { addressType: IpFamilyName; ports: EndpointPort[]; endpoints: Endpoint[] }>();
  for (const addressType of familiesOf(service)) {
    for (const pod of pods) {
      const addresses = podAddresses(pod, addressType);
      if (isPodTerminal(pod) || addresses.length === 0) continue;
      if (!service.spec.publishNotReadyAddresses && !nodeOf(pod.spec.nodeName ?? "")) continue;
      const ports = endpointPorts(service, pod);
      const key = `${addressType} ${JSON.stringify(ports)}`;
      const group = groups.get(key) ?? { addressType, ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpointOf(service, pod, addresses, nodeOf));
    }
  }
  return [...groups.values()];
}

function endpointOf(
  service: Service,
  pod: Pod,
  addresses: readonly string[],
  nodeOf: (name: string) => Node | undefined,
): Endpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const hostname = hostnameOf(service, pod);
  const nodeName = pod.spec.nodeName;
  const zone = nodeName ? nodeOf(nodeName)?.metadata.labels?.["topology.kubernetes.io/zone"] : undefined;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    targetRef: podReference(pod),
  };
}
