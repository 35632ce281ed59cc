import { isNotFound, keyOf, type Pod, resources } from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { isPodTerminal, setCondition } from "../objects.ts";
import { type Removal, removalOf, surplusOf } from "./podgc.ts";

/** How long a node must have been away before its pods go (podgc's quarantineTime). */
const quarantineMs = 40_000;
/** Ended pods that are kept (--terminated-pod-gc-threshold). */
const keptEnded = 12_500;

/** The turn that looks at the number of ended pods; keys of pods have a slash, keys of nodes this prefix. */
const surplus = "surplus";
const nodeTurn = "node ";

/** Nodes that pods are on and that are not there. */
class MissingNodes {
  readonly #context: ControllerContext;
  readonly #quarantineMs: number;
  /** When each was first missed, by this process's clock. */
  readonly #missed = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#quarantineMs = context.options.podGcQuarantineMs ?? quarantineMs;
  }

  isGone(name: string): boolean {
    const since = this.#missed.get(name);
    return since !== undefined && this.#context.now().getTime() - since >= this.#quarantineMs;
  }

  found(name: string): void {
    this.#missed.delete(name);
  }

  /** @returns milliseconds until its quarantine is over, `gone` when it was, undefined for a node that nobody misses */
  async look(name: string, inUse: boolean): Promise<number | "gone" | undefined> {
    const { client, now } = this.#context;
    if (!inUse || this.#context.informer(resources.nodes).get(name)) return void this.found(name);
    const time = now().getTime();
    const since = this.#missed.get(name) ?? time;
    this.#missed.set(name, since);
    const left = since + this.#quarantineMs - time;
    if (left > 0) return left;
    // The cache may be behind: the API server decides.
    const there = await client.get(resources.nodes, name).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    return there ? void this.found(name) : "gone";
  }
}

/** Removes pods of nodes that are gone, pods that are deleted but were never placed, and too many ended ones. */
export function podGcController(context: ControllerContext): void {
  const nodes = context.informer(resources.nodes);
  const pods = context.informer(resources.pods);
  const podsOn = pods.index(({ spec }) => [spec.nodeName ?? ""]);
  const { terminatedPodThreshold = keptEnded } = context.options;
  const missing = new MissingNodes(context);
  let ended = 0;

  const queue = context.control({
    name: "pod-gc",
    needs: [nodes, pods],
    handle: async (key) => {
      if (key === surplus) {
        for (const pod of surplusOf(pods.list(), terminatedPodThreshold)) await remove(context, pod, undefined);
        return;
      }
      if (key.startsWith(nodeTurn)) {
        const name = key.slice(nodeTurn.length);
        const left = await missing.look(name, podsOn.get(name).length > 0);
        if (left === "gone") for (const one of podsOn.get(name)) queue.add(keyOf(one));
        return left === "gone" ? undefined : left;
      }
      const pod = pods.get(key);
      const removal =
        pod &&
        removalOf(
          pod,
          (name) => nodes.get(name),
          (name) => missing.isGone(name),
        );
      if (removal) await remove(context, pod, removal);
    },
  });

  nodes.onChange(({ type, object }) => {
    const { name } = object.metadata;
    if (type === "ADDED") missing.found(name);
    if (type === "DELETED") queue.add(`${nodeTurn}${name}`);
    else if (object.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/out-of-service"))
      for (const pod of podsOn.get(name)) queue.add(keyOf(pod));
  });
  pods.onChange(({ type, object, old }) => {
    const counts = type === "DELETED" ? 0 : Number(isPodTerminal(object));
    ended += counts - Number(old !== undefined && isPodTerminal(old));
    if (terminatedPodThreshold > 0 && ended > terminatedPodThreshold) queue.add(surplus);
    if (type === "DELETED") return;
    const { nodeName } = object.spec;
    // Nodes that are not known yet at the start are asked about once everything is.
    if (nodeName && nodeName !== old?.spec.nodeName) queue.add(`${nodeTurn}${nodeName}`);
    if (object.metadata.deletionTimestamp !== undefined) queue.add(keyOf(object));
  });
}

/** Marks the pod as failed, since nobody else will, and removes it at once. */
async function remove(context: ControllerContext, pod: Pod, removal: Removal | undefined): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const { client } = context;
  const pods = context.informer(resources.pods);
  try {
    if (!isPodTerminal(pod)) {
      const { conditions = [] } = pod.status ?? {};
      const gone = {
        type: "DisruptionTarget",
        status: "True",
        reason: "DeletionByPodGC",
        message: "PodGC: node no longer exists",
      } as const;
      const status = {
        phase: "Failed",
        ...(removal === "orphaned" ? { conditions: setCondition(conditions, gone, context.now()) } : {}),
      };
      const options = { type: "merge", subresource: "status" } as const;
      pods.assume(await client.patch(resources.pods, name, namespace, { metadata: { uid }, status }, options));
    }
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    const left = await client.delete(resources.pods, name, namespace, options);
    if (left) pods.assume(left);
    context.metrics
      .counter(
        "pod_gc_collector_force_delete_pods_total",
        "Number of pods that are being forcefully deleted since the Pod GC Controller started.",
      )
      .inc({ namespace: namespace ?? "", reason: removal ?? "terminated" });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
