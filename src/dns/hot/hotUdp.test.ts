import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, type Message, query, type ResourceRecord } from "#wire/dns/index.ts";
import { service } from "../plugins/kubernetes/testCluster.ts";
import { exchangeBytes, queryBytes, startUpstream, type TestServer, testServers } from "../testing.ts";

const { start, temporary, upstream } = testServers();
const corefile = `.:0 {
  errors
  kubernetes cluster.local {
    ttl 30
  }
  prometheus 127.0.0.1:0
  cache 30
  loop
  loadbalance
}`;

const threads = (server: TestServer) =>
  /podwire_dns_hot_path_threads\{[^}]*\} (\d)/.exec(server.metrics.text())?.[1] ?? "none";
const answered = (server: TestServer) =>
  Number(/coredns_dns_responses_total\{.*rcode="NOERROR",plugin="kubernetes"\} (\d+)/.exec(server.metrics.text())?.[1]);

const addresses = ["127.0.0.2", "127.0.0.3", "::1"];

/** The address that an answer comes from. */
async function answeredFrom(port: number, asked: string, question: string): Promise<string> {
  const client = createSocket(asked.includes(":") ? "udp6" : "udp4");
  const answer = once(client, "message", { signal: AbortSignal.timeout(10_000) });
  client.send(queryBytes(question), port, asked);
  const [, from] = (await answer) as [Uint8Array, { address: string }];
  client.close();
  return from.address;
}

/** A server whose port has been given to its thread. */
async function hot(text = corefile, host = "127.0.0.1", file = "Corefile"): Promise<TestServer> {
  const server = await start(text, { hotPathFrom: 0, host, corefile: file });
  await expect.poll(() => server.server.notReady()).toEqual([]);
  await server.ask("kubernetes.default.svc.cluster.local A");
  await expect.poll(() => threads(server)).toBe("1");
  return server;
}

describe("D06 a DNS server of a machine with several addresses (part: UDP answers)", () => {
  it("answers from the address that was asked, at once and after it had to ask elsewhere", async () => {
    const denying = await upstream((asked) => ({ ...asked, response: true, rcode: 3 }));
    const { port } = await start(
      `.:0 {\n hosts /nowhere {\n 10.0.0.1 a.example\n fallthrough\n }\n forward . 127.0.0.1:${denying.port}\n}`,
      { host: "" },
    );
    for (const question of ["a.example A", "b.example A"])
      for (const asked of addresses) expect(await answeredFrom(port, asked, question)).toBe(asked);
  });
});

/** The value of a metric's line. */
function numberOf(server: TestServer, start: string): number {
  const line = server.metrics
    .text()
    .split("\n")
    .find((one) => one.startsWith(start));
  return Number(line?.slice(start.length));
}

/** Asks a server at an address. */
async function exchangeAt(address: string, port: number, question: string): Promise<Uint8Array> {
  const client = createSocket("udp4");
  const answer = once(client, "message", { signal: AbortSignal.timeout(10_000) });
  client.send(queryBytes(question), port, address);
  const [bytes] = (await answer) as [Uint8Array];
  client.close();
  return bytes;
}

/** 192.0.2.7 for every name. */
function outside({ questions }: Message): ResourceRecord[] {
  const data = { kind: "address", address: Uint8Array.of(192, 0, 2, 7) } as const;
  return questions.map((question) => ({ ...question, ttl: 300, data }));
}

describe("X01 the hot path on a socket (part: thread)", () => {
  it("answers, hands over what is unusual, shows changes, and counts", async () => {
    const server = await hot(corefile, "");
    const before = answered(server);
    for (let i = 0; i < 20; i++)
      expect(await server.ask("kubernetes.default.svc.cluster.local A")).toEqual([
        "NOERROR",
        "kubernetes.default.svc.cluster.local. 30 IN A 10.96.0.1",
      ]);
    expect(await server.ask("www.example.com.default.svc.cluster.local A")).toEqual(["NXDOMAIN"]);
    expect(answered(server)).toBe(before + 20);
    await plugins(server);
    await idAndCase(server);
    await addressAsked(server);
    await changes(server);
    expect(server.metrics.text()).toMatch(/coredns_cache_misses_total\{[^}]*\} \d\d/);
  });

  /** A type that is not published, another operation, a name elsewhere. */
  async function plugins(server: TestServer): Promise<void> {
    expect((await server.ask("dns-version.cluster.local TXT"))[1]).toContain('"1.1.0"');
    const update = { ...query(9, { name: "a.cluster.local.", type: 1, class: 1 }), opcode: 5 };
    expect(decodeMessage((await exchangeBytes(server.port, encodeMessage(update))) as Uint8Array).rcode).toBe(4);
    expect(await server.ask("www.example.com A")).toEqual(["SERVFAIL"]);
  }

  async function idAndCase(server: TestServer): Promise<void> {
    for (const name of ["KUBERNETES.default.svc.cluster.local", "kubernetes.default.svc.CLUSTER.local"]) {
      const answer = decodeMessage((await exchangeBytes(server.port, queryBytes(`${name} A`, 77))) as Uint8Array);
      expect([answer.id, answer.questions[0]?.name, answer.answers[0]?.name]).toEqual([77, `${name}.`, `${name}.`]);
    }
  }

  async function addressAsked(server: TestServer): Promise<void> {
    for (const question of ["kubernetes.default.svc.cluster.local A", "dns-version.cluster.local TXT"])
      for (const asked of addresses) expect(await answeredFrom(server.port, asked, question)).toBe(asked);
  }

  /** So many that the table is made anew. */
  async function changes(server: TestServer): Promise<void> {
    const address = (i: number) => `10.96.${8 + Math.floor(i / 200)}.${1 + (i % 200)}`;
    for (let i = 0; i < 1000; i++) server.api.put("/api/v1/services", service(`s${i}`, { clusterIP: address(i) }));
    await expect.poll(() => server.ask("s999.default.svc.cluster.local A")).toHaveLength(2);
    for (const i of [0, 777])
      expect((await server.ask(`s${i}.default.svc.cluster.local A`))[1]).toContain(`A ${address(i)}`);
    server.api.put("/api/v1/services", service("s7", { clusterIP: "10.96.99.99" }));
    await expect.poll(async () => (await server.ask("s7.default.svc.cluster.local A"))[1]).toContain("10.96.99.99");
  }

  it("leaves every query to the plugins when a new Corefile logs them, and takes them back", async () => {
    const corefilePath = join(await temporary(), "Corefile");
    await writeFile(corefilePath, corefile);
    const server = await hot(corefile, "127.0.0.1", corefilePath);
    const logged = () => server.lines.filter((line) => line.includes("A IN kubernetes.default")).length;
    const askOnce = async () => await server.ask("kubernetes.default.svc.cluster.local A");
    await writeFile(corefilePath, corefile.replace("errors", "errors\n  log"));
    await server.server.reload();
    expect(await askOnce()).toHaveLength(2);
    await expect.poll(logged).toBe(1);
    expect(server.lines.join("")).toContain('reason="plugin log has to see every query"');
    await writeFile(corefilePath, corefile);
    await server.server.reload();
    const before = answered(server);
    expect(await askOnce()).toHaveLength(2);
    expect([logged(), answered(server)]).toEqual([1, before + 1]);
  });

  it("has several sockets and threads with multisocket", async () => {
    const server = await start(corefile.replace("errors", "multisocket 3"), { hotPathFrom: 0 });
    await expect.poll(() => server.server.notReady()).toEqual([]);
    const ask = async () => {
      // Each question comes from another port, so sooner or later every socket gets one.
      expect(await server.ask("kubernetes.default.svc.cluster.local A")).toHaveLength(2);
      return threads(server);
    };
    await expect.poll(ask, { interval: 1 }).toBe("3");
    const other = await import("#kernel/datagrams/index.ts");
    expect(() => other.openDatagrams("127.0.0.1", server.port, 2)).toThrow(`bind EADDRINUSE 127.0.0.1:${server.port}`);
  });

  it("has a table for each address of a block that is bound to several", async () => {
    const server = await start(corefile.replace("errors", "bind 127.0.0.1 127.0.0.3"), { hotPathFrom: 0, host: "" });
    server.api.put("/api/v1/services", service("both", { clusterIP: "10.96.77.7" }));
    await expect.poll(() => server.server.notReady()).toEqual([]);
    for (const address of ["127.0.0.1", "127.0.0.3"]) {
      const { port } = server.server.listening().find((one) => one.address === address) as { port: number };
      const running = `podwire_dns_hot_path_threads{server="dns://${address}:0"} 1`;
      const answer = async () => decodeMessage(await exchangeAt(address, port, "both.default.svc.cluster.local A"));
      await expect.poll(async () => (await answer()).answers).toHaveLength(1);
      await expect.poll(() => server.metrics.text()).toContain(running);
      const counted = `coredns_dns_responses_total{server="dns://${address}:0",zone=".",view="",rcode="NOERROR",plugin="kubernetes"}`;
      const before = numberOf(server, counted);
      for (let i = 0; i < 5; i++) expect((await answer()).answers).toHaveLength(1);
      expect(numberOf(server, counted)).toBe(before + 5);
    }
  });

  it("answers names outside that the cache has, and counts them as its hits", async () => {
    const upstream = await startUpstream((asked) => ({ ...asked, response: true, answers: outside(asked) }));
    const text = corefile.replace("loop", `forward . 127.0.0.1:${upstream.port}`);
    const server = await hot(text);
    const hits = 'coredns_cache_hits_total{server="dns://:0",type="success",zones=".",view=""}';
    for (let i = 1; i <= 10; i++) {
      const [rcode, record] = await server.ask("www.example.com A");
      expect([rcode, record?.replace(/ \d+ IN/, " IN")]).toEqual(["NOERROR", "www.example.com. IN A 192.0.2.7"]);
    }
    expect([upstream.asked.length, numberOf(server, hits)]).toEqual([1, 9]);
    const kept = /podwire_dns_hot_path_entries\{[^}]*\} (\d+)/;
    expect(Number(kept.exec(server.metrics.text())?.[1])).toBeGreaterThan(0);
    await upstream.close();
  });

  it("loses no query while the port changes hands", async () => {
    const server = await start(corefile, { hotPathFrom: 0 });
    await expect.poll(() => server.server.notReady()).toEqual([]);
    const answers: Promise<Uint8Array | undefined>[] = [];
    const send = () => answers.push(exchangeBytes(server.port, queryBytes("kubernetes.default.svc.cluster.local A")));
    const sendAndLook = () => {
      send();
      return threads(server);
    };
    await expect.poll(sendAndLook, { interval: 1 }).toBe("1");
    for (let i = 0; i < 20; i++) send();
    expect((await Promise.all(answers)).filter((answer) => answer === undefined)).toEqual([]);
  });
});
