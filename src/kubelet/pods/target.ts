import type { Container } from "#api/index.ts";
import type { PodDeps } from "./deps.ts";
import type { HealthTarget } from "./health.ts";
import type { UnitPod } from "./owner.ts";
import type { ContainerRecord } from "./record.ts";

/** A running container as probes, hooks and its end reach it. */
export function healthTarget(
  { node, runtime }: Pick<PodDeps, "node" | "runtime">,
  { pod, setup }: Pick<UnitPod, "pod" | "setup">,
  container: Container,
  running: HealthTarget["running"],
  record: ContainerRecord | undefined,
): HealthTarget {
  return {
    podIP: setup.podIPs[0] ?? node.addresses[0] ?? "127.0.0.1",
    container,
    pod,
    running,
    runtime,
    ...(record?.user ? { user: record.user } : {}),
    ...(record?.stopSignal === undefined ? {} : { stopSignal: record.stopSignal }),
  };
}
