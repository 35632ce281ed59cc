import { type Pod, podTotal } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";

/** Amounts by resource, in thousandths: `cpu` in millicores, `memory` in milli-bytes. */
export type Amounts = Readonly<Record<string, number>>;

/** What a container without a request counts for when nodes are compared (kube-scheduler's GetNonzeroRequests). */
const assumedCpu = 100;
const assumedMemory = 200 * 1024 * 1024 * 1000;

/** A quantity in thousandths. The API server has refused what is no quantity. */
export function thousandths(amount: string): number {
  return Number(scaledQuantity(parseQuantity(amount), -3));
}

/** Quantities by resource, in thousandths. */
export function amountsOf(texts: Readonly<Record<string, string>> = {}): Record<string, number> {
  return Object.fromEntries(Object.entries(texts).map(([resource, amount]) => [resource, thousandths(amount)]));
}

/**
 * What a pod asks for: the sum of its containers, or the biggest init container with the sidecars before it where
 * that is more, and the overhead.
 */
export function requestsOf(pod: Pod): Record<string, number> {
  return combine(pod, (container) => amountsOf(container.resources?.requests));
}

/** As requestsOf, for cpu and memory, where a container that asks for nothing counts for a little. */
export function scoredRequestsOf(pod: Pod): { cpu: number; memory: number } {
  const { cpu = 0, memory = 0 } = combine(pod, (container) => {
    const { cpu: ownCpu = assumedCpu, memory: ownMemory = assumedMemory } = amountsOf(container.resources?.requests);
    return { cpu: ownCpu, memory: ownMemory };
  });
  return { cpu, memory };
}

function combine(pod: Pod, of: (container: Pod["spec"]["containers"][number]) => Amounts): Record<string, number> {
  const sum = podTotal(pod.spec, of, { add: (a, b) => a + b, max: Math.max });
  for (const [resource, amount] of Object.entries(amountsOf(pod.spec.overhead)))
    sum[resource] = (sum[resource] ?? 0) + amount;
  return sum;
}
