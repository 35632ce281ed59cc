import type { Pod, Service } from "#api/index.ts";
import type { Origin } from "#base/origin.ts";
import { type ClusterObjects, endpointsOf, isReady } from "./reasons.ts";

/** What an address that is named as a name server is. */
export type NameServer =
  /** Pods behind a Service; their Corefile is in a ConfigMap. */
  | {
      readonly kind: "corefile";
      readonly namespace: string;
      readonly configMap: string;
      readonly key: string;
      readonly pod: Pod;
    }
  /** A Service that refuses: nothing is behind it. */
  | { readonly kind: "refuses"; readonly because: string; readonly origin: Origin }
  | { readonly kind: "elsewhere"; readonly because: string };

/** Finds out what a name server is. Pure. */
export function nameServerAt(address: string, objects: ClusterObjects): NameServer {
  const service = objects.services.find(({ spec }) => (spec.clusterIPs ?? [spec.clusterIP]).includes(address));
  if (!service) return { kind: "elsewhere", because: `${address} is no server of this cluster` };
  const { namespace = "default", name } = service.metadata;
  const endpoints = endpointsOf(objects.slices, namespace, name);
  const ready = endpoints.filter(isReady);
  if (ready.length === 0) {
    const because = `Service ${namespace}/${name} has ${endpoints.length ? "no ready endpoint" : "no endpoints"}: packets are refused`;
    return { kind: "refuses", because, origin: { kind: "Service", namespace, name, field: "spec.selector" } };
  }
  const pods = objects.pods.filter((pod) => ready.some(({ targetRef }) => targetRef?.name === pod.metadata.name));
  return (
    corefileOf(service, pods) ?? { kind: "elsewhere", because: `no pod of Service ${namespace}/${name} has a Corefile` }
  );
}

/** The ConfigMap that the pods of a DNS server have their Corefile from, as kubeadm's and ours do. */
function corefileOf({ metadata }: Service, pods: readonly Pod[]): NameServer | undefined {
  for (const pod of pods) {
    for (const { configMap } of pod.spec.volumes ?? []) {
      const item = configMap?.items?.find(({ path }) => path === "Corefile");
      if (!configMap?.name || (configMap.items && !item)) continue;
      const { namespace = "default" } = metadata;
      return { kind: "corefile", namespace, configMap: configMap.name, key: item?.key ?? "Corefile", pod };
    }
  }
  return undefined;
}
