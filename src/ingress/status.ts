import { type Client, type Ingress, type LoadBalancerStatus, type Pod, resources, type Service } from "#api/index.ts";
import type { Services } from "./backend.ts";

/** Where an Ingress can be reached: one entry of status.loadBalancer.ingress. */
export type IngressAddress = NonNullable<LoadBalancerStatus["ingress"]>[number];

/** Where the addresses come from. */
export interface StatusOptions {
  /** `--publish-status-address`: addresses or names, separated by commas. */
  readonly publishStatusAddress?: string;
  /** `--publish-service`: namespace/name of the Service in front of the controller. */
  readonly publishService?: string;
  /** POD_NAME and POD_NAMESPACE of the controller's own pod. */
  readonly pod?: { readonly name: string; readonly namespace: string };
}

/**
 * The addresses to write into the Ingresses: the ones given, else those of the published Service, else the addresses
 * of the nodes that controller pods run on, as upstream does. `pods` are those of the controller's namespace.
 */
export function publishedAddresses(
  options: StatusOptions,
  services: Services,
  pods: readonly Pod[],
): readonly IngressAddress[] {
  const { publishStatusAddress, publishService, pod } = options;
  if (publishStatusAddress) {
    const addresses = publishStatusAddress.split(",").map((each) => each.trim());
    return addresses.filter((each) => each !== "").map(addressEntry);
  }
  if (publishService) {
    const service = services.get(publishService);
    return service ? serviceAddresses(service) : [];
  }
  const own = pod && pods.find((each) => each.metadata.name === pod.name);
  return own ? nodeAddresses(own, pods) : [];
}

function addressEntry(text: string): IngressAddress {
  return /^[\d.]+$/.test(text) || text.includes(":") ? { ip: text } : { hostname: text };
}

/** What a Service can be reached by from outside, else its cluster IP. */
export function serviceAddresses(service: Service): readonly IngressAddress[] {
  const { type, clusterIP, externalIPs = [], externalName } = service.spec;
  if (type === "ExternalName") return externalName ? [{ hostname: externalName }] : [];
  const balancer = type === "LoadBalancer" ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const plain = balancer.map(({ ip, hostname }) => ({ ...(ip && { ip }), ...(hostname && { hostname }) }));
  const given = [...plain, ...externalIPs.map(addressEntry)];
  if (given.length > 0 || type === "LoadBalancer") return given;
  return clusterIP && clusterIP !== "None" ? [addressEntry(clusterIP)] : [];
}

/** Labels that differ from one revision of a workload to the next. */
const revisionLabels = new Set(["pod-template-hash", "pod-template-generation", "controller-revision-hash"]);

/** Nodes of the running pods with the labels of our own. */
function nodeAddresses(own: Pod, pods: readonly Pod[]): readonly IngressAddress[] {
  const labels = Object.entries(own.metadata.labels ?? {}).filter(([key]) => !revisionLabels.has(key));
  const isFellow = (pod: Pod) =>
    labels.length > 0 && isRunning(pod) && labels.every(([key, value]) => pod.metadata.labels?.[key] === value);
  const found = pods.filter((pod) => pod === own || isFellow(pod));
  const addresses = new Set(found.flatMap(({ status }) => (status?.hostIP ? [status.hostIP] : [])));
  return [...addresses].toSorted().map(addressEntry);
}

const isRunning = (pod: Pod) => pod.status?.phase === "Running" && pod.metadata.deletionTimestamp === undefined;

/** Writes the addresses into an Ingress unless they are there. Resolves to whether it wrote. */
export async function publish(
  client: Client,
  ingress: Ingress,
  addresses: readonly IngressAddress[],
): Promise<boolean> {
  const text = (list: readonly IngressAddress[]) =>
    list
      .map(({ ip = "", hostname = "" }) => `${ip} ${hostname}`)
      .toSorted()
      .join();
  if (text(ingress.status?.loadBalancer?.ingress ?? []) === text(addresses)) return false;
  const { name, namespace } = ingress.metadata;
  const patch = { status: { loadBalancer: { ingress: addresses } } };
  await client.patch(resources.ingresses, name, namespace, patch, { type: "merge", subresource: "status" });
  return true;
}
