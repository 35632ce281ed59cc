import { setTimeout as sleep } from "node:timers/promises";
import { Client, http2Transport, type KubeconfigContext, loadKubeconfig, type Pod, resources } from "#api/index.ts";
import { type Benchmark, type BenchOptions, type BenchOutcome, type BenchResult, median } from "./lib/benchmark.ts";
import { bringUp, end, podwire, status } from "./lib/cluster.ts";
import { Knocker } from "./lib/knocker.ts";
import { type ClusterMemory, clusterMemory } from "./lib/memory.ts";
import { crowdTable, nodeSteps, slowestTable, stepTable } from "./lib/podSteps.ts";
import { clock, type PodTimes, PodWatch } from "./lib/podWatch.ts";
import { execMs } from "./lib/remoteExec.ts";

const NAMESPACE = "bench";
/** Room for 1,000 light pods on two workers. */
const FLAGS = ["--ingress", "none", "--max-pods", "600", "--node-cidr-mask-size-ipv4", "22"];
/** Time that a cluster has to come to rest before it is measured, in ms. */
const settling = 2_000;

/** The cluster and all by which it is watched. */
interface Bench {
  readonly options: BenchOptions;
  readonly access: KubeconfigContext;
  readonly client: Client;
  readonly watch: PodWatch;
  readonly pid: number;
  readonly name: string;
  readonly workers: readonly string[];
}

function podOf(name: string, light: boolean): Pod {
  return {
    metadata: {
      name,
      namespace: NAMESPACE,
      labels: { app: "bench" },
      ...(light ? { annotations: { "podwire.dev/light": "true" } } : {}),
    },
    spec: {
      containers: [{ name: "echo", image: "podwire/echo", ports: [{ containerPort: 8080 }] }],
      terminationGracePeriodSeconds: 5,
    },
  } as Pod;
}

/** What came of creating pods at once. */
interface Swarm {
  readonly names: readonly string[];
  readonly pods: readonly PodTimes[];
  /** From the first request to the last answer, in ms. */
  readonly ms: number;
}

async function swarm({ watch }: Bench, prefix: string, count: number, light = false): Promise<Swarm> {
  const names = Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
  const began = clock();
  const pods = await Promise.all(names.map((name) => watch.create(podOf(name, light))));
  return { names, pods, ms: Math.max(...pods.map(latest)) - began };
}

const latest = ({ running = 0, answered = 0 }: PodTimes): number => Math.max(running, answered);
const duration = (times: PodTimes): number => latest(times) - times.created;

/** The value below which a part of all lie. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

/** Pods one after the other, each removed before the next. */
async function single(bench: Bench): Promise<PodTimes[]> {
  const times: PodTimes[] = [];
  const rounds = bench.options.quick ? 10 : 40;
  // The first ones meet what is not compiled and not cached yet.
  for (let i = -3; i < rounds; i++) {
    const { names, pods } = await swarm(bench, `one-${i + 3}`, 1);
    await bench.watch.remove(names);
    if (i >= 0) times.push(...pods);
  }
  return times;
}

async function twenty(bench: Bench): Promise<PodTimes[]> {
  const all: PodTimes[] = [];
  for (let i = 0; i < (bench.options.quick ? 2 : 6); i++) {
    const { names, pods } = await swarm(bench, `twenty-${i}`, 20);
    await bench.watch.remove(names);
    all.push(...pods);
  }
  return all;
}

/** Time of `true` in a pod, in ms. */
async function exec({ access, options }: Bench, name: string): Promise<number> {
  const times: number[] = [];
  for (let i = -3; i < (options.quick ? 10 : 40); i++) {
    const took = await execMs(access, { namespace: NAMESPACE, name }, ["true"]);
    if (i >= 0) times.push(took);
  }
  return median(times);
}

/** Pods in great number: how long they take to come, what each takes of memory, how long they take to go. */
interface Crowd extends Swarm {
  readonly memory: ClusterMemory;
  readonly deleteMs: number;
  readonly execMs?: number;
}

async function crowd(bench: Bench, prefix: string, count: number, light: boolean): Promise<Crowd> {
  const before = clusterMemory(bench.pid);
  const { names, pods, ms } = await swarm(bench, prefix, count, light);
  bench.options.log(`${count} ${light ? "light" : "ordinary"} pods answered after ${ms.toFixed(0)} ms`);
  await sleep(settling, undefined, { signal: bench.options.signal });
  const memory = clusterMemory(bench.pid).since(before, count);
  const once = light ? {} : { execMs: await exec(bench, names[0] ?? "") };
  const began = clock();
  await bench.watch.remove(names);
  return { names, pods, ms, memory, deleteMs: clock() - began, ...once };
}

const ms = (name: string, value: number): BenchResult => ({ name, value, unit: "ms", better: "lower" });
const seconds = (name: string, value: number): BenchResult => ({
  name,
  value: value / 1000,
  unit: "s",
  better: "lower",
});
const kb = (name: string, value: number): BenchResult => ({ name, value, unit: "kB", better: "lower" });

async function measure(bench: Bench): Promise<BenchOutcome> {
  const { log } = bench.options;
  const ones = await single(bench);
  log(`one pod: ${median(ones.map(duration)).toFixed(1)} ms`);
  const steps = await nodeSteps(bench.name, bench.workers, "one-");
  const twenties = await twenty(bench);
  const last = quantile(twenties.map(duration), 0.99);
  log(`20 pods: 99 % after ${last.toFixed(1)} ms`);
  const ordinary = await crowd(bench, "many", 200, false);
  const light = await crowd(bench, "light", 1000, true);
  return {
    results: [
      ms("one-p50-ms", median(ones.map(duration))),
      ms("20-p99-ms", last),
      seconds("200-s", ordinary.ms),
      seconds("light-1000-s", light.ms),
      ms("exec-ms", ordinary.execMs ?? Number.NaN),
      kb("memory-per-pod-kb", ordinary.memory.totalKb),
      kb("light-memory-per-pod-kb", light.memory.totalKb),
      seconds("delete-200-s", ordinary.deleteMs),
      seconds("light-delete-1000-s", light.deleteMs),
    ],
    tables: [
      stepTable(ones, steps),
      slowestTable("The slowest of 20 pods at once", twenties, duration),
      crowdTable("200 ordinary pods at once", ordinary.pods),
      crowdTable("1,000 light pods at once", light.pods),
      { title: "Memory of an ordinary pod", rows: ordinary.memory.rows },
      { title: "Memory of a light pod", rows: light.memory.rows },
    ],
  };
}

async function inCluster(options: BenchOptions): Promise<BenchOutcome> {
  const runtime = options.runtime === undefined ? [] : ["--runtime", options.runtime];
  const running = await bringUp(podwire, ["up", ...FLAGS, ...runtime], `bench-${process.pid}`, options.signal);
  let knocker: Knocker | undefined;
  let watch: PodWatch | undefined;
  try {
    const { kubeconfig = "", nodes = [] } = await status(running.name);
    const access = await loadKubeconfig(kubeconfig);
    const client = new Client(http2Transport(access));
    const [plane, ...workers] = nodes.map(({ name }) => name);
    knocker = await Knocker.on(running.name, plane ?? "");
    await client.create(resources.namespaces, { metadata: { name: NAMESPACE } });
    watch = new PodWatch(client, knocker, NAMESPACE);
    await watch.start();
    await sleep(settling, undefined, { signal: options.signal });
    return await measure({ options, access, client, watch, pid: running.child.pid ?? 0, name: running.name, workers });
  } finally {
    watch?.stop();
    await knocker?.stop();
    await end(running);
  }
}

const pods: Benchmark = {
  title: "pods: from their creation to their first answer, one, 20, 200, and 1,000 light ones; exec, memory, deletion",
  takesRuntime: true,
  run: inCluster,
};

export default pods;
