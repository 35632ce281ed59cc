import type { EndpointSlice, Namespace, Pod, Service } from "#api/index.ts";
import { ClusterIndex } from "./clusterIndex.ts";

/** Objects of a small cluster for tests: the specification's kinds of Services in a few namespaces. */

export function namespace(name: string): Namespace {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}

export function service(name: string, spec: Service["spec"], ns = "default"): Service {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: ns }, spec };
}

/** Endpoints as `address`, `address@hostname`, `address!` for one that is not ready. */
export function slice(
  of: string,
  addresses: readonly string[],
  ports: EndpointSlice["ports"],
  ns = "default",
): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${of}-${addresses.length}`, namespace: ns, labels: { "kubernetes.io/service-name": of } },
    addressType: addresses[0]?.includes(":") ? "IPv6" : "IPv4",
    endpoints: addresses.map((text) => {
      const [address, hostname] = text.replace("!", "").split("@") as [string, string?];
      return {
        addresses: [address],
        conditions: { ready: !text.endsWith("!") },
        targetRef: { kind: "Pod", name: `pod-${address.replaceAll(/[.:]/g, "x")}`, namespace: ns },
        ...(hostname !== undefined && { hostname }),
      };
    }),
    ports: ports ?? [],
  };
}

export function pod(name: string, ip: string, ns = "default"): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: ns },
    spec: { containers: [] },
    status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
  } as Pod;
}

const http = [{ name: "http", port: 80, protocol: "TCP" as const }];
const wearPorts = [{ port: 8282, protocol: "TCP" as const }];

/** All of the cluster's objects. */
export function clusterObjects() {
  return {
    namespaces: [namespace("default"), namespace("kube-system"), namespace("app-space"), namespace("empty")],
    services: [
      service("kubernetes", {
        clusterIP: "10.96.0.1",
        clusterIPs: ["10.96.0.1"],
        ports: [{ name: "https", port: 443 }],
      }),
      service(
        "kube-dns",
        {
          clusterIP: "10.96.0.10",
          ports: [
            { name: "dns", port: 53, protocol: "UDP" },
            { name: "dns-tcp", port: 53, protocol: "TCP" },
          ],
        },
        "kube-system",
      ),
      service("wear-service", { clusterIP: "10.96.7.7", ports: wearPorts }, "app-space"),
      service("dual", { clusterIPs: ["10.96.3.3", "fd00:96::3"], ports: http }),
      service("hdls", { clusterIP: "None", ports: http }),
      service("hdls-empty", { clusterIP: "None", ports: http }),
      service("hdls-early", { clusterIP: "None", publishNotReadyAddresses: true, ports: http }),
      service("ext", { type: "ExternalName", externalName: "www.example.com" }),
      service("ext-in", { type: "ExternalName", externalName: "kubernetes.default.svc.cluster.local" }),
      service("ext-loop", { type: "ExternalName", externalName: "ext-loop.default.svc.cluster.local" }),
    ],
    slices: [
      slice("wear-service", ["10.244.1.5"], wearPorts, "app-space"),
      slice("kube-dns", ["10.244.0.2", "10.244.0.3"], [{ name: "dns", port: 53, protocol: "UDP" }], "kube-system"),
      slice("hdls", ["10.244.1.1@my-pet", "10.244.2.2", "10.244.2.3!"], http),
      slice("hdls", ["fd00:244::1"], http),
      slice("hdls-early", ["10.244.2.9!"], http),
    ],
    pods: [pod("web", "10.244.2.5")],
  };
}

/** The cluster as an index. */
export function testIndex(): ClusterIndex {
  const index = new ClusterIndex();
  const { namespaces, services, slices, pods } = clusterObjects();
  for (const object of namespaces) index.setNamespace(object);
  for (const object of services) index.setService(object);
  for (const object of slices) index.setSlice(object);
  for (const object of pods) index.setPod(object);
  return index;
}
