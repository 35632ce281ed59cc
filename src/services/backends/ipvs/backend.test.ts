import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "#api/index.ts";
import { parseCidr, parseIp } from "#base/ip.ts";
import { FakeIpvs, realText, serverText, type VirtualServer } from "#kernel/ipvs/index.ts";
import { FakeNetwork } from "#kernel/netlink/index.ts";
import { elementText, FakeNftables, protocols, ruleText, type Transaction } from "#kernel/nft/index.ts";
import { type Frontend, serviceFrontends } from "../../model/index.ts";
import { service, slice } from "../../testing/objects.ts";
import { IPVS_TABLE, type IpvsBackendOptions, ipvsBackend } from "./backend.ts";
import { IPVS_DEVICE } from "./device.ts";

const NODE_IP = "192.168.1.11";
const view = { name: "node01", addresses: [parseIp(NODE_IP)] };
const frontends = (one: Service, ...slices: EndpointSlice[]): Frontend[] => serviceFrontends(one, slices, view);
const tcp = (address: string, port = 80): VirtualServer => ({
  ...{ ip: parseIp(address), protocol: protocols.TCP, port },
  scheduler: "rr",
});
const pod = (n: number, port = 8080) => ({ ip: parseIp(`10.244.1.${n}`), port });
const nodePort = { type: "NodePort", ports: [{ name: "http", port: 80, protocol: "TCP", nodePort: 30080 }] } as const;

/** Tells what was done before each transaction. */
class Nft extends FakeNftables {
  onCommit: () => void = () => {};

  override async commit(transaction: Transaction): Promise<void> {
    if (!transaction.isEmpty) this.onCommit();
    await super.commit(transaction);
  }
}

/** A node's kernel, which stays when its proxy begins anew. */
function machine() {
  const network = new FakeNetwork();
  const netns = network.newNamespace();
  const rt = network.open(netns);
  rt.apply([{ op: "add-link", name: "eth0", kind: { type: "dummy" }, up: true }]);
  rt.apply([{ op: "add-address", index: rt.link({ name: "eth0" })?.index ?? 0, address: `${NODE_IP}/24` }]);
  const ipvs = new FakeIpvs();
  const nft = new Nft();
  const sysctls: string[] = [];
  const ensureSysctl = (name: string, value: number) => void sysctls.push(`${name}=${value}`);
  const start = (settings: Partial<IpvsBackendOptions> = {}) =>
    ipvsBackend({
      ...{ nodeName: "node01", localTraffic: { kind: "cidrs", cidrs: [parseCidr("10.244.0.0/16")] } },
      ...settings,
      ...{ nft, node: { ipvs, rt: network.open(netns), ensureSysctl, close() {} } },
    });
  const bound = () => {
    const index = rt.link({ name: IPVS_DEVICE })?.index;
    return index === undefined ? undefined : rt.addresses(index).map(({ address }) => address);
  };
  const servers = () =>
    Object.fromEntries(
      ipvs
        .servers()
        .map((server) => [
          serverText(server),
          ipvs.realServers(server).map((real) => `${realText(real)} ${real.weight}`),
        ]),
    );
  return { ipvs, nft, rt, network, sysctls, start, bound, servers };
}

describe("V04 the ipvs mode (part: virtual servers, addresses and rules)", () => {
  it("a virtual server for each address and port; kube-ipvs0 has what is not the node's own", async () => {
    const { start, bound, servers } = machine();
    const backend = start();
    const spec = { clusterIP: "10.96.0.1", ...nodePort, externalIPs: ["203.0.113.1", NODE_IP] };
    backend.setService("shop/web", frontends(service("web", spec), slice("web", ["10.244.1.2"])));
    backend.setService("shop/none", frontends(service("none", { clusterIP: "10.96.0.2" })));
    await backend.readBack();
    await backend.commit();
    const reals = ["10.244.1.2:8080 1"];
    expect(servers()).toEqual({
      "TCP 10.96.0.1:80": reals,
      "TCP 203.0.113.1:80": reals,
      [`TCP ${NODE_IP}:80`]: reals,
      [`TCP ${NODE_IP}:30080`]: reals,
      "TCP 10.96.0.2:80": [],
    });
    expect(bound()?.sort()).toEqual(["10.96.0.1/32", "10.96.0.2/32", "203.0.113.1/32"]);
  });

  it("rules mark, refuse and drop by kind and policy, and translate nothing", async () => {
    const { start, nft } = machine();
    const backend = start();
    const far = { address: "10.244.2.2", nodeName: "node02" };
    const local = { ...nodePort, externalTrafficPolicy: "Local" } as const;
    const inner = { clusterIP: "10.96.0.4", internalTrafficPolicy: "Local" } as const;
    const other = [{ name: "http", port: 80, protocol: "TCP" as const, nodePort: 30081 }];
    backend.setService(
      "shop/here",
      frontends(service("here", { clusterIP: "10.96.0.1", ...local }), slice("here", ["10.244.1.2", far])),
    );
    backend.setService(
      "shop/far",
      frontends(service("far", { clusterIP: "10.96.0.2", ...local, ports: other }), slice("far", [far])),
    );
    backend.setService(
      "shop/none",
      frontends(service("none", { clusterIP: "10.96.0.3", externalIPs: ["203.0.113.3"] })),
    );
    backend.setService("shop/inner", frontends(service("inner", inner), slice("inner", [far])));
    await backend.readBack();
    await backend.commit();
    const state = await nft.readTable({ family: "ip", name: IPVS_TABLE });
    const set = state?.sets.find(({ name }) => name === "services");
    const entries = (state?.elements.get("services") ?? []).map((element) => elementText(set as never, element));
    expect(entries.map((text) => text.replace(/ comment "[^"]*"/, "")).sort()).toEqual([
      "10.96.0.1 . tcp . 80 : goto cluster",
      "10.96.0.2 . tcp . 80 : goto cluster",
      "10.96.0.3 . tcp . 80 : goto refuse",
      "10.96.0.4 . tcp . 80 : drop",
      `${NODE_IP} . tcp . 30080 : goto external-local`,
      `${NODE_IP} . tcp . 30081 : goto external-elsewhere`,
      "203.0.113.3 . tcp . 80 : goto refuse",
    ]);
    const rules = (chain: string) =>
      (state?.rules.get(chain) ?? []).map((rule) => ruleText(rule).replace(/ comment .*/, ""));
    expect(rules("external-elsewhere")).toEqual([
      "ip saddr 10.244.0.0/16 return",
      "fib saddr type local jump mark-masquerade",
      "fib saddr type local return",
      "drop",
    ]);
    expect(rules("services").at(-1)).toBe("ct state new ip daddr @cluster-ips goto refuse");
    expect([...(state?.rules.values() ?? [])].flat().map(ruleText).join("\n")).not.toContain("dnat");
  });

  it("one endpoint more is one operation for each of the Service's addresses; nothing changed is none", async () => {
    const { start, ipvs, nft } = machine();
    const backend = start();
    const web = service("web", { clusterIP: "10.96.0.1", externalIPs: ["203.0.113.1"] });
    backend.setService("shop/web", frontends(web, slice("web", ["10.244.1.2"])));
    await backend.readBack();
    await backend.commit();
    ipvs.log.length = 0;
    backend.setService("shop/web", frontends(web, slice("web", ["10.244.1.2", "10.244.1.3"])));
    await backend.commit();
    expect(ipvs.log).toEqual([
      "add real server 10.244.1.3:8080 of TCP 10.96.0.1:80",
      "add real server 10.244.1.3:8080 of TCP 203.0.113.1:80",
    ]);
    const committed = nft.committed.length;
    await backend.readBack();
    await backend.commit();
    expect(ipvs.log).toHaveLength(2);
    expect(nft.committed).toHaveLength(committed);
  });

  it("real servers are there before the rules that lead to them, addresses after; on the way back it is the other way", async () => {
    const { start, ipvs, nft, network } = machine();
    const backend = start();
    const seen: { servers: number; addresses: string[] }[] = [];
    nft.onCommit = () =>
      seen.push({
        servers: ipvs.servers().length,
        addresses: network.history.filter((line) => line.includes("10.96.0.1")),
      });
    backend.setService("shop/web", frontends(service("web", { clusterIP: "10.96.0.1" }), slice("web", ["10.244.1.2"])));
    await backend.readBack();
    await backend.commit();
    backend.setService("shop/web", []);
    await backend.commit();
    expect(seen.map(({ servers, addresses }) => [servers, addresses.length])).toEqual([
      [1, 0],
      [0, 2],
    ]);
  });

  it("an endpoint with connections that goes gets weight 0, and weight 1 when it comes back; UDP's where it still serves", async () => {
    const { start, ipvs, servers } = machine();
    const backend = start();
    const ports = [
      { name: "http", port: 80, protocol: "TCP" as const },
      { name: "dns", port: 53, protocol: "UDP" as const },
    ];
    const targets = [
      { name: "http", protocol: "TCP" as const, port: 8080 },
      { name: "dns", protocol: "UDP" as const, port: 8053 },
    ];
    const web = service("web", { clusterIP: "10.96.0.1", ports });
    const set = (...pods: string[]) => backend.setService("shop/web", frontends(web, slice("web", pods, targets)));
    set("10.244.1.2", "10.244.1.3");
    await backend.readBack();
    await backend.commit();
    const udp = { ip: parseIp("10.96.0.1"), protocol: protocols.UDP, port: 53 };
    ipvs.connect(tcp("10.96.0.1"), pod(2), 1);
    ipvs.connect(udp, pod(2, 8053), 0, 1);
    set("10.244.1.3");
    await backend.commit();
    expect(servers()).toEqual({
      "TCP 10.96.0.1:80": ["10.244.1.2:8080 0", "10.244.1.3:8080 1"],
      "UDP 10.96.0.1:53": ["10.244.1.3:8053 1"],
    });
    set("10.244.1.2", "10.244.1.3");
    await backend.commit();
    expect(servers()["TCP 10.96.0.1:80"]).toEqual(["10.244.1.2:8080 1", "10.244.1.3:8080 1"]);
    ipvs.connect(udp, pod(2, 8053), 0, 1);
    const going = { address: "10.244.1.2", conditions: { ready: false, serving: true, terminating: true } };
    backend.setService("shop/web", frontends(web, slice("web", [going, "10.244.1.3"], targets)));
    await backend.commit();
    expect(servers()["UDP 10.96.0.1:53"]?.sort()).toEqual(["10.244.1.2:8053 0", "10.244.1.3:8053 1"]);
    set("10.244.1.3");
    await backend.commit();
    expect(servers()["UDP 10.96.0.1:53"]).toEqual(["10.244.1.3:8053 1"]);
    await backend.close();
  });

  it("what waits for its last connection goes with it, also in a process that began anew", async () => {
    const { start, ipvs, servers } = machine();
    const web = service("web", { clusterIP: "10.96.0.1" });
    const first = start();
    first.setService("shop/web", frontends(web, slice("web", ["10.244.1.2", "10.244.1.3"])));
    await first.readBack();
    await first.commit();
    ipvs.connect(tcp("10.96.0.1"), pod(2), 0, 1);
    await first.close();
    const second = start({ drainCheckMs: 5 });
    second.setService("shop/web", frontends(web, slice("web", ["10.244.1.3"])));
    await second.readBack();
    await second.commit();
    expect(servers()["TCP 10.96.0.1:80"]).toEqual(["10.244.1.2:8080 0", "10.244.1.3:8080 1"]);
    ipvs.connect(tcp("10.96.0.1"), pod(2), 0, 0);
    await expect.poll(() => servers()["TCP 10.96.0.1:80"]).toEqual(["10.244.1.3:8080 1"]);
    await second.close();
  });

  it("a new process removes what the former left, and nobody else's; cleanup as well", async () => {
    const { start, ipvs, nft, rt, servers, bound } = machine();
    const first = start();
    const spec = { clusterIP: "10.96.0.1", ...nodePort, externalIPs: ["203.0.113.1"] };
    first.setService("shop/web", frontends(service("web", spec), slice("web", ["10.244.1.2"])));
    await first.readBack();
    await first.commit();
    ipvs.apply([{ op: "add-server", server: tcp("192.0.2.9", 9) }]);
    const second = start({ excludeCidrs: ["203.0.113.0/24"] });
    second.setService("shop/api", frontends(service("api", { clusterIP: "10.96.0.2" })));
    await second.readBack();
    await second.commit();
    expect(Object.keys(servers())).toEqual(["TCP 203.0.113.1:80", "TCP 192.0.2.9:9", "TCP 10.96.0.2:80"]);
    expect(bound()).toEqual(["10.96.0.2/32"]);
    await second.cleanup();
    expect(Object.keys(servers())).toEqual(["TCP 203.0.113.1:80", "TCP 192.0.2.9:9"]);
    expect(bound()).toBeUndefined();
    expect(await nft.listTables()).toEqual([]);
    expect(rt.link({ name: "eth0" })).toBeDefined();
  });

  it("an address that the node gets itself leaves kube-ipvs0, and its other ports are the node's again", async () => {
    const { start, rt, nft, bound } = machine();
    const backend = start();
    const web = service("web", { clusterIP: "10.96.0.1", externalIPs: ["203.0.113.1"] });
    backend.setService("shop/web", frontends(web, slice("web", ["10.244.1.2"])));
    await backend.readBack();
    await backend.commit();
    rt.apply([{ op: "add-address", index: rt.link({ name: "eth0" })?.index ?? 0, address: "203.0.113.1/32" }]);
    await backend.readBack();
    await backend.commit();
    expect(bound()).toEqual(["10.96.0.1/32"]);
    const state = await nft.readTable({ family: "ip", name: IPVS_TABLE });
    expect(state?.elements.get("cluster-ips")?.map(({ key }) => [...key])).toEqual([[10, 96, 0, 1]]);
  });

  it("what is refused for one virtual server is told, and done by the next pass; the others do not wait", async () => {
    const { start, ipvs, servers, bound } = machine();
    const backend = start();
    backend.setService("shop/a", frontends(service("a", { clusterIP: "10.96.0.1" }), slice("a", ["10.244.1.2"])));
    backend.setService("shop/b", frontends(service("b", { clusterIP: "10.96.0.2" }), slice("b", ["10.244.1.3"])));
    await backend.readBack();
    // Somebody else makes it in between, with another scheduler.
    ipvs.apply([{ op: "add-server", server: { ...tcp("10.96.0.1"), scheduler: "sh" } }]);
    await expect(backend.commit()).rejects.toThrow("add virtual server TCP 10.96.0.1:80: EEXIST");
    expect(servers()["TCP 10.96.0.2:80"]).toEqual(["10.244.1.3:8080 1"]);
    expect(bound()).toHaveLength(2);
    await backend.readBack();
    await backend.commit();
    expect(ipvs.servers().map(({ scheduler }) => scheduler)).toEqual(["rr", "rr"]);
  });

  it("V06 scheduler, persistence, time-outs and sysctls are upstream's (part: ipvs)", async () => {
    const { start, ipvs, sysctls } = machine();
    const timeouts = { tcp: 900, tcpFin: 0, udp: 60 };
    const backend = start({ scheduler: "mh", strictArp: true, timeouts });
    const web = service("web", { clusterIP: "10.96.0.1", sessionAffinity: "ClientIP" });
    backend.setService("shop/web", frontends(web));
    await backend.readBack();
    await backend.commit();
    expect(ipvs.servers()).toEqual([
      { ...tcp("10.96.0.1"), scheduler: "mh", persistentSeconds: 10_800, hashesPort: true },
    ]);
    expect(ipvs.timeouts).toEqual(timeouts);
    expect(sysctls.filter((one) => !one.includes("conn_reuse_mode"))).toEqual([
      "net/ipv4/vs/conntrack=1",
      "net/ipv4/vs/expire_nodest_conn=1",
      "net/ipv4/vs/expire_quiescent_template=1",
      "net/ipv4/ip_forward=1",
      "net/ipv4/conf/all/arp_ignore=1",
      "net/ipv4/conf/all/arp_announce=2",
    ]);
  });

  it("whatever the way to a state, the kernel holds that state (property)", async () => {
    const state = fc.record({
      pods: fc.uniqueArray(fc.integer({ min: 2, max: 6 }), { maxLength: 4 }),
      external: fc.boolean(),
      exists: fc.boolean(),
    });
    const step = fc.record({ service: fc.constantFrom(1, 2, 3), state, restarts: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const { start, servers, bound } = machine();
        let backend = start();
        await backend.readBack();
        const wanted = new Map<number, Frontend[]>();
        for (const { service: n, state: now, restarts } of steps) {
          const spec = { clusterIP: `10.96.0.${n}`, ...(now.external && { externalIPs: [`203.0.113.${n}`] }) };
          const pods = slice(
            "s",
            now.pods.map((p) => `10.244.1.${p}`),
          );
          wanted.set(n, now.exists ? frontends(service(`s${n}`, spec), pods) : []);
          if (restarts) {
            backend = start();
            for (const [name, list] of wanted) backend.setService(`shop/s${name}`, list);
            await backend.readBack();
          } else backend.setService(`shop/s${n}`, wanted.get(n) ?? []);
          await backend.commit();
          const all = [...wanted.values()].flat();
          const sorted = (object: Record<string, string[]>) =>
            Object.fromEntries(Object.entries(object).map(([key, list]) => [key, [...list].sort()]));
          expect(sorted(servers())).toEqual(
            sorted(
              Object.fromEntries(
                all.map((one) => [
                  serverText(one),
                  one.action.kind === "balance" ? one.action.targets.map((target) => `${realText(target)} 1`) : [],
                ]),
              ),
            ),
          );
          expect((bound() ?? []).sort()).toEqual(
            [...new Set(all.map(({ ip }) => `${[...ip.bytes].join(".")}/32`))].sort(),
          );
        }
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});
