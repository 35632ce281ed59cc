import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Target } from "../../model/index.ts";
import { Complaints } from "./complaints.ts";
import type { Portal } from "./portals.ts";
import type { ProxyPort, RelayDeps } from "./proxyPort.ts";
import { tcpPort } from "./tcpPort.ts";
import { udpPort } from "./udpPort.ts";

const host = "127.0.0.1";
/** Port 1 (tcpmux), where nobody listens. */
const REFUSES = 1;
const ended: (() => void)[] = [];

const target = (port: number): Target => ({
  ip: parseIp(host),
  port,
  isLocal: true,
  origin: { kind: "EndpointSlice", name: "web" },
});

function portal(protocol: "TCP" | "UDP", ports: readonly number[], more: Partial<Portal> = {}): Portal {
  const targets = ports.map(target);
  return {
    ...{ key: "web", label: "shop/web:http", family: 4, protocol: protocols[protocol] },
    ...{ targets, serving: targets, ...more },
  };
}

/** A proxy port on loopback, what it logs, and the sockets of what it relays. */
function start(of: Portal, settings: Partial<RelayDeps> = {}): ProxyPort & { lines: string[]; sockets: Set<Socket> } {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const log = createLogger("proxy", { write: (line) => void lines.push(line) });
  const proxy = (of.protocol === protocols.TCP ? tcpPort : udpPort)(of, {
    ...{ place: undefined, address: host, sockets, complaints: new Complaints(log), log },
    // A busy machine may take its time.
    ...{ dialTimeoutsMs: [10_000, 10_000], udpIdleTimeoutMs: 20_000, ...settings },
  });
  ended.push(() => {
    proxy.stop();
    for (const socket of sockets) socket.destroy();
  });
  return Object.assign(proxy, { lines, sockets });
}

async function serve(server: Server): Promise<number> {
  ended.push(() => void server.close());
  server.listen(0, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Says its name and ends. */
const named = (name: string) => serve(createServer((socket) => void socket.end(name)));

function dial(port: number): Socket {
  const socket = connect({ port, host, allowHalfOpen: true });
  ended.push(() => void socket.destroy());
  return socket;
}

afterEach(() => {
  for (const end of ended.splice(0)) end();
});

describe("V04 ports of the userspace mode (part: portRange)", () => {
  it.each(["TCP", "UDP"] as const)("%s: at those that are allowed, and at no other when they are taken", (protocol) => {
    const { port } = start(portal(protocol, []));
    // Whoever else is on this machine may have the next ones, but not more than some of them.
    const ports = { first: port, last: Math.min(port + 50, 65_535) };
    const next = start(portal(protocol, []), { ports });
    expect(next.port).toBeGreaterThan(ports.first);
    expect(next.port).toBeLessThanOrEqual(ports.last);
    expect(() => start(portal(protocol, []), { ports: { first: port, last: port } })).toThrow(
      `all ports of portRange ${port}-${port} are taken`,
    );
  });
});

describe("V04 the userspace mode relays TCP (part: a connection)", () => {
  it("what the client ends, the endpoint sees end, and may answer after it", async () => {
    const upper = createServer({ allowHalfOpen: true }, (socket) => {
      void text(socket).then((said) => socket.end(said.toUpperCase()));
    });
    const { port } = start(portal("TCP", [await serve(upper)]));
    const client = dial(port);
    client.end("hello");
    expect(await text(client)).toBe("HELLO");
  });

  it("what the endpoint ends, the client sees end, and may go on after it", async () => {
    const heard = Promise.withResolvers<string>();
    const greeting = createServer({ allowHalfOpen: true }, (socket) => {
      socket.end("welcome");
      void text(socket).then(heard.resolve);
    });
    const { port } = start(portal("TCP", [await serve(greeting)]));
    const client = dial(port);
    expect(await text(client)).toBe("welcome");
    client.end("thanks");
    expect(await heard.promise).toBe("thanks");
  });

  it("a reset of the endpoint resets the client, and the other way round", async () => {
    const accepted = Promise.withResolvers<Socket>();
    const server = createServer((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
      socket.on("error", () => {});
    });
    const { port, update } = startBound(portal("TCP", [await serve(server)]));
    const client = dial(port);
    client.write("reset me");
    expect(await once(client, "error")).toMatchObject([{ code: "ECONNRESET" }]);
    update(portal("TCP", [await serve(createServer((socket) => accepted.resolve(socket)))]));
    const second = dial(port);
    await once(second, "connect");
    const seen = once(await accepted.promise, "error");
    second.resetAndDestroy();
    expect(await seen).toMatchObject([{ code: "ECONNRESET" }]);
  });

  it("an endpoint that does not take a connection is passed over; without another one the client is reset", async () => {
    const { port, lines, update } = startBound(portal("TCP", [REFUSES, await named("second")]));
    for (let n = 0; n < 4; n++) expect(await text(dial(port))).toBe("second");
    expect(lines.join("")).toContain('"Dial failed" service="shop/web:http" endpoint="127.0.0.1:1"');
    update(portal("TCP", [REFUSES]));
    expect(await once(dial(port), "error")).toMatchObject([{ code: "ECONNRESET" }]);
    expect(lines.join("")).toContain('"Failed to connect to balancer" service="shop/web:http"');
  });

  it("a client with affinity leaves an endpoint that does not take its connection", async () => {
    const { port } = start(portal("TCP", [REFUSES, await named("live")], { affinitySeconds: 10_800 }));
    for (let n = 0; n < 3; n++) expect(await text(dial(port))).toBe("live");
  });

  it("established connections outlive the listening socket and a change of endpoints", async () => {
    const echo = createServer((socket) => void socket.pipe(socket));
    const { port, update, stop } = startBound(portal("TCP", [await serve(echo)]));
    const client = dial(port);
    const answer = async (word: string) => {
      client.write(word);
      return String((await once(client, "data"))[0]);
    };
    expect(await answer("one")).toBe("one");
    update(portal("TCP", [REFUSES]));
    stop();
    expect(await answer("two")).toBe("two");
    expect(await once(dial(port), "error")).toMatchObject([{ code: "ECONNREFUSED" }]);
  });

  it("a slow reader makes the writer wait: little is held in between", async () => {
    const accepted = Promise.withResolvers<Socket>();
    const { port, sockets } = start(portal("TCP", [await serve(createServer((socket) => accepted.resolve(socket)))]));
    const client = dial(port);
    const [chunk, chunks] = [Buffer.alloc(1 << 20, "x"), 64];
    for (let n = 0; n < chunks; n++) client.write(chunk);
    client.end();
    const reader = await accepted.promise;
    let received = 0;
    let held = 0;
    for await (const data of reader) {
      received += (data as Buffer).length;
      const buffered = [...sockets].map((socket) => socket.writableLength + socket.readableLength);
      held = Math.max(held, ...buffered);
      await new Promise((done) => setImmediate(done));
    }
    expect(received).toBe(chunk.length * chunks);
    expect(held).toBeLessThan(1 << 20);
  });
});

/** Methods that can be taken out of their object. */
function startBound(of: Portal, settings?: Partial<RelayDeps>) {
  const proxy = start(of, settings);
  return {
    ...{ port: proxy.port, lines: proxy.lines },
    update: (next: Portal) => proxy.update(next),
    stop: () => proxy.stop(),
  };
}

async function datagrams(receive: (socket: DatagramSocket) => void): Promise<number> {
  const socket = createSocket("udp4");
  receive(socket);
  socket.bind(0, host);
  await once(socket, "listening");
  ended.push(() => void socket.close());
  return socket.address().port;
}

/** Answers with its name and the port that it was asked from. */
const namedUdp = (name: string) =>
  datagrams((socket) =>
    socket.on("message", (data, from) => socket.send(`${name} ${from.port} ${data}`, from.port, host)),
  );

/** A client with a port of its own. */
async function udpClient(to: number): Promise<(word: string) => Promise<string[]>> {
  const socket = createSocket("udp4");
  socket.bind(0, host);
  await once(socket, "listening");
  ended.push(() => void socket.close());
  return async (word) => {
    socket.send(word, to, host);
    const [data] = await once(socket, "message", { signal: AbortSignal.timeout(10_000) });
    return String(data).split(" ");
  };
}

describe("V04 the userspace mode relays UDP (part: clients)", () => {
  it("each client has a socket and an endpoint of its own, and gets its own answers", async () => {
    const { port } = start(portal("UDP", [await namedUdp("a"), await namedUdp("b")]));
    const [one, other] = [await udpClient(port), await udpClient(port)];
    const first = await one("1");
    const second = await other("2");
    expect([first[0], second[0]].sort()).toEqual(["a", "b"]);
    expect(await one("3")).toEqual([first[0], first[1], "3"]);
    expect(await other("4")).toEqual([second[0], second[1], "4"]);
  });

  it("a client that was silent for the time-out is a new one", async () => {
    const { port } = start(portal("UDP", [await namedUdp("a")]), { udpIdleTimeoutMs: 20 });
    const one = await udpClient(port);
    const [, first] = await one("1");
    await expect.poll(async () => (await one("2"))[1], { interval: 100 }).not.toBe(first);
  });

  it("a flow goes on while its endpoint serves, though it is chosen no more, and ends with it", async () => {
    const ports = [await namedUdp("a"), await namedUdp("b")];
    const { port, update } = startBound(portal("UDP", ports.slice(0, 1)));
    const one = await udpClient(port);
    const [name, from] = await one("1");
    update(portal("UDP", ports.slice(1), { serving: ports.map(target) }));
    expect(await one("2")).toEqual([name, from, "2"]);
    expect((await (await udpClient(port))("3"))[0]).toBe("b");
    update(portal("UDP", ports.slice(1)));
    expect((await one("4"))[0]).toBe("b");
  });

  it("an endpoint that refuses loses its clients", async () => {
    const { port, lines } = start(portal("UDP", [REFUSES, await namedUdp("a")]));
    // One of two clients comes to it.
    for (const client of [await udpClient(port), await udpClient(port)]) {
      const answer = () => Promise.race([client("1"), new Promise<string[]>((done) => setTimeout(done, 200, []))]);
      await expect.poll(async () => (await answer())[0]).toBe("a");
    }
    expect(lines.join("")).toMatch(/"(Read|Dial) failed" service="shop\/web:http" err=".*ECONNREFUSED/);
  });

  it("an endpoint that the kernel does not let it connect to is told, and the next client is served", async () => {
    // EACCES for a broadcast address, ENETUNREACH without a route.
    const nowhere = { ...target(9), ip: parseIp("255.255.255.255") };
    const { port, lines, update } = startBound(portal("UDP", [], { targets: [nowhere], serving: [nowhere] }));
    const client = await udpClient(port);
    void client("1").catch(() => {});
    await expect
      .poll(() => lines.join(""))
      .toMatch(/failed" service="shop\/web:http" err="connect E(ACCES|NETUNREACH) 255/);
    update(portal("UDP", [await namedUdp("a")]));
    expect((await client("2"))[0]).toBe("a");
  });
});
