import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  query,
  type RecordData,
  type ResourceRecord,
} from "#wire/dns/index.ts";
import { configure } from "../configuration.ts";
import { chain, makeReply, type Plugin, type Reply, type Request } from "../core/index.ts";
import { parseCorefile } from "../corefile/index.ts";
import { type BothPaths, pathsOf } from "./testing.ts";

/** What an upstream says to a name and a type; a record's owner "@" is the question's name as asked. */
type Zone = ReadonlyMap<string, Partial<Reply>>;

const record = (name: string, type: number, ttl: number, data: RecordData): ResourceRecord => ({
  ...{ name, type, class: 1 },
  ttl,
  data,
});
const address = (last: number): RecordData => ({ kind: "address", address: Uint8Array.of(192, 0, 2, last) });
const soa: RecordData = {
  ...{ kind: "soa", mname: "ns.example.", rname: "hostmaster.example.", serial: 1 },
  ...{ refresh: 1, retry: 1, expire: 1, minimum: 40 },
};

const names = ["a.example.", "www.a.example.", "b.test.", "ns.example."];
const types = [1, 28, 15, 16];
const ttl = fc.constantFrom(0, 3, 30, 61, 400);
const last = fc.integer({ min: 1, max: 250 });
const addresses = (owner: string) =>
  fc.tuple(ttl, fc.uniqueArray(last, { minLength: 1, maxLength: 60 })).map(([seconds, list]) => ({
    answers: list.map((one) => record(owner, 1, seconds, address(one))),
  }));
const alias = fc
  .tuple(ttl, fc.constantFrom("cdn.a.example.", "CDN.example.", "x.net."), fc.array(last, { maxLength: 4 }))
  .map(([seconds, target, list]) => ({
    answers: [
      record("@", 5, seconds, { kind: "name", target }),
      ...list.map((one) => record(target, 1, seconds + 7, address(one))),
    ],
  }));
const mail = fc.tuple(ttl, fc.array(last, { minLength: 1, maxLength: 3 })).map(([seconds, list]) => ({
  answers: list.map((one) => record("@", 15, seconds, { kind: "mx", preference: one, exchange: "mx.example." })),
  additionals: [record("mx.example.", 1, seconds, address(9))],
}));
const text = ttl.map((seconds) => ({
  answers: [record("@", 16, seconds, { kind: "text", strings: [new TextEncoder().encode("v=1")] })],
}));
const denial = fc
  .tuple(ttl, fc.constantFrom(0, 3), fc.constantFrom("example.", "test.", "."))
  .map(([seconds, rcode, zone]) => ({ rcode, authorities: [record(zone, 6, seconds, soa)] }));
const failure = fc.constant({ rcode: 2 });

const reply: fc.Arbitrary<Partial<Reply>> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: addresses("@") },
      addresses("other.example."),
      { weight: 2, arbitrary: alias },
      mail,
      text,
      { weight: 2, arbitrary: denial },
      failure,
    ),
    fc.record({ recursionAvailable: fc.boolean(), authenticData: fc.boolean(), truncated: fc.constantFrom(false) }),
  )
  .map(([parts, flags]) => ({ ...parts, ...flags }));
const zone: fc.Arbitrary<Zone> = fc
  .array(reply, { minLength: names.length * types.length, maxLength: names.length * types.length })
  .map((replies) => new Map(replies.map((one, i) => [`${names[i % 4]} ${types[Math.floor(i / 4)]}`, one])));

interface Step {
  readonly afterMs: number;
  readonly packet: Uint8Array;
}

const step: fc.Arbitrary<Step> = fc
  .record({
    afterMs: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(0, 0, 0, 1, 700, 1000) },
      { weight: 1, arbitrary: fc.constantFrom(2999, 8000, 40_000) },
    ),
    name: fc.constantFrom("a.example.", "a.example.", "a.example.", ...names),
    capitals: fc.constantFrom(false, false, false, true),
    type: fc.constantFrom(1, 1, 1, 1, 1, 1, ...types),
    flags: fc.record({
      recursionDesired: fc.boolean(),
      authenticData: fc.boolean(),
      checkingDisabled: fc.integer({ max: 9, min: 0 }).map((i) => i > 8),
    }),
    edns: fc.option(fc.record({ udpSize: fc.constantFrom(512, 1232), dnssecOk: fc.constantFrom(false, false, true) })),
  })
  .map(({ afterMs, name, capitals, type, flags, edns }) => {
    const asked = { name: capitals ? name.toUpperCase() : name, type, class: 1 };
    const opt = edns ? { ...edns, version: 0, options: [] } : undefined;
    return { afterMs, packet: encodeMessage({ ...query(7, asked, opt), ...flags }) };
  });

/** A server with an upstream, its clock, and what the upstream was asked. */
interface World {
  readonly paths: BothPaths;
  readonly clock: { now: number };
  readonly asked: string[];
  /** Lines of CoreDNS' metrics. */
  metrics(): string[];
}

async function world(corefile: string, answers: Zone): Promise<World> {
  const clock = { now: 1000 };
  const metrics = new Metrics();
  const asked: string[] = [];
  const upstream: Plugin = {
    name: "upstream",
    handle: (request: Request) => {
      asked.push(`${clock.now} ${request.name} ${request.question.type}`);
      const made = answers.get(`${request.name} ${request.question.type}`) ?? {};
      const own = ({ name, ...rest }: ResourceRecord) => ({
        name: name === "@" ? request.question.name : name,
        ...rest,
      });
      return makeReply("upstream", { ...made, answers: (made.answers ?? []).map(own) });
    },
  };
  const blocks = parseCorefile("Corefile", corefile, { environment: {}, readImport: () => [] });
  const sites = await configure(blocks, {
    log: createLogger("dns", { write: () => {} }),
    ...{ defaultPort: 53, directory: "/", environment: {} },
    instance: { metrics } as never,
    now: () => clock.now,
  });
  const served = sites.map((site) => {
    const plugins = [...site.plugins, upstream];
    return { ...site, plugins, handler: chain(plugins, () => makeReply("", { rcode: 2 })) };
  });
  const paths = pathsOf(served, { clock: () => clock.now, metrics });
  const lines = () => metrics.text().split("\n");
  return { paths, clock, asked, metrics: () => lines().filter((line) => line.startsWith("coredns_")) };
}

/** An answer with its addresses in the order of their numbers, where they come in any. */
function comparable(bytes: Uint8Array | undefined, shuffled: boolean): unknown {
  if (!bytes || !shuffled) return bytes;
  const message: Message = decodeMessage(bytes);
  const moves = ({ type }: ResourceRecord) => type === 1 || type === 15;
  const moved = message.answers.filter(moves).map((one) => JSON.stringify(one));
  return { ...message, answers: message.answers.map((one) => (moves(one) ? "" : one)), moved: moved.sort() };
}

const variants = {
  plain: "cache",
  "short times": "cache 20",
  shuffled: "cache 30\n loadbalance",
  "the TTL as it came": "cache {\n keepttl\n }",
  "stale answers": "cache 10 {\n serve_stale 20s\n }",
  "popular answers fetched before their end": "cache 60 {\n prefetch 2 10s 50%\n }",
  "no denials of one zone, little room": "cache {\n disable denial example.\n success 3\n denial 2\n }",
};

describe("X01 cached answers on the hot path (part: the same bytes, the same metrics)", () => {
  it.each(Object.entries(variants))("as the plugins give them: %s", async (_, directive) => {
    const corefile = `. {\n prometheus\n ${directive}\n}`;
    let hot = 0;
    await fc.assert(
      fc.asyncProperty(zone, fc.array(step, { minLength: 60, maxLength: 60 }), async (answers, steps) => {
        const [slow, fast] = [await world(corefile, answers), await world(corefile, answers)];
        for (const { afterMs, packet } of steps) {
          for (const { clock } of [slow, fast]) clock.now += afterMs;
          const expected = slow.paths.plugins(packet);
          const ready = fast.paths.hot(packet);
          if (ready !== "pass") hot++;
          const given = ready === "pass" ? fast.paths.plugins(packet) : ready;
          const shuffled = directive.includes("loadbalance");
          expect(comparable(given, shuffled)).toEqual(comparable(expected, shuffled));
          for (let i = 0; i < 8; i++) await undefined; // what is fetched anew in the background
        }
        expect(fast.asked).toEqual(slow.asked);
        expect(fast.metrics()).toEqual(slow.metrics());
        for (const { paths } of [slow, fast]) paths.hotPath.close();
      }),
      { seed: 2308, numRuns: Number(process.env["PODWIRE_LONG"] ?? 0) ? 300 : 5 },
    );
    expect(hot).toBeGreaterThan(5); // of 300
  });

  it("says so where there are more zones than are counted apart", async () => {
    const zones = Array.from({ length: 33 }, (_, i) => `z${i}.test.`);
    const answers: Zone = new Map(zones.map((name) => [`${name} 1`, { answers: [record("@", 1, 300, address(1))] }]));
    const { paths } = await world(`${zones.join(" ")} {\n cache\n}`, answers);
    const given = zones.map((name) => {
      const packet = encodeMessage(query(7, { name, type: 1, class: 1 }));
      for (let i = 0; i < 2; i++) paths.plugins(packet);
      return paths.hot(packet) !== "pass";
    });
    expect(given).toEqual([...zones.slice(1).map(() => true), false]);
    expect(paths.log).toEqual([
      expect.stringMatching(
        /^W.* "Queries go through the plugins" server="dns:\/\/:53" zones="z32\.test\." reason="32 kinds/,
      ),
    ]);
    paths.hotPath.close();
  });

  it("are forgotten with the Corefile that they came by, and not given where a plugin has to see each query", async () => {
    const answers: Zone = new Map([["a.example. 1", { answers: [record("@", 1, 300, address(1))] }]]);
    const packet = encodeMessage(query(7, { name: "a.example.", type: 1, class: 1 }));
    const { paths } = await world(". {\n cache\n}", answers);
    paths.plugins(packet);
    expect(paths.hot(packet)).toBe("pass"); // asked once
    paths.plugins(packet);
    expect(paths.hot(packet)).toEqual(paths.plugins(packet));
    paths.hotPath.use([]);
    expect(paths.hot(packet)).toBe("pass");
    for (const plugin of ["log", "acl {\n block net 10.0.0.0/8\n }"]) {
      const other = await world(`. {\n ${plugin}\n cache\n}`, answers);
      for (let i = 0; i < 3; i++) other.paths.plugins(packet);
      expect([other.paths.hotPath.active, other.paths.hot(packet)]).toEqual([false, "pass"]);
    }
  });
});
