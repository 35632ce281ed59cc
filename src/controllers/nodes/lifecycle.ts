import type { Condition, Node, Taint, TaintEffect } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import { conditionOf, timeText } from "../objects.ts";
import type { EvictionRule } from "./disruption.ts";

/** What a node's life asks for now. */
export interface NodePlan {
  /** Present when taints have to change. */
  readonly taints?: readonly Taint[];
  /** Present when conditions have to change: a node that is silent is Unknown. */
  readonly conditions?: readonly Condition[];
}

/** Taints that follow from conditions: key by condition type and status (kube-controller-manager's names). */
const conditionTaints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: "node.kubernetes.io/not-ready", Unknown: "node.kubernetes.io/unreachable" },
  MemoryPressure: { True: "node.kubernetes.io/memory-pressure" },
  DiskPressure: { True: "node.kubernetes.io/disk-pressure" },
  PIDPressure: { True: "node.kubernetes.io/pid-pressure" },
  NetworkUnavailable: { True: "node.kubernetes.io/network-unavailable" },
};
const unschedulableTaint = "node.kubernetes.io/unschedulable";
const evictingKeys: readonly string[] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const managedKeys = new Set([
  ...Object.values(conditionTaints).flatMap((byStatus) => Object.values(byStatus)),
  unschedulableTaint,
]);

/** Compares a node with what its conditions and its silence mean. */
export function planNode(node: Node, silent: boolean, now: Date, rule: EvictionRule = "evict"): NodePlan {
  const conditions = silent ? unknownConditions(node, now) : (node.status?.conditions ?? []);
  const present = node.spec?.taints ?? [];
  const taints = wantedTaints({ conditions, unschedulable: node.spec?.unschedulable ?? false, present, rule }, now);
  return {
    ...(equalJson(taints, present) ? {} : { taints }),
    ...(equalJson(conditions, node.status?.conditions ?? []) ? {} : { conditions }),
  };
}

interface TaintInput {
  readonly conditions: readonly Condition[];
  readonly unschedulable: boolean;
  readonly present: readonly Taint[];
  readonly rule: EvictionRule;
}

function wantedTaints({ conditions, unschedulable, present, rule }: TaintInput, now: Date): Taint[] {
  const wanted = new Map<string, { key: string; effect: TaintEffect }>();
  const want = (key: string, effect: TaintEffect) => wanted.set(`${key}:${effect}`, { key, effect });
  for (const [type, byStatus] of Object.entries(conditionTaints)) {
    const condition = conditionOf(conditions, type);
    const key = condition && byStatus[condition.status];
    if (key === undefined) continue;
    want(key, "NoSchedule");
    const begun = present.some((taint) => taint.key === key && taint.effect === "NoExecute");
    const evicts = rule === "evict" || (rule === "hold" && begun);
    if (evicts && evictingKeys.includes(key)) want(key, "NoExecute");
  }
  if (unschedulable) want(unschedulableTaint, "NoSchedule");
  const kept = present.filter(({ key, effect }) => !managedKeys.has(key) || wanted.delete(`${key}:${effect}`));
  return [...kept, ...[...wanted.values()].map((taint) => ({ ...taint, timeAdded: timeText(now) }))];
}

/** Conditions that only the kubelet can know are Unknown once it is silent. */
function unknownConditions(node: Node, now: Date): readonly Condition[] {
  const kubelets = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
  const present = node.status?.conditions ?? [];
  const changed = present.map((condition) =>
    kubelets.includes(condition.type) && condition.status !== "Unknown"
      ? {
          ...condition,
          status: "Unknown" as const,
          reason: "NodeStatusUnknown",
          message: "Kubelet stopped posting node status.",
          lastTransitionTime: timeText(now),
        }
      : condition,
  );
  if (conditionOf(present, "Ready")) return changed;
  const never: Condition = {
    type: "Ready",
    status: "Unknown",
    reason: "NodeStatusNeverUpdated",
    message: "Kubelet never posted node status.",
    lastTransitionTime: timeText(now),
    lastHeartbeatTime: node.metadata.creationTimestamp ?? timeText(now),
  };
  return [...changed, never];
}
