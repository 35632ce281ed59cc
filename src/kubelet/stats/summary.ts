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

/** Values of one metric, by its labels as they are written. */
type Lines = Metric["lines"];

/** `/metrics/resource`, with upstream's names (kubelet/metrics/collectors, resource_metrics.go). */
export function resourceMetrics(running: readonly RunningContainerOf[], sample: Sample): string {
  const containers = running.flatMap((one) => {
    const used = sample.containers.get(containerKey(one));
    if (!used) return [];
    const { name, namespace } = one.pod.metadata;
    return [{ one, used, pod: `namespace="${namespace}",pod="${name}"` }];
  });
  const byPod = [...Map.groupBy(containers, ({ pod }) => pod)];
  const lines = {
    container: containers.map((c) => [`{container="${c.one.container}",${c.pod}}`, c.used] as const),
    pod: byPod.map(([pod, parts]) => [`{${pod}}`, sum(parts.map((p) => p.used))] as const),
    node: [["", sample.node] as const],
  };
  const started: Lines = containers.map((c) => [
    `{container="${c.one.container}",${c.pod}}`,
    Date.parse(c.one.startedAt) / 1000,
  ]);
  const metrics: Metric[] = [
    ...usageMetrics("container", lines.container),
    {
      name: "container_start_time_seconds",
      type: "gauge",
      help: "Start time of the container since unix epoch in seconds",
      lines: started,
    },
    ...usageMetrics("node", lines.node),
    ...usageMetrics("pod", lines.pod),
    {
      name: "resource_scrape_error",
      type: "gauge",
      help: "1 if there was an error while getting container metrics, 0 otherwise",
      lines: [["", 0]],
    },
  ];
  return metrics.map(metricText).join("");
}

function usageMetrics(what: string, usages: readonly (readonly [labels: string, used: Usage])[]): Metric[] {
  return [
    {
      name: `${what}_cpu_usage_seconds_total`,
      type: "counter",
      help: `Cumulative cpu time consumed by the ${what} in core-seconds`,
      lines: usages.map(([labels, used]) => [labels, used.cpuSeconds]),
    },
    {
      name: `${what}_memory_working_set_bytes`,
      type: "gauge",
      help: `Current working set of the ${what} in bytes`,
      lines: usages.map(([labels, used]) => [labels, used.memoryBytes]),
    },
  ];
}

function metricText({ name, type, help, lines }: Metric): string {
  const head = `# HELP ${name} [STABLE] ${help}\n# TYPE ${name} ${type}\n`;
  return head + lines.map(([labels, value]) => `${name}${labels} ${value}\n`).join("");
}
