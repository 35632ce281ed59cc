import { afterEach, describe, expect, it } from "vitest";
import { Client, type Service } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import type { ServiceBackend } from "./backends/index.ts";
import type { Frontend } from "./model/index.ts";
import { type ServiceProxy, type ServiceProxyOptions, startServiceProxy } from "./proxy.ts";
import { service } from "./testing/objects.ts";

/** Does what it is told to, and remembers what it has. */
class Backend implements ServiceBackend {
  readonly mode = "nftables";
  readonly services = new Map<string, readonly Frontend[]>();
  readonly steps: string[] = [];
  during: (step: "readBack" | "commit") => Promise<void> | void = () => {};
  distrust: () => void = () => {};

  setNode(): void {}
  setService(name: string, frontends: readonly Frontend[]): void {
    this.services.set(name, frontends);
  }
  async readBack(): Promise<void> {
    this.steps.push("readBack");
    await this.during("readBack");
  }
  async commit(): Promise<void> {
    this.steps.push("commit");
    await this.during("commit");
  }
  onForeignChange(listener: (what: string) => void): () => void {
    this.distrust = () => listener("a test");
    return () => {};
  }
  async cleanup(): Promise<void> {}
  async close(): Promise<void> {}
}

const running: ServiceProxy[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((proxy) => proxy.stop()));
});

function start(api: FakeApi, backend: Backend, more: Partial<ServiceProxyOptions> = {}) {
  const lines: string[] = [];
  const proxy = startServiceProxy({
    client: new Client(api),
    nodeName: "node01",
    nodeAddresses: [parseIp("192.168.1.11")],
    backend,
    log: createLogger("proxy", { write: (line) => void lines.push(line) }),
    signal: new AbortController().signal,
    minSyncPeriodMs: 0,
    ...more,
  });
  running.push(proxy);
  return { proxy, lines, count: (words: string) => lines.filter((line) => line.includes(words)).length };
}

const put = (api: FakeApi, object: Service) => api.put("/api/v1/services", object);

describe("the engine of a service proxy, when something fails", () => {
  it("a Service that is not understood keeps its former rules, and others follow", async () => {
    const api = new FakeApi();
    const backend = new Backend();
    for (const [i, name] of ["good", "bad"].entries()) put(api, service(name, { clusterIP: `10.96.0.${i + 1}` }));
    const { proxy, lines } = start(api, backend);
    await proxy.synced;
    const before = backend.services.get("shop/bad");
    expect(before).toHaveLength(1);
    put(api, service("bad", { clusterIP: "10.96.0.2", ports: [null] as never }));
    put(api, service("good", { clusterIP: "10.96.0.9" }));
    await expect.poll(() => backend.services.get("shop/good")?.[0]?.ip).toEqual(parseIp("10.96.0.9"));
    await proxy.settled();
    expect(backend.services.get("shop/bad")).toBe(before);
    expect(proxy.status()).toMatchObject({ ready: true, error: expect.stringContaining("Service shop/bad keeps") });
    expect(lines.join("")).toContain('"A Service keeps its former rules" service="shop/bad"');
    put(api, service("bad", { clusterIP: "10.96.0.8" }));
    await expect.poll(() => proxy.status()).toEqual({ ready: true });
  });

  it("says that it has ended though nobody stopped it", async () => {
    const api = new FakeApi();
    const ended = Promise.withResolvers<string>();
    let passes = 0;
    const syncing = () => {
      if (++passes === 2) throw new Error("a part is broken");
    };
    const { proxy } = start(api, new Backend(), { ended: ended.resolve, observers: [{ syncing }] });
    await proxy.synced;
    put(api, service("web", { clusterIP: "10.96.0.1" }));
    expect(await ended.promise).toBe("a part is broken");
    expect(proxy.status()).toEqual({ ready: false, error: "a part is broken" });
    // Who waits for it does not wait for ever.
    await proxy.settled();
  });

  it("what somebody changes while the rules are read asks for another pass", async () => {
    const backend = new Backend();
    let reads = 0;
    backend.during = (step) => {
      if (step === "readBack" && ++reads === 1) backend.distrust();
    };
    const { proxy } = start(new FakeApi(), backend);
    await proxy.synced;
    await expect.poll(() => backend.steps).toEqual(["readBack", "commit", "readBack", "commit"]);
  });

  it("the same failure is told once, and tried again after longer and longer waits", async () => {
    const backend = new Backend();
    const at: number[] = [];
    backend.during = (step) => {
      if (step === "readBack") at.push(performance.now());
      if (at.length < 3) throw new Error("ENOBUFS");
    };
    const { proxy, count } = start(new FakeApi(), backend);
    await proxy.synced;
    expect(count("Changing the rules failed")).toBe(1);
    const waits = at.slice(1).map((time, i) => time - (at[i] ?? 0));
    // Timers are never early by more than a millisecond.
    for (const [i, least] of [250, 500].entries()) expect(waits[i]).toBeGreaterThan(least - 2);
    expect(proxy.status()).toEqual({ ready: true });
  });
});
