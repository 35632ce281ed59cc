/** What of a pod's spec its amounts follow from. */
interface Containers<C> {
  readonly containers: readonly C[];
  readonly initContainers?: readonly C[];
}

/**
 * What a pod needs of each resource: the sum of its containers, or the biggest init container with the sidecars before
 * it where that is more (kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers).
 * @param of what one container needs
 */
export function podTotal<C extends { readonly restartPolicy?: string }, Amount>(
  spec: Containers<C>,
  of: (container: C) => Readonly<Record<string, Amount>>,
  { add, max }: { add(a: Amount, b: Amount): Amount; max(a: Amount, b: Amount): Amount },
): Record<string, Amount> {
  const sum: Record<string, Amount> = {};
  const peak: Record<string, Amount> = {};
  const merge = (to: Record<string, Amount>, amounts: Readonly<Record<string, Amount>>, how: typeof add) => {
    for (const [resource, amount] of Object.entries(amounts)) {
      const before = to[resource];
      to[resource] = before === undefined ? amount : how(before, amount);
    }
  };
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === "Always") merge(sum, of(container), add);
    else {
      const at = { ...sum };
      merge(at, of(container), add);
      merge(peak, at, max);
    }
  }
  for (const container of spec.containers) merge(sum, of(container), add);
  merge(sum, peak, max);
  return sum;
}
