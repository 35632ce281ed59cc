import type { Pod } from "#api/index.ts";
import { containerKey, nanoCores, type RunningProcess, type Sample, type Span, type Usage } from "./sampler.ts";

/** A container that runs, and the pod it is of. */
export interface RunningContainerOf extends RunningProcess {
  readonly pod: Pod;
  /** RFC 3339. */
  readonly startedAt: string;
}

/** The node that the figures are of. */
export interface StatsNode {
  readonly name: string;
  /** RFC 3339. */
  readonly startedAt: string;
}

/** `/stats/summary` (k8s.io/kubelet/pkg/apis/stats/v1alpha1): processor and memory. */
export function statsSummary(node: StatsNode, running: readonly RunningContainerOf[], span: Span): object {
  const time = new Date(span.to.at).toISOString();
  const figures = (before: Usage | undefined, after: Usage) => ({
    cpu: {
      time,
      usageNanoCores: nanoCores(before, after, span),
      usageCoreNanoSeconds: Math.round(after.cpuSeconds * 1e9),
    },
    memory: {
      time,
      usageBytes: after.memoryBytes,
      workingSetBytes: after.memoryBytes,
      rssBytes: after.memoryBytes,
    },
  });
  const containerOf = (one: RunningContainerOf) => {
    const key = containerKey(one);
    const after = span.to.containers.get(key);
    if (!after) return [];
    const before = span.from.containers.get(key);
    return [{ before, after, shown: { name: one.container, startTime: one.startedAt, ...figures(before, after) } }];
  };
  const pods = [...byPod(running)].flatMap((containers) => {
    const measured = containers.flatMap(containerOf);
    const [{ pod }] = containers as [RunningContainerOf];
    if (measured.length === 0) return [];
    const total = figures(sum(measured.map((m) => m.before)), sum(measured.map((m) => m.after)));
    return [
      {
        podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
        startTime: pod.status?.startTime ?? containers[0]?.startedAt,
        containers: measured.map((m) => m.shown),
        ...total,
      },
    ];
  });
  const window = { podwireWindowMilliseconds: span.to.at - span.from.at };
  return {
    node: { nodeName: node.name, startTime: node.startedAt, ...figures(span.from.node, span.to.node) },
    pods,
    ...window,
  };
}

function byPod(running: readonly RunningContainerOf[]): Iterable<RunningContainerOf[]> {
  return Map.groupBy(running, ({ podUid }) => podUid).values();
}

function sum(parts: readonly (Usage | undefined)[]): Usage {
  const total = (of: (usage: Usage) => number) => parts.reduce((all, part) => all + (part ? of(part) : 0), 0);
  return { cpuSeconds: total((u) => u.cpuSeconds), memoryBytes: total((u) => u.memoryBytes) };
}

/** One metric in Prometheus' text format. */
interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly lines: readonly (readonly [labels: string, value: number])[];
}

/** `/metrics/resource`, with upstream's names (kubelet/metrics/collectors, resource_metrics.go). */
export function resourceMetrics(running: readonly RunningContainerOf[], sample: Sample): string {
  const containers = running.flatMap((one) => {
    const used = sample.containers.get(containerKey(one));
    if (!used) return [];
    const { name, namespace } = one.pod.metadata;
    const pod = `namespace="${namespace}",pod="${name}"`;
    return [{ one, used, pod, labels: `{container="${one.container}",${pod}}` }];
  });
  const pods = [...Map.groupBy(containers, ({ pod }) => pod)].map(
    ([pod, parts]) => [`{${pod}}`, sum(parts.map((p) => p.used))] as const,
  );
  const metrics: Metric[] = [
    {
      name: "container_cpu_usage_seconds_total",
      type: "counter",
      help: "Cumulative cpu time consumed by the container in core-seconds",
      lines: containers.map((c) => [c.labels, c.used.cpuSeconds]),
    },
    {
      name: "container_memory_working_set_bytes",
      type: "gauge",
      help: "Current working set of the container in bytes",
      lines: containers.map((c) => [c.labels, c.used.memoryBytes]),
    },
    {
      name: "container_start_time_seconds",
      type: "gauge",
      help: "Start time of the container since unix epoch in seconds",
      lines: containers.map((c) => [c.labels, Date.parse(c.one.startedAt) / 1000]),
    },
    {
      name: "node_cpu_usage_seconds_total",
      type: "counter",
      help: "Cumulative cpu time consumed by the node in core-seconds",
      lines: [["", sample.node.cpuSeconds]],
    },
    {
      name: "node_memory_working_set_bytes",
      type: "gauge",
      help: "Current working set of the node in bytes",
      lines: [["", sample.node.memoryBytes]],
    },
    {
      name: "pod_cpu_usage_seconds_total",
      type: "counter",
      help: "Cumulative cpu time consumed by the pod in core-seconds",
      lines: pods.map(([labels, used]) => [labels, used.cpuSeconds]),
    },
    {
      name: "pod_memory_working_set_bytes",
      type: "gauge",
      help: "Current working set of the pod in bytes",
      lines: pods.map(([labels, used]) => [labels, used.memoryBytes]),
    },
    {
      name: "resource_scrape_error",
      type: "gauge",
      help: "1 if there was an error while getting container metrics, 0 otherwise",
      lines: [["", 0]],
    },
  ];
  return metrics
    .map(({ name, type, help, lines }) => {
      const head = `# HELP ${name} [STABLE] ${help}\n# TYPE ${name} ${type}\n`;
      return head + lines.map(([labels, value]) => `${name}${labels} ${value}\n`).join("");
    })
    .join("");
}
