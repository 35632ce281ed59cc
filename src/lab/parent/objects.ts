import { join } from "node:path";
import type { KubeObject, Service } from "#api/index.ts";
import { type ClusterConfig, dnsServiceAddress } from "#lab/config/index.ts";
import { readManifests } from "#lab/manifests/index.ts";
import { kubeProxyObjects } from "./kubeProxy.ts";

/** What every cluster is given: the configuration of kube-proxy, DNS, and the ingress controller where one is wanted. @param assets folder with manifests/ */
export function addons(config: ClusterConfig, assets: string): KubeObject[] {
  const dns = readManifests(join(assets, "manifests/coredns.yaml"), assets).map((object) =>
    object.kind === "Service" ? withClusterIp(object as Service, dnsServiceAddress(config)) : object,
  );
  // First: what configures the nodes' agents.
  const objects = [...kubeProxyObjects(config), ...dns];
  if (config.ingress === "none") return objects;
  return [...objects, ...readManifests(join(assets, "manifests/ingress.yaml"), assets)];
}

/** The example that a cluster starts with, if any. @param assets folder with examples/ */
export function exampleObjects(config: ClusterConfig, assets: string): KubeObject[] {
  if (config.example === "none") return [];
  const folder = join(assets, "examples/online-store");
  const files = ["01-shop.yaml", "02-ingress.yaml", "03-ingress-hosts.yaml"];
  return files.flatMap((file) => readManifests(join(folder, file), assets));
}

function withClusterIp(service: Service, address: string): Service {
  return { ...service, spec: { ...service.spec, clusterIP: address, clusterIPs: [address] } };
}
