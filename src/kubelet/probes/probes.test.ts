import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attempt, portNumber } from "./attempt.ts";
import { ProbeSchedule } from "./schedule.ts";

describe("when probes are made", () => {
  it("tries a readiness probe after 10, 20, 40 … ms up to its period, without counting", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 1, failureThreshold: 1 }, "readiness");
    const waits: number[] = [];
    for (let at = 0, i = 0; i < 8; i++) {
      const { waitMs, counted } = schedule.record(false, at);
      expect(counted).toBe(at >= 1000);
      waits.push(waitMs);
      at += waitMs;
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1000]);
    expect(schedule.record(true, 2300)).toEqual({ counted: false, waitMs: 1000 });
    expect(schedule.result).toBe("success");
  });

  it("does not count an attempt made for a hint, nor wait longer after it", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 1, failureThreshold: 1 }, "readiness");
    expect(schedule.takesHints).toBe(true);
    for (let i = 0; i < 5; i++) expect(schedule.record(false, 2000, true)).toEqual({ counted: false, waitMs: 10 });
    expect(schedule.record(true, 2000, true).waitMs).toBe(1000);
    expect(schedule.takesHints).toBe(false);
    expect(new ProbeSchedule({}, "liveness").takesHints).toBe(false);
  });

  it("keeps a liveness probe to its period and thresholds", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 2, failureThreshold: 2 }, "liveness");
    expect(schedule.record(false, 0)).toEqual({ counted: true, waitMs: 2000 });
    expect(schedule.result).toBe("unknown");
    schedule.record(false, 2000);
    expect(schedule.result).toBe("failure");
  });

  it("changes a ready container's result only after failureThreshold, and back after successThreshold", () => {
    const schedule = new ProbeSchedule({ periodSeconds: 1, failureThreshold: 2, successThreshold: 2 }, "readiness");
    schedule.record(true, 0);
    expect(schedule.result).toBe("unknown");
    schedule.record(true, 10);
    expect(schedule.result).toBe("success");
    schedule.record(false, 1000);
    expect(schedule.result).toBe("success");
    schedule.record(false, 2000);
    expect(schedule.result).toBe("failure");
  });
});

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
    });
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

  it("names a port that does not exist", async () => {
    expect(() => portNumber("nope", { name: "web" })).toThrow('container web has no port named "nope"');
    expect((await attempt({}, target(), 10)).message).toBe("missing probe handler");
  });
});
