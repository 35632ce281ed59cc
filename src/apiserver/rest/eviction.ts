import { matchesSelector } from "#api/index.ts";
import { badRequest, forbidden, methodNotAllowed, notFound, StatusError, tooManyRequests } from "../errors.ts";
import { cloneJson, type Dict, keyOf, type StoredObject } from "../object.ts";
import type { Entry } from "../store/index.ts";
import { readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import { checkPreconditions, type DeleteOptions } from "./deletion.ts";
import type { KindCall } from "./handler.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { timestamp } from "./time.ts";
import { writeOptions } from "./write-options.ts";

const storage = "poddisruptionbudgets.policy";
const budgetResource = { group: "policy", plural: "poddisruptionbudget" };
/** Evictions that the controller has not confirmed yet, at most (upstream's MaxDisruptedPodSize). */
const maxDisruptedPods = 2000;

interface BudgetStatus {
  observedGeneration?: number;
  disruptionsAllowed?: number;
  currentHealthy?: number;
  desiredHealthy?: number;
  disruptedPods?: Record<string, string>;
  conditions?: Dict[];
}
interface Budget {
  readonly selector?: Parameters<typeof matchesSelector>[0];
  readonly unhealthyPodEvictionPolicy?: string;
}

/** POST pods/NAME/eviction: deletes a pod when the disruption budget over it allows one more. Throws StatusError. */
export async function evict(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb !== "create") throw methodNotAllowed();
  const expected = { schema: deps.schema, apiVersion: "policy/v1", kind: "Eviction", type: "policy.v1.Eviction" };
  const eviction = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
  const { name } = (eviction.metadata ?? {}) as { name?: string };
  if (name && name !== info.name) throw badRequest("name in URL does not match name in Eviction object");
  const key = keyOf(info.namespace, info.name);
  const pod = deps.store.get(kind.storage, key)?.object;
  if (!pod) throw notFound(kind, info.name);
  const { namespace } = info;
  const attributes = { operation: "CREATE", kind, subresource: "eviction", namespace, name: info.name } as const;
  deps.objects.admit({ ...attributes, old: pod, user: request.user });
  const options = (eviction.deleteOptions ?? {}) as DeleteOptions;
  const dryRun = writeOptions(request).dryRun || options.dryRun?.includes("All") === true;
  checkPreconditions(kind, pod, options);
  // Checked here: marking the pod gives it another version.
  const { preconditions: _, ...rest } = options;
  if (!passesUnasked(pod)) spendBudget(deps, pod, dryRun);
  if (!dryRun && !pod.metadata.deletionTimestamp) deps.store.put(kind.storage, key, marked(pod));
  deps.objects.delete(kind, info.namespace, info.name, rest, dryRun);
  await deps.store.settled();
  return jsonReply({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
}

/** Pods that serve nobody, or are going anyway, cost no budget. */
function passesUnasked(pod: StoredObject): boolean {
  const { phase = "Pending" } = (pod.status ?? {}) as { phase?: string };
  return ["Pending", "Succeeded", "Failed"].includes(phase) || pod.metadata.deletionTimestamp !== undefined;
}

function isReady(pod: StoredObject): boolean {
  const { conditions = [] } = (pod.status ?? {}) as { conditions?: { type?: string; status?: string }[] };
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

/** The pod with the condition that says why it goes. */
function marked(pod: StoredObject): StoredObject {
  const next = cloneJson(pod);
  const status = (next.status ?? {}) as { conditions?: Dict[] };
  const condition = {
    type: "DisruptionTarget",
    status: "True",
    lastProbeTime: null,
    lastTransitionTime: timestamp(),
    reason: "EvictionByEvictionAPI",
    message: "Eviction API: evicting",
  };
  const others = (status.conditions ?? []).filter(({ type }) => type !== condition.type);
  next.status = { ...status, conditions: [...others, condition] };
  return next;
}

function budgetsOver(deps: SubresourceDeps, pod: StoredObject): Entry[] {
  return deps.store.list(storage).filter(({ object, namespace }) => {
    const { selector } = (object.spec ?? {}) as Budget;
    return namespace === pod.metadata.namespace && matchesSelector(selector, pod.metadata.labels);
  });
}

function spendBudget(deps: SubresourceDeps, pod: StoredObject, dryRun: boolean): void {
  const [entry, ...others] = budgetsOver(deps, pod);
  if (others.length > 0)
    throw new StatusError(
      500,
      "InternalError",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  if (!entry) return;
  const budget = cloneJson(entry.object);
  const status = (budget.status ?? {}) as BudgetStatus;
  if (!isReady(pod) && unhealthyMayGo(budget, status)) return;
  checkBudget(budget, status);
  status.disruptionsAllowed = (status.disruptionsAllowed ?? 0) - 1;
  if (status.disruptionsAllowed === 0) exhaust(status, budget.metadata.generation ?? 0);
  // Until the controller sees the pod go, it counts as gone.
  status.disruptedPods = { ...status.disruptedPods, [pod.metadata.name]: timestamp() };
  budget.status = status;
  if (!dryRun) deps.store.put(storage, entry.key, budget);
}

/** A pod that is not ready is no loss, as long as enough others are (or always, when the budget says so). */
function unhealthyMayGo(budget: StoredObject, status: BudgetStatus): boolean {
  if ((budget.spec as Budget | undefined)?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status;
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

function checkBudget({ metadata }: StoredObject, status: BudgetStatus): void {
  const refused = "Cannot evict pod as it would violate the pod's disruption budget.";
  const { observedGeneration = 0, disruptionsAllowed = 0, currentHealthy = 0, desiredHealthy = 0 } = status;
  if (observedGeneration < (metadata.generation ?? 0)) {
    const message = `The disruption budget ${metadata.name} is still being processed by the server.`;
    const details = { causes: [{ reason: "DisruptionBudget", message }], retryAfterSeconds: 10 };
    throw new StatusError(429, "TooManyRequests", refused, details, { "retry-after": "10" });
  }
  if (disruptionsAllowed < 0) throw forbidden(budgetResource, metadata.name, "pdb disruptions allowed is negative");
  if (Object.keys(status.disruptedPods ?? {}).length > maxDisruptedPods) {
    const why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
    throw forbidden(budgetResource, metadata.name, why);
  }
  if (disruptionsAllowed > 0) return;
  const needs = `needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
  const message = `The disruption budget ${metadata.name} ${needs}`;
  throw tooManyRequests(refused, [{ reason: "DisruptionBudget", message }]);
}

/** The condition says at once that nothing more may go. */
function exhaust(status: BudgetStatus, observedGeneration: number): void {
  const others = (status.conditions ?? []).filter(({ type }) => type !== "DisruptionAllowed");
  const condition = {
    type: "DisruptionAllowed",
    status: "False",
    observedGeneration,
    lastTransitionTime: timestamp(),
    reason: "InsufficientPods",
    message: "",
  };
  status.conditions = [...others, condition];
}
