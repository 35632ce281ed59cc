import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import { decodeMessage, encodeMessage } from "#wire/dns/index.ts";
import { testServers } from "../../testing.ts";
import { FrameReader, frame } from "../../transport/frames.ts";
import { parseResolvConf } from "./targets.ts";

const { start, upstream } = testServers();

describe("forward", () => {
  it("answers SERVFAIL at once when nobody listens, and errors logs why", async () => {
    const { askMessage, lines } = await start(`.:0 {\n errors\n forward . 127.0.0.1:${await freePort()}\n}`);
    expect((await askMessage("www.example.com A")).rcode).toBe(2);
    // Not the words of a wait for an answer, which takes two seconds.
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

describe("forward over TCP", () => {
  it("uses TCP for clients on TCP and with force_tcp, and keeps the connection", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      const reader = new FrameReader();
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        reader.push(chunk);
        const packet = reader.next();
        if (packet) socket.write(frame(encodeMessage({ ...decodeMessage(packet), response: true, rcode: 3 })));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { askMessage } = await start(`.:0 {\n forward . 127.0.0.1:${port} {\n force_tcp\n expire 1s\n }\n}`);
    for (let i = 0; i < 3; i++) expect((await askMessage(`a${i}.example A`)).rcode).toBe(3);
    expect((await askMessage("b.example A", "tcp")).rcode).toBe(3);
    expect(connections).toBe(1);
    server.close();
  });

  it("asks again by TCP for a cut answer with prefer_udp", async () => {
    const cut = await upstream((asked) => ({ ...asked, response: true, truncated: true }));
    const passing = await start(`.:0 {\n forward . 127.0.0.1:${cut.port}\n}`);
    expect((await passing.askMessage("a.example A")).truncated).toBe(true);
    const preferring = await start(`.:0 {\n forward . 127.0.0.1:${cut.port} {\n prefer_udp\n }\n}`);
    expect((await preferring.askMessage("a.example A")).rcode).toBe(2); // nobody listens on TCP there
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
