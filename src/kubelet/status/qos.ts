import type { Pod, ResourceRequirements } from "#api/index.ts";
import { compareQuantities, parseQuantity, type Quantity } from "#base/quantity.ts";

/** Resources that decide the class (KEP-753 leaves the others out). */
const RESOURCES = ["cpu", "memory"] as const;

type Amounts = { readonly request: Quantity; readonly limit: Quantity };

function amounts({ requests, limits }: ResourceRequirements, resource: string): Amounts {
  const limit = parseQuantity(limits?.[resource] ?? "0");
  return { request: parseQuantity(requests?.[resource] ?? limits?.[resource] ?? "0"), limit };
}

/**
 * Quality-of-service class of a pod.
 * Guaranteed: every container has equal, non-zero cpu and memory requests and limits. BestEffort: none has any.
 * Of a pod that has resources of its own these alone count.
 * Source: Kubernetes documentation, "Pod Quality of Service Classes"; KEP-2837.
 */
export function qosClass(pod: Pod): "Guaranteed" | "Burstable" | "BestEffort" {
  const { resources, initContainers = [], containers } = pod.spec;
  const all = resources ? [resources] : [...initContainers, ...containers].map((c) => c.resources ?? {});
  const pairs = all.flatMap((c) => RESOURCES.map((r) => amounts(c, r)));
  if (pairs.every((p) => p.request.unscaled === 0n && p.limit.unscaled === 0n)) return "BestEffort";
  const guaranteed = pairs.every((p) => p.limit.unscaled > 0n && compareQuantities(p.request, p.limit) === 0);
  return guaranteed ? "Guaranteed" : "Burstable";
}
