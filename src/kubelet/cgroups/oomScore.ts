import type { Container, Pod } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { qosClass } from "../status/qos.ts";

/** kubelet/qos/policy.go. */
const GUARANTEED = -997;
const BEST_EFFORT = 1000;
/** Pods without which a node is none (scheduling, SystemCriticalPriority + 1000: system-node-critical). */
const NODE_CRITICAL = 2_000_001_000;

function memoryRequest({ resources }: Container): number {
  const text = resources?.requests?.["memory"] ?? resources?.limits?.["memory"];
  return text === undefined ? 0 : Number(scaledQuantity(parseQuantity(String(text)), 0));
}

/**
 * How readily the kernel ends a container when the machine runs out of memory, from -1000 to 1000 (proc(5),
 * oom_score_adj): what asked for little of it goes first (GetContainerOOMScoreAdjust).
 * @param memoryBytes what the machine has
 */
export function oomScoreAdj(pod: Pod, container: Container, memoryBytes: number): number {
  if ((pod.spec.priority ?? 0) >= NODE_CRITICAL) return GUARANTEED;
  const qos = qosClass(pod);
  if (qos !== "Burstable") return qos === "Guaranteed" ? GUARANTEED : BEST_EFFORT;
  const score = (one: Container) => Math.trunc(1000 - (1000 * memoryRequest(one)) / memoryBytes);
  // A sidecar is no worse off than the containers that need it.
  const isSidecar = pod.spec.initContainers?.some((c) => c.name === container.name && c.restartPolicy === "Always");
  const own = isSidecar ? Math.min(score(container), ...pod.spec.containers.map(score)) : score(container);
  return Math.min(Math.max(own, 1000 + GUARANTEED), BEST_EFFORT - 1);
}
