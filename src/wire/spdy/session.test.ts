import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  FrameDecoder,
  FrameEncoder,
  RESET,
  SETTING,
  type SpdyFrame,
  SpdySession,
  type SpdySessionOptions,
  type SpdyStream,
} from "./index.ts";

/** Two sessions joined; the server's streams go to `onStream`. */
function pair(onStream: (stream: SpdyStream) => void, options: Partial<SpdySessionOptions> = {}) {
  const [a, b] = duplexPair();
  const client = new SpdySession(a, { side: "client" });
  const server = new SpdySession(b, { side: "server", onStream, ...options });
  return { client, server };
}

const echo = (stream: SpdyStream) => void stream.accept().pipe(stream);

/** A peer that speaks in frames. */
function bare(onStream: (stream: SpdyStream) => void, options: Partial<SpdySessionOptions> = {}) {
  const [a, b] = duplexPair();
  const server = new SpdySession(b, { side: "server", onStream, ...options });
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  const seen: SpdyFrame[] = [];
  a.on("data", (bytes: Buffer) => seen.push(...decoder.push(bytes)));
  const say = (...frames: SpdyFrame[]) => {
    for (const frame of frames) a.write(encoder.encode(frame));
  };
  const open = (stream: number): SpdyFrame => ({
    type: "synStream",
    stream,
    associated: 0,
    priority: 0,
    fin: false,
    unidirectional: false,
    headers: { n: String(stream) },
  });
  return { wire: a, server, say, seen, open };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

function sent(seen: readonly SpdyFrame[], stream: number): number {
  return seen.reduce((sum, f) => sum + (f.type === "data" && f.stream === stream ? f.data.length : 0), 0);
}

describe("an SPDY/3.1 session", () => {
  it("carries many streams, whole, each way, half-closed", async () => {
    const { client } = pair(echo);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 8 }),
        async (sizes) => {
          const all = sizes.map(async (size) => {
            const data = randomBytes(size);
            const stream = client.open({ size: String(size) });
            stream.end(data);
            expect((await buffer(stream)).equals(data)).toBe(true);
          });
          await Promise.all(all);
        },
      ),
      { seed: 1, numRuns: 20 },
    );
    await turns();
    expect(client.size).toBe(0);
  });

  it("gives headers, says the end of one direction, and goes on in the other", async () => {
    const streams: SpdyStream[] = [];
    const { client } = pair((stream) => void streams.push(stream.accept()));
    const mine = client.open({ streamtype: "data", port: "80" });
    mine.end("last words");
    await turns();
    const theirs = streams[0] as SpdyStream;
    expect({ ...theirs.headers }).toEqual({ streamtype: "data", port: "80" });
    expect((await buffer(theirs)).toString()).toBe("last words");
    theirs.end("answer");
    expect((await buffer(mine)).toString()).toBe("answer");
  });

  it("a reset ends one stream and leaves the others", async () => {
    const streams: SpdyStream[] = [];
    const { client } = pair((stream) => void streams.push(stream.accept()));
    const [one, two] = [client.open({}), client.open({})];
    await turns();
    const closed = once(one, "close");
    streams[0]?.reset(RESET.refusedStream);
    await closed;
    expect(one.readableEnded).toBe(false);
    streams[1]?.end("still here");
    expect((await buffer(two)).toString()).toBe("still here");
  });

  it("ends with its connection, its streams without an 'end'; a session that ends waits for its streams", async () => {
    const { client, server } = pair(echo);
    const stream = client.open({});
    await turns();
    client.end();
    expect(() => client.open({})).toThrow(/closed/);
    stream.end("x");
    expect((await buffer(stream)).toString()).toBe("x");
    await Promise.all([client.closed, server.closed]);
    const other = pair(echo);
    const cut = other.client.open({});
    const closed = once(cut, "close");
    other.server.destroy();
    await closed;
    expect(cut.readableEnded).toBe(false);
  });

  it("answers PING, passes over its own, and refuses a stream too many", async () => {
    const { say, seen, open } = bare(() => {}, { maxStreams: 1 });
    say({ type: "ping", id: 1 }, { type: "ping", id: 2 }, open(1), open(3));
    await turns();
    expect(seen).toEqual([
      { type: "ping", id: 1 },
      { type: "rstStream", stream: 3, status: RESET.refusedStream },
    ]);
  });

  it("says GOAWAY and ends when the peer breaks the protocol", async () => {
    for (const breach of [
      (b: ReturnType<typeof bare>) => b.say(b.open(2)),
      (b: ReturnType<typeof bare>) => b.say(b.open(3), b.open(1)),
      (b: ReturnType<typeof bare>) => void b.wire.write(Buffer.alloc(64, 0xff)),
      (b: ReturnType<typeof bare>) => b.say({ type: "windowUpdate", stream: 0, delta: 0x7fffffff }),
    ]) {
      const peer = bare(() => {});
      breach(peer);
      await turns();
      expect(peer.seen.at(-1)).toMatchObject({ type: "goAway", status: 1 });
      peer.wire.end();
      await peer.server.closed;
    }
  });
});

describe("an SPDY/3.1 session's flow control", () => {
  it("stops at the window of a peer that speaks of windows, goes on when it grows", async () => {
    const { say, seen, open } = bare((stream) => void stream.accept().end(Buffer.alloc(1 << 20)));
    say({ type: "settings", clear: false, settings: [{ id: SETTING.initialWindowSize, flags: 0, value: 20_000 }] });
    say(open(1));
    await turns(200);
    expect(sent(seen, 1)).toBe(20_000);
    say({ type: "windowUpdate", stream: 1, delta: 100_000 });
    await turns(200);
    // The session's own window of 64 KiB ends it now.
    expect(sent(seen, 1)).toBe(65_536);
    say({ type: "windowUpdate", stream: 0, delta: 10_000_000 }, { type: "windowUpdate", stream: 1, delta: 10_000_000 });
    await turns(500);
    expect(sent(seen, 1)).toBe(1 << 20);
    expect(seen.at(-1)).toMatchObject({ type: "data", stream: 1, fin: true });
  });

  it("does not wait for window updates of a peer that knows none", async () => {
    const { say, seen, open } = bare((stream) => void stream.accept().end(Buffer.alloc(1 << 20)));
    say(open(1));
    await turns(500);
    expect(sent(seen, 1)).toBe(1 << 20);
  });

  it("tells the peer of what was read, half a window at a time", async () => {
    const streams: SpdyStream[] = [];
    const { say, seen, open } = bare((stream) => void streams.push(stream.accept()));
    const piece: SpdyFrame = { type: "data", stream: 1, fin: false, data: Buffer.alloc(16_384) };
    say(open(1), piece, piece, piece);
    await turns();
    const updates = () => seen.filter((f) => f.type === "windowUpdate");
    expect(updates()).toEqual([]);
    streams[0]?.resume();
    await turns();
    expect(updates()).toEqual([
      { type: "windowUpdate", stream: 0, delta: 32_768 },
      { type: "windowUpdate", stream: 1, delta: 32_768 },
    ]);
  });

  it("no longer reads from a peer that obeys no window, and goes on when the stream is read", async () => {
    const streams: SpdyStream[] = [];
    const { wire, say, open } = bare((stream) => void streams.push(stream.accept()), { streamLimit: 100_000 });
    say(open(1));
    const piece: SpdyFrame = { type: "data", stream: 1, fin: false, data: Buffer.alloc(16_384, 1) };
    for (let i = 0; i < 100; i++) say(piece);
    await turns(300);
    const held = streams[0]?.held ?? 0;
    expect(held).toBeGreaterThan(100_000);
    expect(held).toBeLessThan(100_000 + 2 * 65_536);
    expect(wire.writableLength).toBeGreaterThan(1_000_000);
    let read = 0;
    streams[0]?.on("data", (chunk: Buffer) => (read += chunk.length));
    await turns(500);
    expect(read).toBe(100 * 16_384);
  });

  it("does not hoard answers to a peer that asks and never reads", async () => {
    const [a, b] = duplexPair();
    new SpdySession(b, { side: "server", onStream: () => {} });
    const ping = new FrameEncoder().encode({ type: "ping", id: 1 });
    for (let i = 0; i < 200; i++) a.write(Buffer.concat(Array.from({ length: 1000 }, () => ping)));
    await turns(300);
    expect(b.writableLength).toBeLessThan(1 << 20);
    expect(a.writableLength).toBeGreaterThan(1 << 20);
  });
});
