import type { V1ReplicationController } from "@kubernetes/client-node";
import { defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { validatePodTemplate } from "./pod-validate.ts";
import { labelText } from "./print.ts";
import { replicatorColumns, replicatorRow, scaleInfo, validateReplicas } from "./workload.ts";

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
  validate(o, errors) {
    validateReplicas(o.spec?.replicas, errors);
    if (!o.spec?.selector) errors.required("spec.selector");
    if (!o.spec?.template) errors.required("spec.template");
    else validatePodTemplate(o.spec.template, "spec.template", errors);
  },
});
