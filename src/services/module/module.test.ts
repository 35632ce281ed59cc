import { describe, expect, it } from "vitest";
import { formatCidr } from "#base/ip.ts";
import { settleConfig } from "../config/index.ts";
import {
  availableModes,
  conntrackSettings,
  ipvsSettings,
  localTraffic,
  modeOf,
  modeSettings,
  nodePortCidrs,
} from "./index.ts";

describe("V04 modes of kube-proxy (part: which there are)", () => {
  it("nftables where none is given; one that is not there is refused with those that are", () => {
    expect(modeOf(settleConfig({}))).toBe("nftables");
    expect(modeOf(settleConfig({ mode: "userspace" }))).toBe("userspace");
    const missing = (["iptables", "ipvs", "userspace", "ebpf"] as const).filter(
      (mode) => !availableModes.includes(mode),
    );
    for (const mode of missing)
      expect(() => modeOf(settleConfig({ mode }))).toThrow(
        `mode: "${mode}" is not there; available are ${availableModes.join(", ")}`,
      );
  });

  it("V06 the section ipvs, in whole seconds (part: ipvs)", () => {
    const given = { "ipvs.scheduler": "wrr", "ipvs.strictARP": true, "ipvs.excludeCIDRs": ["192.0.2.0/24"] };
    expect(ipvsSettings(settleConfig({ ...given, "ipvs.tcpTimeout": 900_000, "ipvs.udpTimeout": 1500 }))).toEqual({
      scheduler: "wrr",
      strictArp: true,
      excludeCidrs: ["192.0.2.0/24"],
      timeouts: { tcp: 900, tcpFin: 0, udp: 1 },
    });
  });

  it("V06 each mode goes by its own section (part: periods)", () => {
    const config = settleConfig({
      "iptables.syncPeriod": 60_000,
      "iptables.masqueradeBit": 1,
      "ipvs.syncPeriod": 50_000,
      "ipvs.minSyncPeriod": 5000,
      "nftables.minSyncPeriod": 2000,
      "nftables.masqueradeAll": true,
    });
    expect(modeSettings(config, "iptables")).toEqual({
      masqueradeBit: 1,
      masqueradeAll: false,
      syncPeriodMs: 60_000,
      minSyncPeriodMs: 1000,
    });
    expect(modeSettings(config, "ipvs")).toMatchObject({
      masqueradeBit: 1,
      syncPeriodMs: 50_000,
      minSyncPeriodMs: 5000,
    });
    expect(modeSettings(config, "nftables")).toEqual({
      masqueradeBit: 14,
      masqueradeAll: true,
      syncPeriodMs: 30_000,
      minSyncPeriodMs: 2000,
    });
  });
});

describe("what a configuration makes of traffic and addresses", () => {
  it("local traffic by each mode", () => {
    const of = (given: Parameters<typeof settleConfig>[0]) => localTraffic(settleConfig(given), ["10.244.3.0/24"]);
    const cidrs = of({ clusterCIDR: "10.244.0.0/16,fd00::/48" });
    expect(cidrs.kind === "cidrs" && cidrs.cidrs.map(formatCidr)).toEqual(["10.244.0.0/16", "fd00::/48"]);
    const own = of({ detectLocalMode: "NodeCIDR", clusterCIDR: "10.0.0.0/8" });
    expect(own.kind === "cidrs" && own.cidrs.map(formatCidr)).toEqual(["10.244.3.0/24"]);
    expect(of({})).toEqual({ kind: "none" });
    expect(of({ detectLocalMode: "BridgeInterface", "detectLocal.bridgeInterface": "cni0" })).toEqual({
      kind: "interface",
      name: "cni0",
    });
    expect(of({ detectLocalMode: "InterfaceNamePrefix", "detectLocal.interfaceNamePrefix": "veth" })).toEqual({
      kind: "interface-prefix",
      prefix: "veth",
    });
    expect(() => of({ detectLocalMode: "BridgeInterface" })).toThrow(
      "detectLocal.bridgeInterface: needed with detectLocalMode BridgeInterface",
    );
    expect(() => of({ "detectLocal.interfaceNamePrefix": "a-name-of-16-byte" })).toThrow("no more than 15 bytes");
  });

  it("NodePorts: primary addresses in the nftables mode, all in others, unless said otherwise", () => {
    expect(nodePortCidrs(settleConfig({}), "nftables")).toEqual(["primary"]);
    expect(nodePortCidrs(settleConfig({}), "iptables")).toEqual([]);
    expect(nodePortCidrs(settleConfig({ nodePortAddresses: ["10.0.0.0/8"] }), "nftables")).toEqual(["10.0.0.0/8"]);
  });

  it("connection tracking, as cmd/kube-proxy computes it", () => {
    const values = (given: Parameters<typeof settleConfig>[0], cores: number) =>
      Object.fromEntries(conntrackSettings(settleConfig(given), cores).map(({ entry, value }) => [entry, value]));
    // The minimum wins on few cores, the sum of the cores on many.
    expect(values({}, 2)).toEqual({
      "net/netfilter/nf_conntrack_max": 131_072,
      "conntrack hashsize": 32_768,
      "net/netfilter/nf_conntrack_tcp_timeout_established": 86_400,
      "net/netfilter/nf_conntrack_tcp_timeout_close_wait": 3600,
    });
    expect(values({}, 8)["net/netfilter/nf_conntrack_max"]).toBe(262_144);
    expect(values({ "conntrack.maxPerCore": 0, "conntrack.tcpEstablishedTimeout": 0 }, 8)).toEqual({
      "net/netfilter/nf_conntrack_tcp_timeout_close_wait": 3600,
    });
    expect(
      values(
        { "conntrack.tcpBeLiberal": true, "conntrack.udpTimeout": 30_000, "conntrack.udpStreamTimeout": 60_000 },
        1,
      ),
    ).toMatchObject({
      "net/netfilter/nf_conntrack_tcp_be_liberal": 1,
      "net/netfilter/nf_conntrack_udp_timeout": 30,
      "net/netfilter/nf_conntrack_udp_timeout_stream": 60,
    });
  });
});
