import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../testing/server.ts";
import { connectionLimits } from "./connections.ts";

let server: TestServer | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.stop();
});

/** A connection that says nothing. @returns it and whether it has been ended by the server */
async function silent(port: number): Promise<{ closed: Promise<unknown> }> {
  const socket = connect({ host: "127.0.0.1", port });
  sockets.push(socket);
  socket.on("error", () => {});
  const closed = once(socket, "close");
  await once(socket, "connect");
  return { closed };
}

describe("U01 connections to the API server are bounded", () => {
  it("strangers push out the oldest of them, and nobody who has shown who he is", async () => {
    const running = (server = await startTestServer({ connections: { all: 100, strangers: 4 } }));
    const port = running.server.address?.port as number;
    const admin = await running.authority.issue("admin", { organizations: ["system:masters"] });
    const known = tlsConnect({
      host: "127.0.0.1",
      port,
      ca: running.authority.cert,
      ...admin,
      ALPNProtocols: ["http/1.1"],
    });
    sockets.push(known);
    const ask = async () => {
      known.write("GET /api/v1/namespaces/default HTTP/1.1\r\nHost: x\r\n\r\n");
      return String((await once(known, "data"))[0]).split("\r\n")[0];
    };
    expect(await ask()).toBe("HTTP/1.1 200 OK");
    const flood: { closed: Promise<unknown> }[] = [];
    for (let i = 0; i < 12; i++) flood.push(await silent(port));
    // The last four may stay; the eight before them are gone.
    await Promise.all(flood.slice(0, 8).map(({ closed }) => closed));
    expect(await ask()).toBe("HTTP/1.1 200 OK");
  });

  it("there are so many in all and the next is refused", async () => {
    const running = (server = await startTestServer({ connections: { all: 3, strangers: 100 } }));
    const port = running.server.address?.port as number;
    for (let i = 0; i < 3; i++) await silent(port);
    await (await silent(port)).closed;
  });

  it("a process leaves descriptors for the rest of its work", () => {
    const { all, strangers } = connectionLimits();
    expect(all).toBeLessThanOrEqual(4096);
    expect(strangers).toBeLessThan(all);
  });
});
