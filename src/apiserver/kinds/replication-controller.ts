import type { V1ReplicationController } from "@kubernetes/client-node";
import { nonNegative } from "./checks.ts";
import { defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { validatePodTemplate } from "./podspec/index.ts";
import { labelText } from "./print.ts";
import { replicatorCounts, statusCounts } from "./status-counts.ts";
import { replicatorColumns, replicatorRow, scaleInfo, validateReplicas, workloadWarnings } from "./workload.ts";

type ReplicationController = Stored<V1ReplicationController>;

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
  columns: replicatorColumns,
  row: (o, now) => replicatorRow(o, labelText(o.spec?.selector), now),
  defaults(o) {
    o.spec ??= {};
    o.spec.replicas ??= 1;
    defaultPodTemplate(o.spec.template);
    const labels = o.spec.template?.metadata?.labels;
    if (!o.spec.selector && labels) o.spec.selector = { ...labels };
    if (!o.metadata.labels && labels) o.metadata.labels = { ...labels };
    o.status ??= { replicas: 0 };
  },
  warnings: (o, old) => workloadWarnings(o, old),
  validate(o, errors) {
    validateReplicas(o.spec?.replicas, errors);
    nonNegative(o.spec?.minReadySeconds, "spec.minReadySeconds", errors);
    const { selector, template } = o.spec ?? {};
    if (Object.keys(selector ?? {}).length === 0) errors.required("spec.selector");
    if (!template) {
      errors.required("spec.template");
      return;
    }
    const labels = template.metadata?.labels ?? {};
    if (!Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value))
      errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    validatePodTemplate(template, "spec.template", errors);
    const { restartPolicy, activeDeadlineSeconds } = template.spec ?? {};
    if (restartPolicy && restartPolicy !== "Always")
      errors.unsupported("spec.template.spec.restartPolicy", restartPolicy, ["Always"]);
    if (activeDeadlineSeconds !== undefined)
      errors.forbidden(
        "spec.template.spec.activeDeadlineSeconds",
        "activeDeadlineSeconds in ReplicationController is not Supported",
      );
  },
  validateStatus: statusCounts(replicatorCounts),
});
