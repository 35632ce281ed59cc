import type { V2HPAScalingRules, V2MetricSpec, V2MetricStatus } from "@kubernetes/client-node";
import type { StoredObject } from "../../object.ts";
import { columns, defineKind } from "../define.ts";
import type { Kind } from "../definition.ts";
import { age } from "../print.ts";
import { type Autoscaler, type AutoscalerV1, fromV1, toV1 } from "./convert.ts";
import { validateAutoscaler } from "./validate.ts";

/** autoscaling/v2 HorizontalPodAutoscaler, the stored form; nothing scales. */
export const horizontalPodAutoscaler = defineKind<Autoscaler>({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  type: "autoscaling.v2.HorizontalPodAutoscaler",
  shortNames: ["hpa"],
  categories: ["all"],
  status: true,
  generation: false,
  columns: columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
  row: (o, now) => [
    o.metadata.name,
    `${o.spec?.scaleTargetRef?.kind}/${o.spec?.scaleTargetRef?.name}`,
    targetsText(o.spec?.metrics ?? [], o.status?.currentMetrics ?? []),
    o.spec?.minReplicas === undefined ? "<unset>" : String(o.spec.minReplicas),
    o.spec?.maxReplicas ?? 0,
    o.status?.currentReplicas ?? 0,
    age(o.metadata.creationTimestamp, now),
  ],
  defaults,
  prepareCreate(o) {
    o.status = emptyStatus();
  },
  validate: validateAutoscaler,
});

/** autoscaling/v1 HorizontalPodAutoscaler: the same objects in the older form. */
export const horizontalPodAutoscalerV1: Kind = {
  ...horizontalPodAutoscaler,
  version: "v1",
  type: "autoscaling.v1.HorizontalPodAutoscaler",
  row: (object, now) => horizontalPodAutoscaler.row(fromV1(object as AutoscalerV1), now),
  fromStored: (object) => toV1(object as Autoscaler) as StoredObject,
  toStored: (object) => fromV1(object as AutoscalerV1),
};

function emptyStatus(): NonNullable<Autoscaler["status"]> {
  return { desiredReplicas: 0 };
}

/** SetDefaults_HorizontalPodAutoscaler of autoscaling/v2. */
function defaults(o: Autoscaler): void {
  const spec = o.spec;
  o.status ??= emptyStatus();
  if (!spec) return;
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) {
    const target = { type: "Utilization", averageUtilization: 80 };
    spec.metrics = [{ type: "Resource", resource: { name: "cpu", target } }];
  }
  if (!spec.behavior) return;
  const percent = { type: "Percent", value: 100, periodSeconds: 15 };
  const up = { stabilizationWindowSeconds: 0, policies: [{ type: "Pods", value: 4, periodSeconds: 15 }, percent] };
  spec.behavior.scaleUp = withRules(spec.behavior.scaleUp, up);
  spec.behavior.scaleDown = withRules(spec.behavior.scaleDown, { policies: [{ ...percent }] });
}

function withRules(given: V2HPAScalingRules | undefined, ordinary: V2HPAScalingRules): V2HPAScalingRules {
  return { ...ordinary, selectPolicy: "Max", ...given };
}

const unknown = "<unknown>";

/** `cpu: 5%/80%, 3/10 + 1 more...` (formatHPAMetrics). */
function targetsText(specs: readonly V2MetricSpec[], statuses: readonly V2MetricStatus[]): string {
  if (specs.length === 0) return "<none>";
  const texts = specs.map((spec, i) => targetText(spec, statuses[i]));
  const shown = texts.slice(0, 2).join(", ");
  return texts.length > 2 ? `${shown} + ${texts.length - 2} more...` : shown;
}

function targetText(spec: V2MetricSpec, status: V2MetricStatus | undefined): string {
  switch (spec.type) {
    case "Pods":
      return `${status?.pods?.current.averageValue ?? unknown}/${spec.pods?.target.averageValue ?? unknown}`;
    case "External":
      return valueText(spec.external?.target, status?.external?.current);
    case "Object":
      return valueText(spec.object?.target, status?.object?.current);
    case "Resource":
      return `${spec.resource?.name}: ${usageText(spec.resource?.target, status?.resource?.current)}`;
    case "ContainerResource":
      return `${spec.containerResource?.name}: ${usageText(spec.containerResource?.target, status?.containerResource?.current)}`;
    default:
      return "<unknown type>";
  }
}

interface Values {
  readonly value?: string;
  readonly averageValue?: string;
  readonly averageUtilization?: number;
}

function valueText(target: Values | undefined, current: Values | undefined): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`;
  return `${current?.value ?? unknown}/${target?.value ?? unknown}`;
}

function usageText(target: Values | undefined, current: Values | undefined): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue}`;
  const percent = (value: number | undefined, none: string) => (value === undefined ? none : `${value}%`);
  return `${percent(current?.averageUtilization, unknown)}/${percent(target?.averageUtilization, "<auto>")}`;
}
