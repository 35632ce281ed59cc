import { setTimeout as sleep } from "node:timers/promises";
import { type Benchmark, type BenchOptions, type BenchTable, median } from "./lib/benchmark.ts";
import { bringUp, end, podwire, status } from "./lib/cluster.ts";
import { processName, processTree, proportionalSize } from "./lib/processes.ts";

/** Time that a cluster has to come to rest before its memory is taken, in milliseconds. */
const settling = 3_000;

/** Sum of the proportional set sizes in MB, and what each program has of it. */
interface Memory {
  readonly total: number;
  readonly byProgram: ReadonlyMap<string, { readonly count: number; readonly kib: number }>;
}

function memoryOf(pid: number): Memory {
  const byProgram = new Map<string, { count: number; kib: number }>();
  for (const process of processTree(pid)) {
    const name = processName(process);
    const { count, kib } = byProgram.get(name) ?? { count: 0, kib: 0 };
    byProgram.set(name, { count: count + 1, kib: kib + proportionalSize(process) });
  }
  const total = [...byProgram.values()].reduce((sum, { kib }) => sum + kib, 0) / 1000;
  return { total, byProgram };
}

interface Round {
  readonly firstAnswer: number;
  readonly timeline: Readonly<Record<string, number>>;
  readonly down: number;
  /** Absent where it is not weighed. */
  readonly memory?: Memory;
}

async function round(command: string, args: string[], options: BenchOptions, weigh: boolean): Promise<Round> {
  const cluster = await bringUp(command, args, `bench-${process.pid}`, options.signal);
  try {
    const { firstAnswerMs, timeline } = await status(cluster.name);
    if (firstAnswerMs === undefined) throw new Error("the cluster does not say when its first answer came");
    if (weigh) await sleep(settling, undefined, { signal: options.signal });
    const memory = weigh ? { memory: memoryOf(cluster.child.pid ?? 0) } : {};
    return { firstAnswer: firstAnswerMs, timeline: timeline ?? {}, ...memory, down: await end(cluster) };
  } catch (error) {
    if (cluster.child.exitCode === null) await end(cluster);
    throw error;
  }
}

async function rounds(count: number, what: string, options: BenchOptions, one: () => Promise<Round>): Promise<Round[]> {
  const done: Round[] = [];
  for (let i = 0; i < count; i++) {
    const result = await one();
    options.log(`${what} ${i + 1}/${count}: first answer after ${result.firstAnswer.toFixed(0)} ms`);
    done.push(result);
  }
  return done;
}

function timeTable(all: readonly Round[]): BenchTable {
  const steps = Object.keys(all[0]?.timeline ?? {});
  const at = (step: string): number => median(all.flatMap(({ timeline }) => timeline[step] ?? []));
  const ordered = steps.map((step) => ({ step, at: at(step) })).sort((a, b) => a.at - b.at);
  const rows = ordered.map(({ step, at: time }, i) => [
    step,
    `${time.toFixed(0)} ms`,
    `+${(time - (ordered[i - 1]?.at ?? 0)).toFixed(0)}`,
  ]);
  return { title: "Where the time goes (median; from the exec of podwire)", rows };
}

/** The round in the middle: a table of one cluster that was, whose sum is the figure or next to it. */
function middle(all: readonly Memory[]): Memory {
  const sorted = all.toSorted((a, b) => a.total - b.total);
  const memory = sorted[Math.floor(sorted.length / 2)];
  if (!memory) throw new Error("no memory was taken");
  return memory;
}

function memoryTable(memory: Memory): BenchTable {
  const rows = [...memory.byProgram]
    .sort(([, a], [, b]) => b.kib - a.kib)
    .map(([name, { count, kib }]) => [name || "(kernel)", `${(kib / 1000).toFixed(1)} MB`, `${count} processes`]);
  return { title: "Where the memory goes (proportional set size; the round in the middle)", rows };
}

const start: Benchmark = {
  title: "from the start of a cluster to the first answer of the shop through its ingress",
  async run(options) {
    // The first start builds what is stale and fills the page cache; it does not count.
    await rounds(1, "warming up", options, () => round(podwire, ["up"], options, false));
    const count = options.quick ? 2 : 9;
    const own = await rounds(count, "podwire up", options, () => round(podwire, ["up"], options, true));
    const npm = await rounds(options.quick ? 1 : 5, "npm start", options, () =>
      round("npm", ["start", "--"], options, false),
    );
    const memory = own.flatMap((result) => result.memory ?? []);
    return {
      results: [
        { name: "first-answer-ms", value: median(own.map((r) => r.firstAnswer)), unit: "ms", better: "lower" },
        { name: "npm-start-ms", value: median(npm.map((r) => r.firstAnswer)), unit: "ms", better: "lower" },
        { name: "memory-mb", value: median(memory.map((m) => m.total)), unit: "MB", better: "lower" },
        { name: "down-ms", value: median(own.map((r) => r.down)), unit: "ms", better: "lower" },
      ],
      tables: [timeTable(own), memoryTable(middle(memory))],
    };
  },
};

export default start;
