import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Node } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { freePort } from "#base/testing/ports.ts";
import { settleConfig } from "../config/index.ts";
import { healthPages, keepListening, metricsPages, ProxyHealth, ServiceHealthServers } from "./index.ts";
import { close, listen } from "./listener.ts";

const node = (more: Partial<Node["metadata"]> = {}, spec: Node["spec"] = {}): Node => ({
  metadata: { name: "node01", ...more },
  spec,
});
const quiet = createLogger("test", { write: () => {} });

describe("K02 kube-proxy's health (part: port 10256)", () => {
  // As pkg/proxy/healthcheck/healthcheck_test.go goes through it.
  it("is bad when changes wait for too long, and good again when they are in the kernel", () => {
    let now = Date.parse("2026-01-01T00:00:00Z");
    const health = new ProxyHealth(10_000, () => now);
    health.node(node());
    expect(health.answer("/healthz")).toEqual({
      code: 200,
      body: {
        lastUpdated: "2026-01-01T00:00:00.000Z",
        currentTime: "2026-01-01T00:00:00.000Z",
        nodeEligible: true,
        healthy: true,
        status: {},
      },
    });
    health.syncing();
    // It came while the first pass ran, which says nothing of it.
    health.queued();
    health.synced();
    now += 9999;
    expect(health.answer("/healthz").code).toBe(200);
    now += 1;
    health.queued();
    for (const path of ["/healthz", "/livez"] as const) {
      const { code, body } = health.answer(path);
      expect(code).toBe(503);
      expect(body).toMatchObject({
        healthy: false,
        lastUpdated: "2026-01-01T00:00:00.000Z",
        currentTime: "2026-01-01T00:00:10.000Z",
        status: { IPv4: { healthy: false }, IPv6: { healthy: false } },
      });
    }
    expect(health.healthy).toBe(false);
    // A pass that has begun and does not succeed changes nothing.
    health.syncing();
    expect(health.healthy).toBe(false);
    health.synced();
    expect(health.answer("/livez")).toMatchObject({ code: 200, body: { lastUpdated: "2026-01-01T00:00:10.000Z" } });
    health.ended();
    expect(health.answer("/livez").code).toBe(503);
  });

  it("a node that goes gets no traffic, and the process lives", () => {
    const health = new ProxyHealth(10_000);
    const codes = (object: Node | undefined) => {
      health.node(object);
      return [health.answer("/healthz").code, health.answer("/livez").code];
    };
    const taint = (key: string) => node({}, { taints: [{ key, effect: "NoSchedule" }] });
    expect(codes(node())).toEqual([200, 200]);
    expect(codes(taint("other"))).toEqual([200, 200]);
    expect(codes(taint("ToBeDeletedByClusterAutoscaler"))).toEqual([503, 200]);
    expect(codes(node({ deletionTimestamp: "2026-01-01T00:00:00Z" }))).toEqual([503, 200]);
    expect(codes(undefined)).toEqual([503, 200]);
    expect(health.answer("/healthz").body.nodeEligible).toBe(false);
    expect(health.answer("/livez").body).not.toHaveProperty("nodeEligible");
  });

  it("counts its answers", () => {
    const metrics = new Metrics();
    const pages = healthPages(new ProxyHealth(1000), metrics);
    expect(pages("/healthz")).toMatchObject({ code: 503, type: "application/json" });
    expect(pages("/livez")?.code).toBe(200);
    expect(pages("/")).toBeUndefined();
    expect(metrics.text()).toContain('kubeproxy_proxy_healthz_total{code="503"} 1\n');
    expect(metrics.text()).toContain('kubeproxy_proxy_livez_total{code="200"} 1\n');
  });
});

describe("V04 kube-proxy's metrics port (part: pages)", () => {
  it("metrics, mode, configuration, health", () => {
    const pages = metricsPages(new Metrics(), settleConfig({ mode: "nftables" }), "nftables");
    expect(pages("/proxyMode")).toEqual({ code: 200, body: "nftables" });
    expect(pages("/healthz")).toEqual({ code: 200, body: "ok" });
    expect(pages("/metrics")?.body).toMatch(/^# HELP [\s\S]*kubernetes_build_info\{git_version="v1\.36\.\d+",/);
    const configz = JSON.parse(pages("/configz")?.body ?? "") as Record<string, { mode: string }>;
    expect(configz["kubeproxy.config.k8s.io"]).toMatchObject({ mode: "nftables", configSyncPeriod: "15m0s" });
    expect(pages("/debug")).toBeUndefined();
  });
});

describe("V02 a Service's healthCheckNodePort (part: the port)", () => {
  const servers: ServiceHealthServers[] = [];
  let taken: Server | undefined;
  const failures: string[] = [];
  let isHealthy = true;
  const start = (): ServiceHealthServers => {
    const made = new ServiceHealthServers({
      nodeName: "node01",
      log: quiet,
      addresses: () => ["127.0.0.1"],
      isHealthy: () => isHealthy,
      failed: (service, message) => failures.push(`${service} ${message}`),
    });
    servers.push(made);
    return made;
  };
  /** Waits for an answer: ports open on their own. */
  const get = async (port: number): Promise<Response> => {
    for (let tries = 0; ; tries++) {
      try {
        return await fetch(`http://127.0.0.1:${port}/`);
      } catch (error) {
        if (tries > 500) throw error;
        await new Promise((done) => setTimeout(done, 10));
      }
    }
  };
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((made) => made.stop()));
    taken?.close();
  });

  it("answers what balancers want to know, follows changes, and closes", async () => {
    const port = await freePort();
    const made = start();
    made.set("shop/web", { port, localEndpoints: 2 });
    const first = await get(port);
    expect(first.status).toBe(200);
    expect(first.headers.get("content-type")).toBe("application/json");
    expect(first.headers.get("x-load-balancing-endpoint-weight")).toBe("2");
    // The template of pkg/proxy/healthcheck/service_health.go.
    expect(await first.text()).toBe(
      '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
    );
    made.set("shop/web", { port, localEndpoints: 0 });
    const none = await get(port);
    expect([none.status, await none.json()]).toEqual([503, expect.objectContaining({ localEndpoints: 0 })]);
    made.set("shop/web", { port, localEndpoints: 1 });
    isHealthy = false;
    const ill = await get(port);
    expect([ill.status, await ill.json()]).toEqual([503, expect.objectContaining({ serviceProxyHealthy: false })]);
    isHealthy = true;
    // A port that goes from one Service to another.
    made.set("shop/web", undefined);
    made.set("shop/other", { port, localEndpoints: 1 });
    expect(await (await get(port)).json()).toMatchObject({ service: { name: "other" } });
    await made.stop();
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    expect(failures).toEqual([]);
  });

  it("says by an event that a port is taken", async () => {
    const port = await freePort();
    taken = createServer().listen(port, "127.0.0.1");
    const made = start();
    made.set("shop/web", { port, localEndpoints: 1 });
    await expect.poll(() => failures.length).toBe(1);
    expect(failures).toEqual([
      expect.stringContaining(`shop/web node node01 failed to start healthcheck "shop/web" on port ${port}: `),
    ]);
    // The next sync tries again, and says nothing new.
    made.syncing();
    taken.close();
    await once(taken, "close");
    const answer = async () => {
      made.syncing();
      return await fetch(`http://127.0.0.1:${port}/`).then(
        ({ status }) => status,
        () => undefined,
      );
    };
    await expect.poll(answer, { timeout: 5000 }).toBe(200);
    await made.stop();
    expect(failures.splice(0)).toHaveLength(1);
  });
});

describe("a port that is taken (part: bindAddressHardFail)", () => {
  it("is given up when the caller says so", async () => {
    const port = await freePort();
    const other = createServer().listen(port, "127.0.0.1");
    const messages: string[] = [];
    await keepListening({
      bind: `127.0.0.1:${port}`,
      answering: () => undefined,
      signal: new AbortController().signal,
      failed: (message) => {
        messages.push(message);
        return false;
      },
    });
    other.close();
    expect(messages).toEqual([expect.stringContaining("EADDRINUSE")]);
  });
});

describe("K02 a port for probes (part: nothing that is sent to it ends the process)", () => {
  /** The first line that comes back for a request line. */
  const ask = async (server: Server, line: string): Promise<string> => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.end(`${line} HTTP/1.1\r\nHost: node01\r\nConnection: close\r\n\r\n`);
    let text = "";
    socket.setEncoding("utf8").on("data", (data: string) => {
      text += data;
    });
    await once(socket, "close");
    return text.split("\r\n", 1)[0] ?? "";
  };

  it("targets that are no URL, and pages that throw, get an answer", async () => {
    const server = await listen("127.0.0.1", 0, (path) => {
      if (path === "/broken") throw new RangeError("broken");
      return path === "/livez" ? { code: 200, body: "ok" } : undefined;
    });
    try {
      expect(await ask(server, "GET //")).toBe("HTTP/1.1 404 Not Found");
      expect(await ask(server, "GET //livez:x")).toBe("HTTP/1.1 404 Not Found");
      expect(await ask(server, "GET http://[")).toBe("HTTP/1.1 400 Bad Request");
      expect(await ask(server, "GET http://node01:10256/livez?verbose")).toBe("HTTP/1.1 200 OK");
      expect(await ask(server, "GET /broken")).toBe("HTTP/1.1 500 Internal Server Error");
      expect(await ask(server, "POST /livez")).toBe("HTTP/1.1 405 Method Not Allowed");
      expect(await ask(server, "HEAD /livez?x=//")).toBe("HTTP/1.1 200 OK");
      // As accept(2) without descriptors: it goes on.
      server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }));
      expect(await ask(server, "GET /livez")).toBe("HTTP/1.1 200 OK");
    } finally {
      await close(server);
    }
  });
});
