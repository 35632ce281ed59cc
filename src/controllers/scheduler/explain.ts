import { beginCycle, type Refusal, refusals } from "./filters.ts";
import { holding, type NodeView } from "./nodes.ts";
import type { Case } from "./plan.ts";

/** Why no node takes a pod: one reason for all, or each node's. */
export type Failure =
  | { readonly general: string }
  | {
      readonly general?: undefined;
      readonly refused: ReadonlyMap<NodeView, readonly Refusal[]>;
      /** Nodes that the pod does not name. */
      readonly passedOver: number;
    };

const notHelpful = "Preemption is not helpful for scheduling";

/**
 * kube-scheduler's sentence: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) …. no new claims to deallocate,
 * preemption: …`. Source: FitError of the scheduling framework.
 */
export function explain(one: Case, failure: Failure): string {
  const total = `0/${one.all.length} nodes are available:`;
  if (failure.general !== undefined) {
    const preemption = preempt(one, new Map());
    return `${total} ${failure.general}. no new claims to deallocate, preemption: ${preemption}`;
  }
  const texts = [...failure.refused.values()].flatMap((reasons) => reasons.map(({ reason }) => reason));
  const others = Array.from({ length: failure.passedOver }, () => "node(s) didn't satisfy plugin(s) [NodeAffinity]");
  const preemption = preempt(one, failure.refused);
  return `${total} ${counted([...texts, ...others])}. no new claims to deallocate, preemption: ${preemption}`;
}

function counted(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts]
    .map(([text, times]) => `${times} ${text}`)
    .sort()
    .join(", ");
}

/** What kube-scheduler says about making room by ending pods of lower priority. */
function preempt(one: Case, refused: ReadonlyMap<NodeView, readonly Refusal[]>): string {
  if (one.pod.pod.spec.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never.";
  const texts = one.all.flatMap((node) => {
    const reasons = refused.get(node);
    return !reasons || reasons.some(({ helpless }) => helpless) ? [notHelpful] : withoutVictims(one, node);
  });
  return `0/${one.all.length} nodes are available: ${counted(texts)}.`;
}

/** What would still be wrong with a node if all pods of lower priority were gone. */
function withoutVictims(one: Case, node: NodeView): readonly string[] {
  const staying = node.pods.filter(({ priority }) => priority >= one.pod.priority);
  if (staying.length === node.pods.length) return ["No preemption victims found for incoming pod"];
  const emptied = holding(node, staying);
  const all = one.all.map((other) => (other === node ? emptied : other));
  const left = refusals(beginCycle(one.pod, all, one.namespaceLabels, one.storage), emptied);
  if (left.length > 0) return left.map(({ reason }) => reason);
  // Upstream would end them now. This scheduler does not, and says so.
  return ["Pods of lower priority could make room, but this scheduler does not preempt"];
}
