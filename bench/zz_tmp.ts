import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { decodeMessage, encodeMessage } from "#wire/dns/index.ts";
import { unpackedPackages } from "../scripts/lib/unpacked.mjs";
import { Prober, quantile, questionOf } from "./lib/dnsLoad.ts";
import { dnsperf, startKnot, startPodwire, startUnbound } from "./lib/dnsServers.ts";
import { KubeStub, namespaceName, serviceAddress, serviceName } from "./lib/kubeStub.ts";
import { cpuMs } from "./lib/processes.ts";

const [services = "1000", what = "hits", who = "podwire", secs = "3"] = process.argv.slice(2);
const n = Number(services);
const socket = createSocket("udp4");
socket.on("message", (packet, from) => {
  const asked = decodeMessage(packet);
  const [question] = asked.questions;
  if (!question) return;
  const answers =
    question.type === 1
      ? [{ ...question, ttl: 3600, data: { kind: "address", address: Uint8Array.of(192, 0, 2, 1) } as const }]
      : [];
  socket.send(encodeMessage({ ...asked, response: true, recursionAvailable: true, answers }), from.port, from.address);
});
socket.bind(0, "127.0.0.1");
await once(socket, "listening");
const root = await unpackedPackages(["dnsperf", "knot", "unbound"]);
const folder = mkdtempSync(path.join(tmpdir(), "pw-b-"));
mkdirSync(folder, { recursive: true });
const stub = await KubeStub.start(n);
const upstream = socket.address().port;
const server =
  who === "knot"
    ? await startKnot(folder, root, n)
    : who === "unbound"
      ? await startUnbound(folder, root, { services: n, upstream })
      : await startPodwire(folder, { api: stub.url, upstream, services: n });
console.log(
  who,
  "start",
  server.startMs.toFixed(0),
  "published",
  server.publishedMs?.toFixed(0),
  "cpu so far ms",
  cpuMs(server.pid),
);
if (process.env["PAUSE"]) {
  console.log("pid", server.pid, "port", server.port);
  await new Promise((r) => setTimeout(r, Number(process.env["PAUSE"])));
}
const spread = Array.from({ length: 20_000 }, (_, i) => (i * 7919) % n);
const names =
  what === "forward"
    ? spread.map((i) => `host-${i % 1000}.example.org`)
    : spread.map((i) => `${serviceName(i)}.${namespaceName(i)}.svc.cluster.local`);
if (what !== "new") {
  writeFileSync(path.join(folder, "q"), names.map((x) => `${x} A\n`).join(""));
  const run = (l: string) =>
    dnsperf(
      root,
      [
        "-s",
        "127.0.0.1",
        "-p",
        String(server.port),
        "-d",
        path.join(folder, "q"),
        "-l",
        l,
        "-c",
        "4",
        "-q",
        "200",
        ...(what === "tcp" ? ["-m", "tcp"] : []),
      ],
      AbortSignal.timeout(60_000),
    );
  await run("1");
  const { readdirSync, readFileSync } = await import("node:fs");
  const th = () =>
    readdirSync(`/proc/${server.pid}/task`).map((t) => {
      const f = readFileSync(`/proc/${server.pid}/task/${t}/stat`, "utf8");
      const r = f.slice(f.lastIndexOf(")") + 2).split(" ");
      return [f.slice(f.indexOf("(") + 1, f.lastIndexOf(")")), Number(r[11]), Number(r[12])] as const;
    });
  const t0 = th();
  const before = cpuMs(server.pid);
  const out = await run(secs);
  const cpu = (cpuMs(server.pid) - before) / 1000;
  console.log(
    th()
      .map(([x, u, s2], i) => `${x} u${u - (t0[i]?.[1] ?? 0)} s${s2 - (t0[i]?.[2] ?? 0)}`)
      .join("; "),
  );
  const done = Number(/Queries completed: +(\d+)/.exec(out)?.[1]);
  console.log(
    who,
    what,
    "per cpu s",
    (done / cpu).toFixed(0),
    "per s",
    /Queries per second: +([\d.]+)/.exec(out)?.[1],
    "lost",
    /Queries lost: +(\d+)/.exec(out)?.[1],
    "cpu",
    cpu,
  );
} else {
  let turn = 0;
  const timer = process.env["QUIET"]
    ? undefined
    : setInterval(() => {
        const i = turn++ % n;
        stub.put(serviceName(i), namespaceName(i), serviceAddress((i + turn) % 60_000));
      }, 10);
  const prober = new Prober(server.port);
  const times: number[] = [];
  const asks: number[] = [];
  for (let i = 0; i < 300; i++) {
    const packet = questionOf(`new-${i}.team-1.svc.cluster.local.`);
    const began = performance.now();
    stub.put(`new-${i}`, "team-1", "10.97.0.1");
    let k = 0;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      k++;
      if ((prober.ask(packet)?.[7] ?? 0) > 0) break;
      if (performance.now() - began > 5000) throw new Error("no");
    }
    times.push(performance.now() - began);
    asks.push(k);
  }
  clearInterval(timer);
  console.log(
    "new",
    [0.5, 0.9, 0.95, 0.99, 1].map((q) => quantile(times, q).toFixed(2)).join(" "),
    "asks",
    [0.5, 0.99].map((q) => quantile(asks, q)).join(" "),
  );
}
await server.stop();
await stub.stop();
socket.close();
process.exit(0);
