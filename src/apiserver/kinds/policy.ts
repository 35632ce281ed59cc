import type { V1Lease, V1PodDisruptionBudget, V1PriorityClass } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { age } from "./print.ts";

/** coordination.k8s.io/v1 Lease. */
export const lease = defineKind<Stored<V1Lease>>({
  group: "coordination.k8s.io",
  kind: "Lease",
  plural: "leases",
  type: "coordination.v1.Lease",
  columns: columns("Name", "Holder", "Age"),
  row: (o, now) => [o.metadata.name, o.spec?.holderIdentity ?? "", age(o.metadata.creationTimestamp, now)],
  validate(o, errors) {
    if (o.spec?.leaseDurationSeconds !== undefined && o.spec.leaseDurationSeconds <= 0) {
      errors.invalid("spec.leaseDurationSeconds", o.spec.leaseDurationSeconds, "must be greater than 0");
    }
  },
});

/** policy/v1 PodDisruptionBudget. */
export const podDisruptionBudget = defineKind<Stored<V1PodDisruptionBudget>>({
  group: "policy",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  type: "policy.v1.PodDisruptionBudget",
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
    o.status ??= { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  },
  validate(o, errors) {
    const { minAvailable, maxUnavailable } = o.spec ?? {};
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      errors.invalid("spec", o.spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for (const [field, value] of [
      ["minAvailable", minAvailable],
      ["maxUnavailable", maxUnavailable],
    ] as const) {
      if (typeof value === "number" && value < 0)
        errors.invalid(`spec.${field}`, value, "must be greater than or equal to 0");
      if (typeof value === "string" && !/^\d+%$/.test(value)) {
        errors.invalid(
          `spec.${field}`,
          value,
          "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        );
      }
    }
  },
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
