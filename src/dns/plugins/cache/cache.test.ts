import { describe, expect, it } from "vitest";
import { query } from "#wire/dns/index.ts";
import { testServers } from "../../testing.ts";

const { start, upstream } = testServers();

describe("cache", () => {
  const answerA = (ttl: number) => (asked: ReturnType<typeof query>) => ({
    ...asked,
    response: true,
    answers: [
      {
        name: asked.questions[0]?.name ?? ".",
        type: 1,
        class: 1,
        ttl,
        data: { kind: "address" as const, address: Uint8Array.of(1, 2, 3, 4) },
      },
    ],
  });

  it("keeps answers within its TTL, in the case of each question", async () => {
    const source = await upstream(answerA(300));
    const { ask, metrics } = await start(`.:0 {\n forward . 127.0.0.1:${source.port}\n cache 30\n}`);
    expect(await ask("a.example A")).toEqual(["NOERROR", "a.example. 30 IN A 1.2.3.4"]);
    expect(await ask("A.EXAMPLE A")).toEqual(["NOERROR", "A.EXAMPLE. 30 IN A 1.2.3.4"]);
    expect(source.asked).toHaveLength(1);
    expect(metrics.text()).toContain('coredns_cache_hits_total{server="dns://:0",type="success",zones=".",view=""} 1');
  });

  it("keeps denials by their SOA record, not failures to reach the upstream", async () => {
    const soa = {
      kind: "soa" as const,
      mname: "a.",
      rname: "b.",
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 60,
    };
    const source = await upstream((asked) => ({
      ...asked,
      response: true,
      rcode: 3,
      authorities: asked.questions[0]?.name.startsWith("soa")
        ? [{ name: ".", type: 6, class: 1, ttl: 100, data: soa }]
        : [],
    }));
    const { ask } = await start(`.:0 {\n forward . 127.0.0.1:${source.port}\n cache\n}`);
    for (const name of ["soa.example", "soa.example", "bare.example", "bare.example"])
      expect(await ask(`${name} A`)).toEqual(["NXDOMAIN"]);
    expect(source.asked).toHaveLength(3);
  });

  it("serves stale when the upstream is gone", async () => {
    let now = 0;
    const { CachePlugin } = await import("./handler.ts");
    const { Metrics } = await import("#base/metrics.ts");
    const { makeReply } = await import("../../core/index.ts");
    const bounds = { capacity: 10, maxTtl: 30, minTtl: 5 };
    const cache = new CachePlugin(
      {
        zones: ["."],
        success: bounds,
        denial: bounds,
        servfailSeconds: 5,
        disabledSuccess: [],
        disabledDenial: [],
        staleMs: 60_000,
        staleVerify: false,
        prefetch: { amount: 0, windowMs: 0, percent: 10 },
        keepTtl: false,
      },
      new Metrics(),
      () => now,
    );
    const message = query(1, { name: "a.", type: 1, class: 1 });
    const request = {
      message,
      question: { name: "a.", type: 1, class: 1 },
      name: "a.",
      zone: ".",
      server: "s",
      peer: { address: "::1", port: 1, protocol: "udp" as const },
    };
    const answers = answerA(300)(message).answers;
    await cache.handle(request, () => makeReply("x", { answers }));
    now = 10_000;
    expect((await cache.handle(request, () => makeReply("x"))).answers[0]?.ttl).toBe(20);
    now = 40_000;
    const failing = () => Promise.reject(new Error("gone"));
    expect((await cache.handle(request, failing)).answers[0]?.ttl).toBe(0);
    now = 100_000;
    await expect(Promise.resolve(cache.handle(request, failing))).rejects.toThrow("gone");
  });
});
