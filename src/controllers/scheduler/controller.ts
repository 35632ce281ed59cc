import {
  type Binding,
  type Change,
  type Condition,
  type Index,
  isConflict,
  isNotFound,
  keyOf,
  type Node,
  type Pod,
  referenceTo,
  resources,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf, isPodActive, isPodTerminal, jsonEqual, setCondition } from "../objects.ts";
import { type NodeView, viewNode } from "./nodes.ts";
import { type Decision, schedule } from "./plan.ts";
import { claimProblem, everywhere } from "./volumes.ts";

/** The name in spec.schedulerName that this scheduler answers to. */
export const schedulerName = "default-scheduler";

/** Binds pods without a node. Pods that fit nowhere wait for a change of nodes or pods; nothing is retried on a clock. */
export function schedulerController(context: ControllerContext): void {
  const pods = context.informer(resources.pods);
  const nodes = context.informer(resources.nodes);
  const namespaces = context.informer(resources.namespaces);
  const claims = context.informer(resources.persistentVolumeClaims);
  const scheduler = new Scheduler(context);

  const queue = context.control({
    name: "scheduler",
    needs: [pods, nodes, namespaces, claims],
    concurrency: 1, // decisions see those before them; the binding itself does not wait
    handle: async (key) => {
      const pod = pods.get(key);
      if (pod && isPending(pod)) scheduler.decide(key, pod);
    },
  });
  scheduler.onFailure = (key) => queue.addAfter(key, 20);

  pods.onChange((change) => {
    const { type, object } = change;
    const key = keyOf(object);
    if (object.spec.nodeName) scheduler.stale(object.spec.nodeName);
    if (type === "DELETED" || object.spec.nodeName) scheduler.forget(key);
    if (type !== "DELETED" && isPending(object) && !onlyStatusChanged(change)) queue.add(key);
    // Room was made, or a pod that others want to be near (or away from) has come or changed its labels.
    if (object.spec.nodeName && (type === "DELETED" || isPodTerminal(object) || !onlyStatusChanged(change))) {
      for (const waiting of scheduler.unschedulable) queue.add(waiting);
    }
  });
  claims.onChange(() => {
    for (const waiting of scheduler.unschedulable) queue.add(waiting);
  });
  nodes.onChange((change) => {
    if (change.type === "MODIFIED" && change.old && !concernsScheduling(change.object, change.old)) return;
    for (const waiting of scheduler.unschedulable) queue.add(waiting);
  });
}

/** A pod that waits for this scheduler. */
function isPending(pod: Pod): boolean {
  return !pod.spec.nodeName && isPodActive(pod) && (pod.spec.schedulerName ?? schedulerName) === schedulerName;
}

/** A change that the scheduler's own condition, or a kubelet, made. */
function onlyStatusChanged({ object, old }: Change<Pod>): boolean {
  if (!old) return false;
  return jsonEqual(object.spec, old.spec) && jsonEqual(object.metadata.labels, old.metadata.labels);
}

/** Heartbeats change a node often; these parts decide where pods may go. */
function concernsScheduling(a: Node, b: Node): boolean {
  const relevant = ({ metadata, spec, status }: Node) => [
    metadata.labels,
    spec?.taints,
    spec?.unschedulable,
    status?.allocatable,
    conditionOf(status?.conditions, "Ready")?.status,
  ];
  return !jsonEqual(relevant(a), relevant(b));
}

class Scheduler {
  /** Pods that fitted nowhere at their last attempt. */
  readonly unschedulable = new Set<string>();
  /** Called when a decision could not be written. */
  onFailure: (key: string) => void = () => {};
  readonly #context: ControllerContext;
  /** Decisions that the cache does not show yet: pods as they will be. */
  readonly #assumed = new Map<string, Pod>();
  readonly #podsOn: Index<Pod>;
  readonly #viewed = new Map<string, NodeView>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#podsOn = context.informer(resources.pods).index(({ spec }) => [spec.nodeName ?? ""]);
  }

  /** Decides and starts to write the decision; the next pod is decided on top of it. */
  decide(key: string, pod: Pod): void {
    if (this.#assumed.has(key)) return;
    if ((pod.spec.schedulingGates ?? []).length > 0) {
      const message = "Scheduling is blocked due to non-empty scheduling gates";
      this.#report(key, pod, "SchedulingGated", message);
      return;
    }
    const decision = this.#choose(pod);
    if (decision.node === undefined) {
      this.unschedulable.add(key);
      const about = referenceTo(resources.pods, pod);
      this.#context.recorder(schedulerName).event(about, "Warning", "FailedScheduling", decision.message);
      this.#report(key, pod, "Unschedulable", decision.message);
      return;
    }
    this.unschedulable.delete(key);
    this.#assumed.set(key, { ...pod, spec: { ...pod.spec, nodeName: decision.node } });
    this.stale(decision.node);
    void this.#bind(key, pod, decision.node);
  }

  #choose(pod: Pod): Decision {
    const views = this.#views();
    const claims = this.#context.informer(resources.persistentVolumeClaims);
    const problem = claimProblem(pod, (name) => claims.get(`${pod.metadata.namespace}/${name}`));
    if (problem !== undefined && views.length > 0) return { message: everywhere(problem, views.length) };
    const namespaces = this.#context.informer(resources.namespaces);
    return schedule(pod, views, (name) => namespaces.get(name)?.metadata.labels ?? {});
  }

  /** The pod is gone, or the cache knows its node. */
  forget(key: string): void {
    const node = this.#assumed.get(key)?.spec.nodeName;
    if (node !== undefined) this.stale(node);
    this.#assumed.delete(key);
    this.unschedulable.delete(key);
  }

  /** What is on a node has changed: its view is made anew when it is next needed. */
  stale(node: string): void {
    this.#viewed.delete(node);
  }

  #views(): NodeView[] {
    return this.#context
      .informer(resources.nodes)
      .list()
      .map((node) => {
        const { name } = node.metadata;
        const present = this.#viewed.get(name);
        if (present?.node === node) return present;
        const assumed = [...this.#assumed.values()].filter((pod) => pod.spec.nodeName === name);
        const pods = new Map([...assumed, ...this.#podsOn.get(name)].map((pod) => [keyOf(pod), pod]));
        const view = viewNode(node, [...pods.values()]);
        this.#viewed.set(name, view);
        return view;
      });
  }

  async #bind(key: string, pod: Pod, node: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const binding: Binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
      },
      target: { apiVersion: "v1", kind: "Node", name: node },
    };
    try {
      const options = { subresource: "binding", ...(namespace === undefined ? {} : { namespace }) };
      await this.#context.client.post(resources.pods, name, binding, options);
      const about = referenceTo(resources.pods, pod);
      const message = `Successfully assigned ${namespace}/${name} to ${node}`;
      this.#context.recorder(schedulerName).event(about, "Normal", "Scheduled", message);
    } catch (error) {
      this.#assumed.delete(key);
      this.stale(node);
      if (this.#context.signal.aborted || isNotFound(error) || isConflict(error)) return; // gone, or bound by another
      this.#context.schedulerLog.warn("Binding failed", { pod: key, node, error });
      this.onFailure(key);
    }
  }

  /** Notes on the pod why it waits. */
  #report(key: string, pod: Pod, reason: string, message: string): void {
    const condition: Condition = { type: "PodScheduled", status: "False", reason, message, lastProbeTime: null };
    const present = pod.status?.conditions ?? [];
    const conditions = setCondition(present, condition, this.#context.now());
    if (conditions === present) return;
    void this.#writeConditions(key, pod, conditions);
  }

  async #writeConditions(key: string, pod: Pod, conditions: readonly Condition[]): Promise<void> {
    const { name, namespace, uid, resourceVersion } = pod.metadata;
    const patch = { metadata: { uid, resourceVersion }, status: { conditions } };
    try {
      const options = { type: "merge", subresource: "status" } as const;
      await this.#context.client.patch(resources.pods, name, namespace, patch, options);
    } catch (error) {
      if (this.#context.signal.aborted || isNotFound(error)) return;
      if (isConflict(error)) this.onFailure(key);
      else this.#context.schedulerLog.warn("Cannot note why a pod waits", { pod: key, error });
    }
  }
}
