import type { Container, Pod } from "#api/index.ts";
import type { ServedContainer } from "./deps.ts";
import type { PodSetup } from "./prepare.ts";

/** A run of a container that the node's serving process answers for. */
export interface ServedRun {
  readonly id: string;
  /** Path of the pod's network namespace; absent: the node's. */
  readonly netns: string | undefined;
  readonly args: readonly string[];
}

/** What the serving process is told of a container's run. */
export function servedContainer(
  pod: Pod,
  container: Container,
  setup: Pick<PodSetup, "podIPs">,
  node: string,
  { id, netns, args }: ServedRun,
): ServedContainer {
  const ports = (container.ports ?? []).filter((p) => (p.protocol ?? "TCP") === "TCP").map((p) => p.containerPort);
  return {
    id,
    ...(netns === undefined ? {} : { netns }),
    args,
    ports,
    pod: pod.metadata.name,
    namespace: pod.metadata.namespace ?? "",
    node,
    addresses: setup.podIPs,
  };
}
