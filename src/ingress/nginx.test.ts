import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { freePort } from "#base/testing/ports.ts";
import { Compiler } from "./compiler.ts";
import { renderConfig } from "./plan.ts";
import { defaultSettings } from "./settings.ts";
import { curl, type Seen, startBackend, TestNginx } from "./testing/nginx.ts";
import { ingress, modelOf, path, rule, service, servicesOf } from "./testing/objects.ts";

const log = createLogger("test", { write: () => {} });

describe("G02 the running nginx (part: data plane)", () => {
  let backend: { port: number; server: Server };
  let nginx: TestNginx;
  const model = (extra: Parameters<typeof ingress>[0] = [], annotations: Record<string, string> = {}) => {
    const services = servicesOf(service("a", "127.0.0.1", backend.port));
    return modelOf(
      [ingress([rule(undefined, path("/a", "a", "Prefix", backend.port)), ...extra], annotations)],
      services,
    );
  };

  beforeAll(async () => {
    backend = await startBackend("a");
    nginx = await TestNginx.create();
    await nginx.apply(model());
  });
  afterAll(async () => {
    await nginx.stop();
    backend.server.close();
  });

  test("the backend gets Host, X-Forwarded-*, X-Real-IP and X-Request-ID, and no Proxy header", async () => {
    const sent = {
      Host: "wear.my-online-store.com:30080",
      "X-Forwarded-For": "6.6.6.6",
      Proxy: "http://evil",
      "X-Request-ID": "abc",
    };
    const { headers } = JSON.parse((await curl(`${nginx.url}/a`, sent)).body) as Seen;
    expect(headers).toMatchObject({
      host: "wear.my-online-store.com:30080",
      "x-request-id": "abc",
      "x-real-ip": "127.0.0.1",
      "x-forwarded-for": "127.0.0.1",
      "x-original-forwarded-for": "6.6.6.6",
      "x-forwarded-host": "wear.my-online-store.com:30080",
      "x-forwarded-port": String(nginx.place.httpPort),
      "x-forwarded-proto": "http",
      "x-forwarded-scheme": "http",
      "x-scheme": "http",
    });
    expect(headers["proxy"]).toBeUndefined();
    const second = JSON.parse((await curl(`${nginx.url}/a`)).body) as Seen;
    expect(second.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("a WebSocket upgrade passes through, both ways", async () => {
    const upgrader = createServer();
    upgrader.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => upgrader.listen(0, "127.0.0.1", resolve));
    const port = (upgrader.address() as { port: number }).port;
    await nginx.apply(
      modelOf(
        [ingress([rule(undefined, path("/ws", "ws", "Exact", port))])],
        servicesOf(service("ws", "127.0.0.1", port)),
      ),
    );
    const socket = connect(nginx.place.httpPort, "127.0.0.1");
    socket.write("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let seen = "";
    socket.setEncoding("latin1");
    for await (const chunk of socket as AsyncIterable<string>) {
      seen += chunk;
      if (seen.endsWith("\r\n\r\n")) socket.write("echo me");
      if (seen.endsWith("echo me")) break;
    }
    expect(seen).toContain("101 Switching Protocols");
    socket.destroy();
    upgrader.close();
    upgrader.closeAllConnections();
  });

  test("after a reload new connections are served by the new routes at once", async () => {
    for (const name of ["one", "two", "three"]) {
      await nginx.apply(model([rule(undefined, path(`/${name}`, "a", "Exact", backend.port))]), name);
      expect((await curl(`${nginx.url}/${name}`)).status).toBe(200);
      expect((await curl(`http://127.0.0.1:${nginx.place.statusPort}/revision`)).body).toBe(name);
    }
    expect((await curl(`${nginx.url}/one`)).status).toBe(404);
  });

  test("G03 force-ssl-redirect answers 308 to the same host, path and query (part: redirect)", async () => {
    await nginx.apply(model([], { "force-ssl-redirect": "true" }));
    const answer = await curl(`${nginx.url}/a/b?c=d`, { Host: "wear.my-online-store.com:30080" });
    expect(answer).toMatchObject({ status: 308, location: "https://wear.my-online-store.com/a/b?c=d" });
  });

  test("a text that nginx refuses names its line, and what ran goes on", async () => {
    await nginx.apply(model());
    const { text } = renderConfig(model(), defaultSettings, nginx.place, "x");
    const broken = text.replace("server_tokens off;", "server_tokens nonsense;");
    const line = broken.split("\n").findIndex((each) => each.includes("nonsense")) + 1;
    await expect(nginx.nginx.apply(broken)).rejects.toMatchObject({ code: "ERR_NGINX_CONFIG", line });
    expect((await curl(`${nginx.url}/a`)).status).toBe(200);
  });

  test("an expression that only PCRE refuses is left out, with the reason; its neighbours are served", async () => {
    const compiler = new Compiler({ log, metrics: new Metrics(), dataPlane: nginx.nginx, place: nginx.place });
    const bad = path("/(?<=x+)y", "a", "ImplementationSpecific", backend.port);
    const mixed = model([rule(undefined, bad, path("/good[0-9]", "a", "ImplementationSpecific", backend.port))], {
      "use-regex": "true",
    });
    const { rejected } = await compiler.apply(mixed, defaultSettings);
    expect(rejected.map(({ reason }) => reason)).toEqual(["InvalidPath"]);
    expect(rejected[0]?.message).toMatch(/^spec\.rules\[1\]\.http\.paths\[0\]: nginx refuses it: .*lookbehind/);
    expect((await curl(`${nginx.url}/good7`)).status).toBe(200);
    // Told again, and nothing applied, when nothing changed.
    expect((await compiler.apply(mixed, defaultSettings)).rejected).toHaveLength(1);
  });
});

describe("G02 starts and ends (part: process)", () => {
  test("a first configuration that nginx refuses is an error with its line", async () => {
    const nginx = await TestNginx.create();
    await expect(nginx.nginx.apply("daemon off;\nevents {}\nnonsense;\n")).rejects.toMatchObject({
      code: "ERR_NGINX_CONFIG",
      line: 3,
    });
    expect(nginx.nginx.running).toBe(false);
    await nginx.stop();
  });

  test("a machine without nginx says so", async () => {
    const nginx = await TestNginx.create({ binary: "/nonexistent/nginx" });
    await expect(nginx.apply(modelOf([], new Map()))).rejects.toThrow(
      "/nonexistent/nginx: spawn /nonexistent/nginx ENOENT",
    );
    await nginx.stop();
  });

  test("an nginx that dies is reported once", async () => {
    const nginx = await TestNginx.create();
    await nginx.apply(modelOf([], new Map()));
    const reasons: string[] = [];
    const died = new Promise<void>((resolve) => nginx.nginx.onExit((reason) => resolve(void reasons.push(reason))));
    const { readFileSync } = await import("node:fs");
    process.kill(Number(readFileSync(`${nginx.directory}/nginx.pid`, "utf8")), "SIGTERM");
    await died;
    expect(reasons).toEqual(["nginx ended with code 0"]);
    expect(nginx.nginx.running).toBe(false);
    await nginx.stop();
  });

  test("workers start where only one user exists and groups cannot be set", async () => {
    const nginx = await TestNginx.create();
    const { mkdirSync, writeFileSync } = await import("node:fs");
    mkdirSync(nginx.directory, { recursive: true });
    const file = `${nginx.directory}/nginx.conf`;
    writeFileSync(
      file,
      renderConfig(modelOf([], new Map()), defaultSettings, { ...nginx.place, httpPort: await freePort() }, "r").text,
    );
    const child = spawn("unshare", ["--user", "--map-root-user", "nginx", "-p", nginx.directory, "-c", file], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const revision = `http://127.0.0.1:${nginx.place.statusPort}/revision`;
    let answer = { status: 0 };
    for await (const chunk of child.stderr) {
      if (!/start worker process \d/.test(String(chunk))) continue;
      answer = await curl(revision);
      break;
    }
    child.kill("SIGQUIT");
    expect(answer.status).toBe(200);
    await nginx.stop();
  });
});
