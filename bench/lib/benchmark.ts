import { readFileSync } from "node:fs";
import os from "node:os";

/** One figure of a benchmark. */
export interface BenchResult {
  readonly name: string;
  readonly value: number;
  /** Such as `ms`, `MB`, `1/s`. */
  readonly unit: string;
  readonly better: "lower" | "higher";
  /** What it is compared with, measured in the same run. */
  readonly peer?: string;
  readonly peerValue?: number;
  /** Ours divided by the peer's. */
  readonly ratio?: number;
}

/** A table that explains the figures; shown to people, not part of the JSON. */
export interface BenchTable {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
}

export interface BenchOutcome {
  readonly results: readonly BenchResult[];
  readonly tables?: readonly BenchTable[];
}

export interface BenchOptions {
  /** Fewer repetitions: a look, not a figure to publish. */
  readonly quick: boolean;
  /** Tells the person what is going on; goes to stderr. */
  readonly log: (text: string) => void;
  readonly signal: AbortSignal;
  /** What starts containers, of a benchmark that {@link Benchmark.takesRuntime}; default: the cluster's own. */
  readonly runtime?: string;
}

/** What each `bench/<name>.ts` exports as default. */
export interface Benchmark {
  /** One line for the list of benchmarks. */
  readonly title: string;
  /** `--runtime NAME` has a meaning for it. */
  readonly takesRuntime?: true;
  run(options: BenchOptions): Promise<BenchOutcome>;
}

/** The machine that figures belong to. */
export interface BenchMachine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly kernel: string;
  readonly node: string;
  /** Load of the last minute when the benchmark began: figures of a busy machine say so. */
  readonly load: number;
}

export function describeMachine(): BenchMachine {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch;
  return {
    cpu: model,
    cores: os.availableParallelism(),
    memoryMb: Math.round(os.totalmem() / 2 ** 20),
    kernel: os.release(),
    node: process.versions.node,
    load: os.loadavg()[0] ?? 0,
  };
}

/** The middle value; of an even number, the mean of the two middle ones. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}

/** A comparison with a peer of the same run. */
export function compared(result: BenchResult, peer: string, peerValue: number): BenchResult {
  return { ...result, peer, peerValue, ratio: result.value / peerValue };
}
