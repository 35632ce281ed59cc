import type { StoredObject } from "../object.ts";
import { columns, defineKind } from "./define.ts";

/** What something uses: `cpu` and `memory` as quantities. */
export type MetricsUsage = Readonly<Record<"cpu" | "memory", string>>;

/** metrics.k8s.io/v1beta1 NodeMetrics. */
export interface NodeMetrics extends StoredObject {
  readonly timestamp: string;
  /** A duration as Go prints it. */
  readonly window: string;
  readonly usage: MetricsUsage;
}

/** metrics.k8s.io/v1beta1 PodMetrics. */
export interface PodMetrics extends StoredObject {
  readonly timestamp: string;
  readonly window: string;
  readonly containers: readonly { readonly name: string; readonly usage: MetricsUsage }[];
}

const group = "metrics.k8s.io";
const version = "v1beta1";

/** Measured when asked for, never stored. */
export const nodeMetrics = defineKind<NodeMetrics>({
  group,
  version,
  kind: "NodeMetrics",
  plural: "nodes",
  type: "metrics.v1beta1.NodeMetrics",
  namespaced: false,
  verbs: ["get", "list"],
  columns: columns("Name", "Cpu", "Memory", "Window"),
  row: (o) => [o.metadata.name, o.usage.cpu, o.usage.memory, o.window],
});

/** Measured when asked for, never stored. */
export const podMetrics = defineKind<PodMetrics>({
  group,
  version,
  kind: "PodMetrics",
  plural: "pods",
  type: "metrics.v1beta1.PodMetrics",
  verbs: ["get", "list"],
  columns: columns("Name", "Cpu", "Memory", "Window"),
  row(o) {
    const total = (of: (usage: MetricsUsage) => string) =>
      o.containers.reduce((sum, { usage }) => sum + Number.parseInt(of(usage), 10), 0);
    return [o.metadata.name, `${total((u) => u.cpu)}n`, `${total((u) => u.memory)}Ki`, o.window];
  },
});
