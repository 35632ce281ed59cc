import type { V1HorizontalPodAutoscaler, V2HorizontalPodAutoscaler } from "@kubernetes/client-node";
import { type Dict, isDict, type StoredObject } from "../../object.ts";
import type { Stored } from "../definition.ts";

/** The stored form: autoscaling/v2. */
export type Autoscaler = Stored<V2HorizontalPodAutoscaler>;
/** The older form. */
export type AutoscalerV1 = Stored<V1HorizontalPodAutoscaler>;

/** What v1 has no fields for stands in annotations (k8s.io/kubernetes/pkg/apis/autoscaling/annotations.go). */
const prefix = "autoscaling.alpha.kubernetes.io/";
const carried = ["metrics", "current-metrics", "conditions", "behavior"] as const;

type Metric = Dict & { type?: string };
type Flat = Readonly<Record<string, string>>;

/** For each source: v1's flat fields and where v2 has them. */
const paths: Readonly<Record<string, { spec: Flat; status: Flat }>> = {
  resource: {
    spec: {
      name: "name",
      targetAverageUtilization: "target.averageUtilization",
      targetAverageValue: "target.averageValue",
    },
    status: {
      name: "name",
      currentAverageUtilization: "current.averageUtilization",
      currentAverageValue: "current.averageValue",
    },
  },
  containerResource: {
    spec: {
      name: "name",
      container: "container",
      targetAverageUtilization: "target.averageUtilization",
      targetAverageValue: "target.averageValue",
    },
    status: {
      name: "name",
      container: "container",
      currentAverageUtilization: "current.averageUtilization",
      currentAverageValue: "current.averageValue",
    },
  },
  pods: {
    spec: { metricName: "metric.name", selector: "metric.selector", targetAverageValue: "target.averageValue" },
    status: { metricName: "metric.name", selector: "metric.selector", currentAverageValue: "current.averageValue" },
  },
  object: {
    spec: {
      target: "describedObject",
      metricName: "metric.name",
      selector: "metric.selector",
      targetValue: "target.value",
      averageValue: "target.averageValue",
    },
    status: {
      target: "describedObject",
      metricName: "metric.name",
      selector: "metric.selector",
      currentValue: "current.value",
      averageValue: "current.averageValue",
    },
  },
  external: {
    spec: {
      metricName: "metric.name",
      metricSelector: "metric.selector",
      targetValue: "target.value",
      targetAverageValue: "target.averageValue",
    },
    status: {
      metricName: "metric.name",
      metricSelector: "metric.selector",
      currentValue: "current.value",
      currentAverageValue: "current.averageValue",
    },
  },
};

function read(from: Dict, path: string): unknown {
  let value: unknown = from;
  for (const part of path.split(".")) value = isDict(value) ? value[part] : undefined;
  return value;
}

function write(to: Dict, path: string, value: unknown): void {
  const [head = "", tail] = path.split(".");
  if (tail === undefined) to[head] = value;
  else write((to[head] ??= {}) as Dict, tail, value);
}

/** A metric of v2 in v1's flat form. */
function flatten(metric: Metric, part: "spec" | "status"): Metric {
  const out: Metric = { type: metric.type ?? "" };
  for (const [source, maps] of Object.entries(paths)) {
    const value = metric[source];
    if (!isDict(value)) continue;
    const flat: Dict = {};
    for (const [to, from] of Object.entries(maps[part])) {
      const item = read(value, from);
      if (item !== undefined) flat[to] = item;
    }
    out[source] = flat;
  }
  return out;
}

/** The reverse of {@link flatten}; the kind of target follows from the value that is there. */
function unflatten(metric: Metric, part: "spec" | "status"): Metric {
  const out: Metric = { type: metric.type ?? "" };
  for (const [source, maps] of Object.entries(paths)) {
    const flat = metric[source];
    if (!isDict(flat)) continue;
    const value: Dict = {};
    for (const [from, to] of Object.entries(maps[part])) if (flat[from] !== undefined) write(value, to, flat[from]);
    if (part === "spec") {
      const target = (value.target ??= {}) as Dict;
      target.type =
        target.averageUtilization !== undefined
          ? "Utilization"
          : target.averageValue !== undefined
            ? "AverageValue"
            : "Value";
    }
    out[source] = value;
  }
  return out;
}

/** The metric that v1 has a field for. */
function isCpu(metric: Metric, field: "target" | "current"): boolean {
  const source = metric.resource;
  if (!isDict(source) || source.name !== "cpu") return false;
  return isDict(source[field]) && (source[field] as Dict).averageUtilization !== undefined;
}

/** A stored autoscaler as autoscaling/v1. */
export function toV1(stored: Autoscaler): AutoscalerV1 {
  const { metrics = [], behavior, ...spec } = (stored.spec ?? {}) as unknown as Dict & { metrics?: Metric[] };
  const {
    currentMetrics = [],
    conditions,
    ...status
  } = (stored.status ?? {}) as unknown as Dict & { currentMetrics?: Metric[] };
  const target = metrics.find((m) => isCpu(m, "target"));
  const current = currentMetrics.find((m) => isCpu(m, "current"));
  const others = metrics.filter((m) => m !== target).map((m) => flatten(m, "spec"));
  const currents = currentMetrics.filter((m) => m !== current).map((m) => flatten(m, "status"));
  const annotations: Record<string, string> = {};
  if (others.length > 0) annotations[`${prefix}metrics`] = JSON.stringify(others);
  if (currents.length > 0) annotations[`${prefix}current-metrics`] = JSON.stringify(currents);
  if (conditions) annotations[`${prefix}conditions`] = JSON.stringify(conditions);
  if (behavior) annotations[`${prefix}behavior`] = JSON.stringify(behavior);
  const extra = Object.keys(annotations).length > 0;
  const utilization = target && read(target, "resource.target.averageUtilization");
  const reached = current && read(current, "resource.current.averageUtilization");
  return {
    ...stored,
    apiVersion: "autoscaling/v1",
    metadata: extra
      ? { ...stored.metadata, annotations: { ...stored.metadata.annotations, ...annotations } }
      : stored.metadata,
    spec: { ...spec, ...(utilization === undefined ? {} : { targetCPUUtilizationPercentage: utilization }) },
    status: {
      currentReplicas: 0,
      desiredReplicas: 0,
      ...status,
      ...(reached === undefined ? {} : { currentCPUUtilizationPercentage: reached }),
    },
  } as unknown as AutoscalerV1;
}

/** JSON of an annotation; what is broken counts as not there, as upstream's conversion has it. */
function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function metricsOf(value: unknown, part: "spec" | "status"): Metric[] {
  return Array.isArray(value) ? value.filter(isDict).map((m) => unflatten(m, part)) : [];
}

/** An autoscaling/v1 autoscaler in the stored form. */
export function fromV1(object: AutoscalerV1): StoredObject {
  const { targetCPUUtilizationPercentage: target, ...spec } = (object.spec ?? {}) as unknown as Dict;
  const { currentCPUUtilizationPercentage: reached, ...status } = (object.status ?? {}) as unknown as Dict;
  const annotations = { ...object.metadata.annotations };
  const found = Object.fromEntries(carried.map((name) => [name, parsed(annotations[`${prefix}${name}`])]));
  for (const name of carried) delete annotations[`${prefix}${name}`];
  const cpu = (field: string, type: Dict, value: unknown) => ({
    type: "Resource",
    resource: { name: "cpu", [field]: { ...type, averageUtilization: value } },
  });
  const metrics: Metric[] = [
    ...metricsOf(found.metrics, "spec"),
    ...(target === undefined ? [] : [cpu("target", { type: "Utilization" }, target)]),
  ];
  const currentMetrics: Metric[] = [
    ...metricsOf(found["current-metrics"], "status"),
    ...(reached === undefined ? [] : [cpu("current", {}, reached)]),
  ];
  const { annotations: _old, ...metadata } = object.metadata;
  return {
    ...object,
    apiVersion: "autoscaling/v2",
    metadata: Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata,
    spec: {
      ...spec,
      ...(metrics.length > 0 ? { metrics } : {}),
      ...(isDict(found.behavior) ? { behavior: found.behavior } : {}),
    },
    status: {
      ...status,
      ...(currentMetrics.length > 0 ? { currentMetrics } : {}),
      ...(Array.isArray(found.conditions) ? { conditions: found.conditions } : {}),
    },
  };
}
