import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bodyLimit } from "../rest/body.ts";
import type { Pair } from "../testing/certificates.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

let test: TestServer;
let admin: Pair;
let session: ClientHttp2Session;
const maps = "/api/v1/namespaces/default/configmaps";
const json = { "content-type": "application/json" };

beforeAll(async () => {
  test = await startTestServer();
  admin = await test.authority.issue("admin", { organizations: ["system:masters"] });
  session = connect(url(), { ca: test.authority.cert, ...admin });
});
afterAll(async () => {
  session.destroy();
  await test.stop();
});

const url = () => `https://127.0.0.1:${test.server.address?.port}`;

/** Sends over HTTP/2; a body that is not ended stays open. */
async function over2(headers: Record<string, string>, body?: Buffer, end = true) {
  const stream = session.request({ ":path": maps, ...headers }, { endStream: body === undefined });
  const continued = once(stream, "continue").then(() => true);
  if (body) stream.write(body);
  if (body && end) stream.end();
  const [head] = (await once(stream, "response")) as [IncomingHttpHeaders];
  return { status: head[":status"], length: head["content-length"], body: await text(stream), continued };
}

/** Sends over HTTP/1.1, with a body in chunks. */
async function over1(method: string, path: string, body?: Buffer, end = true) {
  const call = request(`${url()}${path}`, { method, headers: json, ca: test.authority.cert, ...admin, agent: false });
  // The server may close the connection before the rest is sent.
  call.on("error", () => {});
  if (body) call.write(body);
  if (end) call.end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  const { statusCode: status, headers, httpVersion } = answer;
  return { status, httpVersion, length: headers["content-length"], body: await text(answer) };
}

describe("the API server over HTTP/2 and HTTP/1.1", () => {
  const long = Buffer.alloc(bodyLimit + 1, " ");
  const tooLong = { status: 413, body: expect.stringContaining('"reason":"RequestEntityTooLarge"') };

  it("HTTP/2: answers a body that is too long before its end, and the connection goes on", async () => {
    expect(await over2({ ":method": "POST", ...json }, long, false)).toMatchObject(tooLong);
    expect(await over2({ ":method": "GET", ":path": "/version" })).toMatchObject({ status: 200 });
  });

  it("HTTP/1.1: answers a body that is too long before its end", async () => {
    expect(await over1("POST", maps, long, false)).toMatchObject({ ...tooLong, httpVersion: "1.1" });
    expect(await over1("GET", "/version")).toMatchObject({ status: 200, httpVersion: "1.1" });
  });

  it("refuses a body that says beforehand that it is too long", async () => {
    const headers = { ":method": "POST", ...json, "content-length": String(bodyLimit + 1) };
    expect(await over2(headers, Buffer.from("{"), false)).toMatchObject(tooLong);
  });

  it("a body in parts and an empty one are read to their end", async () => {
    const object = Buffer.from(JSON.stringify({ metadata: { name: "parts" }, data: { a: "x".repeat(200_000) } }));
    expect(await over2({ ":method": "POST", ...json }, object)).toMatchObject({ status: 201 });
    expect(await over1("POST", maps, object)).toMatchObject({ status: 409 });
    expect(await over2({ ":method": "POST", ...json }, Buffer.alloc(0))).toMatchObject({ status: 400 });
    expect(await over1("POST", maps)).toMatchObject({ status: 400 });
  });

  it("HEAD has the length of the answer and no body", async () => {
    const { body } = await over2({ ":method": "GET", ":path": "/version" });
    const head = { status: 200, length: String(body.length), body: "" };
    expect(await over2({ ":method": "HEAD", ":path": "/version" })).toMatchObject(head);
    expect(await over1("HEAD", "/version")).toMatchObject(head);
  });

  it("tells a client that asks first to go on", async () => {
    const object = Buffer.from(JSON.stringify({ metadata: { name: "asked" } }));
    const answer = await over2({ ":method": "POST", ...json, expect: "100-continue" }, object);
    expect([answer.status, await answer.continued]).toEqual([201, true]);
  });

  it("lets nobody take for ever over the head of a request", async () => {
    const hurried = await startTestServer({ headersTimeoutMs: 300 });
    try {
      const port = hurried.server.address?.port as number;
      const socket = tlsConnect({ host: "127.0.0.1", port, ca: hurried.authority.cert, ALPNProtocols: ["http/1.1"] });
      socket.on("error", () => {});
      await once(socket, "secureConnect");
      socket.write("GET /version HTTP/1.1\r\n");
      // It would go on for ever by itself.
      const drops = setInterval(() => socket.write("X-More: x\r\n"), 50);
      await new Promise((resolve) => socket.once("close", resolve));
      clearInterval(drops);
      expect(await over2({ ":method": "GET", ":path": "/version" })).toMatchObject({ status: 200 });
    } finally {
      await hurried.stop();
    }
  });

  it("talks no TLS below the version that it was given, and no suite beside its own", async () => {
    const suite = "ECDHE-ECDSA-AES128-GCM-SHA256";
    const handshake = async (server: TestServer, options: ConnectionOptions) => {
      const port = server.server.address?.port as number;
      const socket = tlsConnect({ host: "127.0.0.1", port, ca: server.authority.cert, ...options });
      const ended = await Promise.race([
        once(socket, "secureConnect").then(() => [socket.getProtocol(), socket.getCipher().standardName]),
        once(socket, "error").then(([error]: { code: string }[]) => error?.code),
      ]).catch((error: { code: string }) => error.code);
      socket.destroy();
      return ended;
    };
    const [pair, newest] = [
      test.options.tls,
      await startTestServer({ tls: { ...test.options.tls, minVersion: "TLSv1.3" } }),
    ];
    const narrow = await startTestServer({ tls: { ...pair, ciphers: `TLS_AES_256_GCM_SHA384:${suite}` } });
    try {
      const ca = test.authority.cert;
      expect(await handshake(newest, { ca, maxVersion: "TLSv1.2" })).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
      expect(await handshake(newest, { ca })).toEqual(["TLSv1.3", expect.any(String)]);
      expect(await handshake(narrow, { ca, maxVersion: "TLSv1.2" })).toEqual([
        "TLSv1.2",
        expect.stringMatching(/^TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256$/),
      ]);
      expect(await handshake(narrow, { ca, maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" })).toMatch(
        /HANDSHAKE_FAILURE$/,
      );
    } finally {
      await newest.stop();
      await narrow.stop();
    }
  });

  it("a watch is over when the client leaves it, or its connection", async () => {
    const longrunning = async () =>
      /apiserver_longrunning_requests\{.*resource="configmaps".*\} (\d+)/.exec(
        (await over2({ ":method": "GET", ":path": "/metrics" })).body,
      )?.[1];
    const stream = session.request({ ":path": `${maps}?watch=1&resourceVersion=1` });
    await once(stream, "response");
    expect(await longrunning()).toBe("1");
    stream.close();
    await expect.poll(longrunning, { timeout: 20_000 }).toBe("0");
    const other = connect(url(), { ca: test.authority.cert, ...admin });
    await once(other.request({ ":path": `${maps}?watch=1&resourceVersion=1` }), "response");
    expect(await longrunning()).toBe("1");
    other.destroy();
    await expect.poll(longrunning, { timeout: 20_000 }).toBe("0");
  });
});
