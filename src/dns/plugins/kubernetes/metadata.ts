import type { Ip } from "#base/ip.ts";
import type { ClusterIndex } from "./clusterIndex.ts";
import { parseClusterName } from "./names.ts";

type Entry = readonly [label: string, value: () => string];

/** Who asks: `kubernetes/client-namespace` and `kubernetes/client-pod-name`, known with pods verified. */
export function clientMetadata(index: ClusterIndex, client: Ip | undefined): Entry[] {
  const pod = client && index.podAt(client);
  if (!pod) return [];
  return [
    ["kubernetes/client-namespace", () => pod.namespace],
    ["kubernetes/client-pod-name", () => pod.name],
  ];
}

/** What is asked for, as the name says it. @param name lower case, in `zone` */
export function nameMetadata(name: string, zone: string): Entry[] {
  const parsed = parseClusterName(name, zone);
  if (parsed.kind === "pod") {
    return [
      ["kubernetes/kind", () => "pod"],
      ["kubernetes/namespace", () => parsed.namespace],
    ];
  }
  if (parsed.kind !== "service") return [];
  return [
    ["kubernetes/kind", () => "svc"],
    ["kubernetes/namespace", () => parsed.namespace],
    ["kubernetes/service", () => parsed.service],
    ["kubernetes/endpoint", () => parsed.endpoint ?? ""],
    ["kubernetes/port-name", () => parsed.port ?? ""],
    ["kubernetes/protocol", () => parsed.protocol ?? ""],
  ];
}
