import type { Node, Pod, Taint } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { conditionOf, isPodTerminal } from "../objects.ts";

/** A node with what is on it, as the scheduler sees it. */
export interface NodeView {
  readonly node: Node;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  /** Pods that are or will be there and have not come to their end. */
  readonly pods: readonly Pod[];
  /** Requests of those pods in thousandths, by resource. */
  readonly requested: Readonly<Record<string, number>>;
  /** What the node can give, in thousandths, by resource. */
  readonly allocatable: Readonly<Record<string, number>>;
}

/** The taint that a node which is not Ready has; the node controller sets it, and here it counts at once. */
const notReady: Taint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

/** One node with its pods. */
export function viewNode(node: Node, on: readonly Pod[]): NodeView {
  const pods = on.filter((pod) => !isPodTerminal(pod));
  const requested: Record<string, number> = {};
  for (const pod of pods) {
    for (const [resource, amount] of Object.entries(requestsOf(pod))) {
      requested[resource] = (requested[resource] ?? 0) + amount;
    }
  }
  const allocatable = Object.entries(node.status?.allocatable ?? node.status?.capacity ?? {});
  const taints = node.spec?.taints ?? [];
  const ready = conditionOf(node.status?.conditions, "Ready")?.status === "True";
  return {
    node,
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    taints: ready || taints.some(({ key }) => key === notReady.key) ? taints : [...taints, notReady],
    pods,
    requested,
    allocatable: Object.fromEntries(allocatable.map(([resource, amount]) => [resource, thousandths(amount)])),
  };
}

/** The API server has refused what is no quantity. */
function thousandths(amount: string): number {
  return Number(scaledQuantity(parseQuantity(amount), -3));
}

/**
 * What a pod asks for: the sum of its containers, or the biggest init container with the sidecars before it where
 * that is more, and the overhead. Thousandths, by resource.
 */
export function requestsOf(pod: Pod): Record<string, number> {
  const sum: Record<string, number> = {};
  const peak: Record<string, number> = {};
  const add = (to: Record<string, number>, amounts: Readonly<Record<string, string>> | undefined) => {
    for (const [resource, amount] of Object.entries(amounts ?? {})) {
      to[resource] = (to[resource] ?? 0) + thousandths(amount);
    }
  };
  for (const container of pod.spec.initContainers ?? []) {
    const requests = container.resources?.requests;
    if (container.restartPolicy === "Always") add(sum, requests);
    else {
      const at = { ...sum };
      add(at, requests);
      for (const [resource, amount] of Object.entries(at)) peak[resource] = Math.max(peak[resource] ?? 0, amount);
    }
  }
  for (const container of pod.spec.containers) add(sum, container.resources?.requests);
  for (const [resource, amount] of Object.entries(peak)) sum[resource] = Math.max(sum[resource] ?? 0, amount);
  add(sum, pod.spec.overhead);
  return sum;
}
