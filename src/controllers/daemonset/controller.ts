import {
  type DaemonSet,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  matchesSelector,
  type Node,
  type Pod,
  referenceTo,
  resources,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { HistoryControl } from "../history/control.ts";
import { conditionOf, controllerOf } from "../objects.ts";
import { PodControl, settleAll } from "../podcontrol.ts";
import { podIndexValues } from "../replicaset/controller.ts";
import { FailureBackoff } from "./backoff.ts";
import { type DaemonSetPlan, planDaemonSet, targetNode, templateHashLabel, tolerationsOf } from "./plan.ts";

/** Keeps one pod of every DaemonSet on every node it is for. */
export function daemonSetController(context: ControllerContext): void {
  const daemonSets = context.informer(resources.daemonSets);
  const pods = context.informer(resources.pods);
  const nodes = context.informer(resources.nodes);
  const revisions = context.informer(resources.controllerRevisions);
  const daemons = new Daemons(context);

  const queue = context.control({
    name: "daemonset",
    needs: [daemonSets, pods, nodes, revisions],
    handle: async (key) => {
      const daemonSet = daemonSets.get(key);
      if (daemonSet) return await daemons.sync(daemonSet);
    },
  });

  daemonSets.onChange(({ type, object }) => {
    if (type === "DELETED") daemons.forget(object);
    queue.add(keyOf(object));
  });
  pods.onChange(({ type, object, old }) => {
    for (const pod of [object, ...(old ? [old] : [])]) {
      const owner = controllerOf(pod);
      if (owner?.kind === "DaemonSet") queue.add(`${pod.metadata.namespace}/${owner.name}`);
      if (owner || type === "DELETED") continue;
      for (const { metadata, spec } of daemonSets.list()) {
        const near = metadata.namespace === pod.metadata.namespace;
        if (near && matchesSelector(spec.selector, pod.metadata.labels))
          queue.add(`${metadata.namespace}/${metadata.name}`);
      }
    }
  });
  nodes.onChange(({ type, object, old }) => {
    if (type === "MODIFIED" && equalJson(relevant(object), relevant(old))) return;
    for (const daemonSet of daemonSets.list()) queue.add(keyOf(daemonSet));
  });
}

class Daemons {
  readonly #context: ControllerContext;
  readonly #control: PodControl;
  readonly #history: HistoryControl;
  readonly #backoff = new FailureBackoff();
  readonly #podsOf: { get(value: string): Pod[] };

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#control = new PodControl(context, "daemonset-controller", resources.daemonSets);
    this.#history = new HistoryControl(context, { of: resources.daemonSets, hashLabel: templateHashLabel });
    this.#podsOf = context.informer(resources.pods).index(podIndexValues);
  }

  async sync(daemonSet: DaemonSet): Promise<number | undefined> {
    try {
      const { update, collisions } = await this.#history.sync(daemonSet);
      const hash = update.metadata.labels?.[templateHashLabel] ?? "";
      const plan = this.#plan(daemonSet, hash);
      await settleAll([
        ...plan.adopt.map((pod) => this.#control.adopt(daemonSet, pod)),
        ...plan.release.map((pod) => this.#control.release(daemonSet, pod)),
      ]);
      const waiting = this.#waiting(daemonSet, plan.ended);
      this.#sayEnded(
        daemonSet,
        plan.ended.filter((pod) => !waiting.pods.has(pod)),
      );
      await settleAll([
        ...plan.create.map((node) =>
          this.#control.create(daemonSet, daemonSet.spec.template, (pod) => placed(daemonSet, pod, node, hash)),
        ),
        this.#control.deleteMany(
          daemonSet,
          plan.remove.filter((pod) => !waiting.pods.has(pod)),
        ),
      ]);
      const { status, lookAgainMs } = this.#plan(daemonSet, hash);
      const counted = collisions > 0 ? { ...status, collisionCount: collisions } : status;
      await writeStatus(this.#context, daemonSet, counted);
      await this.#truncate(daemonSet, update.metadata.name);
      const next = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, waiting.ms);
      return Number.isFinite(next) ? next : undefined;
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  }

  /** Failed pods that stay for a while, so that a pod that always fails is not made over and over. */
  #waiting({ metadata }: DaemonSet, ended: readonly Pod[]): { pods: ReadonlySet<Pod>; ms: number } {
    const pods = new Set<Pod>();
    let ms = Number.POSITIVE_INFINITY;
    for (const pod of ended.filter(({ status }) => status?.phase === "Failed")) {
      const leftMs = this.#backoff.takeMs(`${metadata.uid}/${targetNode(pod)}`, this.#context.now());
      if (leftMs === 0) continue;
      pods.add(pod);
      ms = Math.min(ms, leftMs);
    }
    return { pods, ms };
  }

  /** The DaemonSet is gone. */
  forget({ metadata }: DaemonSet): void {
    this.#backoff.forget(`${metadata.uid}/`);
  }

  #plan(daemonSet: DaemonSet, hash: string): DaemonSetPlan {
    const { uid = "", namespace } = daemonSet.metadata;
    const pods = [...this.#podsOf.get(uid), ...this.#podsOf.get(`orphans/${namespace}`)];
    const nodes = this.#context.informer(resources.nodes).list();
    return planDaemonSet(daemonSet, nodes, pods, hash, this.#context.now());
  }

  #sayEnded(daemonSet: DaemonSet, pods: readonly Pod[]): void {
    for (const pod of pods) {
      const { namespace, name } = pod.metadata;
      const failed = pod.status?.phase === "Failed";
      const words = failed ? ["failed", "kill"] : ["succeeded", "delete"];
      const message = `Found ${words[0]} daemon pod ${namespace}/${name} on node ${pod.spec.nodeName}, will try to ${words[1]} it`;
      const about = referenceTo(resources.daemonSets, daemonSet);
      const reason = failed ? "FailedDaemonPod" : "SucceededDaemonPod";
      this.#context.recorder("daemonset-controller").event(about, failed ? "Warning" : "Normal", reason, message);
    }
  }

  /** Revisions that pods show, and the present one, stay. */
  async #truncate(daemonSet: DaemonSet, present: string): Promise<void> {
    if (daemonSet.metadata.deletionTimestamp !== undefined) return;
    const { name, uid = "" } = daemonSet.metadata;
    const used = this.#podsOf.get(uid).map((pod) => `${name}-${pod.metadata.labels?.[templateHashLabel]}`);
    await this.#history.truncate(daemonSet, new Set([...used, present]));
  }
}

/** What of a node decides which pods belong there. */
function relevant(node: Node | undefined) {
  return [node?.metadata.labels, node?.spec?.taints, conditionOf(node?.status?.conditions, "Ready")?.status];
}

async function writeStatus(
  context: ControllerContext,
  daemonSet: DaemonSet,
  status: NonNullable<DaemonSet["status"]>,
): Promise<void> {
  const daemonSets = context.informer(resources.daemonSets);
  const newest = daemonSets.get(keyOf(daemonSet));
  if (!newest || equalJson(newest.status, status)) return;
  try {
    const options = { subresource: "status" };
    daemonSets.assume(await context.client.update(resources.daemonSets, { ...newest, status }, options));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** The template's number in apps/v1beta2, which the API server keeps as an annotation, and pods as a label. */
const generationAnnotation = "deprecated.daemonset.template.generation";

/** Sends a pod to its node by affinity, so that the scheduler still checks whether it fits. */
function placed(daemonSet: DaemonSet, pod: Pod, node: string, hash: string): Pod {
  const matchFields = [{ key: "metadata.name", operator: "In" as const, values: [node] }];
  const affinity = {
    ...pod.spec.affinity,
    nodeAffinity: {
      ...pod.spec.affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] },
    },
  };
  const generation = daemonSet.metadata.annotations?.[generationAnnotation];
  const labels = {
    ...pod.metadata.labels,
    [templateHashLabel]: hash,
    ...(generation === undefined ? {} : { "pod-template-generation": generation }),
  };
  return {
    ...pod,
    metadata: { ...pod.metadata, labels },
    spec: { ...pod.spec, affinity, tolerations: tolerationsOf(daemonSet) },
  };
}
