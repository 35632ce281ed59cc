import { type LabelSelector, matchesMap, type Pod, type Service } from "#api/index.ts";

/**
 * Selects the pods among which a pod is spread by default: those of its Services and of its controller, undefined when
 * it has neither. Source: kube-scheduler's DefaultSelector.
 * @param services those of the pod's namespace
 * @param controller the selector of the pod's ReplicaSet or StatefulSet
 */
export function siblingSelector(
  pod: Pod,
  services: readonly Service[],
  controller: LabelSelector | undefined,
): LabelSelector | undefined {
  const matchLabels: Record<string, string> = { ...controller?.matchLabels };
  let found = controller !== undefined;
  for (const { spec } of services) {
    const { selector = {} } = spec;
    if (Object.keys(selector).length === 0 || !matchesMap(selector, pod.metadata.labels)) continue;
    Object.assign(matchLabels, selector);
    found = true;
  }
  if (!found) return undefined;
  return { matchLabels, ...(controller?.matchExpressions ? { matchExpressions: controller.matchExpressions } : {}) };
}
