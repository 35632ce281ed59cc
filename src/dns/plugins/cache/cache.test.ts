import { describe, expect, it } from "vitest";
import { Metrics } from "#base/metrics.ts";
import { decodeMessage, encodeMessage, type Message, query } from "#wire/dns/index.ts";
import { makeReply, type Reply } from "../../core/index.ts";
import { exchangeBytes, testServers } from "../../testing.ts";
import { type CacheOptions, CachePlugin } from "./handler.ts";

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

  it("says AD only to those who ask by AD or DO", async () => {
    const source = await upstream((asked) => ({ ...answerA(300)(asked), authenticData: true }));
    const { port } = await start(`.:0 {\n forward . 127.0.0.1:${source.port}\n cache 30\n}`);
    const question = { name: "a.example.", type: 1, class: 1 };
    const edns = { udpSize: 1232, version: 0, dnssecOk: true, options: [] };
    const said = async (asked: Message) => {
      const bytes = await exchangeBytes(port, encodeMessage(asked));
      return bytes && decodeMessage(bytes).authenticData;
    };
    const withAd = { ...query(1, question), authenticData: true };
    for (const asked of [withAd, withAd]) expect(await said(asked)).toBe(true);
    expect(await said(query(1, question))).toBe(false);
    for (let i = 0; i < 2; i++) expect(await said(query(1, question, edns))).toBe(true);
    expect(source.asked).toHaveLength(2);
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

  /** A cache over answers made by `answer`, with a clock of its own. */
  function cacheOf(options: Partial<CacheOptions>) {
    const clock = { now: 0 };
    const metrics = new Metrics();
    const bounds = { capacity: 10, maxTtl: 30, minTtl: 5 };
    const cache = new CachePlugin(
      {
        zones: ["."],
        success: bounds,
        denial: bounds,
        servfailSeconds: 5,
        disabledSuccess: [],
        disabledDenial: [],
        staleMs: 0,
        staleVerify: false,
        prefetch: { amount: 0, windowMs: 60_000, percent: 10 },
        keepTtl: false,
        ...options,
      },
      metrics,
      () => clock.now,
    );
    const ask = async (name: string, answer: () => Reply | Promise<Reply>) => {
      const question = { name, type: 1, class: 1 };
      const peer = { address: "::1", port: 1, protocol: "udp" as const };
      const reply = await cache.handle(
        { message: query(1, question), question, name, zone: ".", server: "s", peer },
        answer,
      );
      return reply.answers[0]?.ttl ?? `rcode ${reply.rcode}`;
    };
    const records =
      (ttl: number, count = 1) =>
      () =>
        makeReply("x", {
          answers: Array.from(
            { length: count },
            () => answerA(ttl)(query(1, { name: "a.", type: 1, class: 1 })).answers[0] as never,
          ),
        });
    return { clock, metrics, ask, records };
  }

  it("bounds the number of answers, and of records in them", async () => {
    const { ask, records, metrics } = cacheOf({ success: { capacity: 2, maxTtl: 30, minTtl: 5 } });
    for (const name of ["a.", "b.", "c."]) await ask(name, records(300));
    expect(await ask("b.", records(7))).toBe(30);
    expect(await ask("a.", records(7))).toBe(7); // the one stored first made room; now c. goes as well
    expect(metrics.text()).toContain('coredns_cache_evictions_total{server="s",type="success",zones=".",view=""} 2');
    await ask("large.", records(300, 16));
    await ask("small.", records(300));
    expect(await ask("large.", records(9))).toBe(9);
  });

  it("serve_stale verify gives the old answer only when there is no new one", async () => {
    const { ask, records, clock, metrics } = cacheOf({ staleMs: 60_000, staleVerify: true });
    await ask("a.", records(300));
    clock.now = 40_000;
    expect(await ask("a.", () => makeReply("x", { rcode: 2 }))).toBe(0);
    expect(metrics.text()).toContain('coredns_cache_served_stale_total{server="s",zones=".",view=""} 1');
    for (const busy of [{ drop: true }, { rcode: 5, overloaded: true }])
      expect(await ask("a.", () => makeReply("x", busy))).toBe(0);
    expect(await ask("a.", records(20))).toBe(20);
  });

  it("prefetches what is wanted often, near its end", async () => {
    const { ask, records, clock, metrics } = cacheOf({ prefetch: { amount: 2, windowMs: 60_000, percent: 10 } });
    await ask("a.", records(300));
    clock.now = 26_000;
    for (let i = 0; i < 3; i++) await ask("a.", records(300));
    expect(metrics.text()).not.toContain("coredns_cache_prefetch_total{");
    clock.now = 28_000;
    expect(await ask("a.", records(25))).toBe(2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await ask("a.", records(9))).toBe(25);
    expect(metrics.text()).toContain('coredns_cache_prefetch_total{server="s",zones=".",view=""} 1');
  });

  it("servfail for its time, disable, keepttl", async () => {
    const { ask, records, clock } = cacheOf({ disabledSuccess: ["off."], keepTtl: true });
    await ask("a.", () => makeReply("x", { rcode: 2 }));
    expect(await ask("a.", records(300))).toBe("rcode 2");
    clock.now = 5000;
    expect(await ask("a.", records(300))).toBe(300);
    clock.now = 9000;
    expect(await ask("a.", records(1))).toBe(300);
    await ask("x.off.", records(300));
    expect(await ask("x.off.", records(7))).toBe(7);
  });

  it("serves stale when the upstream is gone", async () => {
    const { ask, records, clock } = cacheOf({ staleMs: 60_000 });
    const failing = () => Promise.reject(new Error("gone"));
    await ask("a.", records(300));
    clock.now = 10_000;
    expect(await ask("a.", failing)).toBe(20);
    clock.now = 40_000;
    expect(await ask("a.", failing)).toBe(0);
    clock.now = 100_000;
    await expect(ask("a.", failing)).rejects.toThrow("gone");
  });
});
