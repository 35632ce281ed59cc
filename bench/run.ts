// npm run bench -- NAME [--json] [--quick] [--runtime RUNTIME]
import { readdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Benchmark, type BenchOutcome, type BenchResult, describeMachine } from "./lib/benchmark.ts";

const folder = import.meta.dirname;

function names(): string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return files.map((name) => path.basename(name, ".ts")).filter((name) => name !== "run");
}

async function load(name: string): Promise<Benchmark> {
  const module: { default: Benchmark } = await import(path.join(folder, `${name}.ts`));
  return module.default;
}

async function list(): Promise<void> {
  process.stdout.write("npm run bench -- NAME [--json] [--quick] [--runtime RUNTIME]\n\n");
  for (const name of names()) process.stdout.write(`  ${name.padEnd(14)} ${(await load(name)).title}\n`);
}

const digits = (value: number): string => (Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(0));

function line({ name, value, unit, better, peer, peerValue, ratio }: BenchResult): string[] {
  const against = peer === undefined ? "" : `${peer} ${digits(peerValue ?? 0)} ${unit}, ratio ${digits(ratio ?? 0)}`;
  return [name, `${digits(value)} ${unit}`, `${better} is better`, against];
}

function align(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows
    .map(
      (row) =>
        `  ${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

function print(title: string, { results, tables = [] }: BenchOutcome): void {
  const machine = describeMachine();
  process.stdout.write(
    `${title}\n${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}\n\n`,
  );
  process.stdout.write(align(results.map(line)));
  for (const table of tables) process.stdout.write(`\n${table.title}\n${align(table.rows)}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      runtime: { type: "string" },
    },
  });
  const [name, ...rest] = positionals;
  if (name === undefined) return list().then(() => 0);
  if (rest.length > 0 || !names().includes(name)) {
    process.stderr.write(`bench: there is no benchmark ${[name, ...rest].join(" ")}; allowed: ${names().join(", ")}\n`);
    return 2;
  }
  const machine = describeMachine();
  const benchmark = await load(name);
  const { quick, runtime } = values;
  if (runtime !== undefined && !benchmark.takesRuntime) {
    process.stderr.write(`bench: ${name} has no use for --runtime\n`);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const log = (text: string): boolean => process.stderr.write(`${text}\n`);
  const outcome = await benchmark.run({
    quick,
    log,
    signal: stop.signal,
    ...(runtime === undefined ? {} : { runtime }),
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ bench: name, machine, results: outcome.results })}\n`);
  else print(benchmark.title, outcome);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = (error as { code?: string }).code === "ERR_PARSE_ARGS_UNKNOWN_OPTION" ? 2 : 1;
}
