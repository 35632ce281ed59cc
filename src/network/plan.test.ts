import { describe, expect, it } from "vitest";
import type { Node } from "#api/index.ts";
import { parseNetwork } from "#base/ip.ts";
import { describeOperation } from "#kernel/netlink/index.ts";
import { Transaction } from "#kernel/nft/index.ts";
import { defaultConfig, parseConfig } from "./config.ts";
import { masqueradeRules } from "./masquerade.ts";
import { leasesOf, ownAnnotations, strangerSubnet } from "./model.ts";
import { entryKey, orderedOperations, type Place, planEntries } from "./plan.ts";
import { subnetEnv } from "./subnetEnv.ts";

const flannel = "flannel.alpha.coreos.com";

function node(number: number, annotations: Record<string, string> = {}): Node {
  return {
    metadata: {
      name: `node0${number}`,
      annotations: {
        [`${flannel}/kube-subnet-manager`]: "true",
        [`${flannel}/backend-type`]: "vxlan",
        [`${flannel}/backend-data`]: `{"VNI":1,"VtepMAC":"02:00:00:00:00:0${number}"}`,
        [`${flannel}/public-ip`]: `192.168.1.1${number}`,
        ...annotations,
      },
    },
    spec: { podCIDR: `10.244.${number}.0/24`, podCIDRs: [`10.244.${number}.0/24`] },
  };
}

const place: Place = { nodeName: "node01", devices: { 4: 4, 6: 5 }, external: 2, direct: [] };

describe("P06 flannel vxlan (part: what a node plans from annotations)", () => {
  it("plans neighbour, forwarding entry and route for each other node", () => {
    const entries = planEntries(leasesOf([node(1), node(2)]), place);
    expect(entries.map(describeOperation)).toEqual([
      "ip neigh replace 10.244.2.0 lladdr 02:00:00:00:00:02 dev #4 nud permanent",
      "bridge fdb replace 02:00:00:00:00:02 dev #4 dst 192.168.1.12 self permanent",
      "ip route replace 10.244.2.0/24 via 10.244.2.0 dev #4 onlink",
    ]);
    expect(entries.map((entry) => entry.origin)).toEqual(
      new Array(3).fill({ kind: "Node", name: "node02", field: "spec.podCIDR" }),
    );
  });

  it("plans IPv6 by its own annotations, on its own device", () => {
    const v6 = node(2, {
      [`${flannel}/backend-v6-data`]: '{"VNI":1,"VtepMAC":"02:00:00:00:00:62"}',
      [`${flannel}/public-ipv6`]: "fd00:1::12",
    });
    const dual = { ...v6, spec: { podCIDRs: ["10.244.2.0/24", "fd00:244:0:2::/64"] } };
    expect(
      planEntries(leasesOf([dual]), place)
        .slice(3)
        .map(describeOperation),
    ).toEqual([
      "ip neigh replace fd00:244:0:2:: lladdr 02:00:00:00:00:62 dev #5 nud permanent",
      "bridge fdb replace 02:00:00:00:00:62 dev #5 dst fd00:1::12 self permanent",
      "ip route replace fd00:244:0:2::/64 via fd00:244:0:2:: dev #5 onlink",
    ]);
  });

  it("plans only a route for nodes of the same network with direct routing", () => {
    const direct = { ...place, direct: [parseNetwork("192.168.1.0/24")] };
    expect(planEntries(leasesOf([node(2)]), direct).map(describeOperation)).toEqual([
      "ip route replace 10.244.2.0/24 via 192.168.1.12 dev #2",
    ]);
    const elsewhere = node(3, { [`${flannel}/public-ip`]: "192.168.9.3" });
    expect(planEntries(leasesOf([elsewhere]), direct)).toHaveLength(3);
  });

  it.each([
    ["of another manager", { [`${flannel}/kube-subnet-manager`]: "false" }],
    ["of another backend", { [`${flannel}/backend-type`]: "host-gw" }],
    ["without an address", { [`${flannel}/public-ip`]: "" }],
    ["with broken data", { [`${flannel}/backend-data`]: "{" }],
    ["with a null for data", { [`${flannel}/backend-data`]: "null" }],
  ])("ignores nodes %s", (_, annotations) => {
    expect(leasesOf([node(2, annotations)])).toEqual([]);
  });

  it("adds what routes rely on first, and removes routes first, after the additions", () => {
    const [two, three] = [2, 3].map((i) => planEntries(leasesOf([node(i)]), place));
    const operations = orderedOperations((two ?? []).toReversed(), three ?? []).map((operation) => operation.op);
    expect(operations).toEqual([
      "add-neighbour",
      "add-fdb",
      "add-route",
      "delete-route",
      "delete-fdb",
      "delete-neighbour",
    ]);
    expect(new Set([...(two ?? []), ...(three ?? [])].map(entryKey)).size).toBe(6);
  });

  it("writes the annotations as flannel does, an administrator's address first", () => {
    const ends = [{ family: 4 as const, publicIp: "192.168.1.11", vtepMac: "02:00:00:00:00:01" }];
    expect(ownAnnotations(node(1), 1, ends)).toEqual(node(1).metadata.annotations);
    const own = ownAnnotations(node(1, { [`${flannel}/public-ip-overwrite`]: "203.0.113.1" }), 1, ends);
    expect(own[`${flannel}/public-ip`]).toBe("203.0.113.1");
  });

  it("finds a subnet outside of the pod networks", () => {
    const networks = [parseNetwork("10.244.0.0/16")];
    expect(strangerSubnet(node(1), networks)).toBeUndefined();
    expect(strangerSubnet({ metadata: { name: "x" }, spec: { podCIDR: "10.9.0.0/24" } }, networks)).toBeDefined();
  });

  it("writes subnet.env", () => {
    const networks = ["10.244.0.0/16"].map(parseNetwork);
    expect(subnetEnv(networks, [parseNetwork("10.244.1.0/24")], 1450)).toBe(
      "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    );
  });

  it("masquerades what leaves the cluster alone", () => {
    const wish = { network: parseNetwork("10.244.0.0/16"), subnet: parseNetwork("10.244.1.0/24"), nodeName: "node01" };
    const transaction = new Transaction();
    for (const rule of masqueradeRules(wish).rules) transaction.addRule(rule);
    const lines = transaction
      .toString()
      .trim()
      .split("\n")
      .map((line) => line.replace(/^add rule ip podwire-network postrouting /, "").replace(/ comment ".*"$/, ""));
    expect(lines).toEqual([
      "meta mark & 0x00004000 != 0x00000000 return",
      "ip saddr 10.244.0.0/16 ip daddr 10.244.0.0/16 return",
      "ip saddr != 10.244.0.0/16 ip daddr 10.244.1.0/24 return",
      "ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random",
    ]);
  });
});

describe("flannel's net-conf.json", () => {
  const parse = (conf: unknown) => parseConfig(JSON.stringify(conf), "net-conf.json");
  it("takes its defaults from flannel", () => {
    const networks = [parseNetwork("10.244.0.0/16")];
    expect(parse({ Network: "10.244.0.0/16", Backend: { Type: "vxlan" } })).toEqual(defaultConfig(networks));
    const full = {
      Network: "10.244.0.0/16",
      EnableIPv6: true,
      IPv6Network: "fd00::/48",
      Backend: { Type: "vxlan", VNI: 7, Port: 4789, DirectRouting: true, MTU: 1400 },
    };
    expect(parse(full)).toMatchObject({ vni: 7, port: 4789, directRouting: true, learning: false, mtu: 1400 });
    expect(parse(full).networks).toHaveLength(2);
  });

  it.each([
    [{ Network: "10.244.0.0/16" }, 'backend type "udp" is not available, only "vxlan" (no Backend means "udp")'],
    [{ Network: "10.244.0.0/16", Backend: { Type: "host-gw" } }, 'backend type "host-gw"'],
    [{ Network: "10.244.0.1/16", Backend: { Type: "vxlan" } }, "the network is 10.244.0.0/16"],
    [{ Backend: { Type: "vxlan" } }, "Network is missing"],
    [{ Network: "10.244.0.0/16", Backend: { Type: "vxlan", VNI: -1 } }, "Backend.VNI is -1"],
    [{ EnableIPv4: false, Backend: { Type: "vxlan" } }, "neither EnableIPv4 nor EnableIPv6"],
  ])("refuses %j", (conf, message) => {
    expect(() => parse(conf)).toThrow(message);
  });
});
