import {
  type Change,
  type Index,
  type Informer,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  matchesSelector,
  type Pod,
  type ReplicaSet,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf, jsonEqual } from "../objects.ts";
import { PodControl, settleAll } from "../podcontrol.ts";
import { planReplicaSet } from "./plan.ts";

/** Keeps the number of pods of every ReplicaSet. */
export function replicaSetController(context: ControllerContext): void {
  const replicaSets = context.informer(resources.replicaSets);
  const pods = context.informer(resources.pods);
  const podsOf = pods.index(podIndexValues);
  const control = new PodControl(context, "replicaset-controller", resources.replicaSets);

  const queue = context.control({
    name: "replicaset",
    needs: [replicaSets, pods],
    handle: async (key) => {
      const replicaSet = replicaSets.get(key);
      if (replicaSet) return await sync(replicaSet);
    },
  });

  const sync = async (replicaSet: ReplicaSet): Promise<number | undefined> => {
    const read = () => planReplicaSet(replicaSet, candidates(podsOf, replicaSet), context.now());
    const plan = read();
    await settleAll([
      ...plan.adopt.map((pod) => control.adopt(replicaSet, pod)),
      ...plan.release.map((pod) => control.release(replicaSet, pod)),
    ]);
    let failure: { reason: string; message: string } | undefined;
    let failed: unknown;
    try {
      if (plan.create > 0) await control.createMany(replicaSet, replicaSet.spec.template, plan.create);
      if (plan.remove.length > 0) await control.deleteMany(replicaSet, plan.remove);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      failed = error;
      failure = { reason: plan.create > 0 ? "FailedCreate" : "FailedDelete", message: errorMessage(error) };
    }
    const after = planReplicaSet(replicaSet, candidates(podsOf, replicaSet), context.now(), failure);
    await writeStatus(context, replicaSets, replicaSet, after.status);
    if (failed !== undefined) throw failed;
    return after.lookAgainMs;
  };

  replicaSets.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange((change) => {
    for (const pod of [change.object, ...(change.old ? [change.old] : [])]) {
      const owner = controllerOf(pod);
      if (owner?.kind === "ReplicaSet") queue.add(`${pod.metadata.namespace}/${owner.name}`);
      else if (!owner) for (const key of matching(replicaSets, change, pod)) queue.add(key);
    }
  });
}

/** Pods are found by their managing owner's uid, those without one by `orphans/NAMESPACE`. */
export function podIndexValues(pod: Pod): readonly string[] {
  return [controllerOf(pod)?.uid ?? `orphans/${pod.metadata.namespace}`];
}

/** ReplicaSets that an orphan would belong to. */
function matching(replicaSets: Informer<ReplicaSet>, change: Change<Pod>, pod: Pod): string[] {
  if (change.type === "DELETED" || pod.metadata.labels === undefined) return [];
  return replicaSets
    .list()
    .filter((one) => one.metadata.namespace === pod.metadata.namespace)
    .filter((one) => matchesSelector(one.spec.selector, pod.metadata.labels))
    .map(keyOf);
}

async function writeStatus(
  context: ControllerContext,
  replicaSets: Informer<ReplicaSet>,
  replicaSet: ReplicaSet,
  status: NonNullable<ReplicaSet["status"]>,
): Promise<void> {
  const newest = replicaSets.get(keyOf(replicaSet)) ?? replicaSet;
  if (jsonEqual(newest.status, status)) return;
  try {
    const written = { ...newest, status };
    replicaSets.assume(await context.client.update(resources.replicaSets, written, { subresource: "status" }));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function candidates(podsOf: Index<Pod>, replicaSet: ReplicaSet): Pod[] {
  return [...podsOf.get(replicaSet.metadata.uid ?? ""), ...podsOf.get(`orphans/${replicaSet.metadata.namespace}`)];
}
