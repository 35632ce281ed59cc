import {
  type Client,
  type EndpointSlice,
  type Endpoints,
  isAlreadyExists,
  isNotFound,
  type KubeObject,
  type Resource,
  resources,
  type Service,
} from "#api/index.ts";
import { cidrNth, formatIp, isLoopback, parseCidr } from "#base/ip.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext, ControllerOptions } from "./context.ts";
import { familyOf } from "./endpoints/model.ts";

/** Namespaces that every cluster has. */
const systemNamespaces = ["default", "kube-system", "kube-public", "kube-node-lease"] as const;
const meta = { name: "kubernetes", namespace: "default" } as const;

/**
 * Makes the system namespaces and the Service `kubernetes` with its endpoints, and makes them again when somebody
 * deletes or changes them.
 */
export function systemController(context: ControllerContext): void {
  const namespaces = context.informer(resources.namespaces);
  const own = { namespace: meta.namespace, fieldSelector: `metadata.name=${meta.name}` };
  const services = context.informer(resources.services, own);
  const slices = context.informer(resources.endpointSlices, own);
  const endpoints = context.informer(resources.endpoints, own);
  const { client, options } = context;
  const key = `${meta.namespace}/${meta.name}`;

  const queue = context.control({
    name: "system",
    needs: [namespaces, services, slices, endpoints],
    concurrency: 1,
    handle: async () => {
      for (const name of systemNamespaces) {
        if (!namespaces.get(name)) await ensure(client, resources.namespaces, { metadata: { name } });
      }
      const present = services.get(key);
      if (!present) await ensure(client, resources.services, kubernetesService(options));
      // As the API server itself: endpoints on loopback are refused, and would lead nobody there.
      if (isLoopback(options.apiAddress.host)) return;
      await ensureContent(client, resources.endpointSlices, slices.get(key), kubernetesSlice(options));
      await ensureContent(client, resources.endpoints, endpoints.get(key), kubernetesEndpoints(options));
    },
  });
  queue.add("system");
  for (const informer of [services, slices, endpoints]) informer.onChange(() => queue.add("system"));
  namespaces.onChange(({ type }) => type === "DELETED" && queue.add("system"));
}

/** The Service `kubernetes`, at the first address of the Service networks. */
export function kubernetesService(options: ControllerOptions): Service {
  const addresses = options.serviceCidrs.map((cidr) => formatIp(cidrNth(parseCidr(cidr), 1)));
  const clusterIP = addresses[0];
  return {
    metadata: { ...meta, labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      type: "ClusterIP",
      ...(clusterIP === undefined ? {} : { clusterIP, clusterIPs: [clusterIP] }),
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: options.apiAddress.port }],
      sessionAffinity: "None",
    },
  };
}

/** Its slice, named and labelled as kube-apiserver does. */
export function kubernetesSlice({ apiAddress: { host, port } }: ControllerOptions): EndpointSlice {
  return {
    metadata: { ...meta, labels: { "kubernetes.io/service-name": meta.name } },
    addressType: familyOf(host),
    endpoints: [{ addresses: [host], conditions: { ready: true } }],
    ports: [{ name: "https", port, protocol: "TCP" }],
  };
}

/** Its Endpoints; mirroring is off because the slice above is there. */
export function kubernetesEndpoints({ apiAddress: { host, port } }: ControllerOptions): Endpoints {
  return {
    metadata: { ...meta, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
    subsets: [{ addresses: [{ ip: host }], ports: [{ name: "https", port, protocol: "TCP" }] }],
  };
}

/** Creates an object unless there is one. */
async function ensure<T extends KubeObject>(client: Client, of: Resource<T>, object: T): Promise<void> {
  try {
    await client.create(of, object);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** Creates an object, or puts its content right. */
async function ensureContent<T extends KubeObject>(
  client: Client,
  of: Resource<T>,
  present: T | undefined,
  wanted: T,
): Promise<void> {
  if (!present) return await ensure(client, of, wanted);
  const { metadata: _, ...content } = wanted;
  const { metadata: __, apiVersion: ___, kind: ____, ...found } = present;
  if (equalJson(content, found)) return;
  try {
    await client.update(of, { ...present, ...content } as T);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
