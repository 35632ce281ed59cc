import type { Container, Pod } from "#api/index.ts";
import { compareQuantities, parseQuantity, type Quantity } from "#base/quantity.ts";

/** Resources that decide the class (KEP-753 leaves the others out). */
const RESOURCES = ["cpu", "memory"] as const;

type Amounts = { readonly request: Quantity; readonly limit: Quantity };

function amounts(container: Container, resource: string): Amounts {
  const limit = parseQuantity(container.resources?.limits?.[resource] ?? "0");
  const request = parseQuantity(
    container.resources?.requests?.[resource] ?? container.resources?.limits?.[resource] ?? "0",
  );
  return { request, limit };
}

/**
 * Quality-of-service class of a pod.
 * Guaranteed: every container has equal, non-zero cpu and memory requests and limits. BestEffort: none has any.
 * Source: Kubernetes documentation, "Pod Quality of Service Classes".
 */
export function qosClass(pod: Pod): "Guaranteed" | "Burstable" | "BestEffort" {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const pairs = all.flatMap((c) => RESOURCES.map((r) => amounts(c, r)));
  if (pairs.every((p) => p.request.unscaled === 0n && p.limit.unscaled === 0n)) return "BestEffort";
  const guaranteed = pairs.every((p) => p.limit.unscaled > 0n && compareQuantities(p.request, p.limit) === 0);
  return guaranteed ? "Guaranteed" : "Burstable";
}
