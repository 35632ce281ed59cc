import type { Container, Pod, ResourceRequirements } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { qosClass } from "../status/qos.ts";

/** kubelet/qos/policy.go. */
const GUARANTEED = -997;
const BEST_EFFORT = 1000;
/** Pods without which a node is none (scheduling, SystemCriticalPriority + 1000: system-node-critical). */
const NODE_CRITICAL = 2_000_001_000;

function memoryRequest({ resources }: { readonly resources?: ResourceRequirements | undefined }): number {
  const text = resources?.requests?.["memory"] ?? resources?.limits?.["memory"];
  return text === undefined ? 0 : Number(scaledQuantity(parseQuantity(String(text)), 0));
}

const total = (amounts: readonly number[]): number => amounts.reduce((sum, one) => sum + one, 0);

/** What the containers of a pod ask for together (component-helpers/resource, AggregateContainerRequests). */
function allAskFor({ spec }: Pod): number {
  let sidecars = 0;
  let initial = 0;
  for (const container of spec.initContainers ?? []) {
    const own = sidecars + memoryRequest(container);
    if (container.restartPolicy === "Always") sidecars = own;
    initial = Math.max(initial, own);
  }
  return Math.max(initial, sidecars + total(spec.containers.map(memoryRequest)));
}

/** Each container's part of what the pod asks for beyond what its containers do (remainingPodMemReqPerContainer). */
function shareOfRest(pod: Pod): number {
  const { resources, containers, initContainers = [] } = pod.spec;
  const asked = memoryRequest({ resources });
  return asked === 0 ? 0 : Math.trunc((asked - allAskFor(pod)) / (containers.length + initContainers.length));
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
  const rest = shareOfRest(pod);
  const score = (bytes: number) => 1000 - Math.trunc((1000 * (bytes + rest)) / memoryBytes);
  // A sidecar is no worse off than that of the others that asks for the least.
  const isSidecar = pod.spec.initContainers?.some((c) => c.name === container.name && c.restartPolicy === "Always");
  const least = isSidecar ? Math.min(...pod.spec.containers.map(memoryRequest)) : 0;
  const own = score(Math.max(memoryRequest(container), least));
  return Math.min(Math.max(own, 1000 + GUARANTEED), BEST_EFFORT - 1);
}
