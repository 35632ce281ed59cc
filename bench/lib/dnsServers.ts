import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { distDirectory, nodeOptions } from "#base/entry.ts";
import { ask } from "./dnsLoad.ts";
import { headless, namespaceName, serviceAddress, serviceName } from "./kubeStub.ts";

/** A server under measurement. */
export interface DnsProcess {
  readonly pid: number;
  readonly port: number;
  /** From the exec until it said that it is ready, in ms. */
  readonly startMs: number;
  /** From the exec until every Service was in the hot path's table, in ms; ours only. */
  readonly publishedMs?: number;
  stop(): Promise<void>;
}

/** Longest time for a server to become ready, in ms. */
const patience = 60_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address ? address.port : 0;
}

/** Starts a program on one CPU and waits until it is ready. */
async function start(
  port: number,
  command: readonly string[],
  ready: () => Promise<boolean>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DnsProcess> {
  const began = performance.now();
  const cpu = process.env["PODWIRE_BENCH_CPU"] ?? "1";
  const child: ChildProcess = spawn("taskset", ["-c", cpu, ...command], { stdio: ["ignore", "ignore", "pipe"], env });
  let words = "";
  child.stderr?.on("data", (data: Buffer) => {
    words = (words + data.toString()).slice(-4000);
  });
  child.on("error", (error) => {
    words += error.message;
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(timer);
  };
  while (performance.now() - began < patience && child.exitCode === null) {
    if (await ready()) return { pid: child.pid ?? 0, port, startMs: performance.now() - began, stop };
    await sleep(5);
  }
  await stop();
  throw new Error(`${command[0]} was not ready within ${patience} ms:\n${words}`);
}

const answers = (port: number, name: string) => async () => {
  try {
    return ask(port, name, 50);
  } catch {
    return false;
  }
};

/** Podwire's server as a cluster's pod runs it. */
export async function startPodwire(
  folder: string,
  { api, upstream, services }: { readonly api: string; readonly upstream: number; readonly services: number },
): Promise<DnsProcess> {
  const program = path.join(distDirectory, "dns.cjs");
  if (!existsSync(program)) throw new Error(`${program} is missing: ./podwire --version builds it`);
  const [port, ready, metrics] = [await freePort(), await freePort(), await freePort()];
  const corefile = path.join(folder, "Corefile");
  writeFileSync(
    corefile,
    `. {
  errors
  ready 127.0.0.1:${ready}
  kubernetes cluster.local in-addr.arpa {
    endpoint ${api}
    ttl 30
  }
  prometheus 127.0.0.1:${metrics}
  forward . 127.0.0.1:${upstream}
  cache 30
  loadbalance
}
`,
  );
  const command = [process.execPath, ...nodeOptions, program, "-conf", corefile, "-dns.port", String(port), "-quiet"];
  const began = performance.now();
  const server = await start(port, command, async () => (await page(ready, "/ready")) !== undefined);
  // A Service has three entries at least: its name and both kinds of addresses.
  const published = /^podwire_dns_hot_path_entries\{.*\} (\d+)$/m;
  while (Number(published.exec((await page(metrics, "/metrics")) ?? "")?.[1] ?? 0) < 3 * services) await sleep(20);
  return { ...server, publishedMs: performance.now() - began };
}

/** A page over HTTP on loopback; undefined for another status than 200, or when nobody answers. */
function page(port: number, name: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", port, path: name, agent: false }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => {
        text += data.toString();
      });
      response.on("end", () => resolve(response.statusCode === 200 ? text : undefined));
    });
    request.on("error", () => resolve(undefined));
  });
}

/** The packages' programs find their libraries beside them. */
function environment(root: string): NodeJS.ProcessEnv {
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return { ...process.env, LD_LIBRARY_PATH: path.join(root, "usr/lib", triplet) };
}

const soa = "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30";

/** Names and addresses of all Services, and of the headless one. */
function records(services: number): (readonly [string, string])[] {
  const wide = Array.from({ length: headless.endpoints }, (_, i) => `10.244.7.${i + 1}`);
  const own = Array.from(
    { length: services },
    (_, i) => [serviceName(i), namespaceName(i), serviceAddress(i)] as const,
  );
  return [
    ...own.map(([name, namespace, address]) => [`${name}.${namespace}.svc.cluster.local.`, address] as const),
    ...wide.map((address) => [`${headless.name}.${headless.namespace}.svc.cluster.local.`, address] as const),
  ];
}

/** Knot with the same records in a zone, one worker of each kind. */
export async function startKnot(folder: string, root: string, services: number): Promise<DnsProcess> {
  const port = await freePort();
  const zone = records(services).map(([name, address]) => `${name} 30 IN A ${address}`);
  writeFileSync(
    path.join(folder, "cluster.local.zone"),
    `cluster.local. 30 IN SOA ${soa}\ncluster.local. 30 IN NS ns.dns.cluster.local.\nns.dns.cluster.local. 30 IN A 10.96.0.10\n${zone.join("\n")}\n`,
  );
  for (const name of ["run", "db"]) mkdirSync(path.join(folder, name), { recursive: true });
  const file = path.join(folder, "knot.conf");
  writeFileSync(
    file,
    `server:
  rundir: "${folder}/run"
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "${folder}/db"
log:
  - target: stderr
    any: error
zone:
  - domain: cluster.local
    file: "${folder}/cluster.local.zone"
    zonefile-sync: -1
    journal-content: none
`,
  );
  const ready = answers(port, `${serviceName(0)}.${namespaceName(0)}.svc.cluster.local.`);
  return await start(port, [path.join(root, "usr/sbin/knotd"), "-c", file], ready, environment(root));
}

/** Unbound that forwards what it does not have, one thread. */
export async function startUnbound(
  folder: string,
  root: string,
  { services, upstream }: { readonly services: number; readonly upstream: number },
): Promise<DnsProcess> {
  const port = await freePort();
  const file = path.join(folder, "unbound.conf");
  const data = records(services).map(([name, address]) => `  local-data: "${name} 30 IN A ${address}"`);
  writeFileSync(
    file,
    `server:
  interface: 127.0.0.1@${port}
  num-threads: 1
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "cluster.local." static
  local-data: "cluster.local. 30 IN SOA ${soa}"
${data.join("\n")}
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@${upstream}
remote-control:
  control-enable: no
`,
  );
  const ready = answers(port, `${serviceName(0)}.${namespaceName(0)}.svc.cluster.local.`);
  return await start(port, [path.join(root, "usr/sbin/unbound"), "-d", "-c", file], ready, environment(root));
}

/** Runs dnsperf and gives its output. */
export async function dnsperf(root: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const cpu = process.env["PODWIRE_BENCH_LOAD_CPU"] ?? "0";
  const child = spawn("taskset", ["-c", cpu, path.join(root, "usr/bin/dnsperf"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: environment(root),
    signal,
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      out += data.toString();
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`dnsperf ended with ${code}:\n${out.slice(-2000)}`);
  return out;
}
