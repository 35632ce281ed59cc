import { describe, expect, it } from "vitest";
import { configText, fieldNotes, ProxyConfigError, readConfigFile, settleConfig } from "./index.ts";

const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
const read = (text: string) => readConfigFile(head + text, "config.conf").given;
const message = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ProxyConfigError);
    return (error as Error).message;
  }
  return "nothing";
};

describe("V04 V06 a KubeProxyConfiguration (part: its fields and defaults)", () => {
  // Values of pkg/proxy/apis/config/v1alpha1/defaults_test.go and the reference of kube-proxy.
  it("has upstream's defaults", () => {
    expect(settleConfig({})).toMatchObject({
      bindAddress: "0.0.0.0",
      metricsBindAddress: "127.0.0.1:10249",
      mode: "",
      "iptables.masqueradeBit": 14,
      "iptables.masqueradeAll": false,
      "iptables.localhostNodePorts": true,
      "iptables.syncPeriod": 30_000,
      "iptables.minSyncPeriod": 1000,
      "ipvs.syncPeriod": 30_000,
      "ipvs.minSyncPeriod": 0,
      "nftables.masqueradeBit": 14,
      "nftables.syncPeriod": 30_000,
      oomScoreAdj: -999,
      configSyncPeriod: 900_000,
      "conntrack.maxPerCore": 32_768,
      "conntrack.min": 131_072,
      "conntrack.tcpEstablishedTimeout": 86_400_000,
      "conntrack.tcpCloseWaitTimeout": 3_600_000,
      "clientConnection.contentType": "application/vnd.kubernetes.protobuf",
      "clientConnection.qps": 5,
      "clientConnection.burst": 10,
    });
  });

  it("serves health on loopback, and where a bindAddress is given at all addresses, as upstream", () => {
    const at = (given: Parameters<typeof settleConfig>[0]) => {
      const { healthzBindAddress, metricsBindAddress } = settleConfig(given);
      return [healthzBindAddress, metricsBindAddress];
    };
    expect(at({})).toEqual(["127.0.0.1:10256", "127.0.0.1:10249"]);
    expect(at({ bindAddress: "0.0.0.0" })).toEqual(["0.0.0.0:10256", "127.0.0.1:10249"]);
    expect(at({ bindAddress: "2001:db8::1" })).toEqual(["[::]:10256", "[::1]:10249"]);
    expect(at({ healthzBindAddress: "1.2.3.4", metricsBindAddress: "[fd00::1]" })).toEqual([
      "1.2.3.4:10256",
      "[fd00::1]:10249",
    ]);
    expect(at({ healthzBindAddress: "1.2.3.4:12345", metricsBindAddress: "0.0.0.0:9" })).toEqual([
      "1.2.3.4:12345",
      "0.0.0.0:9",
    ]);
  });

  it("is read from YAML, with Go's durations; null and upstream's zeros mean the default", () => {
    const text = `
mode: iptables
iptables:
  masqueradeBit: null
  syncPeriod: 1m30s
  minSyncPeriod: 0s
conntrack:
  maxPerCore: 0
  tcpEstablishedTimeout: 2h
nodePortAddresses: [10.0.0.0/8, "fd00::/64"]
featureGates: {Some: true}
`;
    expect(read(text)).toEqual({
      mode: "iptables",
      "iptables.syncPeriod": 90_000,
      "iptables.minSyncPeriod": 0,
      "conntrack.maxPerCore": 0,
      "conntrack.tcpEstablishedTimeout": 7_200_000,
      nodePortAddresses: ["10.0.0.0/8", "fd00::/64"],
      featureGates: { Some: true },
    });
    expect(settleConfig(read(text))).toMatchObject({
      "iptables.masqueradeBit": 14,
      "iptables.syncPeriod": 90_000,
      "iptables.minSyncPeriod": 1000,
      "conntrack.maxPerCore": 0,
    });
  });

  it.each([
    ["mod: ipvs", 'config.conf:3: unknown field "mod"; allowed are featureGates, clientConnection, logging,'],
    [
      "iptables:\n  sync: 1s",
      'config.conf:4: unknown field "iptables.sync"; allowed are masqueradeBit, masqueradeAll,',
    ],
    ["udpIdleTimeout: -1s", "config.conf:3: udpIdleTimeout: Invalid value: -1000 ms: must be greater than 0"],
    ["resourceContainer: /", 'config.conf:3: unknown field "resourceContainer": removed in 1.16'],
    ["iptables: 5", "config.conf:3: iptables: allowed is a map"],
    ["iptables:\n  masqueradeAll: 1", "config.conf:4: iptables.masqueradeAll: found 1; allowed is true or false"],
    ["nftables:\n  syncPeriod: 30", "config.conf:4: nftables.syncPeriod: found 30; allowed is a duration such as"],
    ["nodePortAddresses: a", 'config.conf:3: nodePortAddresses: found "a"; allowed is a list of strings'],
    ["conntrack:\n  min: 1.5", "config.conf:4: conntrack.min: found 1.5; allowed is a whole number"],
    [
      "iptables:\n  masqueradeBit: 32",
      "config.conf:4: iptables.masqueradeBit: Invalid value: 32: must be within the range [0, 31]",
    ],
    ["oomScoreAdj: 1001", "config.conf:3: oomScoreAdj: Invalid value: 1001: must be within the range [-1000, 1000]"],
    ["mode: kernelspace", 'mode: Invalid value: "kernelspace": must be nftables,iptables,ipvs,userspace,ebpf or blank'],
    ["bindAddress: here", "not a valid textual representation of an IP address"],
    ["healthzBindAddress: 127.0.0.1:0", "must be a valid port"],
    ["metricsBindAddress: localhost:1", "must be a valid IP"],
    ["clusterCIDR: 10.0.0.0/8,10.1.0.0/16", "must be a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)"],
    ["clusterCIDR: 10.0.0.0", "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"],
    ["nodePortAddresses: [primary, 10.0.0.0/8]", "can't use both 'primary' and CIDRs"],
    ["iptables:\n  syncPeriod: 1s\n  minSyncPeriod: 2s", "must be greater than or equal to iptables.minSyncPeriod"],
    ["detectLocalMode: Pods", "must be ClusterCIDR,NodeCIDR,BridgeInterface,InterfaceNamePrefix or blank"],
    ["logging: {format: json}", 'logging.format: Invalid value: "json": must be text or blank'],
    ["a: [", "config.conf:3: "],
  ])("refuses %j", (text, words) => {
    expect(message(text)).toContain(words);
  });

  it("refuses another kind, and other versions", () => {
    const kind = (text: string) => () => readConfigFile(text, "f");
    expect(kind("kind: Pod")).toThrow("f: apiVersion: found nothing; allowed is kubeproxy.config.k8s.io/v1alpha1");
    expect(kind("apiVersion: kubeproxy.config.k8s.io/v1alpha2\nkind: KubeProxyConfiguration")).toThrow("v1alpha2");
    expect(kind("just text")).toThrow("f: a KubeProxyConfiguration is expected");
  });

  it("is written so that reading it gives the same", () => {
    const config = settleConfig({ mode: "nftables", "nftables.minSyncPeriod": 2500, nodePortAddresses: ["primary"] });
    const text = configText(config);
    expect(text).toContain("tcpEstablishedTimeout: 24h0m0s\n");
    expect(text).toContain("configSyncPeriod: 15m0s\n");
    expect(settleConfig(readConfigFile(text, "written").given)).toEqual(config);
  });

  it("a field that upstream removed is written only where it says something", () => {
    expect(configText(settleConfig({ udpIdleTimeout: 0 }))).not.toContain("udpIdleTimeout");
    expect(configText(settleConfig({ udpIdleTimeout: 2000 }))).toContain("\nudpIdleTimeout: 2s\n");
  });

  it("says which of what was given changes nothing", () => {
    const notes = fieldNotes(
      read("windowsRunAsService: true\nportRange: ''\nfeatureGates: {A: false}\nenableProfiling: true"),
    );
    expect(notes.map((note) => note.split(":")[0])).toEqual(["enableProfiling", "windowsRunAsService"]);
  });
});
