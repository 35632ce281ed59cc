import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { describe, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import { decodeMessage, encodeMessage } from "#wire/dns/index.ts";
import { eventually, testServers } from "../../testing.ts";
import { FrameReader, frame } from "../../transport/frames.ts";
import { edns, shown, testBlock } from "../testBlock.ts";
import { parseResolvConf } from "./targets.ts";

const { start, upstream, temporary } = testServers();

describe("forward", () => {
  it("answers SERVFAIL soon when nobody listens, and errors logs why", async () => {
    const { askMessage, lines } = await start(`.:0 {\n errors\n forward . 127.0.0.1:${await freePort()}\n}`);
    expect((await askMessage("www.example.com A")).rcode).toBe(2);
    // Not the words of a wait for an answer, which takes two seconds.
    expect(lines.join("")).toMatch(/plugin\/errors\].*2 www.example.com. A: .*ECONNREFUSED/);
  });

  it("goes on serving when the kernel does not let it reach an upstream, health checks too", async () => {
    // EACCES for a broadcast address, ENETUNREACH without a route: both are failures to connect.
    const { askMessage, lines, metrics } = await start(
      ".:0 {\n errors\n forward . 255.255.255.255 {\n health_check 10ms\n }\n}",
    );
    for (const name of ["a", "b"]) expect((await askMessage(`${name}.example A`)).rcode).toBe(2);
    expect(lines.join("")).toMatch(/plugin\/errors\].*2 a.example. A: .*connect E(ACCES|NETUNREACH)/);
    await eventually(() => metrics.text().includes("coredns_proxy_healthcheck_failures_total{"));
  });

  it("goes on serving when it cannot reach one over TCP", async () => {
    // connect(2) of a broadcast address fails at once: ENETUNREACH.
    const { askMessage, lines } = await start(
      ".:0 {\n errors\n forward . 255.255.255.255 {\n force_tcp\n max_fails 0\n max_connect_attempts 1\n }\n}",
    );
    for (const name of ["a", "b"]) expect((await askMessage(`${name}.example A`)).rcode).toBe(2);
    expect(lines.join("")).toMatch(/plugin\/errors\].*2 a.example. A: .*connect ENETUNREACH/);
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
      `.:0 {\n forward . 127.0.0.1:${slow.port} {\n except inside.example\n max_concurrent 1\n max_connect_attempts 1\n }\n}`,
    );
    const first = ask("a.example A").catch(() => []);
    expect(await ask("x.inside.example A")).toEqual(["SERVFAIL"]);
    expect(await ask("b.example A")).toEqual(["REFUSED"]);
    await first;
  });

  it("an alias whose target waits behind too many fails, and is not kept without its records", async () => {
    const other = await upstream((asked) => ({ ...asked, response: true, rcode: 3 }));
    const alias = '{\n match ^out.test.$\n answer "{{ .Name }} 60 IN CNAME no.test."\n fallthrough\n}';
    const forward = `forward . 127.0.0.1:${other.port} {\n max_concurrent 1\n}`;
    const full = await testBlock(`. {\n cache 60\n template IN A ${alias}\n ${forward}\n}`);
    const asking = full.ask("a.test. A"); // under way until the upstream's answer comes, in a later turn
    const refused = full.ask("out.test. A");
    await asking;
    expect(shown(await refused)).toEqual(["SERVFAIL", "out.test. 60 IN CNAME no.test."]);
    expect(shown(await full.ask("out.test. A"))).toEqual(["NOERROR", "out.test. 60 IN CNAME no.test."]);
  });

  it("an alias whose target may not wait is dropped, and not kept without its records", async () => {
    const alias = '{\n match ^out.test.$\n answer "{{ .Name }} 60 IN CNAME no.test."\n fallthrough\n}';
    const other = await upstream((asked) => ({ ...asked, response: true, rcode: 3 }));
    const block = await testBlock(`. {\n cache 60\n template IN A ${alias}\n forward . 127.0.0.1:${other.port}\n}`);
    for (let i = 0; i < 2; i++) expect(await block.ask("out.test. A", { busy: true })).toBeUndefined();
    expect(shown(await block.ask("out.test. A"))?.[0]).toBe("NOERROR");
    expect(await block.ask("out.test. A", { busy: true })).toBeDefined();
  });

  it("except does not take the zone's own name away", async () => {
    const other = await upstream((asked) => ({ ...asked, response: true, rcode: 3 }));
    const { ask } = await start(`.:0 {\n forward example.org 127.0.0.1:${other.port} {\n except example.org\n }\n}`);
    expect(await ask("example.org A")).toEqual(["NXDOMAIN"]);
    expect(await ask("www.example.org A")).toEqual(["SERVFAIL"]);
  });

  it("passes options of an answer on, which the cache does not keep", async () => {
    const blocked = { code: 15, data: Uint8Array.of(0, 15) }; // RFC 8914 §4.16
    const other = await upstream((asked) => ({
      ...asked,
      response: true,
      answers: [
        {
          name: "a.example.",
          type: 1,
          class: 1,
          ttl: 60,
          data: { kind: "address", address: Uint8Array.of(10, 0, 0, 1) },
        },
      ],
      ...(asked.edns && { edns: edns(1232, blocked) }),
    }));
    const { ask } = await testBlock(`. {\n cache\n forward . 127.0.0.1:${other.port}\n}`);
    expect((await ask("a.example. A", { edns: edns(1232) }))?.edns?.options).toEqual([blocked]);
    expect((await ask("a.example. A", { edns: edns(1232) }))?.edns?.options).toEqual([]);
  });
});

/** A server over TCP that denies all names, and counts its connections. */
async function denyingServer() {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    denyAll(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, connections: () => count, close: () => server.close() };
}

/** Answers NXDOMAIN to each query of a connection. */
function denyAll(socket: Socket): void {
  const reader = new FrameReader();
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    reader.push(chunk);
    const packet = reader.next();
    if (packet) socket.write(frame(encodeMessage({ ...decodeMessage(packet), response: true, rcode: 3 })));
  });
}

/** A server over TCP that resets every connection that `resets` says so of, counted from 0, once a query is there. */
async function resettingServer(resets: (query: number) => boolean) {
  let queries = 0;
  const asked: string[] = [];
  const server = createServer((socket) => {
    const reader = new FrameReader();
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      reader.push(chunk);
      const packet = reader.next();
      if (!packet) return;
      const message = decodeMessage(packet);
      asked.push(message.questions[0]?.name ?? "");
      if (resets(queries++)) return void socket.resetAndDestroy();
      socket.write(frame(encodeMessage({ ...message, response: true, rcode: 3 })));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, asked, close: () => server.close() };
}

describe("forward over TCP", () => {
  it("goes round again after a failure, and passes over kept connections that are no more", async () => {
    const server = await resettingServer((query) => [0, 2].includes(query));
    const text = `.:0 {\n forward . 127.0.0.1:${server.port} {\n force_tcp\n max_fails 0\n }\n}`;
    const { askMessage } = await start(text);
    expect((await askMessage("a.example A")).rcode).toBe(3); // the second try
    expect((await askMessage("b.example A")).rcode).toBe(3); // the kept connection is reset
    expect(server.asked).toEqual(["a.example.", "a.example.", "b.example.", "b.example."]);
    server.close();
  });

  it("checks over TCP with force_tcp", async () => {
    const server = await resettingServer((query) => query === 0);
    const text = `.:0 {\n forward . 127.0.0.1:${server.port} {\n force_tcp\n health_check 10ms domain check.example\n }\n}`;
    const { askMessage, metrics } = await start(text);
    expect((await askMessage("a.example A")).rcode).toBe(3);
    await eventually(() => server.asked.includes("check.example."));
    expect(metrics.text()).not.toContain("coredns_proxy_healthcheck_failures_total{");
    server.close();
  });

  it("max_age ends connections that are in use", async () => {
    const { port, connections, close } = await denyingServer();
    const { askMessage } = await start(`.:0 {\n forward . 127.0.0.1:${port} {\n force_tcp\n max_age 1ns\n }\n}`);
    for (const name of ["a", "b"]) expect((await askMessage(`${name}.example A`)).rcode).toBe(3);
    expect(connections()).toBe(2);
    close();
  });

  it("uses TCP for clients on TCP and with force_tcp, and keeps the connection", async () => {
    const { port, connections, close } = await denyingServer();
    const { askMessage } = await start(`.:0 {\n forward . 127.0.0.1:${port} {\n force_tcp\n expire 1s\n }\n}`);
    for (let i = 0; i < 3; i++) expect((await askMessage(`a${i}.example A`)).rcode).toBe(3);
    expect((await askMessage("b.example A", "tcp")).rcode).toBe(3);
    expect(connections()).toBe(1);
    close();
  });

  it("asks again by TCP for a cut answer with prefer_udp", async () => {
    const cut = await upstream((asked) => ({ ...asked, response: true, truncated: true }));
    const passing = await start(`.:0 {\n forward . 127.0.0.1:${cut.port}\n}`);
    expect((await passing.askMessage("a.example A")).truncated).toBe(true);
    const preferring = await start(
      `.:0 {\n forward . 127.0.0.1:${cut.port} {\n prefer_udp\n max_connect_attempts 1\n }\n}`,
    );
    expect((await preferring.askMessage("a.example A")).rcode).toBe(2); // nobody listens on TCP there
  });
});

describe("forward to several", () => {
  const answering = (rcode: number) => upstream((asked) => ({ ...asked, response: true, rcode }));

  it("sequential asks the first one, round_robin each in turn", async () => {
    const [a, b] = [await answering(0), await answering(0)];
    const to = `127.0.0.1:${a.port} 127.0.0.1:${b.port}`;
    const sequential = await start(`.:0 {\n forward . ${to} {\n  policy sequential\n }\n}`);
    for (let i = 0; i < 4; i++) await sequential.ask("a.example A");
    expect([a.asked.length, b.asked.length]).toEqual([4, 0]);
    const turning = await start(`.:0 {\n forward . ${to} {\n  policy round_robin\n }\n}`);
    for (let i = 0; i < 4; i++) await turning.ask("a.example A");
    expect([a.asked.length, b.asked.length]).toEqual([6, 2]);
  });

  it("failover asks the next one for these rcodes and ends with the last answer", async () => {
    const [failing, refusing, good] = [await answering(2), await answering(5), await answering(3)];
    const to = [failing, refusing, good].map(({ port }) => `127.0.0.1:${port}`).join(" ");
    const text = (failover: string) => `.:0 {\n forward . ${to} {\n  policy sequential\n  failover ${failover}\n }\n}`;
    expect((await (await start(text("SERVFAIL REFUSED"))).askMessage("a.example A")).rcode).toBe(3);
    const lastOfAll = await start(text("SERVFAIL REFUSED NXDOMAIN"));
    expect((await lastOfAll.askMessage("a.example A")).rcode).toBe(3);
    expect([failing, refusing, good].map(({ asked }) => asked.length)).toEqual([2, 2, 2]);
  });

  it("max_connect_attempts ends it after so many failures", async () => {
    const good = await answering(3);
    const to = `127.0.0.1:${await freePort()} 127.0.0.1:${good.port}`;
    const text = (attempts: number) =>
      `.:0 {\n forward . ${to} {\n  policy sequential\n  max_connect_attempts ${attempts}\n }\n}`;
    expect((await (await start(text(1))).askMessage("a.example A")).rcode).toBe(2);
    expect((await (await start(text(2))).askMessage("a.example A")).rcode).toBe(3);
  });

  it("next goes to the forward behind it, and is passed over without one", async () => {
    const [first, second] = [await answering(3), await answering(5)];
    const block = ` forward . 127.0.0.1:${first.port} {\n  next NXDOMAIN\n }\n`;
    const two = await start(`.:0 {\n${block} forward . 127.0.0.1:${second.port}\n}`);
    expect((await two.askMessage("a.example A")).rcode).toBe(5);
    expect((await (await start(`.:0 {\n${block}}`)).askMessage("a.example A")).rcode).toBe(3);
  });

  it("next_on_nodata goes on for an empty answer", async () => {
    const [empty, second] = [await answering(0), await answering(5)];
    const { askMessage } = await start(
      `.:0 {\n forward . 127.0.0.1:${empty.port} {\n  next_on_nodata\n }\n forward . 127.0.0.1:${second.port}\n}`,
    );
    expect((await askMessage("a.example A")).rcode).toBe(5);
  });

  it("checks an upstream that failed by its own domain and without recursion, and counts failures", async () => {
    let silent = true;
    const sick = await upstream((asked) => (silent ? undefined : { ...asked, response: true }));
    const { ask, metrics } = await start(
      `.:0 {\n forward . 127.0.0.1:${sick.port} {\n  health_check 10ms no_rec domain check.example\n  max_fails 1\n  max_connect_attempts 1\n  failfast_all_unhealthy_upstreams\n }\n}`,
    );
    expect(await ask("a.example A")).toEqual(["SERVFAIL"]);
    await eventually(() => metrics.text().includes("coredns_proxy_healthcheck_failures_total{"));
    const probe = sick.asked.find(({ questions }) => questions[0]?.name === "check.example.");
    expect([probe?.recursionDesired, probe?.questions[0]?.type]).toEqual([false, 2]);
    expect(await ask("b.example A")).toEqual(["SERVFAIL"]); // at once: nothing is up
    expect(sick.asked.some(({ questions }) => questions[0]?.name === "b.example.")).toBe(false);
    silent = false;
    await eventually(async () => (await ask("c.example A"))[0] === "NOERROR");
  }, 20_000);
});

describe("forward over TLS", () => {
  it("asks with the name that the certificate has to be of, and keeps the connection", async () => {
    const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: "CN=dns.test",
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      keys,
      extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: "dns.test" }])],
    });
    const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
    const cert = certificate.toString("pem");
    let connections = 0;
    const server = createTlsServer(
      { cert, key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` },
      (socket) => {
        connections++;
        denyAll(socket);
      },
    );
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const directory = await temporary();
    await writeFile(`${directory}/ca.pem`, cert);
    const options = { corefile: `${directory}/Corefile` };
    const { askMessage, metrics } = await start(
      `.:0 {\n forward . tls://127.0.0.1:${port} {\n  tls ca.pem\n  tls_servername dns.test\n }\n}`,
      options,
    );
    for (let i = 0; i < 3; i++) expect((await askMessage(`a${i}.example A`)).rcode).toBe(3);
    expect(connections).toBe(1);
    expect(metrics.text()).toContain(
      `coredns_proxy_conn_cache_hits_total{proxy_name="forward",to="127.0.0.1:${port}",proto="tcp-tls"} 2`,
    );
    const other = await start(
      `.:0 {\n errors\n forward . tls://127.0.0.1%other.test:${port} {\n  tls ca.pem\n max_connect_attempts 1\n }\n}`,
      options,
    );
    expect((await other.askMessage("a.example A")).rcode).toBe(2);
    expect(other.lines.join("")).toContain("does not match certificate's altnames");
    server.close();
  });
});

describe("forward's targets", () => {
  it("reads nameservers of a resolv.conf", () => {
    expect(parseResolvConf("# x\nnameserver 10.0.0.1\nsearch a\n nameserver fd00::1\nnameserver nonsense\n")).toEqual([
      "10.0.0.1",
      "fd00::1",
    ]);
  });
});
