import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "#api/index.ts";
import { decodeMessage, encodeMessage, type Message, query } from "#wire/dns/index.ts";
import { ClusterIndex } from "../plugins/kubernetes/clusterIndex.ts";
import { namespace, service, slice, testIndex } from "../plugins/kubernetes/testCluster.ts";
import { type BothPaths, type BothPathsOptions, bothPaths } from "./testing.ts";

/** Few words, so that names of objects and of questions meet. */
const serviceName = fc.constantFrom("web", "dns", "svc", "hostmaster");
const namespaceName = fc.constantFrom("a", "web", "dns");
const word = fc.constantFrom("a", "web", "svc", "pod", "dns", "ns", "hostmaster", "x1");
const port = fc.record({
  name: fc.constantFrom("http", "dns", ""),
  port: fc.integer({ min: 1, max: 65_535 }),
  protocol: fc.constantFrom("TCP", "UDP"),
});
const address = fc.integer({ min: 1, max: 250 }).map((last) => `10.96.0.${last}`);
const address6 = fc.integer({ min: 1, max: 250 }).map((last) => `fd00:96::${last.toString(16)}`);

const specs: fc.Arbitrary<Service["spec"]> = fc.oneof(
  fc.record({
    clusterIPs: fc.array(fc.oneof(address, address6), { minLength: 1, maxLength: 2 }),
    ports: fc.array(port),
  }),
  fc.record({ clusterIP: fc.constant("None"), ports: fc.array(port), publishNotReadyAddresses: fc.boolean() }),
  fc.record({ type: fc.constant("ExternalName"), externalName: fc.constantFrom("a.example", "10.0.0.1", "") }),
) as fc.Arbitrary<Service["spec"]>;

const endpoint = fc
  .tuple(fc.integer({ min: 1, max: 200 }), fc.constantFrom("", "@a", "@web", "@host-1"), fc.constantFrom("", "!"))
  .map(([last, host, not]) => `10.244.1.${last}${host}${not}`);

interface World {
  readonly namespaces: readonly string[];
  readonly services: readonly (readonly [string, string, Service["spec"]])[];
  readonly slices: readonly (readonly [string, string, readonly string[], EndpointSlice["ports"]])[];
}

const world: fc.Arbitrary<World> = fc.record({
  namespaces: fc.array(namespaceName, { maxLength: 4 }),
  services: fc.array(fc.tuple(serviceName, namespaceName, specs), { minLength: 4, maxLength: 8 }),
  slices: fc.array(
    fc.tuple(serviceName, namespaceName, fc.array(endpoint, { minLength: 1, maxLength: 60 }), fc.array(port)),
    {
      maxLength: 6,
    },
  ) as fc.Arbitrary<World["slices"]>,
});

/** A name below the zone, as resolvers ask: often one of an object, or one with a search path behind it. */
const label = fc.oneof(
  { weight: 8, arbitrary: word },
  { weight: 1, arbitrary: fc.constantFrom("_http", "_tcp", "_udp", "_dns", "10-244-1-5", "host-1", "dns-version") },
  { weight: 1, arbitrary: fc.constantFrom("com", "cluster", "local", "\\000", "a\\.b", "\\255", "x".repeat(63)) },
);
const zone = fc.constantFrom("cluster.local.", "cluster.local.", "cluster.local.", "other.local.", "local.");
const anyName = fc
  .tuple(fc.array(label, { maxLength: 5 }), fc.constantFrom("svc.", "", "", "a.svc.", "web.svc.", "pod."), zone)
  .map(([labels, area, end]) => labels.map((text) => `${text}.`).join("") + area + end);
const objectName = fc
  .tuple(
    fc.constantFrom("", "", "", "", "_http._tcp.", "_dns._udp.", "web.", "10-244-1-5."),
    serviceName,
    namespaceName,
  )
  .map(([prefix, text, ns]) => `${prefix}${text}.${ns}.svc.cluster.local.`);
const reverseName = fc.integer({ min: 1, max: 250 }).map((last) => `${last}.0.96.10.in-addr.arpa.`);
const name = fc.oneof(
  { weight: 5, arbitrary: anyName },
  { weight: 5, arbitrary: objectName },
  { weight: 1, arbitrary: reverseName },
);

const edns = fc.option(
  fc.record({
    udpSize: fc.constantFrom(0, 512, 600, 1232, 4096, 65_535),
    version: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1),
    dnssecOk: fc.boolean(),
    options: fc.constantFrom([], [], [], [], [], [{ code: 10, data: new Uint8Array(8) }]),
  }),
);

const question: fc.Arbitrary<Message> = fc
  .record({
    id: fc.integer({ min: 0, max: 65_535 }),
    name,
    capitals: fc.constantFrom("none", "none", "first", "all"),
    type: fc.constantFrom(1, 1, 1, 1, 28, 28, 28, 33, 33, 5, 16, 12, 6, 255, 65),
    class: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 1, 3),
    opcode: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 5),
    flags: fc.record({ recursionDesired: fc.boolean(), checkingDisabled: fc.boolean(), authenticData: fc.boolean() }),
    edns,
  })
  .map(({ id, name: text, capitals, type, class: recordClass, opcode, flags, edns: opt }) => ({
    ...query(id, { name: inCapitals(text, capitals), type, class: recordClass }, opt ?? undefined),
    ...flags,
    opcode,
  }));

function inCapitals(text: string, which: string): string {
  if (which === "none") return text;
  return which === "all" ? text.toUpperCase() : text.slice(0, 1).toUpperCase() + text.slice(1);
}

function fill(index: ClusterIndex, { namespaces, services, slices }: World): void {
  for (const one of namespaces) index.setNamespace(namespace(one));
  for (const [one, ns, spec] of services) index.setService(service(one, spec, ns));
  for (const [one, ns, addresses, ports] of slices) index.setSlice(slice(one, [...new Set(addresses)], ports, ns));
}

const variants: Record<string, BothPathsOptions> = {
  plain: {},
  "other TTL, endpoints by pod, empty Services ignored": { ttl: 30, endpointPodNames: true, ignoreEmptyService: true },
  "namespaces by label": { labelledNamespaces: true },
  "namespaces a and web": { namespaces: new Set(["a", "web"]), podMode: "disabled" },
  fallthrough: { fallthrough: ["cluster.local."] },
  "another server block within the zone": { otherZones: ["web.svc.cluster.local.", "other.local."] },
  "two zones": { zones: ["cluster.local.", "local.", "10.in-addr.arpa."] },
};

/** Bytes of an answer with addresses in the order of their numbers. */
function ordered(bytes: Uint8Array): unknown {
  const message = decodeMessage(bytes);
  const sort = (records: Message["answers"]) => records.map((record) => JSON.stringify(record)).sort();
  return { ...message, answers: sort(message.answers), size: bytes.length };
}

function rcodeOf(answer: Uint8Array | "pass" | undefined): number | string | undefined {
  return answer instanceof Uint8Array ? decodeMessage(answer).rcode : answer;
}

function encoded(message: Message): Uint8Array | undefined {
  try {
    return encodeMessage(message);
  } catch {
    return undefined; // a name that became too long
  }
}

/** Asks both; returns 1 when the hot path answered. The plugins see what it passes on, and may publish it then. */
function same(paths: BothPaths, packet: Uint8Array): number {
  const hot = paths.hot(packet);
  if (hot === "pass") {
    paths.show(packet);
    return 0;
  }
  expect(hot).toEqual(paths.plugins(packet));
  return 1;
}

describe("X01 the hot path gives the plugins' answers (part: the same bytes)", () => {
  it.each(Object.entries(variants))("over random clusters and questions: %s", async (_, options) => {
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(world, world, fc.array(question, { minLength: 40, maxLength: 40 }), async (one, two, asked) => {
        const index = new ClusterIndex();
        const packets = asked.flatMap((message) => encoded(message) ?? []);
        fill(index, one);
        const paths = bothPaths(index, options);
        await paths.settled();
        for (const packet of packets) answered += same(paths, packet);
        await paths.settled();
        for (const packet of packets) same(paths, packet);
        // The same after changes: what is there twice is replaced, the first half is deleted.
        fill(index, two);
        for (const [text, ns] of one.services.slice(0, 4)) index.deleteService(`${ns}/${text}`);
        for (const ns of one.namespaces.slice(0, 2)) index.deleteNamespace(ns);
        await paths.settled();
        for (const packet of packets) answered += same(paths, packet);
        paths.hotPath.close();
      }),
      { seed: 53, numRuns: Number(process.env["PODWIRE_LONG"] ?? 0) ? 2000 : 12 },
    );
    // Of 80 questions in each run. Where denials may come from elsewhere, the others are left.
    expect(answered).toBeGreaterThan(options.fallthrough || options.otherZones ? 0 : 120);
  });

  it("puts addresses in every order where loadbalance does, and cuts at the client's size", async () => {
    const index = testIndex();
    const addresses = Array.from({ length: 50 }, (_, i) => `10.244.9.${i + 1}`);
    index.setService(service("wide", { clusterIP: "None", ports: [] }));
    index.setSlice(slice("wide", addresses, []));
    const paths = bothPaths(index, { before: [{ name: "loadbalance", hot: "shuffles" }] });
    await paths.settled();
    const asked = (udpSize: number) =>
      encodeMessage(
        query(
          1,
          { name: "wide.default.svc.cluster.local.", type: 1, class: 1 },
          udpSize > 0 ? { udpSize, version: 0, dnssecOk: false, options: [] } : undefined,
        ),
      );
    const first = new Set<string>();
    for (let i = 0; i < 500; i++) {
      const hot = paths.hot(asked(1232)) as Uint8Array;
      if (i === 0) expect(ordered(hot)).toEqual(ordered(paths.plugins(asked(1232)) as Uint8Array));
      first.add(JSON.stringify(decodeMessage(hot).answers[0]));
    }
    expect(first.size).toBe(50);
    for (const size of [0, 512, 600]) {
      const [cut, whole] = [paths.hot(asked(size)), paths.plugins(asked(size))] as [Uint8Array, Uint8Array];
      expect([decodeMessage(cut).truncated, cut.length]).toEqual([true, whole.length]);
    }
    paths.hotPath.close();
  });

  it.each([
    // The answer fits no message; a length of two bytes does not tell the body's; the SRV records fit no message.
    ["addresses of 4,100 endpoints", 4100, [], "wide", 1],
    ["SRV records of 800 endpoints", 800, [{ name: "http", port: 80 }], "_http._tcp.wide", 33],
  ] as const)("leaves to the plugins what is too large for the table: %s", async (_, count, ports, prefix, type) => {
    const index = testIndex();
    const addresses = Array.from({ length: count }, (_one, i) => `10.244.${16 + (i >> 8)}.${i & 255}`);
    index.setService(service("wide", { clusterIP: "None", ports: [] }));
    index.setSlice(slice("wide", addresses, ports));
    const paths = bothPaths(index);
    await paths.settled();
    const packet = encodeMessage(query(7, { name: `${prefix}.default.svc.cluster.local.`, type, class: 1 }));
    expect(paths.hot(packet)).toBe("pass");
    expect(decodeMessage(paths.plugins(packet) as Uint8Array).truncated).toBe(true);
    // The others are published all the same.
    const other = encodeMessage(query(7, { name: "kubernetes.default.svc.cluster.local.", type: 1, class: 1 }));
    expect(paths.hot(other)).toEqual(paths.plugins(other));
    paths.hotPath.close();
  });

  it("shows and hides the Services of a namespace as its labels come and go", async () => {
    const index = new ClusterIndex();
    index.setService(service("web", { clusterIP: "10.96.0.9" }, "team"));
    const paths = bothPaths(index, { labelledNamespaces: true });
    const packet = encodeMessage(query(7, { name: "web.team.svc.cluster.local.", type: 1, class: 1 }));
    const rcodes = async () => {
      await paths.settled();
      return [paths.hot(packet), paths.plugins(packet)].map((bytes) => decodeMessage(bytes as Uint8Array).rcode);
    };
    expect(await rcodes()).toEqual([3, 3]);
    index.setNamespace(namespace("team"));
    expect(await rcodes()).toEqual([0, 0]);
    index.deleteNamespace("team");
    expect(await rcodes()).toEqual([3, 3]);
    paths.hotPath.close();
  });

  it("answers search paths itself, and counts what it answers under the zone", async () => {
    const paths = bothPaths(testIndex());
    await paths.settled();
    const asked = (name: string, type = 1) => paths.hot(encodeMessage(query(7, { name, type, class: 1 })));
    for (const name of ["www.example.com.default.svc", "www.example.com.svc", "www.example.com", "nope.default.svc"]) {
      const answer = asked(`${name}.cluster.local.`);
      expect(decodeMessage(answer as Uint8Array).rcode).toBe(3);
    }
    expect(decodeMessage(asked("kubernetes.default.svc.cluster.local.", 28) as Uint8Array).rcode).toBe(0);
    expect(asked("www.example.com.")).toBe("pass");
    expect(asked("10-244-2-5.default.pod.cluster.local.")).toBe("pass");
    paths.hotPath.close();
    expect(paths.told).toMatchObject([
      {
        zone: ".",
        plugin: "kubernetes",
        total: 5,
        requests: [
          { family: 1, type: 1, times: 4 },
          { family: 1, type: 28, times: 1 },
        ],
        responses: [
          { rcode: 0, times: 1 },
          { rcode: 3, times: 4 },
        ],
      },
    ]);
  });

  it("answers SRV and PTR queries of a Service once they were asked for, until it changes", async () => {
    const index = testIndex();
    const shop = (port: number, name = "shop") =>
      index.setService(service(name, { clusterIP: "10.96.40.4", ports: [{ name: "http", port, protocol: "TCP" }] }));
    shop(80);
    const paths = bothPaths(index, { zones: ["cluster.local.", "in-addr.arpa."] });
    await paths.settled();
    const srv = encodeMessage(query(7, { name: "_http._tcp.shop.default.svc.cluster.local.", type: 33, class: 1 }));
    const ptr = encodeMessage(query(7, { name: "4.40.96.10.in-addr.arpa.", type: 12, class: 1 }));
    for (const packet of [srv, ptr]) {
      expect(paths.hot(packet)).toBe("pass");
      paths.plugins(packet);
      await paths.settled();
      expect(paths.hot(packet)).toEqual(paths.plugins(packet));
      expect(decodeMessage(paths.hot(packet) as Uint8Array).answers).toHaveLength(1);
    }
    // Another Service with the address, whose name comes first; another port.
    shop(80, "ahead");
    shop(8080);
    await paths.settled();
    for (const packet of [srv, ptr]) {
      const hot = paths.hot(packet);
      if (hot !== "pass") expect(hot).toEqual(paths.plugins(packet));
    }
    expect(decodeMessage(paths.plugins(srv) as Uint8Array).answers[0]?.data).toMatchObject({ port: 8080 });
    index.deleteService("default/shop");
    index.deleteService("default/ahead");
    await paths.settled();
    for (const packet of [srv, ptr]) expect(["pass", 3]).toContain(rcodeOf(paths.hot(packet)));
    paths.hotPath.close();
  });

  it("denies nothing before the first state is complete", async () => {
    const complete = Promise.withResolvers<void>();
    const paths = bothPaths(testIndex(), { synced: complete.promise });
    await paths.settled();
    const packet = encodeMessage(query(7, { name: "nope.default.svc.cluster.local.", type: 1, class: 1 }));
    expect(paths.hot(packet)).toBe("pass");
    complete.resolve();
    await paths.settled();
    expect(paths.hot(packet)).toEqual(paths.plugins(packet));
    paths.hotPath.close();
  });

  it("is off, and says why, where a plugin has to see every query", () => {
    const paths = bothPaths(testIndex(), { before: [{ name: "log", answered: () => {} }] });
    expect(paths.hotPath.active).toBe(false);
    expect(paths.log.join("")).toContain('reason="plugin log has to see every query"');
    paths.hotPath.close();
  });
});
