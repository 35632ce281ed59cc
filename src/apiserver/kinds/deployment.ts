import type { V1Deployment, V1ReplicaSet } from "@kubernetes/client-node";
import { nonNegative } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { age, containerColumns, selectorText } from "./print.ts";
import { replicatorCounts, statusCounts } from "./status-counts.ts";
import {
  ensureSpec,
  replicatorColumns,
  replicatorRow,
  scaleInfo,
  scaleOf,
  validateReplicas,
  validateShare,
  validateWorkload,
  workloadWarnings,
} from "./workload.ts";

type Deployment = Stored<V1Deployment>;
type ReplicaSet = Stored<V1ReplicaSet>;

/** apps/v1 Deployment. */
export const deployment = defineKind<Deployment>({
  group: "apps",
  kind: "Deployment",
  plural: "deployments",
  type: "apps.v1.Deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  status: true,
  scale: scaleOf,
  subresources: { scale: scaleInfo },
  columns: columns("Name", "Ready", "Up-to-date#", "Available#", "Age", "+Containers", "+Images", "+Selector"),
  row: (o, now) => [
    o.metadata.name,
    `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    o.status?.updatedReplicas ?? 0,
    o.status?.availableReplicas ?? 0,
    age(o.metadata.creationTimestamp, now),
    ...containerColumns(o.spec?.template as never),
    selectorText(o.spec?.selector),
  ],
  defaults(o) {
    const spec = ensureSpec(o);
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    spec.strategy ??= {};
    spec.strategy.type ??= "RollingUpdate";
    if (spec.strategy.type === "RollingUpdate") {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
      spec.strategy.rollingUpdate.maxSurge ??= "25%";
    }
  },
  validate(o, errors) {
    validateWorkload(o, errors);
    const spec = o.spec;
    validateReplicas(spec?.replicas, errors);
    const strategy = spec?.strategy;
    if (strategy?.type === "Recreate" && strategy.rollingUpdate) {
      errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
    } else if (strategy?.type !== "Recreate" && strategy?.type !== "RollingUpdate") {
      errors.unsupported("spec.strategy.type", strategy?.type, ["Recreate", "RollingUpdate"]);
    } else if (strategy.rollingUpdate) {
      const { maxSurge, maxUnavailable } = strategy.rollingUpdate;
      validateShare(maxUnavailable, "spec.strategy.rollingUpdate.maxUnavailable", errors, "100%");
      validateShare(maxSurge, "spec.strategy.rollingUpdate.maxSurge", errors);
      if (Number.parseInt(String(maxSurge), 10) === 0 && Number.parseInt(String(maxUnavailable), 10) === 0) {
        errors.invalid(
          "spec.strategy.rollingUpdate.maxUnavailable",
          maxUnavailable,
          "may not be 0 when `maxSurge` is 0",
        );
      }
    }
    for (const field of ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] as const)
      nonNegative(spec?.[field], `spec.${field}`, errors);
    if ((spec?.progressDeadlineSeconds ?? 600) <= (spec?.minReadySeconds ?? 0)) {
      errors.invalid(
        "spec.progressDeadlineSeconds",
        spec?.progressDeadlineSeconds,
        "must be greater than minReadySeconds",
      );
    }
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors),
  comparesInvalid: true,
  warnings: (o, old) => workloadWarnings(o, old),
  validateStatus: statusCounts({
    counts: [
      "observedGeneration",
      "replicas",
      "updatedReplicas",
      "readyReplicas",
      "availableReplicas",
      "unavailableReplicas",
      "terminatingReplicas",
      "collisionCount",
    ],
    ofReplicas: ["updatedReplicas", "readyReplicas", "availableReplicas"],
    ready: "readyReplicas",
  }),
});

/** apps/v1 ReplicaSet. */
export const replicaSet = defineKind<ReplicaSet>({
  group: "apps",
  kind: "ReplicaSet",
  plural: "replicasets",
  type: "apps.v1.ReplicaSet",
  shortNames: ["rs"],
  categories: ["all"],
  status: true,
  scale: scaleOf,
  subresources: { scale: scaleInfo },
  columns: replicatorColumns,
  row: (o, now) => replicatorRow(o, selectorText(o.spec?.selector), now),
  selectableFields: ["status.replicas"],
  selectable: (o) => ({ "status.replicas": String(o.status?.replicas ?? 0) }),
  defaults(o) {
    ensureSpec(o).replicas ??= 1;
    o.status ??= { replicas: 0 };
  },
  prepareCreate(o) {
    o.status = { replicas: 0 };
  },
  validate(o, errors) {
    validateWorkload(o, errors);
    validateReplicas(o.spec?.replicas, errors);
    nonNegative(o.spec?.minReadySeconds, "spec.minReadySeconds", errors);
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors),
  comparesInvalid: true,
  warnings: (o, old) => workloadWarnings(o, old),
  validateStatus: statusCounts(replicatorCounts),
});
