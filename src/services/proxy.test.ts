import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Client, type EndpointSlice, type Service } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { type Ip, parseCidr, parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { FakeConntrack } from "#kernel/conntrack/index.ts";
import { elementText, FakeNftables, type Nftables, ruleText, Transaction } from "#kernel/nft/index.ts";
import { nftablesBackend, SERVICES_TABLE, serviceLayout } from "./backends/index.ts";
import { type ServiceProxy, type ServiceProxyOptions, startServiceProxy } from "./proxy.ts";
import { service, slice } from "./testing/objects.ts";

const collections = { Service: "/api/v1/services", EndpointSlice: "/apis/discovery.k8s.io/v1/endpointslices" } as const;
const cidrs = [parseCidr("10.244.0.0/16"), parseCidr("fd00:244::/48")];
const settings = { nodeName: "node01", localTraffic: { kind: "cidrs", cidrs } } as const;
const running: ServiceProxy[] = [];

function start(
  api: FakeApi,
  nft: Nftables,
  lines: string[] = [],
  options: Partial<ServiceProxyOptions> = {},
): ServiceProxy {
  const proxy = startServiceProxy({
    client: new Client(api),
    nodeName: "node01",
    nodeAddresses: [parseIp("192.168.1.11")],
    backend: nftablesBackend({ ...settings, nft }),
    log: createLogger("proxy", { write: (line) => void lines.push(line) }),
    signal: new AbortController().signal,
    minSyncPeriodMs: 0,
    ...options,
  });
  running.push(proxy);
  return proxy;
}

function put(api: FakeApi, object: Service | EndpointSlice): void {
  api.put(collections[object.kind as keyof typeof collections], object);
}

async function remove(api: FakeApi, object: Service | EndpointSlice): Promise<void> {
  const collection = collections[object.kind as keyof typeof collections];
  const path = collection.replace(/\/([^/]+)$/, `/namespaces/shop/$1/${object.metadata.name}`);
  for await (const _ of (await api.request({ method: "DELETE", path })).body);
}

/** Everything in both tables as text, whatever the order in which it was made. */
async function contents(nft: Nftables): Promise<string[]> {
  const lines: string[] = [];
  for (const family of ["ip", "ip6"] as const) {
    const layout = serviceLayout(family, settings);
    const state = await nft.readTable(layout.table);
    for (const [chain, rules] of state?.rules ?? []) {
      lines.push(`${family} ${chain} ${rules.map(ruleText).join("; ")}`);
    }
    for (const set of Object.values(layout.sets)) {
      for (const element of state?.elements.get(set.name) ?? [])
        lines.push(`${family} ${set.name} ${elementText(set, element)}`);
    }
  }
  return lines.sort();
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((proxy) => proxy.stop()));
});

describe("the service proxy", () => {
  it("touches nothing before it knows all Services and all EndpointSlices", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    const gate = Promise.withResolvers<void>();
    api.onRequest = async ({ path }) => {
      if (path.includes("endpointslices")) await gate.promise;
    };
    put(api, service("web", { clusterIP: "10.96.0.1" }));
    put(api, slice("web", ["10.244.1.2"]));
    const listed = Promise.withResolvers<void>();
    const proxy = start(api, nft, [], { observers: [{ queued: (kind) => kind === "service" && listed.resolve() }] });
    await listed.promise;
    // Whoever does not wait for the slices goes on within some turns: nothing else is asynchronous here.
    for (let i = 0; i < 20; i++) await turn();
    expect(nft.committed).toEqual([]);
    gate.resolve();
    await proxy.synced;
    expect(nft.committed).toHaveLength(1);
    expect(nft.committed[0]?.toString()).not.toContain("goto refuse }");
  });

  describe("V06 periods, by a clock of the test", () => {
    afterEach(() => void vi.useRealTimers());

    async function clocked(periods: Partial<ServiceProxyOptions>) {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
      const api = new FakeApi();
      const nft = new FakeNftables();
      put(api, service("web", { clusterIP: "10.96.0.1" }));
      put(api, slice("web", ["10.244.1.2"]));
      let syncs = 0;
      const observer = { synced: () => void syncs++ };
      const proxy = start(api, nft, [], { observers: [observer], ...periods });
      await proxy.synced;
      /** Lets everything run that does not wait for the clock. */
      const rest = async () => {
        for (let i = 0; i < 20; i++) await turn();
      };
      return { api, nft, proxy, rest, syncs: () => syncs };
    }

    it("minSyncPeriod: of two changes the first goes at once, the second when it is over", async () => {
      const { api, nft, rest } = await clocked({ minSyncPeriodMs: 10_000 });
      await vi.advanceTimersByTimeAsync(10_000);
      await rest();
      put(api, slice("web", ["10.244.1.3"]));
      await rest();
      expect(nft.committed).toHaveLength(2);
      put(api, slice("web", ["10.244.1.4"]));
      await vi.advanceTimersByTimeAsync(9999);
      await rest();
      expect(nft.committed).toHaveLength(2);
      await vi.advanceTimersByTimeAsync(1);
      await rest();
      expect(nft.committed).toHaveLength(3);
      expect((await contents(nft)).join("\n")).toContain("10.244.1.4 . 8080");
    });

    it("syncPeriod: what is there is read and put right, though nobody told of a change", async () => {
      const { nft, rest, syncs } = await clocked({ syncPeriodMs: 30_000 });
      const expected = await contents(nft);
      const { table } = serviceLayout("ip", settings);
      vi.spyOn(nft, "readTable");
      await vi.advanceTimersByTimeAsync(29_999);
      await rest();
      expect(nft.readTable).not.toHaveBeenCalled();
      expect(syncs()).toBe(1);
      await vi.advanceTimersByTimeAsync(1);
      await rest();
      expect(nft.readTable).toHaveBeenCalled();
      expect(syncs()).toBe(2);
      expect(nft.committed).toHaveLength(1);
      await nft.commit(new Transaction().deleteTable(table));
      await vi.advanceTimersByTimeAsync(30_000);
      await rest();
      expect(await contents(nft)).toEqual(expected);
    });
  });

  it("changes only what changed", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    for (const name of ["a", "b"]) {
      put(api, service(name, { clusterIP: name === "a" ? "10.96.0.1" : "10.96.0.2" }));
      put(api, slice(name, ["10.244.1.2", "10.244.1.3"]));
    }
    const proxy = start(api, nft);
    await proxy.synced;
    put(api, slice("a", ["10.244.1.2", "10.244.1.4"]));
    await expect.poll(() => nft.committed.length).toBe(2);
    expect(nft.committed[1]?.toString().trim().split("\n")).toEqual([
      "add element ip podwire-services hairpin { 10.244.1.4 . 10.244.1.4 }",
      "delete element ip podwire-services endpoints { 10.96.0.1 . tcp . 80 . 1 }",
      "add element ip podwire-services endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.244.1.4 . 8080 }",
    ]);
  });

  it("keeps to the order of new endpoints, the Service's entry, removals", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    put(api, service("web", { clusterIP: "10.96.0.1" }));
    put(api, slice("web", ["10.244.1.2", "10.244.1.3"]));
    await start(api, nft).synced;
    put(api, slice("web", ["10.244.1.9"]));
    await expect.poll(() => nft.committed.length).toBe(2);
    const steps = nft.committed[1]
      ?.toString()
      .trim()
      .split("\n")
      .map((line) => line.split(" ").slice(0, 5).join(" "));
    const at = (step: string) => steps?.lastIndexOf(step) ?? -1;
    expect(at("add element ip podwire-services endpoints")).toBeLessThan(
      at("add element ip podwire-services services"),
    );
    expect(at("add element ip podwire-services services")).toBeLessThan(
      at("delete element ip podwire-services endpoints"),
    );
    expect(steps?.at(-1)).toBe("delete chain ip podwire-services cluster-2");
  });

  it("two Services with one external address: one has it, the other when the first is gone", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    const one = service("one", { clusterIP: "10.96.0.1", externalIPs: ["203.0.113.7"] });
    const two = service("two", { clusterIP: "10.96.0.2", externalIPs: ["203.0.113.7"] });
    for (const object of [two, slice("two", ["10.244.1.3"]), one, slice("one", ["10.244.1.2"])]) put(api, object);
    await start(api, nft).synced;
    const holder = async () => (await contents(nft)).find((line) => line.startsWith("ip services 203.0.113.7"));
    expect(await holder()).toContain("shop/one:http");
    await remove(api, one);
    await expect.poll(holder).toContain("shop/two:http");
    expect((await contents(nft)).join("\n")).not.toContain("10.244.1.2");
  });

  it("after a failed change it reads what is there and does what is missing", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    const lines: string[] = [];
    put(api, service("web", { clusterIP: "10.96.0.1" }));
    nft.failNext("ENOBUFS");
    await start(api, nft, lines).synced;
    expect(lines.join("")).toContain("ENOBUFS");
    await nft.commit(new Transaction().deleteTable({ family: "ip", name: SERVICES_TABLE }));
    put(api, slice("web", ["10.244.1.2"]));
    await expect.poll(async () => (await contents(nft)).join("\n"), { timeout: 3000 }).toContain("goto cluster-1");
  });

  it("puts right what somebody else changed, without being asked to do anything", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    const lines: string[] = [];
    put(api, service("web", { clusterIP: "10.96.0.1" }));
    put(api, slice("web", ["10.244.1.2"]));
    await start(api, nft, lines).synced;
    const before = await contents(nft);
    const table = { family: "ip", name: SERVICES_TABLE } as const;
    await nft.commitAsOther(new Transaction().deleteTable(table).addTable(table).addChain({ table, name: "stranger" }));
    await expect.poll(() => contents(nft)).toEqual(before);
    expect(lines.join("")).toContain("Somebody else changed the rules");
  });

  it("a change of another's table is none of its business", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    const lines: string[] = [];
    const proxy = start(api, nft, lines);
    await proxy.synced;
    await nft.commitAsOther(new Transaction().addTable({ family: "ip", name: "kube-proxy" }));
    await proxy.settled();
    expect(lines.join("")).not.toContain("Somebody else");
  });

  it.each(["the table that a former process left", "ServiceCIDRs"])(
    "UDP flows of a Service that went while no proxy ran are removed: known by %s",
    async (by) => {
      const nft = new FakeNftables();
      const ports = [{ name: "dns", port: 53, protocol: "UDP" as const }];
      const dns = service("dns", { clusterIP: "10.96.0.10", ports });
      const before = new FakeApi();
      put(before, dns);
      put(before, slice("dns", ["10.244.1.2"], [{ name: "dns", port: 53, protocol: "UDP" }]));
      const conntrack = new FakeConntrack();
      const [pod, vip, client] = ["10.244.1.2", "10.96.0.10", "10.244.1.9"].map(parseIp) as [Ip, Ip, Ip];
      const flow = {
        original: { protocol: 17, source: client, sourcePort: 5353, destination: vip, destinationPort: 53 },
        reply: { protocol: 17, source: pod, sourcePort: 53, destination: client, destinationPort: 5353 },
      };
      conntrack.add(flow);
      const former = start(before, nft, [], { conntrack });
      await former.synced;
      await former.stop();
      expect(conntrack.list({ family: 4 })).toEqual([flow]);
      const api = new FakeApi();
      if (by === "ServiceCIDRs") {
        const cidr = { metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/12"] } };
        api.put("/apis/networking.k8s.io/v1/servicecidrs", cidr);
        await nft.commit(new Transaction().deleteTable({ family: "ip", name: SERVICES_TABLE }));
      }
      await start(api, nft, [], { conntrack }).synced;
      await expect.poll(() => conntrack.list({ family: 4 })).toEqual([]);
    },
  );

  it("UDP flows to a Service that another proxy serves stay", async () => {
    const nft = new FakeNftables();
    const ports = [{ name: "dns", port: 53, protocol: "UDP" as const }];
    const theirs = service("theirs", { clusterIP: "10.96.0.11", ports });
    const labels = { "service.kubernetes.io/service-proxy-name": "other" };
    const api = new FakeApi();
    put(api, { ...theirs, metadata: { ...theirs.metadata, labels } });
    const cidr = { metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/12"] } };
    api.put("/apis/networking.k8s.io/v1/servicecidrs", cidr);
    const conntrack = new FakeConntrack();
    const [pod, client] = ["10.244.1.2", "10.244.1.9"].map(parseIp) as [Ip, Ip];
    const flowTo = (vip: string, destinationPort: number) => ({
      original: { protocol: 17, source: client, sourcePort: 5353, destination: parseIp(vip), destinationPort },
      reply: { protocol: 17, source: pod, sourcePort: 53, destination: client, destinationPort: 5353 },
    });
    conntrack.add(flowTo("10.96.0.11", 53), flowTo("10.96.0.11", 54), flowTo("10.96.0.12", 53));
    await start(api, nft, [], { conntrack }).synced;
    // Flows to what nobody serves go, all in one cleaning.
    await expect.poll(() => conntrack.list({ family: 4 })).toEqual([flowTo("10.96.0.11", 53)]);
  });

  it("an API that does not answer about ServiceCIDRs keeps no rule waiting", async () => {
    const api = new FakeApi();
    const nft = new FakeNftables();
    put(api, service("web", { clusterIP: "10.96.0.1" }));
    put(api, slice("web", ["10.244.1.2"]));
    api.onRequest = async ({ path, signal }) => {
      if (!path.includes("servicecidrs")) return;
      await new Promise((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason), { once: true }));
    };
    await start(api, nft).synced;
    expect((await contents(nft)).join("\n")).toContain("10.244.1.2 . 8080");
    expect(api.requests.some((request) => request.includes("servicecidrs"))).toBe(true);
  });

  it("ends in the same rules by every path", async () => {
    const names = ["a", "b", "c"];
    const step = fc.record({
      name: fc.constantFrom(...names),
      what: fc.constantFrom("service", "slice", "slice6", "removeService", "removeSlice", "settle", "restart"),
      endpoints: fc.integer({ min: 0, max: 3 }),
      spec: fc.constantFrom<Partial<Service["spec"]>>(
        {},
        { sessionAffinity: "ClientIP" },
        { type: "NodePort", externalTrafficPolicy: "Local" },
        { externalIPs: ["203.0.113.7"] },
        { internalTrafficPolicy: "Local" },
      ),
    });
    const run = async (steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) => {
      const api = new FakeApi();
      const nft = new FakeNftables();
      let proxy = start(api, nft);
      for (const { name, what, endpoints, spec } of steps) {
        const n = names.indexOf(name) + 1;
        const ports = [{ name: "http", port: 80, nodePort: 30000 + n }];
        const addresses = (prefix: string) => Array.from({ length: endpoints }, (_, i) => `${prefix}${n * 10 + i}`);
        if (what === "service") {
          const clusterIPs = [`10.96.0.${n}`, `fd00:96::${n}`];
          put(api, service(name, { clusterIP: clusterIPs[0] as string, clusterIPs, ports, ...spec }));
        } else if (what === "slice" && endpoints) put(api, slice(name, addresses("10.244.1.")));
        else if (what === "slice6" && endpoints) put(api, slice(name, addresses("fd00:244::")));
        else if (what === "removeService") await remove(api, service(name, {})).catch(() => {});
        else if (what === "removeSlice") await remove(api, slice(name, [])).catch(() => {});
        else if (what === "settle") await proxy.settled();
        else if (what === "restart") {
          await proxy.stop();
          proxy = start(api, nft);
        }
      }
      await proxy.synced;
      const fresh = new FakeNftables();
      await start(api, fresh).synced;
      const expected = await contents(fresh);
      await expect.poll(() => contents(nft), { interval: 2 }).toEqual(expected);
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 20 }), run), { seed: 11, numRuns: 40 });
  }, 30_000);
});
