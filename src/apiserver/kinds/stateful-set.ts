import type { V1ControllerRevision, V1StatefulSet } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import { form, nonNegative, oneOf } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { dnsSubdomain } from "./names.ts";
import { age, containerColumns } from "./print.ts";
import { statusCounts } from "./status-counts.ts";
import { ensureSpec, scaleInfo, scaleOf, validateShare, validateWorkload, workloadWarnings } from "./workload.ts";

type StatefulSet = Stored<V1StatefulSet>;

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
    o.status = { availableReplicas: 0, replicas: 0, ...o.status };
  },
  prepareCreate(o) {
    o.status = { availableReplicas: 0, replicas: 0 };
  },
  warnings: (o, old) => workloadWarnings(o, old),
  validate(o, errors) {
    validateWorkload(o, errors, "statefulset", "StatefulSet");
    validateStateful(o, errors);
  },
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
  validateStatus: statusCounts({
    counts: [
      "replicas",
      "readyReplicas",
      "currentReplicas",
      "updatedReplicas",
      "availableReplicas",
      "observedGeneration",
      "collisionCount",
    ],
    ofReplicas: ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
    ready: "status.readyReplicas",
  }),
});

function validateStateful({ spec }: StatefulSet, errors: FieldErrors): void {
  if (!["OrderedReady", "Parallel"].includes(spec?.podManagementPolicy ?? ""))
    errors.invalid("spec.podManagementPolicy", spec?.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'");
  const { type = "", rollingUpdate } = spec?.updateStrategy ?? {};
  if (type !== "RollingUpdate" && type !== "OnDelete")
    errors.invalid("spec.updateStrategy", spec?.updateStrategy, "must be 'RollingUpdate' or 'OnDelete'");
  else if (type === "OnDelete" && rollingUpdate)
    errors.invalid(
      "spec.updateStrategy.rollingUpdate",
      rollingUpdate,
      "only allowed for updateStrategy 'RollingUpdate'",
    );
  nonNegative(rollingUpdate?.partition, "spec.updateStrategy.rollingUpdate.partition", errors);
  validateShare(rollingUpdate?.maxUnavailable, "spec.updateStrategy.rollingUpdate.maxUnavailable", errors, "100%");
  for (const field of ["whenDeleted", "whenScaled"] as const)
    oneOf(
      spec?.persistentVolumeClaimRetentionPolicy?.[field],
      ["Delete", "Retain"],
      `spec.persistentVolumeClaimRetentionPolicy.${field}`,
      errors,
    );
  nonNegative(spec?.replicas, "spec.replicas", errors);
  nonNegative(spec?.minReadySeconds, "spec.minReadySeconds", errors);
  nonNegative(spec?.ordinals?.start, "spec.ordinals.start", errors);
  if (spec?.serviceName) form(spec.serviceName, dnsSubdomain(spec.serviceName), "spec.serviceName", errors);
}

/** apps/v1 ControllerRevision: the history of DaemonSets and StatefulSets. */
export const controllerRevision = defineKind<Stored<V1ControllerRevision>>({
  group: "apps",
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  type: "apps.v1.ControllerRevision",
  columns: columns("Name", "Controller", "Revision#", "Age"),
  validate(o, errors) {
    if (o.data === undefined) errors.required("data", "data is mandatory");
    nonNegative(o.revision, "revision", errors);
  },
  validateUpdate(o, old, errors) {
    if (!equalJson(o.data, old.data)) errors.invalid("data", o.data, "field is immutable");
  },
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
