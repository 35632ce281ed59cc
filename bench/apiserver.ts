import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiResponse, http2Transport, type Transport } from "#api/index.ts";
import { type Benchmark, type BenchOptions, type BenchOutcome, median } from "./lib/benchmark.ts";
import { type ControlPlane, type Credentials, makeCredentials, startControlPlane } from "./lib/controlPlane.ts";
import { cpuMs, proportionalSize } from "./lib/processes.ts";

const pods = "/api/v1/namespaces/default/pods";
const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/** Clients that create at once, as the controllers of a busy cluster. */
const writers = 64;
const pods10k = 10_000;
const watchers = 100;
/** Watches that share one connection, as those of one client do. */
const watchesPerConnection = 10;
const updatesPerSecond = 500;
/** Updates under way at most: a server that cannot keep the rate is not buried under them. */
const mostOpen = 64;
/** EndpointSlices whose updates the watches follow. */
const followed = 100;

/** A pod as a Deployment makes it, about 1.2 kB; no scheduler takes it up. */
function podOf(name: string): string {
  const labels = { app: "bench", "pod-template-hash": "5d4f8c7b9d" };
  const probe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 5 };
  return JSON.stringify({
    metadata: { name, namespace: "default", labels, annotations: { sent: "0" } },
    spec: {
      schedulerName: "nobody",
      serviceAccountName: "default",
      containers: [
        {
          name: "main",
          image: "registry.k8s.io/e2e-test-images/agnhost:2.53",
          args: ["netexec", "--http-port=8080"],
          env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
          ports: [{ name: "http", containerPort: 8080 }],
          resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "128Mi" } },
          readinessProbe: probe,
          livenessProbe: probe,
        },
      ],
    },
  });
}

interface Reply {
  readonly status: number;
  readonly bytes: number;
}

/** Sends a request and reads the answer to its end. */
async function send(api: Transport, method: string, path: string, body?: string, type?: string): Promise<Reply> {
  const headers = { accept: "application/json", "content-type": type ?? "application/json" };
  const response = await api.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
  let bytes = 0;
  for await (const chunk of response.body) bytes += chunk.length;
  return { status: response.status, bytes };
}

function connect(server: ControlPlane, { ca, admin }: Credentials): Transport {
  return http2Transport({ server: `https://127.0.0.1:${server.port}`, ca, ...admin });
}

/** Waits for the ServiceAccount that pods need. */
async function untilUsable(api: Transport): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if ((await send(api, "GET", "/api/v1/namespaces/default/serviceaccounts/default")).status === 200) return;
    await sleep(20);
  }
  throw new Error("there is no ServiceAccount default");
}

/** Creates pods from many clients at once. @returns creations a second */
async function create(clients: readonly Transport[], count: number, prefix: string): Promise<number> {
  const bodies = Array.from({ length: count }, (_, i) => podOf(`${prefix}-${i}`));
  let next = 0;
  const writer = async (api: Transport): Promise<void> => {
    while (next < count) {
      const { status } = await send(api, "POST", pods, bodies[next++]);
      if (status !== 201) throw new Error(`a creation was answered by ${status}`);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: writers }, (_, i) => writer(clients[i % clients.length] as Transport)));
  return (count * 1000) / (performance.now() - began);
}

/** A slice of a Service as each node's kube-proxy follows it, about 2 kB. */
function sliceOf(name: string): string {
  const endpoints = Array.from({ length: 10 }, (_, i) => ({
    addresses: [`10.244.${i}.17`],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: `node0${i}`,
    targetRef: { kind: "Pod", name: `${name}-${i}`, namespace: "default" },
  }));
  const labels = { "kubernetes.io/service-name": "none", "endpointslice.kubernetes.io/managed-by": "bench" };
  const metadata = { name, namespace: "default", labels, annotations: { sent: "0" } };
  return JSON.stringify({ metadata, addressType: "IPv4", endpoints, ports: [{ name: "http", port: 8080 }] });
}

const stamp = (): string => (performance.timeOrigin + performance.now()).toFixed(3);

function touch(api: Transport, path: string): Promise<Reply> {
  const patch = JSON.stringify({ metadata: { annotations: { sent: stamp() } } });
  return send(api, "PATCH", path, patch, "application/merge-patch+json");
}

/** Time of a whole list in milliseconds, each after a change, so that no two are the same. */
async function list(api: Transport, accept: string, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    await touch(api, `${pods}/pod-${i}`);
    const began = performance.now();
    const response = await api.request({ method: "GET", path: pods, headers: { accept } });
    if (response.status !== 200) throw new Error(`a list was answered by ${response.status}`);
    for await (const _ of response.body);
    times.push(performance.now() - began);
  }
  return median(times);
}

const mark = Buffer.from('"sent":"');

async function openWatch(api: Transport, revision: string, signal: AbortSignal): Promise<ApiResponse> {
  const response = await api.request({ method: "GET", path: `${slices}?watch=1&resourceVersion=${revision}`, signal });
  if (response.status !== 200) throw new Error(`a watch was answered by ${response.status}`);
  return response;
}

/** Reads a watch and gives the delay of each event: from before the update was sent to its last byte here, in ms. */
async function follow(response: ApiResponse, signal: AbortSignal, delay: (ms: number) => void): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of response.body) {
      const now = performance.timeOrigin + performance.now();
      const data: Buffer =
        rest.length > 0 ? Buffer.concat([rest, chunk]) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      let start = 0;
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
        const at = data.indexOf(mark, start);
        if (at >= 0 && at < end)
          delay(now - Number(data.toString("latin1", at + mark.length, data.indexOf(34, at + mark.length))));
        start = end + 1;
      }
      rest = data.subarray(start);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly events: number;
  /** Updates a second that were reached. */
  readonly rate: number;
}

/** Updates at a steady rate under many watches. */
async function watch(server: ControlPlane, credentials: Credentials, api: Transport, seconds: number): Promise<Delays> {
  for (let i = 0; i < followed; i++) await send(api, "POST", slices, sliceOf(`slice-${i}`));
  const clients = Array.from({ length: watchers / watchesPerConnection }, () => connect(server, credentials));
  const response = await api.request({
    method: "GET",
    path: `${slices}?limit=1`,
    headers: { accept: "application/json" },
  });
  let text = "";
  for await (const chunk of response.body) text += Buffer.from(chunk).toString();
  const revision = JSON.parse(text).metadata.resourceVersion as string;
  const stop = new AbortController();
  const delays: number[] = [];
  const opened = Array.from({ length: watchers }, (_, i) =>
    openWatch(clients[i % clients.length] as Transport, revision, stop.signal),
  );
  const watches = (await Promise.all(opened)).map((response) => follow(response, stop.signal, (ms) => delays.push(ms)));
  const count = updatesPerSecond * seconds;
  const began = performance.now();
  const updates: Promise<unknown>[] = [];
  let open = 0;
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, ((performance.now() - began) * updatesPerSecond) / 1000);
    for (; sent < due && open < mostOpen; sent++) {
      open++;
      updates.push(touch(api, `${slices}/slice-${sent % followed}`).finally(() => open--));
    }
    await sleep(1);
  }
  await Promise.all(updates);
  const rate = (count * 1000) / (performance.now() - began);
  for (let i = 0; i < 500 && delays.length < count * watchers; i++) await sleep(10);
  stop.abort();
  await Promise.all(watches);
  for (const client of clients) await client.close();
  if (delays.length !== count * watchers) throw new Error(`of ${count * watchers} events ${delays.length} came`);
  delays.sort((a, b) => a - b);
  const at = (part: number): number => delays[Math.floor(part * (delays.length - 1))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), events: delays.length, rate };
}

async function starts(credentials: Credentials, count: number, { log }: BenchOptions): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const server = await startControlPlane(credentials);
    await server.stop();
    // The first fills the page cache.
    if (i > 0) times.push(server.startMs);
    log(`start ${i}/${count - 1}: ready after ${server.startMs.toFixed(0)} ms`);
  }
  return median(times);
}

/** Creations a second with a log on disk: each is acknowledged after its fdatasync. */
async function durableCreates(credentials: Credentials, count: number): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), "pw-bench-data-"));
  const server = await startControlPlane(credentials, { dataDir: folder });
  const clients = [1, 2, 3, 4].map(() => connect(server, credentials));
  try {
    await untilUsable(clients[0] as Transport);
    return await create(clients, count, "pod");
  } finally {
    for (const client of clients) await client.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const sizeMb = ({ pid }: ControlPlane): number => proportionalSize(pid) / 1000;

/** A part of the run with what it cost the server. */
interface Phase<T> {
  readonly result: T;
  /** CPU time of all its threads, in ms. */
  readonly cpu: number;
  /** The longest pause of its event loop, in ms. */
  readonly pause: number;
}

async function phase<T>(server: ControlPlane, work: () => Promise<T>): Promise<Phase<T>> {
  await server.longestPause();
  const before = cpuMs(server.pid);
  const result = await work();
  return { result, cpu: cpuMs(server.pid) - before, pause: await server.longestPause() };
}

/** What one server did with 10,000 pods. */
async function load(server: ControlPlane, credentials: Credentials, options: BenchOptions) {
  const clients = [1, 2, 3, 4].map(() => connect(server, credentials));
  const api = clients[0] as Transport;
  const rounds = options.quick ? 3 : 15;
  try {
    await untilUsable(api);
    const empty = sizeMb(server);
    const creates = await phase(server, () => create(clients, pods10k, "pod"));
    options.log(`created ${pods10k} pods`);
    // The controllers have looked at all of them, and the garbage of the creations has gone.
    await sleep(3_000, undefined, { signal: options.signal });
    const memory = sizeMb(server);
    const lists = await phase(server, () => list(api, "application/json", rounds));
    const tables = await phase(server, () => list(api, table, rounds));
    await sleep(1_000);
    const watches = await phase(server, () => watch(server, credentials, api, options.quick ? 3 : 20));
    return { empty, memory, after: sizeMb(server), creates, lists, tables, watches, rounds };
  } finally {
    for (const client of clients) await client.close();
  }
}

async function measure(credentials: Credentials, options: BenchOptions): Promise<BenchOutcome> {
  const startMs = await starts(credentials, options.quick ? 3 : 10, options);
  const durable = await durableCreates(credentials, options.quick ? 2_000 : pods10k);
  const server = await startControlPlane(credentials, { watchPauses: true });
  const { empty, memory, after, creates, lists, tables, watches, rounds } = await load(
    server,
    credentials,
    options,
  ).finally(() => server.stop());
  const row = (name: string, { cpu, pause }: Phase<unknown>, count: number): string[] => [
    name,
    `${(cpu / count).toFixed(3)} ms`,
    `${pause.toFixed(0)} ms`,
  ];
  const { p50, p99, events, rate } = watches.result;
  return {
    results: [
      { name: "creates-per-s", value: creates.result, unit: "1/s", better: "higher" },
      { name: "list-10k-ms", value: lists.result, unit: "ms", better: "lower" },
      { name: "list-10k-table-ms", value: tables.result, unit: "ms", better: "lower" },
      { name: "watch-p99-ms", value: p99, unit: "ms", better: "lower" },
      { name: "start-ms", value: startMs, unit: "ms", better: "lower" },
      { name: "memory-10k-mb", value: memory, unit: "MB", better: "lower" },
    ],
    tables: [
      {
        title: "What it costs the server",
        rows: [
          ["", "CPU each", "longest pause"],
          row("a creation", creates, pods10k),
          row("a list", lists, rounds),
          row("a list as a Table", tables, rounds),
          row("an event sent to a watch, with the update's part", watches, events),
        ],
      },
      {
        title: "Beside them",
        rows: [
          ["creations a second with --data-dir", durable.toFixed(0)],
          ["updates a second under the watches", rate.toFixed(0)],
          ["delay of a watch event, median", `${p50.toFixed(1)} ms of ${events} events`],
          ["memory before the first pod", `${empty.toFixed(0)} MB`],
          ["memory after lists and watches", `${after.toFixed(0)} MB`],
        ],
      },
    ],
  };
}

const apiserver: Benchmark = {
  title: "the API server alone: creations, lists, watches, start and memory with 10,000 pods",
  async run(options) {
    const credentials = await makeCredentials();
    try {
      return await measure(credentials, options);
    } finally {
      credentials.remove();
    }
  },
};

export default apiserver;
