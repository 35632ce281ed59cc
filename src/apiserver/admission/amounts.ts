import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { podTotal } from "#api/index.ts";
import { addQuantities, compareQuantities, parseQuantity, type Quantity } from "#base/quantity.ts";

/** Quantities by resource. */
export type Amounts = Readonly<Record<string, Quantity>>;

/** Reads quantities that have been found valid. */
export function amountsOf(texts: Readonly<Record<string, string>> = {}): Amounts {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, parseQuantity(text)]));
}

/** Amounts of both, added. */
export function addAmounts(a: Amounts, b: Amounts): Amounts {
  const sum: Record<string, Quantity> = { ...a };
  for (const [name, amount] of Object.entries(b)) sum[name] = sum[name] ? addQuantities(sum[name], amount) : amount;
  return sum;
}

/** What a pod's containers request, or are limited to, taken together. */
export function podAmounts(spec: V1PodSpec, of: "requests" | "limits"): Record<string, Quantity> {
  const max = (a: Quantity, b: Quantity) => (compareQuantities(a, b) < 0 ? b : a);
  return podTotal(spec, (container: V1Container) => amountsOf(container.resources?.[of]), { add: addQuantities, max });
}
