import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import * as datagrams from "#kernel/datagrams/index.ts";
import { decodeMessage } from "#wire/dns/index.ts";
import { Answerer, makeReply, type Plugin, type Reply, type Request, type Site } from "../core/index.ts";
import { queryBytes } from "../testing.ts";
import { FrameReader, frame } from "../transport/frames.ts";
import { listenTcp, tcpLimits } from "../transport/tcp.ts";
import { HotPath } from "./hotPath.ts";
import { listenHotUdp } from "./hotUdp.ts";

const address = {
  kind: "addresses",
  name: "ready.example.",
  type: 1,
  ttl: 5,
  addresses: [Uint8Array.of(10, 0, 0, 1)],
} as const;

/**
 * A server block with one name in the table, and a plugin that knows one name more and does not answer others before it
 * is told.
 */
function slowSite() {
  const waiting: ((reply: Reply) => void)[] = [];
  const plugin: Plugin = {
    name: "slow",
    publish: (sink) => {
      sink.put("one", [address]);
      return () => {};
    },
  };
  const handler = ({ name, peer }: Request) => {
    if (name === "known.example.") return makeReply("slow");
    return peer.busy ? makeReply("slow", { drop: true }) : new Promise<Reply>((resolve) => void waiting.push(resolve));
  };
  const site: Site = { zones: ["."], plugins: [plugin], handler };
  return { site, waiting };
}

describe("floods", () => {
  it.each([
    ["with a thread", 0],
    ["without", 1e9],
  ])("beyond what may wait are dropped and counted, and what is known is answered: %s", async (_, startAt) => {
    const { site, waiting } = slowSite();
    const metrics = new Metrics();
    const hotPath = new HotPath({ log: createLogger("dns", { write: () => {} }), metrics, server: "dns://:0" });
    hotPath.use([site]);
    const answerer = new Answerer("dns://:0", [site], () => 0, hotPath.answers);
    const log = createLogger("dns", { write: () => {} });
    const maxPending = 50;
    const deps = { answerer, hotPath, log, metrics, datagrams, startAt, maxPending };
    const listener = await listenHotUdp("127.0.0.1", 0, deps);
    const client = createSocket("udp4");
    client.bind(0, "127.0.0.1");
    await once(client, "listening");
    const ids: number[] = [];
    client.on("message", (packet) => void ids.push(decodeMessage(packet).id));
    const send = (question: string, id: number) => client.send(queryBytes(question, id), listener.port, "127.0.0.1");
    const threads = () => metrics.text().includes('podwire_dns_hot_path_threads{server="dns://:0"} 1');
    if (startAt === 0) send("ready.example A", 1);
    await expect.poll(threads).toBe(startAt === 0);
    const dropped = () => Number(/podwire_dns_dropped_total (\d+)/.exec(metrics.text())?.[1] ?? 0);
    const flood = () => {
      for (let i = 0; i < 100; i++) send(`name-${i}.example A`, 1000);
      return dropped();
    };
    await expect.poll(flood).toBeGreaterThan(500);
    expect(waiting.length).toBeLessThanOrEqual(maxPending);
    // Again and again: what the thread hands over while the flood is still on its way to the plugins may be lost.
    const sendKnown = () => {
      send("ready.example A", 2);
      send("known.example A", 4);
      return [2, 4].filter((id) => ids.includes(id));
    };
    await expect.poll(sendKnown).toEqual([2, 4]);
    // What was taken is answered, and then there is room again.
    for (const resolve of waiting.splice(0)) resolve(makeReply("slow", { rcode: 3 }));
    await expect.poll(() => ids.filter((id) => id === 1000).length).toBeGreaterThan(0);
    const sendLater = () => {
      send("later.example A", 3);
      return waiting.length;
    };
    await expect.poll(sendLater).toBeGreaterThan(0);
    client.close();
    await listener.close();
    hotPath.close();
  });

  it("of a TCP client that reads no answers stop where its memory would begin to be ours", async () => {
    let asked = 0;
    const handler = () => {
      asked++;
      const data = { kind: "text", strings: Array.from({ length: 100 }, () => new Uint8Array(250)) } as const;
      return makeReply("wide", { answers: [{ name: "a.example.", type: 16, class: 1, ttl: 1, data }] });
    };
    const answerer = new Answerer("dns://:0", [{ zones: ["."], plugins: [], handler }], () => 0);
    const limits = { ...tcpLimits, idleMs: 60_000, unsentBytes: 1 << 16 };
    const listener = await listenTcp("127.0.0.1", 0, answerer, limits);
    const client = connect(listener.port, "127.0.0.1");
    await once(client, "connect");
    client.pause();
    const count = 800; // 20 MB of answers
    for (let i = 0; i < count; i++) client.write(frame(queryBytes("a.example TXT", i)));
    await expect.poll(() => asked).toBeGreaterThan(0);
    let before = -1;
    const stands = () => {
      const same = before === asked;
      before = asked;
      return same;
    };
    await expect.poll(stands, { interval: 200 }).toBe(true);
    // Kernel buffers of both ends take some megabytes.
    expect(asked).toBeLessThan(600);
    const reader = new FrameReader();
    const ids = new Set<number>();
    client.on("data", (chunk) => {
      reader.push(chunk);
      for (let packet = reader.next(); packet; packet = reader.next()) ids.add(decodeMessage(packet).id);
    });
    client.resume();
    await expect.poll(() => ids.size).toBe(count);
    client.destroy();
    await listener.close();
  });
});
