import type { V1DaemonSet } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import { nonNegative } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { age, containerColumns, labelText, selectorText } from "./print.ts";
import { statusCounts } from "./status-counts.ts";
import { ensureSpec, validateShare, validateWorkload, workloadWarnings } from "./workload.ts";

type DaemonSet = Stored<V1DaemonSet>;

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
    setTemplateGeneration(o, 1);
  },
  prepareUpdate(o, old) {
    const before = Number(old.metadata.annotations?.[generationAnnotation]) || 0;
    const changed = !equalJson(o.spec?.template, old.spec?.template);
    if (before > 0) setTemplateGeneration(o, changed ? before + 1 : before);
  },
  validate(o, errors) {
    validateWorkload(o, errors, "daemonset", "DaemonSet");
    nonNegative(o.spec?.minReadySeconds, "spec.minReadySeconds", errors);
    nonNegative(o.spec?.revisionHistoryLimit, "spec.revisionHistoryLimit", errors);
    validateStrategy(o, errors);
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.selector, old.spec?.selector, "spec.selector", errors),
  comparesInvalid: true,
  warnings: (o, old) => workloadWarnings(o, old, false),
  validateStatus: statusCounts({
    counts: [
      "currentNumberScheduled",
      "numberMisscheduled",
      "desiredNumberScheduled",
      "numberReady",
      "observedGeneration",
      "updatedNumberScheduled",
      "numberAvailable",
      "numberUnavailable",
      "collisionCount",
    ],
  }),
});

function validateStrategy(o: DaemonSet, errors: FieldErrors): void {
  const { type, rollingUpdate } = o.spec?.updateStrategy ?? {};
  const path = "spec.updateStrategy";
  if (type !== "RollingUpdate" && type !== "OnDelete") {
    errors.unsupported(`${path}.type`, type ?? "", ["OnDelete", "RollingUpdate"]);
    return;
  }
  if (type === "OnDelete") return;
  if (!rollingUpdate) {
    errors.required(`${path}.rollingUpdate`);
    return;
  }
  const { maxUnavailable, maxSurge } = rollingUpdate;
  validateShare(maxUnavailable, `${path}.rollingUpdate.maxUnavailable`, errors, "100%");
  validateShare(maxSurge, `${path}.rollingUpdate.maxSurge`, errors, "100%");
  const some = (value: unknown) => Number.parseInt(String(value ?? 0), 10) > 0;
  if (some(maxUnavailable) && some(maxSurge))
    errors.invalid(`${path}.rollingUpdate.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero");
  if (!some(maxUnavailable) && !some(maxSurge))
    errors.required(`${path}.rollingUpdate.maxUnavailable`, "cannot be 0 when maxSurge is 0");
}

/** The number of the template in apps/v1beta2, which apps/v1 keeps as an annotation. */
const generationAnnotation = "deprecated.daemonset.template.generation";

function setTemplateGeneration(o: DaemonSet, generation: number): void {
  o.metadata.annotations = { ...o.metadata.annotations, [generationAnnotation]: String(generation) };
}

function zeroDaemonSet(): NonNullable<DaemonSet["status"]> {
  return { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
}
