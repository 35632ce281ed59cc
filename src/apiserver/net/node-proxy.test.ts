import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { http2Transport, type Transport } from "#api/index.ts";
import { type Pair, TestAuthority } from "../testing/certificates.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

let test: TestServer;
let admin: Transport;
let pair: Pair;
let kubelet: Server;
let backend: Server;
let seen: { url: string; client: string; authorization: string | undefined }[] = [];

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
  backend = createHttpServer((request, response) =>
    response.end(`${request.method} ${request.url} ${request.headers.authorization}`),
  );
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  test = await startTestServer({ kubelet: { ...client, ca: authority.cert } });
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
  await ask(admin, "PATCH", `${pods}/p/status`, { status: { podIP: "127.0.0.1" } }, headers);
  await ask(admin, "POST", "/api/v1/namespaces/default/services", {
    metadata: { name: "s" },
    spec: { ports: [{ port: 80 }] },
  });
  await ask(admin, "POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    metadata: { name: "s-1", labels: { "kubernetes.io/service-name": "s" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["127.0.0.1"] }],
    ports: [{ port: (backend.address() as AddressInfo).port }],
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
    const unbound = await ask(admin, "GET", "/api/v1/namespaces/default/pods/unbound/log?container=a");
    expect(unbound.body.message).toBe("pod unbound does not have a host assigned");
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
    expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n.*"reason":"Forbidden"/s);
    nobody.destroy();
    expect((await ask(admin, "POST", `${pod}/exec?container=a&command=sh`)).body.message).toBe(
      "Upgrade request required",
    );
    expect((await upgrade("/api/v1/namespaces/default/pods")).status).toBe(400);
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

describe("proxy to pods, services and nodes", () => {
  it("passes plain requests on", async () => {
    const port = (backend.address() as AddressInfo).port;
    const namespace = "/api/v1/namespaces/default";
    expect((await ask(admin, "GET", `${namespace}/pods/p:${port}/proxy/x/y?z=1`)).body.message).toBe(
      "GET /x/y?z=1 undefined",
    );
    expect((await ask(admin, "GET", `${namespace}/services/s/proxy/`)).body.message).toBe("GET / undefined");
    expect((await ask(admin, "GET", `${namespace}/services/s:nope/proxy/`)).status).toBe(503);
    expect((await ask(admin, "GET", "/api/v1/nodes/node01/proxy/healthz")).body.message).toBe("line 1\nline 2\n");
  });

  it("says what it could not reach", async () => {
    const answer = await ask(admin, "GET", "/api/v1/namespaces/default/pods/p:1/proxy/");
    expect([answer.status, answer.body.message]).toEqual([500, expect.stringContaining("dial tcp 127.0.0.1:1: ")]);
  });
});
