import {
  type DaemonSet,
  type Informer,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  type Node,
  type Pod,
  resources,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { templateHash } from "../deployment/replicasets.ts";
import { conditionOf, controllerOf, jsonEqual } from "../objects.ts";
import { PodControl, settleAll } from "../podcontrol.ts";
import { podIndexValues } from "../replicaset/controller.ts";
import { planDaemonSet, templateHashLabel, tolerationsOf } from "./plan.ts";

/** Keeps one pod of every DaemonSet on every node it is for. */
export function daemonSetController(context: ControllerContext): void {
  const daemonSets = context.informer(resources.daemonSets);
  const pods = context.informer(resources.pods);
  const nodes = context.informer(resources.nodes);
  const podsOf = pods.index(podIndexValues);
  const control = new PodControl(context, "daemonset-controller", resources.daemonSets);

  const queue = context.control({
    name: "daemonset",
    needs: [daemonSets, pods, nodes],
    handle: async (key) => {
      const daemonSet = daemonSets.get(key);
      if (!daemonSet) return;
      const hash = templateHash(daemonSet.spec.template, 0);
      const read = () =>
        planDaemonSet(daemonSet, nodes.list(), podsOf.get(daemonSet.metadata.uid ?? ""), hash, context.now());
      const plan = read();
      try {
        await settleAll([
          ...plan.create.map((node) =>
            control.create(daemonSet, daemonSet.spec.template, (pod) => placed(daemonSet, pod, node, hash)),
          ),
          control.deleteMany(daemonSet, plan.remove),
        ]);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        throw error;
      }
      const after = read();
      await writeStatus(context, daemonSets, daemonSet, after.status);
      return after.lookAgainMs;
    },
  });

  daemonSets.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange(({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === "DaemonSet") queue.add(`${object.metadata.namespace}/${owner.name}`);
  });
  nodes.onChange(({ type, object, old }) => {
    if (type === "MODIFIED" && jsonEqual(relevant(object), relevant(old))) return;
    for (const daemonSet of daemonSets.list()) queue.add(keyOf(daemonSet));
  });
}

/** What of a node decides which pods belong there. */
function relevant(node: Node | undefined) {
  return [node?.metadata.labels, node?.spec?.taints, conditionOf(node?.status?.conditions, "Ready")?.status];
}

async function writeStatus(
  context: ControllerContext,
  daemonSets: Informer<DaemonSet>,
  daemonSet: DaemonSet,
  status: NonNullable<DaemonSet["status"]>,
): Promise<void> {
  const newest = daemonSets.get(keyOf(daemonSet));
  if (!newest || jsonEqual(newest.status, status)) return;
  try {
    const options = { subresource: "status" };
    daemonSets.assume(await context.client.update(resources.daemonSets, { ...newest, status }, options));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

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
  const labels = { ...pod.metadata.labels, [templateHashLabel]: hash };
  return {
    ...pod,
    metadata: { ...pod.metadata, labels },
    spec: { ...pod.spec, affinity, tolerations: tolerationsOf(daemonSet) },
  };
}
