import {
  formatSelector,
  isNotFound,
  keyOf,
  matchesSelector,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  referenceTo,
  resources,
} from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { failedStatus, planBudget, type Scale } from "./plan.ts";
import { Scales } from "./scales.ts";

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
      return await auditor.sync(budget, selected, await scales.of(selected));
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
    if (equalJson(budget.status, status)) return;
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
