import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grpcAttempt, healthRequest, healthStatus } from "./grpc.ts";

let server: Http2Server;
let address: string;

/** Answers of a service of this name: gRPC status and message, or the health in the body. */
function answer(stream: ServerHttp2Stream, request: Buffer): void {
  const name = request.subarray(7).toString();
  const [code, message, status] = {
    "": ["0", "", 1],
    sick: ["0", "", 2],
    none: ["12", "unknown service grpc.health.v1.Health", 0],
    gone: ["5", "unknown%20service", 0],
    odd: ["2", "100%", 0],
  }[name] as [string, string, number];
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": code, "grpc-message": message }));
  stream.end(status ? Buffer.of(0, 0, 0, 0, 2, 8, status) : undefined);
}

beforeAll(async () => {
  server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    expect(headers[":path"]).toBe("/grpc.health.v1.Health/Check");
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const request = Buffer.concat(chunks);
      if (request.toString().endsWith("slow")) return;
      answer(stream, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

describe("gRPC probes", () => {
  it("send a HealthCheckRequest, read a HealthCheckResponse", () => {
    expect(healthRequest("")).toEqual(Buffer.of(0, 0, 0, 0, 0));
    expect(healthRequest("ab")).toEqual(Buffer.of(0, 0, 0, 0, 4, 0x0a, 2, 97, 98));
    expect(healthRequest("x".repeat(200)).subarray(0, 8)).toEqual(Buffer.of(0, 0, 0, 0, 203, 0x0a, 0xc8, 1));
    expect([healthStatus(Buffer.of(0, 0, 0, 0, 2, 8, 2)), healthStatus(Buffer.of(0, 0, 0, 0, 0))]).toEqual([2, 0]);
  });

  it.each([
    ["", true, ""],
    ["sick", false, 'service unhealthy (responded with "NOT_SERVING")'],
    [
      "none",
      false,
      "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health",
    ],
    ["gone", false, "error: health rpc probe failed: unknown service"],
    ["odd", false, "error: health rpc probe failed: 100%"],
  ])("of the service %j", async (service, success, message) => {
    expect(await grpcAttempt(address, service, 20_000)).toEqual({ success, message });
  });

  it("fail in upstream's words when no answer comes, or nobody listens", async () => {
    expect(await grpcAttempt(address, "slow", 300)).toEqual({
      success: false,
      message: "timeout: health rpc did not complete within 0.3s: context deadline exceeded",
    });
    expect(await grpcAttempt("127.0.0.1:1", "", 1000)).toEqual({
      success: false,
      message: 'timeout: failed to connect service "127.0.0.1:1" within 1s: context deadline exceeded',
    });
  });
});
