import { once } from "node:events";
import { createServer as createHttpServer, type IncomingHttpHeaders, type Server } from "node:http";
import { createServer as createHttpsServer, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { http2Transport, type Transport } from "#api/index.ts";
import { type Pair, TestAuthority } from "../testing/certificates.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";
import { isProxyable } from "./proxy-targets.ts";

let test: TestServer;
let admin: Transport;
let pair: Pair;
let kubelet: Server;
let backend: Server;
let forwardedHeaders: IncomingHttpHeaders = {};
let seen: { url: string; client: string; authorization: string | undefined }[] = [];

/** An error's text without an end. */
const endless = new Readable({
  read() {
    this.push("x".repeat(1000));
  },
});

/** A node agent that answers logs and echoes what comes after an upgrade. */
async function startKubelet(authority: TestAuthority, serving: Pair): Promise<Server> {
  const server = createHttpsServer({ ...serving, ca: authority.cert, requestCert: true, rejectUnauthorized: true });
  server.on("request", (request, response) => {
    const socket = request.socket as TLSSocket;
    seen.push({
      url: request.url ?? "",
      client: socket.getPeerCertificate().subject.CN as string,
      authorization: request.headers.authorization,
    });
    if (request.url?.includes("sinceSeconds=500")) {
      response.writeHead(500);
      endless.pipe(response);
      response.on("close", () => endless.destroy());
      return;
    }
    response.writeHead(200, { "content-type": "text/plain" });
    response.write("line 1\n");
    setTimeout(() => response.end("line 2\n"), 20);
  });
  server.on("upgrade", (request, socket, head) => {
    seen.push({ url: request.url ?? "", client: "", authorization: request.headers.authorization });
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ${request.headers["sec-websocket-protocol"]}\r\n\r\n`,
    );
    if (head.length > 0) socket.write(head);
    socket.pipe(socket);
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

beforeAll(async () => {
  const authority = await TestAuthority.create();
  const client = await authority.issue("apiserver-kubelet-client");
  kubelet = await startKubelet(authority, await authority.issue("node01", { ips: ["127.0.0.1"] }));
  backend = createHttpServer((request, response) => {
    forwardedHeaders = request.headers;
    const to = new URL(request.url ?? "/", "http://backend").searchParams.get("to");
    if (to !== null) response.writeHead(302, { location: to }).end();
    else if (request.url === "/echo") request.pipe(response);
    else response.end(`${request.method} ${request.url} ${request.headers.authorization}`);
  });
  backend.on("upgrade", (request, socket) => {
    forwardedHeaders = request.headers;
    socket.on("error", () => socket.destroy());
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ${request.url}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  test = await startTestServer({ kubelet: { ...client, ca: authority.cert }, proxyable: () => true });
  pair = await test.authority.issue("admin", { organizations: ["system:masters"] });
  admin = http2Transport({
    server: `https://127.0.0.1:${test.server.address?.port}`,
    ca: test.authority.cert,
    ...pair,
  });
  const port = (kubelet.address() as AddressInfo).port;
  const pods = "/api/v1/namespaces/default/pods";
  await ask(admin, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  await ask(admin, "POST", "/api/v1/nodes", {
    metadata: { name: "node01" },
    status: {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  });
  const spec = {
    containers: [
      { name: "a", image: "x" },
      { name: "b", image: "x" },
    ],
  };
  await ask(admin, "POST", pods, { metadata: { name: "p" }, spec });
  await ask(admin, "POST", pods, { metadata: { name: "unbound" }, spec });
  await ask(admin, "POST", `${pods}/p/binding`, { target: { kind: "Node", name: "node01" } });
  const headers = { "content-type": "application/merge-patch+json" };
  await ask(
    admin,
    "PATCH",
    `${pods}/p/status`,
    { status: { podIP: "127.0.0.1", podIPs: [{ ip: "127.0.0.1" }, { ip: "::ffff:127.0.0.1" }] } },
    headers,
  );
  await ask(admin, "POST", "/api/v1/namespaces/default/services", {
    metadata: { name: "s" },
    spec: { ports: [{ port: 80 }] },
  });
});
afterAll(async () => {
  await admin.close();
  await test.stop();
  kubelet.closeAllConnections();
  kubelet.close();
  backend.close();
});

/** Sends an upgrade and gives the raw connection with the answer's head. */
function upgrade(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; socket: TLSSocket; protocol: string | undefined }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(`https://127.0.0.1:${test.server.address?.port}${path}`, {
      ca: test.authority.cert,
      ...pair,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-protocol": "v5.channel.k8s.io",
        ...headers,
      },
    });
    request.on("upgrade", (answer, socket) =>
      resolve({ status: 101, socket: socket as TLSSocket, protocol: answer.headers["sec-websocket-protocol"] }),
    );
    request.on("response", (answer) =>
      resolve({ status: answer.statusCode ?? 0, socket: answer.socket as TLSSocket, protocol: undefined }),
    );
    request.on("error", reject);
    request.end();
  });
}

describe("U02 logs, exec, attach, port-forward (part: the way through the API server)", () => {
  const pod = "/api/v1/namespaces/default/pods/p";

  it("passes logs on with this server's certificate and without the client's credentials", async () => {
    seen = [];
    const answer = await ask(admin, "GET", `${pod}/log?container=a&follow=true&tailLines=5`);
    expect(answer.body.message).toBe("line 1\nline 2\n");
    expect(seen).toEqual([
      {
        url: "/containerLogs/default/p/a?follow=true&tailLines=5",
        client: "apiserver-kubelet-client",
        authorization: undefined,
      },
    ]);
  });

  it("says which container is meant, which pod is not there, and which has no node", async () => {
    const unclear = await ask(admin, "GET", `${pod}/log`);
    expect(unclear.body.message).toBe("a container name must be specified for pod p, choose one of: [a b]");
    expect((await ask(admin, "GET", `${pod}/log?container=z`)).body.message).toBe("container z is not valid for pod p");
    expect((await ask(admin, "GET", "/api/v1/namespaces/default/pods/nope/log")).status).toBe(404);
    // As upstream: nothing was logged yet, which is no error.
    const unbound = await ask(admin, "GET", "/api/v1/namespaces/default/pods/unbound/log?container=a");
    expect(unbound.status).toBe(200);
    const refused = await upgrade("/api/v1/namespaces/default/pods/unbound/exec?container=a&command=x");
    expect(refused.status).toBe(400);
  });

  it("shows the beginning of an error that has no end, and no more of it is sent", async () => {
    const closed = once(endless, "close");
    const answer = await ask(admin, "GET", `${pod}/log?container=a&sinceSeconds=500`);
    expect(answer.status).toBe(500);
    expect(answer.body.message).toContain("x".repeat(50_000));
    expect((answer.body.message as string).length).toBeLessThan(51_000);
    await closed;
  });

  it("by the old paths of watches reads no log and runs no command", async () => {
    seen = [];
    for (const [method, path] of [
      ["GET", "pods/p/log?container=a"],
      ["GET", "pods/p/proxy/"],
      ["POST", "pods/p/exec?container=a&command=x"],
    ] as const) {
      const { status, body } = await ask(admin, method, `/api/v1/watch/namespaces/default/${path}`);
      expect([status, body.message]).toEqual([404, "the server could not find the requested resource"]);
    }
    expect((await ask(admin, "DELETE", "/api/v1/watch/namespaces/default/pods/p")).status).toBe(405);
    expect(seen).toEqual([]);
  });

  it("joins an upgraded connection byte for byte, both ways, megabytes of it", async () => {
    seen = [];
    const { status, socket, protocol } = await upgrade(
      `${pod}/exec?container=a&command=sh&command=-c&stdin=true&stdout=true&tty=true`,
    );
    expect([status, protocol]).toEqual([101, "v5.channel.k8s.io"]);
    expect(seen[0]?.url).toBe("/exec/default/p/a?command=sh&command=-c&tty=1&input=1&output=1");
    const sent = Buffer.alloc(8 << 20, "0123456789abcdef");
    let received = 0;
    let same = true;
    const done = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        same &&= chunk.equals(sent.subarray(received, received + chunk.length));
        received += chunk.length;
        if (received === sent.length) resolve();
      });
    });
    socket.write(sent);
    await done;
    expect(same).toBe(true);
    socket.destroy();
  });

  it("refuses upgrades of those who may not, and requests that do not upgrade", async () => {
    const nobody = tlsConnect({
      host: "127.0.0.1",
      port: test.server.address?.port as number,
      ca: test.authority.cert,
      ALPNProtocols: ["http/1.1"],
    });
    nobody.write(`POST ${pod}/exec?command=sh HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`);
    const text = await new Promise<string>((resolve) => nobody.once("data", (chunk) => resolve(chunk.toString())));
    expect(text).toMatch(
      /^HTTP\/1\.1 403 Forbidden\r\n.*User \\"system:anonymous\\" cannot create resource \\"pods\/exec\\"/s,
    );
    nobody.destroy();
    expect((await ask(admin, "POST", `${pod}/exec?container=a&command=sh`)).body.message).toBe(
      "Upgrade request required",
    );
    expect((await upgrade("/api/v1/namespaces/default/pods")).status).toBe(400);
  });

  it("a WebSocket, which begins with GET, needs what a POST needs", async () => {
    const rules = [{ apiGroups: [""], resources: ["pods/exec"], verbs: ["get"] }];
    const roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    await ask(admin, "POST", `${roles}/roles`, { metadata: { name: "reader" }, rules });
    await ask(admin, "POST", `${roles}/rolebindings`, {
      metadata: { name: "reader" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "jane" }],
    });
    const before = pair;
    pair = await test.authority.issue("jane");
    try {
      expect((await upgrade(`${pod}/exec?container=a&command=sh`)).status).toBe(403);
    } finally {
      pair = before;
    }
  });

  it("says that a node does not answer", async () => {
    await ask(admin, "POST", "/api/v1/nodes", {
      metadata: { name: "down" },
      status: {
        addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
        daemonEndpoints: { kubeletEndpoint: { Port: 1 } },
      },
    });
    const spec = { nodeName: "down", containers: [{ name: "a", image: "x" }] };
    await ask(admin, "POST", "/api/v1/namespaces/default/pods", { metadata: { name: "lost" }, spec });
    const lost = "/api/v1/namespaces/default/pods/lost";
    expect((await ask(admin, "GET", `${lost}/log`)).body.message).toBe(
      'Get "https://127.0.0.1:1/containerLogs/default/lost/a": dial tcp 127.0.0.1:1: connect: connection refused',
    );
    const refused = await raw(`${lost}/exec?command=sh`, "POST", undefined, {
      connection: "Upgrade",
      upgrade: "SPDY/3.1",
    });
    expect([refused.status, JSON.parse(refused.body)]).toEqual([
      500,
      expect.objectContaining({ message: "error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused" }),
    ]);
  });

  it("ends the node's side when the client goes", async () => {
    const { socket } = await upgrade(`${pod}/portforward`);
    const before = await new Promise<number>((resolve) => kubelet.getConnections((_, count) => resolve(count)));
    socket.destroy();
    for (let i = 0; i < 1500; i++) {
      const now = await new Promise<number>((resolve) => kubelet.getConnections((_, count) => resolve(count)));
      if (now < before) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("the node's connection is still open");
  });
});

describe("U01 kubectl logs (part: options that cannot be)", () => {
  it.each([
    ["tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"],
    ["limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"],
    ["sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"],
    [
      "sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z",
      "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
    ],
    ["stream=Both", 'stream: Unsupported value: "Both": supported values: "All", "Stderr", "Stdout"'],
    ["stream=Stdout&tailLines=1", "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"],
  ])("%s", async (query, message) => {
    const answer = await ask(admin, "GET", `/api/v1/namespaces/default/pods/p/log?container=a&${query}`);
    expect([answer.status, answer.body.message]).toEqual([422, `PodLogOptions "p" is invalid: ${message}`]);
  });
});

describe("U01 kubectl logs (part: options that are no numbers)", () => {
  it.each(["tailLines", "limitBytes", "sinceSeconds"])("%s", async (name) => {
    const answer = await ask(admin, "GET", `/api/v1/namespaces/default/pods/p/log?container=a&${name}=x`);
    expect([answer.status, answer.body.message]).toEqual([400, 'strconv.ParseInt: parsing "x": invalid syntax']);
  });
});

describe("U01 kubectl proxy, get --raw (part: proxy to pods, services and nodes)", () => {
  const namespace = "/api/v1/namespaces/default";

  it("passes plain requests on, as they were written", async () => {
    const port = (backend.address() as AddressInfo).port;
    const got = await ask(admin, "GET", `${namespace}/pods/p:${port}/proxy/x//y%2Fz/?q=a+b;c&q=%20`);
    expect(got.body.message).toBe("GET /x//y%2Fz/?q=a+b;c&q=%20 undefined");
    expect((await ask(admin, "GET", "/api/v1/nodes/node01/proxy/healthz")).body.message).toBe("line 1\nline 2\n");
  });

  it("says who asked, where and how", async () => {
    const port = (backend.address() as AddressInfo).port;
    forwardedHeaders = {};
    await ask(admin, "GET", `${namespace}/pods/p:${port}/proxy/x?y=1`, undefined, { "x-forwarded-for": "10.0.0.1" });
    expect(forwardedHeaders).toMatchObject({
      "x-forwarded-for": "10.0.0.1, 127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-uri": `${namespace}/pods/p:${port}/proxy/x`,
      "x-forwarded-host": expect.stringContaining("127.0.0.1:"),
      host: `127.0.0.1:${port}`,
    });
  });

  it("sends a path without its slash to the one with it", async () => {
    const path = `${namespace}/pods/p:${(backend.address() as AddressInfo).port}/proxy`;
    const answer = await raw(`${path}?a=1`);
    expect([answer.status, answer.location]).toEqual([301, `${path}/?a=1`]);
  });

  it("keeps redirects below the proxy", async () => {
    const port = (backend.address() as AddressInfo).port;
    const base = `${namespace}/pods/p:${port}/proxy`;
    const at = async (location: string) => (await raw(`${base}/redirect?to=${encodeURIComponent(location)}`)).location;
    expect(await at("/login")).toBe(`${base}/login`);
    expect(await at(`http://127.0.0.1:${port}/login?x=1`)).toBe(`${base}/login?x=1`);
    expect(await at("http://elsewhere/login")).toBe("http://elsewhere/login");
    expect(await at("login")).toBe("login");
    expect(await at(`${base}/there`)).toBe(`${base}/there`);
  });

  it("streams bodies both ways", async () => {
    const port = (backend.address() as AddressInfo).port;
    const body = "0123456789abcdef".repeat(1 << 18);
    const answer = await raw(`${namespace}/pods/p:${port}/proxy/echo`, "PUT", body);
    expect(answer.body === body).toBe(true);
  });

  it("joins a WebSocket with a pod's, without credentials", async () => {
    const port = (backend.address() as AddressInfo).port;
    const joined = await upgrade(`${namespace}/pods/p:${port}/proxy/ws?a=b`, { "x-forwarded-for": "10.0.0.1" });
    expect([joined.status, joined.protocol]).toEqual([101, "/ws?a=b"]);
    const echoed = new Promise<string>((resolve) => joined.socket.once("data", (data) => resolve(data.toString())));
    joined.socket.write("there and back");
    expect(await echoed).toBe("there and back");
    expect(forwardedHeaders["x-forwarded-for"]).toBe("10.0.0.1, 127.0.0.1");
    expect(forwardedHeaders.authorization).toBeUndefined();
    joined.socket.destroy();
  });

  it("says what it could not find or reach", async () => {
    const message = async (path: string) => {
      const { status, body } = await ask(admin, "GET", path);
      return [status, body.message];
    };
    expect(await message(`${namespace}/services/s:nope/proxy/`)).toEqual([
      503,
      'no endpoints available for service "s:nope"',
    ]);
    expect(await message(`${namespace}/services/s:81/proxy/`)).toEqual([
      503,
      'no service port 81 found for service "s"',
    ]);
    expect(await message(`${namespace}/services/none/proxy/`)).toEqual([404, 'services "none" not found']);
    expect(await message(`${namespace}/pods/ftp:p:80/proxy/`)).toEqual([400, 'invalid pod request "ftp:p:80"']);
    expect(await message(`${namespace}/pods/p:1/proxy/`)).toEqual([
      503,
      "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused",
    ]);
  });

  it("leads nowhere but to other machines", () => {
    for (const address of [
      "127.0.0.1",
      "::1",
      "169.254.169.254",
      "fe80::1",
      "224.0.0.1",
      "0.0.0.0",
      "::ffff:127.0.0.1",
      "",
    ])
      expect([address, isProxyable(address)]).toEqual([address, false]);
    for (const address of ["10.244.1.5", "192.168.1.10", "fd00::5", "2001:db8::1"])
      expect([address, isProxyable(address)]).toEqual([address, true]);
  });
});

/** A request over HTTP/1.1 with its answer as it came. */
function raw(
  path: string,
  method = "GET",
  body?: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; location: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { ca: test.authority.cert, ...pair, method, headers };
    const request = httpsRequest(`https://127.0.0.1:${test.server.address?.port}${path}`, options, (answer) => {
      const { statusCode: status = 0, headers } = answer;
      void text(answer).then((got) => resolve({ status, location: headers.location, body: got }), reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}
