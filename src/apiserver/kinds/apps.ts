import type {
  V1ControllerRevision,
  V1DaemonSet,
  V1Deployment,
  V1LabelSelector,
  V1PodTemplateSpec,
  V1ReplicaSet,
  V1ReplicationController,
  V1StatefulSet,
} from "@kubernetes/client-node";
import { formatSelector, matchesSelector } from "#api/index.ts";
import type { FieldErrors } from "../errors.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable, validateLabels } from "./metadata.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { validatePodTemplate } from "./pod-validate.ts";
import { age, containerColumns, labelText, selectorText } from "./print.ts";

type Deployment = Stored<V1Deployment>;
type ReplicaSet = Stored<V1ReplicaSet>;
type DaemonSet = Stored<V1DaemonSet>;
type StatefulSet = Stored<V1StatefulSet>;
type ReplicationController = Stored<V1ReplicationController>;

const scaleOf = {
  selector: (o: { spec?: { selector?: V1LabelSelector } }) => formatSelector(o.spec?.selector as never),
};
const scaleInfo = { kind: "Scale", group: "autoscaling", version: "v1", verbs: ["get", "patch", "update"] };

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
    if ((spec?.replicas ?? 0) < 0)
      errors.invalid("spec.replicas", spec?.replicas, "must be greater than or equal to 0");
    const strategy = spec?.strategy;
    if (strategy?.type === "Recreate" && strategy.rollingUpdate) {
      errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
    } else if (strategy?.type !== "Recreate" && strategy?.type !== "RollingUpdate") {
      errors.unsupported("spec.strategy.type", strategy?.type, ["Recreate", "RollingUpdate"]);
    } else if (strategy.rollingUpdate) {
      const { maxSurge, maxUnavailable } = strategy.rollingUpdate;
      if (Number.parseInt(String(maxSurge), 10) === 0 && Number.parseInt(String(maxUnavailable), 10) === 0) {
        errors.invalid(
          "spec.strategy.rollingUpdate.maxUnavailable",
          maxUnavailable,
          "may not be 0 when `maxSurge` is 0",
        );
      }
    }
    if ((spec?.progressDeadlineSeconds ?? 600) <= (spec?.minReadySeconds ?? 0)) {
      errors.invalid(
        "spec.progressDeadlineSeconds",
        spec?.progressDeadlineSeconds,
        "must be greater than minReadySeconds",
      );
    }
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors),
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
  columns: columns("Name", "Desired#", "Current#", "Ready#", "Age", "+Containers", "+Images", "+Selector"),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.replicas ?? 0,
    o.status?.replicas ?? 0,
    o.status?.readyReplicas ?? 0,
    age(o.metadata.creationTimestamp, now),
    ...containerColumns(o.spec?.template as never),
    selectorText(o.spec?.selector),
  ],
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
    if ((o.spec?.replicas ?? 0) < 0)
      errors.invalid("spec.replicas", o.spec?.replicas, "must be greater than or equal to 0");
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors),
});

/** apps/v1 DaemonSet. */
export const daemonSet = defineKind<DaemonSet>({
  group: "apps",
  kind: "DaemonSet",
  plural: "daemonsets",
  type: "apps.v1.DaemonSet",
  shortNames: ["ds"],
  categories: ["all"],
  status: true,
  columns: columns(
    "Name",
    "Desired#",
    "Current#",
    "Ready#",
    "Up-to-date#",
    "Available#",
    "Node Selector",
    "Age",
    "+Containers",
    "+Images",
    "+Selector",
  ),
  row: (o, now) => [
    o.metadata.name,
    o.status?.desiredNumberScheduled ?? 0,
    o.status?.currentNumberScheduled ?? 0,
    o.status?.numberReady ?? 0,
    o.status?.updatedNumberScheduled ?? 0,
    o.status?.numberAvailable ?? 0,
    labelText(o.spec?.template?.spec?.nodeSelector),
    age(o.metadata.creationTimestamp, now),
    ...containerColumns(o.spec?.template as never),
    selectorText(o.spec?.selector),
  ],
  defaults(o) {
    const spec = ensureSpec(o);
    spec.revisionHistoryLimit ??= 10;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ??= "RollingUpdate";
    if (spec.updateStrategy.type === "RollingUpdate") {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    o.status ??= zeroDaemonSet();
  },
  prepareCreate(o) {
    o.status = zeroDaemonSet();
  },
  validate: validateWorkload,
  validateUpdate: (o, old, errors) => immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors),
});

function zeroDaemonSet(): NonNullable<DaemonSet["status"]> {
  return { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
}

const statefulMutable =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

/** apps/v1 StatefulSet. */
export const statefulSet = defineKind<StatefulSet>({
  group: "apps",
  kind: "StatefulSet",
  plural: "statefulsets",
  type: "apps.v1.StatefulSet",
  shortNames: ["sts"],
  categories: ["all"],
  status: true,
  scale: scaleOf,
  subresources: { scale: scaleInfo },
  columns: columns("Name", "Ready", "Age", "+Containers", "+Images"),
  row: (o, now) => [
    o.metadata.name,
    `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    age(o.metadata.creationTimestamp, now),
    ...containerColumns(o.spec?.template as never),
  ],
  defaults(o) {
    const spec = ensureSpec(o);
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.podManagementPolicy ??= "OrderedReady";
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ??= "RollingUpdate";
    if (spec.updateStrategy.type === "RollingUpdate") {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.partition ??= 0;
    }
    spec.persistentVolumeClaimRetentionPolicy ??= {};
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= "Retain";
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= "Retain";
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.apiVersion ??= "v1";
      claim.kind ??= "PersistentVolumeClaim";
      if (claim.spec) claim.spec.volumeMode ??= "Filesystem";
      claim.status ??= { phase: "Pending" };
    }
    o.status ??= { availableReplicas: 0, replicas: 0 };
  },
  prepareCreate(o) {
    o.status = { availableReplicas: 0, replicas: 0 };
  },
  validate: validateWorkload,
  validateUpdate(o, old, errors) {
    const rest = (s: StatefulSet) => {
      const {
        replicas,
        ordinals,
        template,
        updateStrategy,
        revisionHistoryLimit,
        persistentVolumeClaimRetentionPolicy,
        minReadySeconds,
        ...other
      } = s.spec as never as Record<string, unknown>;
      return other;
    };
    if (JSON.stringify(rest(o)) !== JSON.stringify(rest(old))) errors.forbidden("spec", statefulMutable);
  },
});

/** apps/v1 ControllerRevision: the history of DaemonSets and StatefulSets. */
export const controllerRevision = defineKind<Stored<V1ControllerRevision>>({
  group: "apps",
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  type: "apps.v1.ControllerRevision",
  columns: columns("Name", "Controller", "Revision#", "Age"),
  row(o, now) {
    const owner = o.metadata.ownerReferences?.find((r) => r.controller);
    const group = owner?.apiVersion.includes("/") ? `.${owner.apiVersion.split("/")[0]}` : "";
    return [
      o.metadata.name,
      owner ? `${owner.kind.toLowerCase()}${group}/${owner.name}` : "<none>",
      o.revision,
      age(o.metadata.creationTimestamp, now),
    ];
  },
});

/** core/v1 ReplicationController, stored. */
export const replicationController = defineKind<ReplicationController>({
  group: "",
  kind: "ReplicationController",
  plural: "replicationcontrollers",
  type: "core.v1.ReplicationController",
  shortNames: ["rc"],
  categories: ["all"],
  status: true,
  scale: {
    selector: (o) =>
      Object.entries(o.spec?.selector ?? {})
        .map(([k, v]) => `${k}=${v}`)
        .sort()
        .join(","),
  },
  subresources: { scale: scaleInfo },
  columns: columns("Name", "Desired#", "Current#", "Ready#", "Age", "+Containers", "+Images", "+Selector"),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.replicas ?? 0,
    o.status?.replicas ?? 0,
    o.status?.readyReplicas ?? 0,
    age(o.metadata.creationTimestamp, now),
    ...containerColumns(o.spec?.template as never),
    labelText(o.spec?.selector),
  ],
  defaults(o) {
    o.spec ??= {};
    o.spec.replicas ??= 1;
    defaultPodTemplate(o.spec.template);
    const labels = o.spec.template?.metadata?.labels;
    if (!o.spec.selector && labels) o.spec.selector = { ...labels };
    if (!o.metadata.labels && labels) o.metadata.labels = { ...labels };
    o.status ??= { replicas: 0 };
  },
  validate(o, errors) {
    if (!o.spec?.selector) errors.required("spec.selector");
    if (!o.spec?.template) errors.required("spec.template");
    else validatePodTemplate(o.spec.template, "spec.template", errors);
  },
});

type Workload = { spec?: { selector?: V1LabelSelector; template?: V1PodTemplateSpec } };

/** The spec, made when missing, with its template's defaults. */
function ensureSpec<S extends object>(o: { spec?: S; [field: string]: unknown }): S {
  o.spec ??= {} as S;
  o.status ??= {};
  defaultPodTemplate((o.spec as { template?: V1PodTemplateSpec }).template);
  return o.spec;
}

/** Selector, template and their fit. */
function validateWorkload(o: Workload, errors: FieldErrors): void {
  const selector = o.spec?.selector;
  if (!selector) errors.required("spec.selector");
  else validateSelector(selector, errors);
  const labels = o.spec?.template?.metadata?.labels;
  if (selector && !matchesSelector(selector as never, labels)) {
    errors.invalid("spec.template.metadata.labels", labels ?? null, "`selector` does not match template `labels`");
  }
  const restart = o.spec?.template?.spec?.restartPolicy;
  if (restart && restart !== "Always") errors.unsupported("spec.template.spec.restartPolicy", restart, ["Always"]);
  validatePodTemplate(o.spec?.template, "spec.template", errors);
}

function validateSelector(selector: V1LabelSelector, errors: FieldErrors): void {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) {
    errors.invalid("spec.selector", selector, "empty selector is invalid for deployment");
  }
  validateLabels(matchLabels, "spec.selector.matchLabels", errors);
  const operators = ["DoesNotExist", "Exists", "In", "NotIn"];
  matchExpressions.forEach((e, i) => {
    const path = `spec.selector.matchExpressions[${i}]`;
    if (!operators.includes(e.operator))
      errors.invalid(`${path}.operator`, e.operator, "not a valid selector operator");
    else if (e.operator.endsWith("In") && !e.values?.length) {
      errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
    }
  });
}
