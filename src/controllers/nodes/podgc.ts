import type { Node, Pod } from "#api/index.ts";
import { conditionOf, isPodTerminal } from "../objects.ts";

/** Why a pod is removed without its kubelet. */
export type Removal = "orphaned" | "unscheduled" | "out-of-service";

/**
 * Whether a pod is to be removed although no kubelet says that it has ended. Source: kube-controller-manager's podgc.
 * @param nodeOf finds nodes
 * @param isGone whether a node that is not found has been away for long enough
 */
export function removalOf(
  pod: Pod,
  nodeOf: (name: string) => Node | undefined,
  isGone: (name: string) => boolean,
): Removal | undefined {
  const { nodeName } = pod.spec;
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  if (!nodeName) return terminating ? "unscheduled" : undefined;
  const node = nodeOf(nodeName);
  if (!node) return isGone(nodeName) ? "orphaned" : undefined;
  const ready = conditionOf(node.status?.conditions, "Ready")?.status === "True";
  const retired = node.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/out-of-service") ?? false;
  return terminating && !ready && retired ? "out-of-service" : undefined;
}

/** Which ended pods go because there are more than `threshold`: evicted ones first, then the oldest. */
export function surplusOf(pods: readonly Pod[], threshold: number): readonly Pod[] {
  const ended = pods.filter(isPodTerminal);
  if (threshold <= 0 || ended.length <= threshold) return [];
  const rank = (pod: Pod) => [
    pod.status?.phase === "Failed" && pod.status.reason === "Evicted" ? 0 : 1,
    pod.metadata.creationTimestamp ?? "",
    pod.metadata.name,
  ];
  const before = (a: Pod, b: Pod) => {
    const [left, right] = [rank(a), rank(b)];
    const i = left.findIndex((value, at) => value !== right[at]);
    if (i < 0) return 0;
    return (left[i] as string) < (right[i] as string) ? -1 : 1;
  };
  return [...ended].sort(before).slice(0, ended.length - threshold);
}
