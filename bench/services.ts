import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { proxyNodeOptions } from "#base/entry.ts";
import { type Benchmark, type BenchOptions, type BenchResult, compared, median } from "./lib/benchmark.ts";
import { bundleWorker } from "./lib/serviceBundle.ts";
import { type Load, writeEvents } from "./lib/serviceLoad.ts";
import type { ServiceMode } from "./lib/serviceModes.ts";
import type { ServiceFigures, ServiceTask } from "./lib/serviceWorker.ts";

/** A load under the name that results have. */
interface Size extends Load {
  readonly name: string;
}

const tiny: Size = { name: "10", services: 10, endpoints: 10 };
const small: Size = { name: "1k", services: 1000, endpoints: 10 };
const large: Size = { name: "10k", services: 10_000, endpoints: 10 };
const wide: Size = { name: "5kx50", services: 5000, endpoints: 50 };

const ours = ["podwire", "podwire-ebpf"] as const satisfies ServiceMode[];
const peers = ["kube-proxy-nftables", "kube-proxy-iptables"] as const satisfies ServiceMode[];

/** A program of a peer that takes longer is ended, in ms: the whole is to end within twelve minutes. */
const LIMIT = 100_000;
const QUICK_LIMIT = 60_000;

/** What each mode came to at each size; a text says why it did not. */
type Outcomes = ReadonlyMap<string, ServiceFigures | string>;

const workerSource = path.join(import.meta.dirname, "lib/serviceWorker.ts");
const idOf = (size: Size, mode: ServiceMode) => `${size.name} ${mode}`;

/** Where programs are that only the machines' tools have, such as those of iptables. */
function environment(): NodeJS.ProcessEnv {
  const tools = process.env["PODWIRE_TOOLS"];
  if (tools === undefined) return process.env;
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const below = (folder: string) => path.join(tools, "root/usr", folder);
  return {
    ...process.env,
    PATH: [process.env["PATH"], "/usr/sbin", "/sbin", below("sbin"), below("bin")].join(":"),
    LD_LIBRARY_PATH: below(`lib/${triplet}`),
    XTABLES_LIBDIR: [`/usr/lib/${triplet}/xtables`, below(`lib/${triplet}/xtables`)].join(":"),
  };
}

/**
 * Measures in a process and a network namespace of their own.
 * @param worker file of the process
 * @throws Error with what it said when it fails
 */
function measure(worker: string, task: ServiceTask, signal: AbortSignal): Promise<ServiceFigures> {
  const namespaces = process.getuid?.() === 0 ? ["--net"] : ["--user", "--map-root-user", "--net"];
  const args = [...namespaces, process.execPath, ...proxyNodeOptions, worker, JSON.stringify(task)];
  return new Promise((resolve, reject) => {
    const child = spawn("unshare", args, { stdio: ["ignore", "pipe", "pipe"], env: environment(), signal });
    let out = "";
    let words = "";
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => {
      if (words.length < 10_000) words += data.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) return resolve(JSON.parse(out) as ServiceFigures);
      reject(new Error(/^Error: (.*)$/m.exec(words)?.[1] ?? words.trim()));
    });
  });
}

async function measureAll({ quick, log, signal }: BenchOptions): Promise<Outcomes> {
  const worker = await bundleWorker(workerSource);
  const outcomes = new Map<string, ServiceFigures | string>();
  const loads = quick ? [tiny, small, large] : [tiny, small, large, wide];
  for (const size of loads) {
    const { services, endpoints } = size;
    const events = await mkdtemp(path.join(tmpdir(), "podwire-bench-"));
    try {
      writeEvents(size, events);
      for (const mode of modesOf(size, quick)) {
        log(`${services} Services of ${endpoints} endpoints, ${mode} …`);
        const limitMs = quick ? QUICK_LIMIT : LIMIT;
        const changes = mode.startsWith("podwire") ? 200 : 3;
        try {
          const figures = await measure(worker, { mode, services, endpoints, changes, limitMs, events }, signal);
          outcomes.set(idOf(size, mode), figures);
        } catch (error) {
          // A peer that fails leaves the others their figures; our own failure is one.
          if (mode === "podwire" || signal.aborted) throw error;
          outcomes.set(idOf(size, mode), (error as Error).message);
          log(`  ${(error as Error).message}`);
        }
      }
    } finally {
      await rm(events, { recursive: true, force: true });
    }
  }
  return outcomes;
}

/** The mode that opens a socket for each Service is not for ten thousand of them. */
function modesOf(size: Size, quick: boolean): readonly ServiceMode[] {
  const own: ServiceMode[] = size === tiny || size === small ? [...ours, "podwire-userspace"] : [...ours];
  return quick && size === large ? own : [...own, ...peers];
}

/** A result, against the better of the peers that were measured. */
function result(
  outcomes: Outcomes,
  size: Size,
  name: string,
  unit: string,
  value: (figures: ServiceFigures) => number,
  mode: ServiceMode = "podwire",
): BenchResult[] {
  const own = outcomes.get(idOf(size, mode));
  if (own === undefined || typeof own === "string") return [];
  const mine: BenchResult = { name, value: value(own), unit, better: "lower" };
  const others = peers.flatMap((peer) => {
    const figures = outcomes.get(idOf(size, peer));
    return figures === undefined || typeof figures === "string" ? [] : [{ mode: peer, value: value(figures) }];
  });
  const best = others.toSorted((a, b) => a.value - b.value)[0];
  return [best ? compared(mine, best.mode, best.value) : mine];
}

/** A thousand endpoints changed a second. */
function followed(size: Size, outcomes: Outcomes): BenchResult[] {
  const own = outcomes.get(idOf(size, "podwire"));
  if (own === undefined || typeof own === "string" || !own.followed) return [];
  const { delays, cpuShare } = own.followed;
  const late = delays.toSorted((a, b) => a - b)[Math.floor(delays.length * 0.99)] ?? 0;
  const name = `1000-changes-${size.name}`;
  return [
    { name: `${name}-cpu-percent`, value: 100 * cpuShare, unit: "%", better: "lower" },
    { name: `${name}-delay-p50-ms`, value: median(delays), unit: "ms", better: "lower" },
    { name: `${name}-delay-p99-ms`, value: late, unit: "ms", better: "lower" },
  ];
}

function resultsOf(outcomes: Outcomes): BenchResult[] {
  const sizes = [small, large, wide];
  const of = (size: Size, name: string, unit: string, value: (figures: ServiceFigures) => number) =>
    result(outcomes, size, name, unit, value);
  const alone = (results: BenchResult[]) =>
    results.map(({ name, value, unit, better }) => ({ name, value, unit, better }));
  return [
    ...sizes.flatMap((size) => of(size, `first-sync-${size.name}-s`, "s", (f) => f.firstSync)),
    ...sizes.flatMap((size) => of(size, `first-sync-${size.name}-cpu-s`, "s", (f) => f.cpu)),
    ...sizes.flatMap((size) => of(size, `one-endpoint-${size.name}-ms`, "ms", (f) => median(f.changes))),
    // Programs of the peers keep nothing: only what the kernel holds can be compared.
    ...sizes.flatMap((size) => alone(of(size, `resident-${size.name}-mb`, "MB", (f) => f.resident))),
    // The whole machine's memory is looked at: what a small load takes is lost in it.
    ...[large, wide].flatMap((size) => of(size, `kernel-${size.name}-mb`, "MB", (f) => f.kernel)),
    ...[large, wide].flatMap((size) => followed(size, outcomes)),
    ...[tiny, large].flatMap((size) => of(size, `new-flow-${size.name}-us`, "µs", (f) => f.packets.flow)),
    ...[tiny, large].flatMap((size) => of(size, `connect-${size.name}-us`, "µs", (f) => f.packets.connect)),
    ...[tiny, large].flatMap((size) => of(size, `established-${size.name}-us`, "µs", (f) => f.packets.established)),
    ...(["flow", "connect", "established"] as const).flatMap((kind) => [
      ...result(outcomes, large, `ebpf-${kind}-${large.name}-us`, "µs", (f) => f.packets[kind], "podwire-ebpf"),
      ...[tiny, small].flatMap((size) =>
        result(outcomes, size, `userspace-${kind}-${size.name}-us`, "µs", (f) => f.packets[kind], "podwire-userspace"),
      ),
    ]),
  ];
}

const residentOf = (figures: ServiceFigures): number => figures.resident;

/** What is compared: of which figures, in which unit, with so many decimals. */
const measures: readonly (readonly [string, string, number, (figures: ServiceFigures) => number])[] = [
  ["first sync", "s", 2, (f) => f.firstSync],
  ["its CPU", "s", 2, (f) => f.cpu],
  ["one endpoint", "ms", 2, (f) => median(f.changes)],
  ["its CPU", "ms", 1, (f) => f.changeCpu],
  ["memory of the process", "MB", 0, residentOf],
  ["memory of the kernel", "MB", 0, (f) => f.kernel],
  ["new UDP flow", "µs", 1, (f) => f.packets.flow],
  ["the same to the endpoint", "µs", 1, (f) => f.direct.flow],
  ["TCP connection", "µs", 1, (f) => f.packets.connect],
  ["the same to the endpoint", "µs", 1, (f) => f.direct.connect],
  ["established UDP flow", "µs", 1, (f) => f.packets.established],
  ["the same to the endpoint", "µs", 1, (f) => f.direct.established],
];

/** All modes beside each other, with what a peer's figure is of ours in brackets. */
function rowsOf(outcomes: Outcomes): string[][] {
  const modes = [...ours, "podwire-userspace", ...peers] as const;
  const rows = [tiny, small, large, wide].flatMap((size) => {
    const figures = modes.map((mode) => outcomes.get(idOf(size, mode)));
    if (figures.every((one) => one === undefined)) return [];
    const [own] = figures;
    const load = `${size.services} × ${size.endpoints}`;
    const lines = measures.map(([name, unit, digits, of]) => {
      const mine = typeof own === "object" ? of(own) : Number.NaN;
      const cells = figures.map((one, i) => {
        const value = typeof one === "object" ? of(one) : Number.NaN;
        // What was not measured has come as null; programs of the peers keep nothing, and what loads them is no proxy.
        if (!Number.isFinite(value) || (of === residentOf && modes[i]?.startsWith("kube-proxy"))) return "–";
        return `${value.toFixed(digits)} ${unit}${i === 0 ? "" : ` (${ratioText(value / mine)})`}`;
      });
      return [load, name, ...cells];
    });
    const failures = figures.map((one) => (typeof one === "string" ? one : ""));
    return failures.some((text) => text !== "") ? [...lines, [load, "failed", ...failures]] : lines;
  });
  return [["Services × endpoints", "", ...modes], ...rows];
}

function ratioText(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)}×` : "–";
}

export default {
  title: "Services: first sync, one endpoint changed, memory, new connections; beside kube-proxy's rules",
  async run(options) {
    const outcomes = await measureAll(options);
    const title = [
      "In brackets: the figure divided by that of the mode nftables (podwire). CPU is the proxy's own, or that of nft and",
      "iptables-restore, whose rules are those of our mode iptables too. Packets in CPU time, with the relay's in the mode",
      "userspace. The mode ipvs is not measured: it runs in a guest, where time says nothing.",
    ].join("\n");
    return { results: resultsOf(outcomes), tables: [{ title, rows: rowsOf(outcomes) }] };
  },
} satisfies Benchmark;
