import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { decodeMessage, encodeMessage, query } from "#wire/dns/index.ts";
import { FrameReader, frame } from "../../transport/frames.ts";
import { TcpPool } from "./tcpPool.ts";

afterEach(() => void vi.useRealTimers());

/** A server over TCP whose queries the test takes one by one. */
async function heldServer() {
  const server = createServer((socket) => {
    const reader = new FrameReader();
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      reader.push(chunk);
      const packet = reader.next();
      if (packet) server.emit("query", socket, Uint8Array.from(packet));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const asked = () => once(server, "query") as Promise<[Socket, Uint8Array]>;
  return { port: (server.address() as AddressInfo).port, asked, close: () => void server.close() };
}

describe("connections that are kept", () => {
  it("a query that is tried anew on another one has its time once", async () => {
    const server = await heldServer();
    const target = { host: "127.0.0.1", port: server.port };
    const pool = new TcpPool(target, { expireMs: 60_000, maxAgeMs: 0, maxIdle: 1, tls: {}, counted: () => {} });
    const asking = query(7, { name: "a.example.", type: 1, class: 1 });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const end = performance.now() + 1000;
    let asked = server.asked();
    const first = pool.exchange(asking, end);
    const [kept, packet] = await asked;
    kept.write(frame(encodeMessage({ ...decodeMessage(packet), response: true })));
    await first;
    asked = server.asked();
    const second = pool.exchange(asking, end);
    await asked;
    vi.advanceTimersByTime(900);
    asked = server.asked();
    kept.resetAndDestroy();
    const [anew] = await asked;
    vi.advanceTimersByTime(100);
    await expect(second).rejects.toThrow(`read tcp ->127.0.0.1:${server.port}: i/o timeout`);
    anew.destroy();
    server.close();
  });
});
