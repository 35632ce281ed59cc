import type { Endpoint, EndpointSlice, Service } from "#api/index.ts";

/** A Service for tests: ClusterIP with one TCP port 80 named "http" unless said otherwise. */
export function service(
  name: string,
  spec: Partial<Service["spec"]>,
  annotations: Record<string, string> = {},
): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "shop", name, annotations },
    spec: { type: "ClusterIP", ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }], ...spec },
  } as Service;
}

/** Conditions and node of an endpoint, or only its address. */
export type EndpointSpec = string | (Partial<Endpoint> & { readonly address: string });

/** The EndpointSlice of a Service; the family is the first address's. Ports default to 8080 named "http". */
export function slice(
  serviceName: string,
  endpoints: readonly EndpointSpec[],
  ports?: EndpointSlice["ports"],
): EndpointSlice {
  const full = endpoints.map((endpoint) => {
    if (typeof endpoint === "string") return { addresses: [endpoint], nodeName: "node01" };
    const { address, ...rest } = endpoint;
    return { addresses: [address], nodeName: "node01", ...rest };
  });
  const addressType = full[0]?.addresses[0]?.includes(":") ? "IPv6" : "IPv4";
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "shop",
      name: `${serviceName}-${addressType.toLowerCase()}`,
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType,
    ports: ports ?? [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: full,
  } as EndpointSlice;
}
