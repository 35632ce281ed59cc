import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import { Client } from "./client.ts";
import { isConflict, isNotFound } from "./errors.ts";
import { http2Transport } from "./http2.ts";
import { resources } from "./resources.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server without TLS: that part is Node's, and is tested with the API server. */
async function serve(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  port = 0,
) {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    onStream(stream, headers);
  });
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  const stop = async () => {
    for (const session of sessions) session.destroy();
    await new Promise((done) => server.close(done));
  };
  cleanups.push(stop);
  const { port: bound } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${bound}`, port: bound, sessions, stop };
}

function connect(server: string, token?: () => string) {
  const transport = http2Transport({ server, ...(token ? { token } : {}) });
  cleanups.push(() => transport.close());
  return { transport, client: new Client(transport, { userAgent: "test" }) };
}

const json = (stream: http2.ServerHttp2Stream, status: number, body: unknown) => {
  stream.respond({ ":status": status, "content-type": "application/json" });
  stream.end(JSON.stringify(body));
};

describe("HTTP/2 transport", () => {
  it("gives an answer whole that had come to its end before anybody looked at it", async () => {
    const { url } = await serve((stream) => json(stream, 200, { long: "x".repeat(5000) }));
    const { transport } = connect(url);
    const first = await transport.request({ method: "POST", path: "/first", body: "{}" });
    for (let i = 0; i < 3; i++) for await (const _ of (await transport.request({ method: "GET", path: "/" })).body);
    const chunks: Uint8Array[] = [];
    for await (const chunk of first.body) chunks.push(chunk);
    expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual({ long: "x".repeat(5000) });
  });

  it("sends many requests over one session, each with the token of its time", async () => {
    const seen: string[] = [];
    const { url, sessions } = await serve((stream, headers) => {
      seen.push(`${headers[":path"]} ${headers.authorization} ${headers["user-agent"]}`);
      json(stream, 200, { metadata: { name: "x" } });
    });
    let n = 0;
    const { client } = connect(url, () => `t${n++}`);
    await Promise.all([client.get(resources.nodes, "a"), client.get(resources.pods, "b", "ns")]);
    expect(seen).toEqual(["/api/v1/nodes/a Bearer t0 test", "/api/v1/namespaces/ns/pods/b Bearer t1 test"]);
    expect(sessions.size).toBe(1);
  });

  it("carries bodies there and large answers back", async () => {
    const { url } = await serve(async (stream) => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      json(stream, 200, JSON.parse(Buffer.concat(chunks).toString()));
    });
    const { client } = connect(url);
    const data = { big: "x".repeat(3 << 20) };
    const echoed = await client.create(resources.configMaps, { metadata: { name: "a", namespace: "n" }, data });
    expect(echoed.data?.["big"]?.length).toBe(3 << 20);
    expect(echoed.kind).toBe("ConfigMap");
  });

  it("turns Status answers into errors", async () => {
    const { url } = await serve((stream, headers) => {
      const notFound = headers[":path"]?.endsWith("missing");
      if (notFound)
        return json(stream, 404, {
          kind: "Status",
          reason: "NotFound",
          message: 'pods "missing" not found',
          code: 404,
        });
      if (headers[":method"] === "PUT") return json(stream, 409, { kind: "Status", reason: "Conflict", code: 409 });
      stream.respond({ ":status": 502 });
      stream.end("bad gateway");
    });
    const { client } = connect(url);
    const missing = await client.get(resources.pods, "missing", "n").catch((error: unknown) => error);
    expect(isNotFound(missing)).toBe(true);
    expect(String(missing)).toContain('pods "missing" not found');
    const put = client.update(resources.nodes, { metadata: { name: "n" } });
    expect(isConflict(await put.catch((error: unknown) => error))).toBe(true);
    await expect(client.list(resources.pods)).rejects.toThrow("bad gateway");
  });

  it("streams a watch, ends it by its signal and leaves the session alone", async () => {
    let closed = 0;
    const { url, sessions } = await serve((stream, headers) => {
      if (!headers[":path"]?.includes("watch")) return json(stream, 200, { metadata: { name: "x" } });
      stream.respond({ ":status": 200 });
      stream.write(`${JSON.stringify({ type: "ADDED", object: { metadata: { name: "a" } } })}\n{"type":"MOD`);
      setTimeout(() => stream.write('IFIED","object":{"metadata":{"name":"a"}}}\n'), 5);
      stream.on("close", () => closed++);
    });
    const { client } = connect(url);
    const stop = new AbortController();
    const types: string[] = [];
    const watching = (async () => {
      for await (const event of client.watch(resources.pods, { resourceVersion: "1", signal: stop.signal })) {
        types.push(event.type);
        if (types.length === 2) stop.abort(new Error("seen enough"));
      }
    })();
    await expect(watching).rejects.toThrow("seen enough");
    expect(types).toEqual(["ADDED", "MODIFIED"]);
    await expect.poll(() => closed).toBe(1);
    await client.get(resources.nodes, "x");
    expect(sessions.size).toBe(1);
  });

  it("fails what runs when the server dies and reaches its successor on the same port", async () => {
    const first = await serve((stream) => stream.respond({ ":status": 200 }), await freePort());
    const { client } = connect(first.url);
    const signal = new AbortController().signal;
    const watch = client.watch(resources.pods, { resourceVersion: "1", signal }).next();
    const failed = watch.then(
      () => "ended",
      () => "failed",
    );
    await expect.poll(() => first.sessions.size).toBe(1);
    await new Promise((done) => setTimeout(done, 20));
    await first.stop();
    expect(await failed).toBe("failed");
    await expect(client.get(resources.nodes, "x")).rejects.toThrow(/^connect ECONNREFUSED/);
    await serve((stream) => json(stream, 200, { metadata: { name: "back" } }), first.port);
    expect((await client.get(resources.nodes, "x")).metadata.name).toBe("back");
  });

  it("refuses an aborted request and one after close", async () => {
    const { url } = await serve((stream) => json(stream, 200, {}));
    const { transport } = connect(url);
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(transport.request({ method: "GET", path: "/", signal })).rejects.toThrow("too late");
    await transport.close();
    await expect(transport.request({ method: "GET", path: "/" })).rejects.toThrow("was closed");
  });
});
