import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { FakeApi } from "#api/testing/index.ts";
import { decodeMessage, encodeMessage, query } from "#wire/dns/index.ts";
import { service } from "./plugins/kubernetes/testCluster.ts";
import {
  askTcpMany,
  eventually,
  exchangeBytes,
  freePort,
  queryBytes,
  startTestServer,
  startUpstream,
  type TestServer,
} from "./testing.ts";

const run = promisify(execFile);
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(...parameters: Parameters<typeof startTestServer>): Promise<TestServer> {
  const started = await startTestServer(...parameters);
  cleanups.push(() => started.server.stop(true));
  return started;
}

async function upstream(...parameters: Parameters<typeof startUpstream>) {
  const started = await startUpstream(...parameters);
  cleanups.push(() => started.close());
  return started;
}

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "podwire-dns-"));
  cleanups.push(() => rm(directory, { recursive: true }));
  return directory;
}

const fixture = (name: string) => readFile(new URL(`./corefile/fixtures/${name}`, import.meta.url), "utf8");
/** The notes' Corefiles on ports that tests may use; everything else unchanged. */
const onFreePorts = async (text: string) =>
  text
    .replace(".:53 {", ".:0 {")
    .replace(":9153", `127.0.0.1:${await freePort()}`)
    .replace("health", `health 127.0.0.1:${await freePort()}`);

describe("X03 both Corefiles of the notes load unchanged (part: every option works or warns)", () => {
  it("errors, health with lameduck, kubernetes with ttl, prometheus, forward, cache, loop, reload", async () => {
    const { ask, server, lines } = await start(await onFreePorts(await fixture("lameduck.Corefile")));
    await eventually(() => server.notReady().length === 0);
    expect(await ask("kubernetes.default.svc.cluster.local A")).toEqual([
      "NOERROR",
      "kubernetes.default.svc.cluster.local. 30 IN A 10.96.0.1",
    ]);
    expect(await ask("10-244-2-5.default.pod.cluster.local A")).toEqual([
      "NOERROR",
      "10-244-2-5.default.pod.cluster.local. 30 IN A 10.244.2.5",
    ]);
    expect(await ask("1.0.96.10.in-addr.arpa PTR")).toEqual([
      "NOERROR",
      "1.0.96.10.in-addr.arpa. 30 IN PTR kubernetes.default.svc.cluster.local.",
    ]);
    expect(lines.join("")).not.toContain("deprecated");
  });

  it("upstream of kubernetes and proxy warn, with file and line", async () => {
    const { ask, server, lines } = await start(await onFreePorts(await fixture("upstream-proxy.Corefile")));
    await eventually(() => server.notReady().length === 0);
    expect(await ask("wear-service.app-space.svc.cluster.local A")).toHaveLength(2);
    expect(lines.join("")).toContain("Corefile:6: upstream of kubernetes is deprecated and has no effect");
    expect(lines.join("")).toContain("Corefile:10: proxy is deprecated and acts as forward");
  });
});

describe("D06 a host made a DNS server with hosts", () => {
  it("the notes' Corefile as it is, on another port by -dns.port", async () => {
    const { ask } = await start(await fixture("hosts.Corefile"), { defaultPort: 0 });
    expect((await ask("localhost A"))[1]).toBe("localhost. 3600 IN A 127.0.0.1");
  });

  it("answers both directions, edits take effect, inline entries and fallthrough", async () => {
    const directory = await temporary();
    await writeFile(join(directory, "hosts"), "10.0.0.1 web web.example # comment\nfd00::1 web\nnonsense\n");
    const text =
      ".:0 {\n hosts hosts {\n  10.0.0.9 inline.example\n  ttl 60\n  reload 20ms\n  fallthrough example\n }\n}";
    const { ask } = await start(text, { corefile: join(directory, "Corefile") });
    expect(await ask("web A")).toEqual(["NOERROR", "web. 60 IN A 10.0.0.1"]);
    expect(await ask("WEB AAAA")).toEqual(["NOERROR", "WEB. 60 IN AAAA fd00::1"]);
    expect(await ask("web MX")).toEqual(["NOERROR"]);
    expect(await ask("inline.example A")).toEqual(["NOERROR", "inline.example. 60 IN A 10.0.0.9"]);
    expect(await ask("1.0.0.10.in-addr.arpa PTR")).toEqual([
      "NOERROR",
      "1.0.0.10.in-addr.arpa. 60 IN PTR web.",
      "1.0.0.10.in-addr.arpa. 60 IN PTR web.example.",
    ]);
    expect(await ask("gone A")).toEqual(["SERVFAIL"]);
    await writeFile(join(directory, "hosts"), "10.0.0.2 web\n10.0.0.3 gone\n");
    await eventually(async () => (await ask("gone A")).length === 2);
    expect(await ask("web A")).toEqual(["NOERROR", "web. 60 IN A 10.0.0.2"]);
  });
});

describe("X01 the kubernetes plugin at work (part: server)", () => {
  const corefile = `.:0 {
    errors
    ready 127.0.0.1:0
    kubernetes cluster.local in-addr.arpa {
      pods insecure
      fallthrough in-addr.arpa
    }
    forward . 127.0.0.1:1
    cache 30
  }`;

  it("negative answers carry the zone's SOA record and AA", async () => {
    const { askMessage, server } = await start(corefile);
    await eventually(() => server.notReady().length === 0);
    for (const [question, rcode] of [
      ["nope.default.svc.cluster.local A", 3],
      ["kubernetes.default.svc.cluster.local AAAA", 0],
    ] as const) {
      const message = await askMessage(question);
      expect([message.rcode, message.authoritative, message.answers.length]).toEqual([rcode, true, 0]);
      expect(message.authorities[0]).toMatchObject({
        name: "cluster.local.",
        ttl: 5,
        data: { kind: "soa", mname: "ns.dns.cluster.local.", rname: "hostmaster.cluster.local.", minimum: 5 },
      });
    }
  });

  it("a new Service resolves at once, also after its name was denied", async () => {
    const { ask, api, server } = await start(corefile);
    await eventually(() => server.notReady().length === 0);
    expect(await ask("late.default.svc.cluster.local A")).toEqual(["NXDOMAIN"]);
    api.put("/api/v1/services", service("late", { clusterIP: "10.96.4.4" }));
    await eventually(async () => (await ask("late.default.svc.cluster.local A")).length === 2, 500);
  });

  it("does not deny names before its first state is complete, and says so when asked if ready", async () => {
    const gate = Promise.withResolvers<void>();
    const api = new FakeApi();
    api.onRequest = () => gate.promise;
    const { ask, server } = await start(corefile, {}, api);
    expect(server.notReady()).toEqual(["kubernetes"]);
    expect(await ask("nope.default.svc.cluster.local A")).toEqual(["SERVFAIL"]);
    gate.resolve();
    await eventually(() => server.notReady().length === 0);
    expect(await ask("nope.default.svc.cluster.local A")).toEqual(["NXDOMAIN"]);
  });

  it("keeps serving when the API is away", async () => {
    const { ask, api, server } = await start(corefile);
    await eventually(() => server.notReady().length === 0);
    api.onRequest = () => {
      throw new Error("away");
    };
    api.breakWatches();
    expect(await ask("kubernetes.default.svc.cluster.local A")).toHaveLength(2);
    expect(server.notReady()).toEqual([]);
  });

  it("ExternalName follows inside, outside and not in circles", async () => {
    const { port } = await upstream((asked) => ({
      ...asked,
      response: true,
      answers: [
        {
          name: "www.example.com.",
          type: 1,
          class: 1,
          ttl: 100,
          data: { kind: "address", address: Uint8Array.of(192, 0, 2, 53) },
        },
      ],
    }));
    const { ask, server } = await start(corefile.replace("127.0.0.1:1", `127.0.0.1:${port}`));
    await eventually(() => server.notReady().length === 0);
    expect(await ask("ext.default.svc.cluster.local A")).toEqual([
      "NOERROR",
      "ext.default.svc.cluster.local. 5 IN CNAME www.example.com.",
      "www.example.com. 30 IN A 192.0.2.53",
    ]);
    expect(await ask("ext-in.default.svc.cluster.local A")).toEqual([
      "NOERROR",
      "ext-in.default.svc.cluster.local. 5 IN CNAME kubernetes.default.svc.cluster.local.",
      "kubernetes.default.svc.cluster.local. 5 IN A 10.96.0.1",
    ]);
    expect((await ask("ext-loop.default.svc.cluster.local A"))[0]).toBe("NOERROR");
    expect(await ask("ext.default.svc.cluster.local CNAME")).toHaveLength(2);
  });
});

describe("forward", () => {
  it("answers SERVFAIL at once when nobody listens, and errors logs why", async () => {
    const { askMessage, lines } = await start(`.:0 {\n errors\n forward . 127.0.0.1:${await freePort()}\n}`);
    const begin = Date.now();
    expect((await askMessage("www.example.com A")).rcode).toBe(2);
    expect(Date.now() - begin).toBeLessThan(500);
    expect(lines.join("")).toMatch(/plugin\/errors\].*2 www.example.com. A: .*ECONNREFUSED/);
  });

  it("takes the next upstream when one fails, passes rcodes on, ignores answers to other questions", async () => {
    const good = await upstream((asked) => ({ ...asked, response: true, rcode: 3, recursionAvailable: true }));
    const { askMessage } = await start(
      `.:0 {\n forward . 127.0.0.1:${await freePort()} 127.0.0.1:${good.port} {\n policy sequential\n }\n}`,
    );
    const message = await askMessage("nope.example A");
    expect([message.rcode, message.recursionAvailable, message.authoritative]).toEqual([3, true, false]);
    const spoofing = await upstream((asked) => ({ ...asked, id: asked.id ^ 1, response: true }));
    const second = await start(
      `.:0 {\n forward . 127.0.0.1:${spoofing.port} 127.0.0.1:${good.port} {\n policy sequential\n }\n}`,
    );
    const asking = second.askMessage("nope.example A");
    expect((await asking.catch(() => undefined))?.rcode ?? 3).toBe(3);
  }, 10_000);

  it("except, max_concurrent", async () => {
    const slow = await upstream(() => undefined);
    const { ask } = await start(
      `.:0 {\n forward . 127.0.0.1:${slow.port} {\n except inside.example\n max_concurrent 1\n }\n}`,
    );
    const first = ask("a.example A").catch(() => []);
    expect(await ask("x.inside.example A")).toEqual(["SERVFAIL"]);
    expect(await ask("b.example A")).toEqual(["REFUSED"]);
    await first;
  });
});

describe("cache", () => {
  const answerA = (ttl: number) => (asked: ReturnType<typeof query>) => ({
    ...asked,
    response: true,
    answers: [
      {
        name: asked.questions[0]?.name ?? ".",
        type: 1,
        class: 1,
        ttl,
        data: { kind: "address" as const, address: Uint8Array.of(1, 2, 3, 4) },
      },
    ],
  });

  it("keeps answers within its TTL, in the case of each question", async () => {
    const source = await upstream(answerA(300));
    const { ask, metrics } = await start(`.:0 {\n forward . 127.0.0.1:${source.port}\n cache 30\n}`);
    expect(await ask("a.example A")).toEqual(["NOERROR", "a.example. 30 IN A 1.2.3.4"]);
    expect(await ask("A.EXAMPLE A")).toEqual(["NOERROR", "A.EXAMPLE. 30 IN A 1.2.3.4"]);
    expect(source.asked).toHaveLength(1);
    expect(metrics.text()).toContain('coredns_cache_hits_total{server="dns://:0",type="success",zones=".",view=""} 1');
  });

  it("keeps denials by their SOA record, not failures to reach the upstream", async () => {
    const soa = {
      kind: "soa" as const,
      mname: "a.",
      rname: "b.",
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 60,
    };
    const source = await upstream((asked) => ({
      ...asked,
      response: true,
      rcode: 3,
      authorities: asked.questions[0]?.name.startsWith("soa")
        ? [{ name: ".", type: 6, class: 1, ttl: 100, data: soa }]
        : [],
    }));
    const { ask } = await start(`.:0 {\n forward . 127.0.0.1:${source.port}\n cache\n}`);
    for (const name of ["soa.example", "soa.example", "bare.example", "bare.example"])
      expect(await ask(`${name} A`)).toEqual(["NXDOMAIN"]);
    expect(source.asked).toHaveLength(3);
  });

  it("serves stale when the upstream is gone", async () => {
    let now = 0;
    const { CachePlugin } = await import("./plugins/cache/handler.ts");
    const { Metrics } = await import("#base/metrics.ts");
    const { makeReply } = await import("./core/index.ts");
    const bounds = { capacity: 10, maxTtl: 30, minTtl: 5 };
    const cache = new CachePlugin(
      {
        zones: ["."],
        success: bounds,
        denial: bounds,
        servfailSeconds: 5,
        disabledSuccess: [],
        disabledDenial: [],
        staleMs: 60_000,
        staleVerify: false,
        prefetch: { amount: 0, windowMs: 0, percent: 10 },
        keepTtl: false,
      },
      "s",
      new Metrics(),
      () => now,
    );
    const message = query(1, { name: "a.", type: 1, class: 1 });
    const request = {
      message,
      question: { name: "a.", type: 1, class: 1 },
      name: "a.",
      zone: ".",
      server: "s",
      peer: { address: "::1", port: 1, protocol: "udp" as const },
    };
    const answers = answerA(300)(message).answers;
    await cache.handle(request, () => makeReply("x", { answers }));
    now = 10_000;
    expect((await cache.handle(request, () => makeReply("x"))).answers[0]?.ttl).toBe(20);
    now = 40_000;
    const failing = () => Promise.reject(new Error("gone"));
    expect((await cache.handle(request, failing)).answers[0]?.ttl).toBe(0);
    now = 100_000;
    await expect(Promise.resolve(cache.handle(request, failing))).rejects.toThrow("gone");
  });
});

describe("loop", () => {
  it("ends the program when its own probe comes back", async () => {
    const port = await freePort();
    const { fatal } = await start(`.:${port} {\n loop\n forward . 127.0.0.1:${port}\n}`);
    await eventually(() => fatal.length > 0);
    expect(fatal[0]).toMatch(/^Loop \(127\.0\.0\.1:\d+ -> :\d+\) detected for zone "\."\. Query: "HINFO \d+\.\d+\."$/);
  });

  it("stays quiet without a loop", async () => {
    const { fatal, ask } = await start(`.:0 {\n loop\n forward . 127.0.0.1:${await freePort()}\n}`);
    await ask("a.example A");
    expect(fatal).toEqual([]);
  });
});

describe("health, ready, prometheus, log", () => {
  it("serve over HTTP; metrics have CoreDNS' names", async () => {
    const [health, ready, metrics] = [await freePort(), await freePort(), await freePort()];
    const { ask, lines } = await start(
      `.:0 {\n log\n health 127.0.0.1:${health}\n ready 127.0.0.1:${ready}\n prometheus 127.0.0.1:${metrics}\n hosts {\n 10.0.0.1 a.example\n }\n}`,
    );
    await ask("a.example A");
    const get = async (port: number, path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return [response.status, await response.text()] as const;
    };
    expect(await get(health, "/health")).toEqual([200, "OK"]);
    expect(await get(ready, "/ready")).toEqual([200, "OK"]);
    expect((await get(ready, "/other"))[0]).toBe(404);
    const [, text] = await get(metrics, "/metrics");
    expect(text).toContain(
      'coredns_dns_requests_total{server="dns://:0",zone=".",view="",proto="udp",family="1",type="A"} 1',
    );
    expect(text).toContain(
      'coredns_dns_responses_total{server="dns://:0",zone=".",view="",rcode="NOERROR",plugin="hosts"} 1',
    );
    expect(lines.join("")).toMatch(
      /127\.0\.0\.1:\d+ - 4711 .*A IN a\.example\. udp 27 false 512.*NOERROR qr,aa,rd 43 0\.\d+s/,
    );
  });
});

describe("X04 a changed Corefile takes effect (part: reload)", () => {
  it("by watching the file, by asking, and never when it is wrong", async () => {
    const directory = await temporary();
    const corefile = join(directory, "Corefile");
    const [port, health] = [await freePort(), await freePort()];
    const text = (ip: string, more = "") =>
      `.:${port} {\n reload 2s 1s\n health 127.0.0.1:${health}\n hosts {\n ${ip} a.example\n }\n${more}}\n`;
    await writeFile(corefile, text("10.0.0.1"));
    const { ask, server, lines } = await start(text("10.0.0.1"), { corefile });
    await writeFile(corefile, text("10.0.0.2"));
    await eventually(async () => (await ask("a.example A"))[1]?.endsWith("10.0.0.2") ?? false);
    await writeFile(corefile, text("10.0.0.3", " nonsense\n"));
    await eventually(() => lines.some((line) => line.includes("Corefile changed but is not used")));
    expect(lines.join("")).toMatch(/Corefile:7: unknown plugin nonsense; allowed: reload, ready/);
    expect((await ask("a.example A"))[1]).toContain("10.0.0.2");
    expect(await (await fetch(`http://127.0.0.1:${health}/health`)).text()).toBe("OK");
    await writeFile(corefile, `.:${await freePort()} {\n hosts {\n 10.0.0.4 a.example\n }\n}\n`);
    await server.reload();
    expect(await exchangeBytes(port, queryBytes("a.example A"), 200)).toBeUndefined();
    await expect(fetch(`http://127.0.0.1:${health}/health`)).rejects.toThrow();
  });

  it.each([
    [".:0 {\n dnssec\n}", "Corefile:2: plugin dnssec of CoreDNS is not part of this server"],
    [".:0 {\n cache\n cache\n}", "Corefile:3: cache is already at line 2"],
    [".:0 {\n}\n.:0 {\n}", "Corefile:3: zone . on port 0 is already defined at Corefile:1"],
    ["tls://.:0 {\n}", "Corefile:1: serving tls:// is not supported"],
    [".:0 {\n kubernetes {\n  pods maybe\n }\n}", "Corefile:3: pods maybe; allowed: disabled, insecure, verified"],
    [".:0 {\n forward . nofile\n}", 'Corefile:2: "nofile" is not an IP address or file'],
    [".:0 {\n forward . tls://1.1.1.1\n}", "Corefile:2: tls:// upstreams are not supported"],
    [".:0 {\n cache 30 {\n  success x\n }\n}", 'Corefile:3: capacity "x"; expected a whole number'],
    [".:0 {\n reload 1s\n}", "Corefile:2: reload interval below 2s"],
  ])("refuses %j", async (text, message) => {
    await expect(startTestServer(text)).rejects.toThrow(message);
  });
});

describe("transport", () => {
  it("answers the longest zone, refuses others, and what is no query", async () => {
    const { ask, port } = await start(
      "example.org:0 {\n hosts {\n 10.0.0.1 a.example.org b.sub.example.org\n }\n}\nsub.example.org:0 {\n hosts {\n 10.0.0.2 b.sub.example.org\n }\n}",
    );
    expect((await ask("a.example.org A"))[1]).toContain("10.0.0.1");
    expect((await ask("b.sub.example.org A"))[1]).toContain("10.0.0.2");
    expect(await ask("other.net A")).toEqual(["REFUSED"]);
    const base = query(9, { name: "a.example.org.", type: 1, class: 1 });
    const rcode = async (bytes: Uint8Array) => {
      const answer = await exchangeBytes(port, bytes, 150);
      return answer && decodeMessage(answer).rcode;
    };
    expect(await rcode(encodeMessage({ ...base, opcode: 5 }))).toBe(4);
    expect(await rcode(encodeMessage({ ...base, questions: [] }))).toBe(1);
    expect(await rcode(encodeMessage(base).subarray(0, 20))).toBe(1);
    expect(
      await rcode(encodeMessage({ ...base, edns: { udpSize: 512, version: 1, dnssecOk: false, options: [] } })),
    ).toBe(16);
    expect(await rcode(encodeMessage({ ...base, questions: [{ name: "a.example.org.", type: 1, class: 3 }] }))).toBe(5);
    expect(await rcode(encodeMessage({ ...base, response: true }))).toBeUndefined();
    expect(await rcode(Uint8Array.of(1, 2, 3))).toBeUndefined();
  });

  const many = Array.from({ length: 60 }, (_, i) => `10.0.1.${i} big.example`).join("\n");
  it("cuts UDP answers at the client's size with TC, TCP and EDNS get all", async () => {
    const { askMessage, port } = await start(`.:0 {\n hosts {\n${many}\n }\n}`);
    const short = await askMessage("big.example A");
    expect(short.truncated).toBe(true);
    expect(short.answers.length).toBeLessThan(60);
    expect((await askMessage("big.example A", "tcp")).answers).toHaveLength(60);
    const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };
    const bytes = await exchangeBytes(port, encodeMessage(query(3, { name: "big.example.", type: 1, class: 1 }, edns)));
    const full = decodeMessage(bytes as Uint8Array);
    expect([full.truncated, full.answers.length, full.edns?.udpSize]).toEqual([false, 60, 1232]);
  });

  it("takes many queries on one TCP connection", async () => {
    const { port } = await start(".:0 {\n hosts {\n 10.0.0.1 a.example\n }\n}");
    const answers = await askTcpMany(
      port,
      Array.from({ length: 200 }, () => "a.example A"),
    );
    expect(answers.map(({ id }) => id).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });
});

const hasDig = await run("dig", ["-v"]).then(
  () => true,
  () => false,
);

describe.skipIf(!hasDig)("X01 asked by the distribution's dig", () => {
  it("reads our answers without complaint, over UDP and TCP", async () => {
    const { port, server } = await start(
      ".:0 {\n kubernetes cluster.local in-addr.arpa {\n pods insecure\n }\n loadbalance\n}",
    );
    await eventually(() => server.notReady().length === 0);
    const dig = async (...words: string[]) => {
      const { stdout } = await run("dig", ["@127.0.0.1", "-p", String(port), "+tries=1", ...words]);
      expect(stdout).not.toMatch(/malformed|extra bytes|bad packet/i);
      return stdout;
    };
    expect(await dig("+short", "kubernetes.default.svc.cluster.local")).toBe("10.96.0.1\n");
    expect(await dig("+short", "+tcp", "kubernetes.default.svc.cluster.local")).toBe("10.96.0.1\n");
    expect(await dig("+short", "-x", "10.96.0.1")).toBe("kubernetes.default.svc.cluster.local.\n");
    expect(await dig("+short", "dns-version.cluster.local", "TXT")).toBe('"1.1.0"\n');
    expect((await dig("+short", "_http._tcp.hdls.default.svc.cluster.local", "SRV")).split("\n").sort()).toEqual([
      "",
      "0 33 80 10-244-2-2.hdls.default.svc.cluster.local.",
      "0 33 80 fd00-244--1.hdls.default.svc.cluster.local.",
      "0 33 80 my-pet.hdls.default.svc.cluster.local.",
    ]);
    const denied = await dig("nope.default.svc.cluster.local");
    expect(denied).toContain("status: NXDOMAIN");
    expect(denied).toMatch(/flags: qr aa rd; QUERY: 1, ANSWER: 0, AUTHORITY: 1, ADDITIONAL: 1/);
    expect(denied).toMatch(/cluster\.local\.\s+5\s+IN\s+SOA\s+ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\./);
  });
});
