import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { decodeMessage, encodeMessage } from "#wire/dns/index.ts";
import { unpackedPackages } from "../scripts/lib/unpacked.mjs";
import { type Benchmark, type BenchOptions, type BenchResult, compared } from "./lib/benchmark.ts";
import { Prober, quantile, questionOf, roundTrips } from "./lib/dnsLoad.ts";
import { type DnsProcess, dnsperf, startKnot, startPodwire, startUnbound } from "./lib/dnsServers.ts";
import { headless, KubeStub, namespaceName, serviceAddress, serviceName } from "./lib/kubeStub.ts";
import { cpuMs, proportionalSize } from "./lib/processes.ts";

/** What one run of dnsperf came to. */
interface Load {
  /** Queries in a second of the server's CPU time, all threads, and in a second by the clock. */
  readonly perCpuSecond: number;
  readonly perSecond: number;
  readonly lost: number;
}

/** A kind of traffic. */
interface Traffic {
  readonly name: string;
  readonly names: (services: number) => readonly string[];
  readonly options?: readonly string[];
  readonly peers: readonly ("knot" | "unbound")[];
}

const suffix = "svc.cluster.local";
const hit = (i: number) => `${serviceName(i)}.${namespaceName(i)}.${suffix}`;
/** Names in a file for dnsperf: spread over the zone, in no order of the table. */
const spread = (services: number) => Array.from({ length: 20_000 }, (_, i) => (i * 7919) % services);

const traffics: readonly Traffic[] = [
  { name: "hits", names: (services) => spread(services).map(hit), peers: ["knot", "unbound"] },
  {
    name: "nxdomain",
    // What a pod asks first for www.example.com: its search list.
    names: () =>
      spread(1000).flatMap((i) =>
        [`${namespaceName(i)}.svc.`, "svc.", ""].map((search) => `www.example-${i}.com.${search}cluster.local`),
      ),
    peers: ["knot", "unbound"],
  },
  {
    name: "headless-50",
    names: () => [`${headless.name}.${headless.namespace}.${suffix}`],
    options: ["-e"],
    peers: ["knot", "unbound"],
  },
  { name: "forward-cache", names: () => spread(1000).map((i) => `host-${i}.example.org`), peers: ["unbound"] },
  { name: "tcp", names: (services) => spread(services).map(hit), options: ["-m", "tcp"], peers: ["knot"] },
];

/** An upstream that knows every name. */
async function startUpstream(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.on("message", (packet, from) => {
    const asked = decodeMessage(packet);
    const [question] = asked.questions;
    if (!question) return;
    const data = { kind: "address", address: Uint8Array.of(192, 0, 2, 1) } as const;
    const answers = question.type === 1 ? [{ ...question, ttl: 3600, data }] : [];
    socket.send(
      encodeMessage({ ...asked, response: true, recursionAvailable: true, answers }),
      from.port,
      from.address,
    );
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

/** What all measurements share. */
interface Bench {
  readonly root: string;
  readonly folder: string;
  readonly upstream: number;
  readonly options: BenchOptions;
}

async function load(bench: Bench, server: DnsProcess, traffic: Traffic, services: number): Promise<Load> {
  const file = path.join(bench.folder, `${traffic.name}.txt`);
  writeFileSync(
    file,
    `${traffic
      .names(services)
      .map((name) => `${name} A`)
      .join("\n")}\n`,
  );
  const seconds = bench.options.quick ? 2 : 5;
  const place = ["-s", "127.0.0.1", "-p", String(server.port), "-d", file, "-c", "4", "-q", "200"];
  const run = (length: readonly string[]) =>
    dnsperf(bench.root, [...place, ...length, ...(traffic.options ?? [])], bench.options.signal);
  // Caches, compilers and our thread warm up: every name that has to be cached is asked many times.
  await run(["-n", "1", "-l", "4"]);
  const before = cpuMs(server.pid);
  const out = await run(["-l", String(seconds)]);
  const cpu = (cpuMs(server.pid) - before) / 1000;
  const number = (pattern: RegExp) => Number(pattern.exec(out)?.[1] ?? Number.NaN);
  const completed = number(/Queries completed: +(\d+)/);
  return {
    perCpuSecond: completed / cpu,
    perSecond: number(/Queries per second: +([\d.]+)/),
    lost: number(/Queries lost: +(\d+)/),
  };
}

type Servers = Partial<Record<"podwire" | "knot" | "unbound", DnsProcess>>;

/** Measures with servers of so many Services, and stops them. */
async function withServers<T>(
  bench: Bench,
  services: number,
  names: readonly (keyof Servers)[],
  work: (servers: Servers, stub: KubeStub) => Promise<T>,
): Promise<T> {
  const { root, upstream, options } = bench;
  const stub = await KubeStub.start(services);
  const servers: Servers = {};
  const folder = (name: string) => {
    const made = path.join(bench.folder, `${name}-${services}`);
    mkdirSync(made, { recursive: true });
    return made;
  };
  try {
    for (const name of names) {
      options.log(`starting ${name} with ${services} Services …`);
      if (name === "podwire") servers.podwire = await startPodwire(folder(name), { api: stub.url, upstream, services });
      if (name === "knot") servers.knot = await startKnot(folder(name), root, services);
      if (name === "unbound") servers.unbound = await startUnbound(folder(name), root, { services, upstream });
    }
    return await work(servers, stub);
  } finally {
    await Promise.all(Object.values(servers).map((server) => server.stop()));
    await stub.stop();
  }
}

/** Heads of the table of all traffic; queries by CPU second, ours beside each peer's and divided by it. */
const heads = ["traffic", "Podwire", "knot", "× knot", "unbound", "× unbound", "Podwire by the clock", "lost"];

/** A row of that table. */
function rowOf(name: string, figures: ReadonlyMap<string, Load>): string[] {
  const own = figures.get("podwire");
  const beside = (peer: string) => {
    const other = figures.get(peer)?.perCpuSecond;
    if (other === undefined || !own) return ["–", "–"];
    return [other.toFixed(0), (own.perCpuSecond / other).toFixed(2)];
  };
  const cells = own ? [own.perCpuSecond, own.perSecond, own.lost].map((value) => value.toFixed(0)) : [];
  return [name, cells[0] ?? "–", ...beside("knot"), ...beside("unbound"), ...cells.slice(1)];
}

/** Every kind of traffic at one size; rows of every server. */
async function measureTraffic(bench: Bench, services: number, size: string) {
  const results: BenchResult[] = [];
  const rows: string[][] = [];
  await withServers(bench, services, ["podwire", "knot", "unbound"], async (servers) => {
    for (const traffic of traffics) {
      const figures = new Map<string, Load>();
      for (const name of ["podwire", ...traffic.peers] as const) {
        const server = servers[name];
        if (!server) continue;
        bench.options.log(`${traffic.name}, ${services} Services, ${name} …`);
        figures.set(name, await load(bench, server, traffic, services));
      }
      rows.push(rowOf(`${traffic.name}, ${services} Services`, figures));
      const own = figures.get("podwire");
      const [peer] = traffic.peers;
      const other = peer && figures.get(peer);
      if (!own) continue;
      const name = `${traffic.name}${size}-queries-per-cpu-s`;
      const mine: BenchResult = { name, value: own.perCpuSecond, unit: "1/s", better: "higher" };
      results.push(peer && other ? compared(mine, peer, other.perCpuSecond) : mine);
    }
    if (size === "") results.push(...latencies(bench, servers));
  });
  return { results, rows };
}

/** One query in flight: what a pod feels on a quiet server. */
function latencies({ options }: Bench, { podwire, knot }: Servers): BenchResult[] {
  const count = options.quick ? 5000 : 30_000;
  const times = (server: DnsProcess) => roundTrips(server.port, `${hit(1)}.`, count).slice(count / 5);
  if (!podwire || !knot) return [];
  const [own, other] = [times(podwire), times(knot)];
  return [
    ["one-in-flight-us", 0.5],
    ["one-in-flight-p99-us", 0.99],
  ].map(([name, share]) =>
    compared(
      { name: String(name), value: quantile(own, Number(share)), unit: "µs", better: "lower" },
      "knot",
      quantile(other, Number(share)),
    ),
  );
}

/** Hits while 100 Services a second change, and how soon a new Service resolves. */
async function measureUpdates(bench: Bench, services: number, size: string): Promise<BenchResult[]> {
  return await withServers(bench, services, ["podwire"], async ({ podwire }, stub) => {
    if (!podwire) return [];
    let turn = 0;
    const timer = setInterval(() => {
      const i = turn++ % services;
      stub.put(serviceName(i), namespaceName(i), serviceAddress((i + turn) % 60_000));
    }, 10);
    bench.options.log(`hits under 100 updates a second, ${services} Services …`);
    const [hits] = traffics as [Traffic];
    const figure = await load(bench, podwire, hits, services);
    const late = await newServices(podwire, stub, bench.options.quick ? 100 : 500);
    clearInterval(timer);
    const queries = `hits${size}-under-updates-queries-per-cpu-s`;
    return [
      { name: queries, value: figure.perCpuSecond, unit: "1/s", better: "higher" },
      { name: `new-service${size}-p99-ms`, value: quantile(late, 0.99), unit: "ms", better: "lower" },
    ];
  });
}

/** Milliseconds from the watch event of each new Service until it resolves. */
async function newServices(server: DnsProcess, stub: KubeStub, count: number): Promise<number[]> {
  const prober = new Prober(server.port);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const packet = questionOf(`new-${i}.team-1.${suffix}.`);
    const began = performance.now();
    stub.put(`new-${i}`, "team-1", serviceAddress(100_000 + i));
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve)); // the event is sent in this process
      if ((prober.ask(packet)?.[7] ?? 0) > 0) break;
      if (performance.now() - began > 5000) throw new Error("a new Service does not resolve");
    }
    times.push(performance.now() - began);
  }
  prober.close();
  return times;
}

/** Memory and start at 10,000 Services; the start without any is what is not synchronization. */
async function measureSize(bench: Bench): Promise<BenchResult[]> {
  const empty = await withServers(bench, 0, ["podwire"], async ({ podwire }) => podwire?.startMs ?? Number.NaN);
  return await withServers(bench, 10_000, ["podwire", "knot"], async ({ podwire, knot }) => {
    if (!podwire || !knot) return [];
    const [hits] = traffics as [Traffic];
    const figure = await load(bench, podwire, hits, 10_000);
    const megabytes = ({ pid }: DnsProcess) => proportionalSize(pid) / 1024;
    return [
      { name: "hits-10k-queries-per-cpu-s", value: figure.perCpuSecond, unit: "1/s", better: "higher" },
      compared(
        { name: "memory-10k-mb", value: megabytes(podwire), unit: "MB", better: "lower" },
        "knot",
        megabytes(knot),
      ),
      compared({ name: "start-10k-ms", value: podwire.startMs, unit: "ms", better: "lower" }, "knot", knot.startMs),
      { name: "published-10k-ms", value: podwire.publishedMs ?? Number.NaN, unit: "ms", better: "lower" },
      { name: "start-0-ms", value: empty, unit: "ms", better: "lower" },
    ];
  });
}

export default {
  title: "DNS: queries per CPU second, latency, updates, memory; beside knot and unbound",
  async run(options) {
    const folder = mkdtempSync(path.join(tmpdir(), "pw-bench-"));
    const upstream = await startUpstream();
    try {
      const root = await unpackedPackages(["dnsperf", "knot", "unbound"]);
      const bench: Bench = { root, folder, upstream: upstream.address().port, options };
      const small = await measureTraffic(bench, 1000, "");
      const results = [...small.results, ...(await measureUpdates(bench, 1000, "")), ...(await measureSize(bench))];
      const rows = [heads, ...small.rows];
      if (!options.quick) {
        const large = await measureTraffic(bench, 100_000, "-100k");
        results.push(...large.results, ...(await measureUpdates(bench, 100_000, "-100k")));
        rows.push(...large.rows);
      }
      return { results, tables: [{ title: "Queries by CPU second", rows }] };
    } finally {
      upstream.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
} satisfies Benchmark;
