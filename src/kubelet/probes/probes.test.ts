import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attempt, portNumber } from "./attempt.ts";

describe("one attempt", () => {
  const server = createServer((request, response) => {
    const to = /^\/to\/(.*)$/.exec(request.url ?? "")?.[1];
    if (to !== undefined) {
      response.writeHead(302, { location: to === "out" ? "http://elsewhere.invalid/" : `/${to}` }).end();
      return;
    }
    if (request.url === "/endless") {
      const write = () => void response.write("x".repeat(4096), (error) => error ?? setImmediate(write));
      response.writeHead(200);
      write();
      return;
    }
    // Its length is promised, and never comes.
    if (request.url === "/stuck") return void response.writeHead(200, { "content-length": "5" }).write("x");
    if (request.url === "/cut") {
      response.writeHead(200, { "content-length": "5" }).write("x", () => void response.destroy());
      return;
    }
    response.writeHead(request.url === "/ok" && request.headers["x-token"] === "1" ? 200 : 503).end();
  });
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => void server.close());

  const target = () => ({
    podIP: "127.0.0.1",
    container: { name: "web", ports: [{ name: "http", containerPort: port }] },
    exec: async (command: readonly string[]) => ({ exitCode: command[0] === "true" ? 0 : 1, output: "no" }),
  });

  it("asks by HTTP", async () => {
    const httpGet = { path: "/ok", port: "http", httpHeaders: [{ name: "X-Token", value: "1" }] };
    expect(await attempt({ httpGet }, target(), 1000)).toEqual({ success: true, message: "" });
    const bad = await attempt({ httpGet: { port } }, target(), 1000);
    expect(bad.message).toBe("HTTP probe failed with statuscode: 503");
  });

  it("follows redirects to the same host alone", async () => {
    const of = async (path: string) => (await attempt({ httpGet: { path, port } }, target(), 1000)).message;
    expect(await of("/to/out")).toBe("");
    expect(await of("/to/bad")).toBe("HTTP probe failed with statuscode: 503");
    expect(await of("/to/to/to/bad")).toBe("HTTP probe failed with statuscode: 503");
  });

  it("reads no more of an answer than upstream, and for no longer than the time-out in all", async () => {
    const of = (path: string, timeoutMs: number) => attempt({ httpGet: { path, port } }, target(), timeoutMs);
    expect(await of("/endless", 20_000)).toEqual({ success: true, message: "" });
    // net/http's words when Client.Timeout is over after the headers.
    expect(await of("/stuck", 50)).toEqual({
      success: false,
      message: "context deadline exceeded (Client.Timeout or context cancellation while reading body)",
      errored: "failure",
    });
    expect(await of("/cut", 20_000)).toEqual({ success: false, message: "unexpected EOF", errored: "failure" });
    await expect.poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
  });

  it("asks by TCP and by a command", async () => {
    expect((await attempt({ tcpSocket: { port } }, target(), 1000)).success).toBe(true);
    expect(await attempt({ tcpSocket: { port: 1 } }, target(), 1000)).toEqual({
      success: false,
      message: "dial tcp 127.0.0.1:1: connect: connection refused",
    });
    expect((await attempt({ exec: { command: ["true"] } }, target(), 1000)).success).toBe(true);
    expect(await attempt({ exec: { command: ["false"] } }, target(), 1000)).toEqual({ success: false, message: "no" });
  });

  // Upstream (pkg/kubelet/prober, pkg/probe/exec) throws away what comes of an attempt that could not be made.
  it("is an error, not a failure, where it cannot be made", async () => {
    const error = (message: string) => ({ success: false, message, errored: "unknown" });
    const exec = () => Promise.reject(new Error("no such command"));
    const gone = await attempt({ exec: { command: ["gone"] } }, { ...target(), exec }, 10);
    expect(gone).toEqual(error("no such command"));
    const unnamed = await attempt({ tcpSocket: { port: "nope" } }, target(), 10);
    expect(unnamed).toEqual(error('strconv.Atoi: parsing "nope": invalid syntax'));
    expect(await attempt({ httpGet: { port: 70_000 } }, target(), 10)).toEqual(error("invalid port number: 70000"));
    expect(await attempt({}, target(), 10)).toEqual(error("missing probe handler"));
  });

  it("takes a port's number or name", () => {
    const container = { name: "web", ports: [{ name: "http", containerPort: 8080 }] };
    expect([80, "81", "http"].map((port) => portNumber(port, container))).toEqual([80, 81, 8080]);
  });
});
