import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, query } from "#wire/dns/index.ts";
import { Answerer, makeReply } from "../core/index.ts";
import { askTcpMany, exchangeBytes, queryBytes, testServers } from "../testing.ts";
import { answerMemory, Connection } from "./connection.ts";
import { FrameReader, frame } from "./frames.ts";
import { listenTcp, tcpLimits } from "./tcp.ts";

const { start } = testServers();

/** A client's end that takes nothing. */
class StuckSocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: Uint8Array, _encoding: string, _done: () => void): void {}
  setTimeout(): this {
    return this;
  }
}

/** A client's end that takes one write with each `release`. */
class SlowSocket extends StuckSocket {
  taken = 0;
  #taking: (() => void) | undefined;
  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#taking = () => {
      this.taken += chunk.length;
      done();
    };
  }
  release(): void {
    const taking = this.#taking;
    this.#taking = undefined;
    taking?.();
  }
}

/** A client's end that takes all at once. */
class ReadingSocket extends SlowSocket {
  override _write(chunk: Uint8Array, encoding: string, done: () => void): void {
    super._write(chunk, encoding, done);
    this.release();
  }
}

describe("transport", () => {
  it("answers the longest zone, refuses others, and what is no query", async () => {
    const { ask, port } = await start(
      "example.org:0 {\n hosts {\n 10.0.0.1 a.example.org b.sub.example.org\n }\n}\nsub.example.org:0 {\n hosts {\n 10.0.0.2 b.sub.example.org\n }\n}",
    );
    expect((await ask("a.example.org A"))[1]).toContain("10.0.0.1");
    expect((await ask("b.sub.example.org A"))[1]).toContain("10.0.0.2");
    expect(await ask("other.net A")).toEqual(["REFUSED"]);
    const base = query(9, { name: "a.example.org.", type: 1, class: 1 });
    const rcode = async (bytes: Uint8Array, waitMs?: number) => {
      const answer = await exchangeBytes(port, bytes, waitMs);
      return answer && decodeMessage(answer).rcode;
    };
    expect(await rcode(encodeMessage({ ...base, opcode: 5 }))).toBe(4);
    expect(await rcode(encodeMessage({ ...base, questions: [] }))).toBe(1);
    expect(await rcode(encodeMessage(base).subarray(0, 20))).toBe(1);
    expect(
      await rcode(encodeMessage({ ...base, edns: { udpSize: 512, version: 1, dnssecOk: false, options: [] } })),
    ).toBe(16);
    expect(await rcode(encodeMessage({ ...base, questions: [{ name: "a.example.org.", type: 1, class: 3 }] }))).toBe(5);
    expect(await rcode(encodeMessage({ ...base, response: true }), 150)).toBeUndefined();
    expect(await rcode(Uint8Array.of(1, 2, 3), 150)).toBeUndefined();
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

describe("TCP limits", () => {
  const answerer = () => new Answerer("dns://:0", [], () => 0);
  const limits = {
    idleMs: 60,
    messageMs: 100,
    connections: 2,
    pipelined: 4,
    unsentBytes: 1 << 20,
    allUnsentBytes: 1 << 22,
  };
  const closes = (socket: Socket) =>
    new Promise<void>((resolve) => {
      // What the server has not read when it closes makes its end a reset.
      socket.on("error", () => {});
      socket.once("close", () => resolve());
      socket.resume();
    });

  it("ends silent connections, and those that drip a message", async () => {
    const listener = await listenTcp("127.0.0.1", 0, answerer(), limits);
    const silent = connect(listener.port, "127.0.0.1");
    await closes(silent);
    const dripping = connect(listener.port, "127.0.0.1");
    const timer = setInterval(() => dripping.writable && dripping.write(Uint8Array.of(1)), 20);
    await closes(dripping);
    clearInterval(timer);
    await listener.close();
  });

  it("of connections make room for a client that has fewer, and not for the one that has most", async () => {
    const listener = await listenTcp("127.0.0.1", 0, answerer(), { ...limits, idleMs: 60_000, connections: 3 });
    const open = async (localAddress: string) => {
      const socket = connect({ port: listener.port, host: "127.0.0.1", localAddress });
      const closed = closes(socket);
      await once(socket, "connect");
      return { socket, closed };
    };
    /** Resolves with an answer's rcode, once the server has taken the connection in. */
    const asks = async ({ socket }: { socket: Socket }) => {
      const data = once(socket, "data");
      socket.write(frame(queryBytes("a.example A")));
      return decodeMessage(((await data) as [Uint8Array])[0].subarray(2)).rcode;
    };
    const greedy = [await open("127.0.0.1"), await open("127.0.0.1"), await open("127.0.0.1")] as const;
    for (const one of greedy) expect(await asks(one)).toBe(5);
    await (await open("127.0.0.1")).closed;
    const other = await open("127.0.0.2");
    expect(await asks(other)).toBe(5);
    await greedy[0].closed;
    for (const one of [greedy[1], greedy[2], other]) expect(await asks(one)).toBe(5);
    await listener.close();
  });

  const data = { kind: "text", strings: Array.from({ length: 40 }, () => new Uint8Array(250)) } as const;
  const record = { name: "a.example.", type: 16, class: 1, ttl: 1, data };
  const handler = () => makeReply("wide", { answers: [record] });
  /** Length, header, question, and the record with its name as a pointer (RFC 1035 §4.1). */
  const answerBytes = 2 + 12 + 15 + 12 + 40 * 251;
  const wide = new Answerer("dns://:0", [{ zones: ["."], plugins: [], handler }], () => 0);
  const many = Buffer.concat(Array.from({ length: 200 }, (_, i) => frame(queryBytes("a.example TXT", i))));

  it("of unsent answers do not stop who reads while others do not", () => {
    const bounds = { ...tcpLimits, allUnsentBytes: 1 << 19, connections: 16 };
    // Others hold more than all may.
    const shared = { joined: answerMemory(), unsent: 1 << 20 };
    const socket = new ReadingSocket();
    new Connection(socket as unknown as Socket, wide, bounds, shared);
    socket.emit("data", many);
    expect([socket.taken, socket.isPaused(), shared.unsent]).toEqual([200 * answerBytes, false, 1 << 20]);
  });

  it("of unsent answers end with each write, also one below the socket's own mark", async () => {
    const bounds = { ...tcpLimits, allUnsentBytes: 1 << 16, connections: 4 };
    const shared = { joined: answerMemory(), unsent: 1 << 20 };
    const socket = new SlowSocket({ writableHighWaterMark: 1 << 26 });
    new Connection(socket as unknown as Socket, wide, bounds, shared);
    socket.emit("data", many);
    expect(socket.isPaused()).toBe(true);
    for (let turns = 0; turns < 400 && shared.unsent > 1 << 20; turns++) {
      socket.release();
      await new Promise(setImmediate);
    }
    expect([socket.taken, socket.isPaused(), shared.unsent]).toEqual([200 * answerBytes, false, 1 << 20]);
  });

  it("of unsent answers count all clients together, and stop only those that have more than their share", () => {
    const bounds = { ...tcpLimits, unsentBytes: 1 << 20, allUnsentBytes: 1 << 19, connections: 16 };
    const shared = { joined: answerMemory(), unsent: 0 };
    const clients = Array.from({ length: 16 }, () => {
      const socket = new StuckSocket();
      new Connection(socket as unknown as Socket, wide, bounds, shared);
      return socket;
    });
    const held = () => clients.reduce((sum, { writableLength }) => sum + writableLength, 0);
    for (const socket of clients.slice(0, 15)) socket.emit("data", many);
    // Without a bound for all each would hold one megabyte. Beyond the bound each has its share and one answer.
    expect(held()).toBeLessThan((1 << 19) + 16 * ((1 << 15) + 10_300));
    expect(shared.unsent).toBe(held());
    expect(clients[14]?.isPaused()).toBe(true);
    clients[15]?.emit("data", frame(queryBytes("a.example TXT", 1)));
    expect([clients[15]?.writableLength, clients[15]?.isPaused()]).toEqual([expect.closeTo(10_200, -3), false]);
    for (const socket of clients) socket.emit("close");
    expect(shared.unsent).toBe(0);
  });

  it("answers what was asked before the client closed its side", async () => {
    const listener = await listenTcp("127.0.0.1", 0, answerer(), limits);
    const socket = connect(listener.port, "127.0.0.1");
    socket.end(frame(queryBytes("a.example A")));
    const [chunk] = (await once(socket, "data")) as [Uint8Array];
    expect(decodeMessage(chunk.subarray(2)).rcode).toBe(5);
    await listener.close();
  });

  it("cuts a stream into messages wherever it is broken", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 10 }),
        (messages, sizes) => {
          const stream = Buffer.concat(messages.map(frame));
          const reader = new FrameReader();
          const found: Uint8Array[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const size = sizes[turn % sizes.length] as number;
            reader.push(stream.subarray(at, at + size));
            at += size;
            for (let packet = reader.next(); packet; packet = reader.next()) found.push(Uint8Array.from(packet));
          }
          expect(found).toEqual(messages);
          expect(reader.partial).toBe(false);
        },
      ),
      { seed: 53, numRuns: 200 },
    );
  });
});

describe("Answerer", () => {
  it("answers a query with more questions than fit with a bare header", async () => {
    const name = `${"abcdefg.".repeat(30)}`;
    const questions = Array.from({ length: 10 }, (_, i) => ({ name: `x${i}.${name}`, type: 1, class: 1 }));
    const packet = encodeMessage({ ...query(5, { name: ".", type: 1, class: 1 }), questions });
    const answerer = new Answerer("dns://:0", [], () => 0);
    const answer = await answerer.answer(packet, { address: "127.0.0.1", port: 1, protocol: "udp" });
    expect(answer).toHaveLength(12);
    expect(decodeMessage(answer as Uint8Array)).toMatchObject({ id: 5, rcode: 1, questions: [] });
  });

  it("survives any packet", () => {
    const handler = () => makeReply("test", { rcode: 0 });
    const answerer = new Answerer("dns://:0", [{ zones: ["."], plugins: [], handler }], () => 0);
    const peer = { address: "127.0.0.1", port: 1, protocol: "udp" as const };
    const base = queryBytes("a.example A");
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        (random, changes) => {
          const mutated = Uint8Array.from(base);
          for (const [at, byte] of changes) mutated[at] = byte;
          for (const packet of [random, mutated]) {
            const answer = answerer.answer(packet, peer);
            if (answer instanceof Uint8Array) expect(decodeMessage(answer).response).toBe(true);
          }
        },
      ),
      { seed: 53, numRuns: 1000 },
    );
  });
});
