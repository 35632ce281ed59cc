import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type BenchTable, median } from "./benchmark.ts";
import { podwire, root } from "./cluster.ts";
import type { PodTimes } from "./podWatch.ts";

/** Moments of pods' lives by the nodes' logs: by pod, by message, in ms of the wall clock. */
export type NodeSteps = ReadonlyMap<string, ReadonlyMap<string, number>>;

const LINE = /^I(\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{3})\d* \S+\] "([^"]+)".* pod="[^/"]*\/([^"]+)"/;

/** Reads from the kubelets' logs when pods whose names begin so went through their steps. */
export async function nodeSteps(cluster: string, nodes: readonly string[], prefix: string): Promise<NodeSteps> {
  const steps = new Map<string, Map<string, number>>();
  for (const node of nodes) {
    const words = ["exec", "--name", cluster, node, "--", "cat", "/var/log/kubelet.log"];
    const { stdout } = await promisify(execFile)(podwire, words, { cwd: root, maxBuffer: 64 << 20 });
    for (const line of stdout.split("\n")) {
      const [, month, day, time, message = "", pod = ""] = LINE.exec(line) ?? [];
      if (!pod.startsWith(prefix)) continue;
      const own = steps.get(pod) ?? new Map<string, number>();
      own.set(message, Date.parse(`${new Date().getUTCFullYear()}-${month}-${day}T${time}Z`));
      steps.set(pod, own);
    }
  }
  return steps;
}

/** The table of single pods: the median of each step's end, and what it took after the one before. */
export function stepTable(pods: readonly PodTimes[], steps: NodeSteps): BenchTable {
  const at = (moment: (times: PodTimes) => number | undefined): number =>
    median(pods.flatMap((times) => (moment(times) === undefined ? [] : [(moment(times) as number) - times.created])));
  const logged = (message: string) => (times: PodTimes) => steps.get(times.name)?.get(message);
  const moments: [string, number][] = [
    ["the API server has written it", at((t) => t.written)],
    ["a client sees it scheduled", at((t) => t.scheduled)],
    ["the kubelet sees it", at(logged("SyncLoop ADD"))],
    ["its network is there", at(logged("Pod is set up"))],
    ["its process runs", at(logged("Started container"))],
    ["a client sees it Running", at((t) => t.running)],
    ["it has answered", at((t) => t.answered)],
  ];
  const ordered = moments.filter(([, time]) => !Number.isNaN(time)).sort(([, a], [, b]) => a - b);
  const rows = ordered.map(([step, time], i) => [
    step,
    `${time.toFixed(1)} ms`,
    `+${(time - (ordered[i - 1]?.[1] ?? 0)).toFixed(1)}`,
  ]);
  return { title: "Where the time of one pod goes (median)", rows };
}

/** Steps of pods' lives as a client sees them, and what they are called. */
const SEEN: Readonly<Record<string, "written" | "scheduled" | "running" | "answered">> = {
  "the API server has written it": "written",
  "it is scheduled": "scheduled",
  "it is Running": "running",
  "it has answered": "answered",
};
/** So many of the slowest pods are shown. */
const SLOWEST = 5;

/** The table of those that took longest: after which time each had reached each step. Shows what they waited for. */
export function slowestTable(
  title: string,
  pods: readonly PodTimes[],
  duration: (times: PodTimes) => number,
): BenchTable {
  const slowest = pods.toSorted((a, b) => duration(b) - duration(a)).slice(0, SLOWEST);
  const rows = Object.entries(SEEN).map(([step, moment]) => {
    const after = slowest.map(({ created, [moment]: at = Number.NaN }) => `${(at - created).toFixed(0)} ms`);
    return [step, ...after];
  });
  return { title, rows: [["pod", ...slowest.map(({ name }) => name)], ...rows] };
}

/** The table of a crowd: after which time half of the pods, and all of them, had reached each step. */
export function crowdTable(title: string, pods: readonly PodTimes[]): BenchTable {
  const began = Math.min(...pods.map(({ created }) => created));
  const rows = Object.entries(SEEN).map(([step, moment]) => {
    const times = pods.flatMap(({ [moment]: at }) => (at === undefined ? [] : [at - began]));
    return [step, `half ${median(times).toFixed(0)} ms`, `all ${Math.max(...times).toFixed(0)} ms`];
  });
  return { title, rows };
}
