import type { V1Lease, V1PodDisruptionBudget, V1PriorityClass } from "@kubernetes/client-node";
import { forbidden } from "../errors.ts";
import { nonNegative, oneOfOrNone, validateLabelSelector } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { age } from "./print.ts";
import { statusCounts } from "./status-counts.ts";
import { validateShare } from "./workload.ts";

/** coordination.k8s.io/v1 Lease. */
export const lease = defineKind<Stored<V1Lease>>({
  group: "coordination.k8s.io",
  kind: "Lease",
  plural: "leases",
  type: "coordination.v1.Lease",
  unconditionalUpdate: false,
  createOnUpdate: true,
  columns: columns("Name", "Holder", "Age"),
  row: (o, now) => [o.metadata.name, o.spec?.holderIdentity ?? "", age(o.metadata.creationTimestamp, now)],
  validate(o, errors) {
    if (o.spec?.leaseDurationSeconds !== undefined && o.spec.leaseDurationSeconds <= 0) {
      errors.invalid("spec.leaseDurationSeconds", o.spec.leaseDurationSeconds, "must be greater than 0");
    }
    nonNegative(o.spec?.leaseTransitions, "spec.leaseTransitions", errors);
  },
});

/** Upstream shows its internal type, whose fields have Go's names. */
function internalSpec(spec: V1PodDisruptionBudget["spec"]): unknown {
  return {
    MinAvailable: spec?.minAvailable,
    Selector: spec?.selector ?? null,
    MaxUnavailable: spec?.maxUnavailable,
    UnhealthyPodEvictionPolicy: spec?.unhealthyPodEvictionPolicy ?? null,
  };
}

/** policy/v1 PodDisruptionBudget. */
export const podDisruptionBudget = defineKind<Stored<V1PodDisruptionBudget>>({
  group: "policy",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  type: "policy.v1.PodDisruptionBudget",
  unconditionalUpdate: false,
  shortNames: ["pdb"],
  status: true,
  columns: columns("Name", "Min Available", "Max Unavailable", "Allowed Disruptions#", "Age"),
  row: (o, now) => [
    o.metadata.name,
    String(o.spec?.minAvailable ?? "N/A"),
    String(o.spec?.maxUnavailable ?? "N/A"),
    o.status?.disruptionsAllowed ?? 0,
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    // These zeros say something, and Go writes them.
    o.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0, ...o.status };
  },
  validate(o, errors) {
    const { minAvailable, maxUnavailable } = o.spec ?? {};
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      errors.invalid("spec", internalSpec(o.spec), "minAvailable and maxUnavailable cannot be both set");
    }
    validateShare(minAvailable, "spec.minAvailable", errors, "100%");
    validateShare(maxUnavailable, "spec.maxUnavailable", errors, "100%");
    validateLabelSelector(o.spec?.selector, "spec.selector", errors);
    oneOfOrNone(
      o.spec?.unhealthyPodEvictionPolicy,
      ["AlwaysAllow", "IfHealthyBudget"],
      "spec.unhealthyPodEvictionPolicy",
      errors,
    );
  },
  validateStatus: statusCounts({
    counts: ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"],
  }),
});

/** scheduling.k8s.io/v1 PriorityClass. */
export const priorityClass = defineKind<Stored<V1PriorityClass>>({
  group: "scheduling.k8s.io",
  kind: "PriorityClass",
  plural: "priorityclasses",
  type: "scheduling.v1.PriorityClass",
  shortNames: ["pc"],
  namespaced: false,
  generation: true,
  columns: columns("Name", "Value#", "Global-Default", "Age", "PreemptionPolicy"),
  row: (o, now) => [
    o.metadata.name,
    o.value ?? 0,
    String(o.globalDefault ?? false),
    age(o.metadata.creationTimestamp, now),
    o.preemptionPolicy ?? "",
  ],
  defaults(o) {
    o.preemptionPolicy ??= "PreemptLowerPriority";
  },
  prepareCreate: onlyDefault,
  prepareUpdate: (o, _old, context) => onlyDefault(o, context),
  validate(o, errors) {
    const system = o.metadata.name.startsWith("system-");
    const known = o.metadata.name === "system-node-critical" || o.metadata.name === "system-cluster-critical";
    if (system && !known)
      errors.forbidden("metadata.name", "priority class names with 'system-' prefix are reserved for system use only");
    if (!system && (o.value ?? 0) > 1_000_000_000)
      errors.forbidden("value", "maximum allowed value of a user defined priority is 1000000000");
    const policies = ["Never", "PreemptLowerPriority"];
    if (!policies.includes(o.preemptionPolicy ?? ""))
      errors.unsupported("preemptionPolicy", o.preemptionPolicy, policies);
  },
  validateUpdate(o, old, errors) {
    if (o.value !== old.value) errors.forbidden("value", "may not be changed in an update.");
    immutable(o.preemptionPolicy, old.preemptionPolicy, "preemptionPolicy", errors);
  },
});

/** As the Priority admission plugin: one class at most is the default. */
function onlyDefault(o: Stored<V1PriorityClass>, context: WriteContext): void {
  if (!o.globalDefault || !context.pluginOn("Priority")) return;
  const classes = context.list("priorityclasses.scheduling.k8s.io").map((e) => e.object);
  const other = classes.find((c) => c.globalDefault === true && c.metadata.name !== o.metadata.name);
  if (other)
    throw forbidden(
      { group: "scheduling.k8s.io", plural: "priorityclasses" },
      o.metadata.name,
      `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
    );
}
