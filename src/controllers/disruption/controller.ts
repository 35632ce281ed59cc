import {
  formatSelector,
  isNotFound,
  keyOf,
  matchesSelector,
  type OwnerReference,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  referenceTo,
  resources,
} from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf, jsonEqual } from "../objects.ts";
import { failedStatus, planBudget, type Scale } from "./plan.ts";

/** Keeps the status of PodDisruptionBudgets, by which evictions are allowed. */
export function disruptionController(context: ControllerContext): void {
  const budgets = context.informer(resources.podDisruptionBudgets);
  const pods = context.informer(resources.pods);
  const inNamespace = pods.index(({ metadata }) => [metadata.namespace ?? ""]);
  const scales = new Scales(context);
  const auditor = new Auditor(context);

  const queue = context.control({
    name: "disruption",
    needs: [budgets, pods, ...scales.needs],
    handle: async (key) => {
      const budget = budgets.get(key);
      if (!budget) return;
      const { namespace = "" } = budget.metadata;
      const selected = inNamespace.get(namespace).filter((pod) => selects(budget, pod));
      return await auditor.sync(budget, selected, (pod) => scales.of(pod));
    },
  });
  budgets.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange(({ object, old }) => {
    for (const budget of budgets.list()) {
      if (selects(budget, object) || (old && selects(budget, old))) queue.add(keyOf(budget));
    }
  });
}

function selects({ metadata, spec }: PodDisruptionBudget, pod: Pod): boolean {
  return metadata.namespace === pod.metadata.namespace && matchesSelector(spec.selector, pod.metadata.labels);
}

/** Finds how many pods a pod's controller wants. */
class Scales {
  readonly needs: readonly { readonly synced: Promise<void> }[];
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { deployments, replicaSets, statefulSets, replicationControllers } = resources;
    this.needs = [
      context.informer(deployments),
      context.informer(replicaSets),
      context.informer(statefulSets),
      context.informer(replicationControllers),
    ];
  }

  /** Throws PodwireError `NoScale` for a controller without a number of replicas. */
  of(pod: Pod): Scale {
    const owner = controllerOf(pod);
    const scale = owner && this.#find(owner, `${pod.metadata.namespace}/${owner.name}`);
    if (!scale) throw new PodwireError("NoScale", `found no controllers for pod "${pod.metadata.name}"`);
    return scale;
  }

  #find({ kind, uid }: OwnerReference, key: string): Scale | undefined {
    switch (kind) {
      case "ReplicaSet": {
        const set = this.#context.informer(resources.replicaSets).get(key);
        const above = set && controllerOf(set);
        if (above?.kind !== "Deployment") return replicasOf(set, uid);
        const { namespace } = set?.metadata ?? {};
        return replicasOf(this.#context.informer(resources.deployments).get(`${namespace}/${above.name}`), above.uid);
      }
      case "StatefulSet":
        return replicasOf(this.#context.informer(resources.statefulSets).get(key), uid);
      case "ReplicationController":
        return replicasOf(this.#context.informer(resources.replicationControllers).get(key), uid);
      case "DaemonSet":
        throw new PodwireError("NoScale", "daemonsets.apps does not implement the scale subresource");
      case "Job":
        throw new PodwireError("NoScale", "jobs.batch does not implement the scale subresource");
      default:
        return undefined;
    }
  }
}

function replicasOf(
  object: { readonly metadata: { readonly uid?: string }; readonly spec: { readonly replicas?: number } } | undefined,
  uid: string,
): Scale | undefined {
  return object?.metadata.uid === uid ? { uid, replicas: object.spec.replicas ?? 1 } : undefined;
}

class Auditor {
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async sync(
    budget: PodDisruptionBudget,
    pods: readonly Pod[],
    scaleOf: (pod: Pod) => Scale,
  ): Promise<number | undefined> {
    if (pods.length === 0) this.#event(budget, "Normal", "NoPods", "No matching pods found");
    try {
      const plan = planBudget(budget, pods, scaleOf, this.#context.now());
      if (plan.unmanaged.length > 0) this.#event(budget, "Warning", "UnmanagedPods", unmanagedText(budget));
      for (const pod of plan.notDeleted) {
        const { namespace, name } = budget.metadata;
        const message = `Pod was expected by PDB ${namespace}/${name} to be deleted but it wasn't`;
        const about = referenceTo(resources.pods, pod);
        this.#context.recorder("controllermanager").event(about, "Warning", "NotDeleted", message);
      }
      await this.#write(budget, plan.status);
      return plan.lookAgainMs;
    } catch (error) {
      if (!(error instanceof PodwireError) || error.code !== "NoScale") throw error;
      const { message } = error;
      const text = `Failed to calculate the number of expected pods: ${message}`;
      this.#event(budget, "Warning", "CalculateExpectedPodCountFailed", text);
      await this.#write(budget, failedStatus(budget, message, this.#context.now()));
    }
  }

  async #write(budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus): Promise<void> {
    const budgets = this.#context.informer(resources.podDisruptionBudgets);
    if (jsonEqual(budget.status, status)) return;
    try {
      // With the version that was read: an eviction in between must not be overwritten.
      const written = { ...budget, status };
      budgets.assume(
        await this.#context.client.update(resources.podDisruptionBudgets, written, { subresource: "status" }),
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #event(budget: PodDisruptionBudget, type: "Normal" | "Warning", reason: string, message: string): void {
    const about = referenceTo(resources.podDisruptionBudgets, budget);
    this.#context.recorder("controllermanager").event(about, type, reason, message);
  }
}

function unmanagedText({ spec }: PodDisruptionBudget): string {
  return (
    `Pods selected by this PodDisruptionBudget (selector: ${formatSelector(spec.selector ?? {})}) were found to be ` +
    "unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined " +
    'behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
  );
}
