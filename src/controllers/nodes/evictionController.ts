import { isConflict, isNotFound, keyOf, type Pod, referenceTo, resources } from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { isPodTerminal, setCondition } from "../objects.ts";
import { graceMs, taintedSince } from "./eviction.ts";

const component = "taint-eviction-controller";

/** Deletes pods from nodes with NoExecute taints once their tolerations have run out. */
export function taintEvictionController(context: ControllerContext): void {
  const nodes = context.informer(resources.nodes);
  const pods = context.informer(resources.pods);
  const podsOn = pods.index(({ spec }) => [spec.nodeName ?? ""]);
  /** Pods that will have to go, with the time since when they are affected, by this process's clock. */
  const affected = new Map<string, { readonly uid: string | undefined; readonly since: number }>();

  const queue = context.control({
    name: "taint-eviction",
    needs: [nodes, pods],
    handle: async (key) => {
      const pod = pods.get(key);
      const node = pod && nodes.get(pod.spec.nodeName ?? "");
      if (!pod || pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) return void affected.delete(key);
      const taints = node?.spec?.taints ?? [];
      const grace = graceMs(taints, pod.spec.tolerations);
      const now = context.now().getTime();
      if (grace === undefined) {
        if (affected.delete(key)) tell(context, pod, `Cancelling deletion of Pod ${key}`);
        return;
      }
      let present = affected.get(key);
      if (!present || present.uid !== pod.metadata.uid) {
        present = { uid: pod.metadata.uid, since: Math.min(now, taintedSince(taints) ?? now) };
        affected.set(key, present);
      }
      const left = present.since + grace - now;
      if (left > 0) return left;
      await evict(context, key, pod);
      affected.delete(key);
    },
  });

  nodes.onChange(({ type, object, old }) => {
    if (type === "MODIFIED" && equalJson(object.spec?.taints, old?.spec?.taints)) return;
    const tainted = (one: typeof object | undefined) => one?.spec?.taints?.some(({ effect }) => effect === "NoExecute");
    if (!tainted(object) && !tainted(old)) return;
    for (const pod of podsOn.get(object.metadata.name)) queue.add(keyOf(pod));
  });
  pods.onChange(({ object, old }) => {
    const placed = object.spec.nodeName !== old?.spec.nodeName;
    if (placed || !equalJson(object.spec.tolerations, old?.spec.tolerations)) queue.add(keyOf(object));
  });
}

function tell(context: ControllerContext, pod: Pod, message: string): void {
  context.recorder(component).event(referenceTo(resources.pods, pod), "Normal", "TaintManagerEviction", message);
}

/** Says why on the pod, then deletes it; the node's kubelet ends it, now or when it returns. */
async function evict(context: ControllerContext, key: string, pod: Pod): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const condition = {
    type: "DisruptionTarget",
    status: "True",
    reason: "DeletionByTaintManager",
    message: "Taint manager: deleting due to NoExecute taint",
  } as const;
  context.metrics
    .counter(
      "taint_eviction_controller_pod_deletions_total",
      "Total number of Pods deleted by TaintEvictionController since its start.",
    )
    .inc();
  tell(context, pod, `Marking for deletion Pod ${key}`);
  const pods = context.informer(resources.pods);
  const { conditions = [] } = pod.status ?? {};
  const { resourceVersion } = pod.metadata;
  try {
    const status = { conditions: setCondition(conditions, condition, context.now()) };
    const patch = { metadata: { uid, resourceVersion }, status };
    const options = { type: "merge", subresource: "status" } as const;
    pods.assume(await context.client.patch(resources.pods, name, namespace, patch, options));
    const going = await context.client.delete(resources.pods, name, namespace, { preconditions: { uid } });
    if (going) pods.assume(going);
  } catch (error) {
    // Gone, or another pod of that name: its own addition brings it here.
    if (isNotFound(error) || (isConflict(error) && pods.get(key)?.metadata.uid !== uid)) return;
    throw error;
  }
}
