import {
  type Change,
  type Condition,
  type Informer,
  isConflict,
  isNotFound,
  type KubeObject,
  keyOf,
  type Node,
  type Pod,
  type Resource,
  referenceTo,
  resources,
  type WorkQueue,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { Counter, Histogram } from "#base/metrics.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf, isPodActive, isPodTerminal, setCondition } from "../objects.ts";
import { bindPod } from "./bind.ts";
import { ClusterView, onlyStatusChanged, storageResources } from "./cluster.ts";
import type { Help } from "./filters.ts";
import { schedule } from "./plan.ts";
import { SchedulingQueue } from "./queue.ts";

/** The name in spec.schedulerName that this scheduler answers to. */
export const schedulerName = "default-scheduler";

/** Decisions made in one go, in ms, before others get their turn. */
const longestRunMs = 8;

/** Before a decision that could not be written is made again, in ms. */
const retryMs = 20;

/** The turn that is about no pod in particular; pods' keys have a slash. */
const wholeLine = "line";

/**
 * Binds pods without a node. Pods that fit nowhere wait for what may help them: a change of nodes, pods, namespaces or
 * storage; nothing is retried on a clock.
 * @param has whether the API serves a resource, by its plural
 */
export function schedulerController(context: ControllerContext, has: (plural: string) => boolean = () => false): void {
  const pods = context.informer(resources.pods);
  const nodes = context.informer(resources.nodes);
  const namespaces = context.informer(resources.namespaces);
  const services = context.informer(resources.services);
  const storage = Object.values(storageResources)
    .filter(({ plural }) => has(plural))
    .map((of): Informer<KubeObject> => context.informer<KubeObject>(of as Resource<KubeObject>));
  const scheduler = new Scheduler(context, has);

  const queue = context.control({
    name: "scheduler",
    needs: [pods, nodes, namespaces, services, ...storage],
    concurrency: 1, // decisions see those before them; the binding itself does not wait
    handle: (turn) => scheduler.work(turn),
  });
  scheduler.attach(queue);

  pods.onChange((change) => followPod(scheduler, change));
  nodes.onChange(({ type, object, old }) => {
    if (type === "MODIFIED" && old && !concernsScheduling(object, old)) return;
    scheduler.help(type === "DELETED" ? ["company"] : ["node"]);
  });
  namespaces.onChange(({ object, old }) => {
    if (!equalJson(object.metadata.labels, old?.metadata.labels)) scheduler.help(["company"]);
  });
  for (const informer of storage) informer.onChange(() => scheduler.help(["storage"]));
}

function followPod(scheduler: Scheduler, change: Change<Pod>): void {
  const { type, object } = change;
  const key = keyOf(object);
  const placed = object.spec.nodeName !== undefined && object.spec.nodeName !== "";
  if (placed) scheduler.cluster.see(change);
  if (type === "DELETED" || placed) scheduler.forget(key);
  if (type !== "DELETED" && isPending(object)) {
    if (!onlyStatusChanged(change)) scheduler.add(object);
    return;
  }
  if (!placed) return;
  // Room was made, or a pod that others want to be near (or away from) has come or changed its labels.
  if (type === "DELETED" || isPodTerminal(object)) scheduler.help(["room", "company"]);
  else if (!onlyStatusChanged(change)) scheduler.help(["company"]);
}

/** A pod that waits for this scheduler. */
function isPending(pod: Pod): boolean {
  return !pod.spec.nodeName && isPodActive(pod) && (pod.spec.schedulerName ?? schedulerName) === schedulerName;
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
  return !equalJson(relevant(a), relevant(b));
}

/** Attempts and waiting pods, under kube-scheduler's names. */
class SchedulerMetrics {
  readonly #attempts: Counter;
  readonly #durations: Histogram;

  constructor(
    { schedulerMetrics, sample }: Pick<ControllerContext, "schedulerMetrics" | "sample">,
    line: SchedulingQueue,
  ) {
    this.#attempts = schedulerMetrics.counter(
      "scheduler_schedule_attempts_total",
      "Number of attempts to schedule pods, by the result.",
    );
    this.#durations = schedulerMetrics.histogram(
      "scheduler_scheduling_attempt_duration_seconds",
      "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
    );
    const pending = schedulerMetrics.gauge("scheduler_pending_pods", "Number of pending pods, by the queue type.");
    sample(() => {
      for (const [queue, size] of Object.entries(line.sizes())) pending.set(size, { queue });
    });
  }

  /** One decision, bound or not. */
  attempt(result: "scheduled" | "unschedulable" | "error", since: number): void {
    const labels = { profile: schedulerName, result };
    this.#attempts.inc(labels);
    this.#durations.observe((performance.now() - since) / 1000, labels);
  }
}

class Scheduler {
  readonly cluster: ClusterView;
  readonly #metrics: SchedulerMetrics;
  readonly #context: ControllerContext;
  readonly #line = new SchedulingQueue();
  #turns: WorkQueue | undefined;

  constructor(context: ControllerContext, has: (plural: string) => boolean) {
    this.#context = context;
    this.cluster = new ClusterView(context, has);
    this.#metrics = new SchedulerMetrics(
      { schedulerMetrics: context.schedulerMetrics, sample: (sampler) => context.sample(sampler) },
      this.#line,
    );
  }

  /** Where turns are asked for. */
  attach(turns: WorkQueue): void {
    this.#turns = turns;
  }

  /** Puts a pod in line. */
  add(pod: Pod): void {
    const key = keyOf(pod);
    this.#line.add(key, pod.spec.priority ?? 0);
    this.#turns?.add(wholeLine);
  }

  /** Something has changed that may help pods which fitted nowhere. */
  help(help: readonly Help[]): void {
    for (const { key, afterMs } of this.#line.helped(help, performance.now())) {
      if (afterMs > 0) this.#turns?.addAfter(key, afterMs);
      else this.#addAgain(key);
    }
  }

  /** Decides on all pods in line; a turn that names a pod puts that back first. */
  async work(turn: string): Promise<void> {
    if (turn !== wholeLine) this.#addAgain(turn);
    let since = performance.now();
    for (let key = this.#line.take(); key !== undefined; key = this.#line.take()) {
      const pod = this.#context.informer(resources.pods).get(key);
      if (pod && isPending(pod)) this.#decide(key, pod);
      if (performance.now() - since < longestRunMs) continue;
      await new Promise<void>((done) => setImmediate(done));
      since = performance.now();
    }
  }

  /** The pod is gone, or the cache knows its node. */
  forget(key: string): void {
    this.cluster.forget(key);
    this.#line.forget(key);
  }

  #addAgain(key: string): void {
    const pod = this.#context.informer(resources.pods).get(key);
    if (pod && isPending(pod)) this.add(pod);
  }

  /** Decides and starts to write the decision; the next pod is decided on top of it. */
  #decide(key: string, pod: Pod): void {
    if (this.cluster.isAssumed(key)) return;
    if ((pod.spec.schedulingGates ?? []).length > 0) {
      const message = "Scheduling is blocked due to non-empty scheduling gates";
      this.#report(key, pod, "SchedulingGated", message);
      return;
    }
    const since = performance.now();
    const decision = schedule(this.cluster.pod(pod), this.cluster.nodes(), this.cluster.around(pod));
    if (decision.node === undefined) {
      this.#line.refuse(key, decision.help, performance.now());
      this.#metrics.attempt("unschedulable", since);
      const about = referenceTo(resources.pods, pod);
      this.#context.recorder(schedulerName).event(about, "Warning", "FailedScheduling", decision.message);
      this.#report(key, pod, "Unschedulable", decision.message);
      return;
    }
    this.cluster.assume(key, pod, decision.node);
    void this.#bind(key, pod, decision.node, since);
  }

  async #bind(key: string, pod: Pod, node: string, since: number): Promise<void> {
    const { name, namespace } = pod.metadata;
    try {
      await bindPod(this.#context.client, pod, node);
      this.#metrics.attempt("scheduled", since);
      const about = referenceTo(resources.pods, pod);
      const message = `Successfully assigned ${namespace}/${name} to ${node}`;
      this.#context.recorder(schedulerName).event(about, "Normal", "Scheduled", message);
    } catch (error) {
      this.cluster.forget(key);
      if (this.#context.signal.aborted || isNotFound(error) || isConflict(error)) return; // gone, or bound by another
      this.#metrics.attempt("error", since);
      this.#context.schedulerLog.warn("Binding failed", { pod: key, node, error });
      this.#turns?.addAfter(key, retryMs);
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
      if (isConflict(error)) this.#turns?.addAfter(key, retryMs);
      else this.#context.schedulerLog.warn("Cannot note why a pod waits", { pod: key, error });
    }
  }
}
