import type { Node, Pod, Taint } from "#api/index.ts";
import { conditionOf, isPodTerminal } from "../objects.ts";
import { type Amounts, amountsOf, requestsOf, scoredRequestsOf } from "./requests.ts";
import { type Labels, type PodTerm, preferredTerms, requiredTerms, type WeightedTerm } from "./terms.ts";

/** A port of the node that a pod takes. */
export interface HostPort {
  readonly ip: string;
  readonly port: number;
  readonly protocol: string;
}

/** What placing needs to know of a pod. */
export interface PodView {
  readonly pod: Pod;
  readonly namespace: string;
  readonly labels: Labels;
  readonly priority: number;
  readonly requests: Amounts;
  /** Requests as scores count them: never nothing. */
  readonly scored: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly HostPort[];
  /** Required terms. */
  readonly affinity: readonly PodTerm[];
  readonly antiAffinity: readonly PodTerm[];
  readonly preferred: readonly WeightedTerm[];
  readonly terminating: boolean;
}

/** What placing needs to know of a node and the pods on it. */
export interface NodeView {
  readonly node: Node;
  readonly name: string;
  readonly labels: Labels;
  readonly taints: readonly Taint[];
  readonly allocatable: Amounts;
  readonly requested: Amounts;
  readonly scored: { readonly cpu: number; readonly memory: number };
  /** Pods that have not come to their end. */
  readonly pods: readonly PodView[];
  /** Those of them with terms about other pods. */
  readonly withTerms: readonly PodView[];
}

/** A pod's view. */
export function viewPod(pod: Pod): PodView {
  const { affinity } = pod.spec;
  return {
    pod,
    namespace: pod.metadata.namespace ?? "",
    labels: pod.metadata.labels ?? {},
    priority: pod.spec.priority ?? 0,
    requests: requestsOf(pod),
    scored: scoredRequestsOf(pod),
    hostPorts: hostPortsOf(pod),
    affinity: requiredTerms(pod, affinity?.podAffinity),
    antiAffinity: requiredTerms(pod, affinity?.podAntiAffinity),
    preferred: preferredTerms(pod),
    terminating: pod.metadata.deletionTimestamp !== undefined,
  };
}

/**
 * A node's view. A node that is not ready and does not carry the taint for it yet counts as if it did: a kubelet
 * registers before it is ready.
 * @param of makes pods' views; a caller that keeps them spares the work
 */
export function viewNode(node: Node, pods: readonly Pod[], of: (pod: Pod) => PodView = viewPod): NodeView {
  const ready = conditionOf(node.status?.conditions, "Ready")?.status === "True";
  const taints = node.spec?.taints ?? [];
  const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" } as const;
  const known = taints.some(({ key }) => key === notReady.key || key === "node.kubernetes.io/unreachable");
  const bare = {
    node,
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    taints: ready || known ? taints : [...taints, notReady],
    allocatable: amountsOf(node.status?.allocatable ?? node.status?.capacity),
  };
  return holding(bare, pods.filter((pod) => !isPodTerminal(pod)).map(of));
}

/** The same node with one more pod on it, which has not come to its end. */
export function withPod(view: NodeView, pod: PodView): NodeView {
  const { requested, scored, pods, withTerms } = view;
  const sum: Record<string, number> = { ...requested };
  for (const [resource, amount] of Object.entries(pod.requests)) sum[resource] = (sum[resource] ?? 0) + amount;
  return {
    ...view,
    requested: sum,
    scored: { cpu: scored.cpu + pod.scored.cpu, memory: scored.memory + pod.scored.memory },
    pods: [...pods, pod],
    withTerms: hasTerms(pod) ? [...withTerms, pod] : withTerms,
  };
}

function hasTerms({ affinity, antiAffinity, preferred }: PodView): boolean {
  return affinity.length + antiAffinity.length + preferred.length > 0;
}

/** The same node with other pods on it. */
export function holding(
  node: Pick<NodeView, "node" | "name" | "labels" | "taints" | "allocatable">,
  pods: readonly PodView[],
): NodeView {
  const requested: Record<string, number> = {};
  const scored = { cpu: 0, memory: 0 };
  for (const view of pods) {
    for (const [resource, amount] of Object.entries(view.requests))
      requested[resource] = (requested[resource] ?? 0) + amount;
    scored.cpu += view.scored.cpu;
    scored.memory += view.scored.memory;
  }
  return { ...node, requested, scored, pods, withTerms: pods.filter(hasTerms) };
}

function hostPortsOf(pod: Pod): HostPort[] {
  // Sidecars hold theirs for the pod's life; other init containers are past when the pod serves, but upstream counts
  // only restartable ones as well.
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...pod.spec.containers, ...sidecars].flatMap((container) =>
    (container.ports ?? [])
      .filter(({ hostPort }) => hostPort)
      .map(({ hostPort = 0, hostIP, protocol = "TCP" }) => ({ ip: hostIP || "0.0.0.0", port: hostPort, protocol })),
  );
}
