import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { type DnsSettings, hostsFile, omittedFromResolvConf, podHostname, resolvConf } from "./files.ts";

const dns: DnsSettings = {
  clusterDns: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  nodeResolvConf: "# node\nsearch example.org\nnameserver 192.168.1.1\noptions timeout:1\n",
};
const clusterFirst = `search shop.svc.cluster.local svc.cluster.local cluster.local example.org
nameserver 10.96.0.10
options ndots:5
`;

describe("X02 a pod's resolv.conf (part: what the kubelet writes)", () => {
  it("names the cluster's DNS, search domains and ndots:5", () => {
    expect(resolvConf(testPod(), dns)).toBe(clusterFirst);
  });

  it("follows dnsPolicy", () => {
    const node = "search example.org\nnameserver 192.168.1.1\noptions timeout:1\n";
    expect(resolvConf(testPod({ dnsPolicy: "Default" }), dns)).toBe(node);
    expect(resolvConf(testPod({ hostNetwork: true }), dns)).toBe(node);
    expect(resolvConf(testPod({ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }), dns)).toBe(clusterFirst);
  });

  it("adds dnsConfig, whose options win", () => {
    const dnsConfig = {
      nameservers: ["1.2.3.4"],
      searches: ["a.b"],
      options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
    };
    expect(resolvConf(testPod({ dnsPolicy: "None", dnsConfig }), dns)).toBe(
      "search a.b\nnameserver 1.2.3.4\noptions ndots:2 edns0\n",
    );
    const both = resolvConf(testPod({ dnsConfig }), dns);
    expect(both).toContain("nameserver 10.96.0.10\nnameserver 1.2.3.4\n");
    expect(both).toContain("options ndots:2 edns0");
  });
});

describe("D02 a resolver of a pod that is too large (part: limits)", () => {
  it("three nameservers, and it is said which", () => {
    const pod = testPod({ dnsConfig: { nameservers: ["192.0.2.1", "192.0.2.2", "192.0.2.3"] } });
    expect(resolvConf(pod, dns)).toContain(
      "nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions",
    );
    expect(omittedFromResolvConf(pod, dns)).toEqual([
      "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.96.0.10 192.0.2.1 192.0.2.2",
    ]);
    expect(omittedFromResolvConf(testPod(), dns)).toEqual([]);
  });

  it("32 search domains, 2,048 characters", () => {
    const many = Array.from({ length: 40 }, (_, i) => `d${i}.test`);
    const short = resolvConf(testPod({ dnsConfig: { searches: many } }), dns).split("\n")[0] ?? "";
    expect(short.split(" ")).toHaveLength(1 + 32);
    const wide = Array.from({ length: 20 }, (_, i) => `${"x".repeat(60)}.${"y".repeat(60)}.d${i}.test`);
    const pod = testPod({ dnsConfig: { searches: wide } });
    const line = (resolvConf(pod, dns).split("\n")[0] ?? "").slice("search ".length);
    expect(line.length).toBeLessThanOrEqual(2048);
    expect(`${line} ${wide[line.split(" ").length - 4]}`.length).toBeGreaterThan(2048);
    expect(omittedFromResolvConf(pod, dns)).toEqual([
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${line}`,
    ]);
  });
});

describe("D01 a pod's /etc/hosts (part: what the kubelet writes)", () => {
  it("has the pod under its addresses, and hostAliases", () => {
    const pod = testPod({ hostAliases: [{ ip: "10.1.2.3", hostnames: ["foo", "bar"] }] });
    const text = hostsFile(pod, ["10.244.1.2", "fd00::2"], "cluster.local", "");
    expect(text).toContain("127.0.0.1\tlocalhost\n");
    expect(text).toContain("10.244.1.2\tweb-1\nfd00::2\tweb-1\n");
    expect(text).toContain("10.1.2.3\tfoo\tbar\n");
  });

  it("has the full name of a pod with a subdomain", () => {
    const text = hostsFile(testPod({ hostname: "db", subdomain: "peers" }), ["10.244.1.2"], "cluster.local", "");
    expect(text).toContain("10.244.1.2\tdb.peers.shop.svc.cluster.local\tdb\n");
  });

  it("is the node's in the node's network", () => {
    const text = hostsFile(testPod({ hostNetwork: true }), ["192.168.1.11"], "cluster.local", "127.0.0.1 localhost\n");
    expect(text).toContain("127.0.0.1 localhost\n");
    expect(text).not.toContain("192.168.1.11");
  });
});

describe("a pod's host name", () => {
  const hostname = (spec: Parameters<typeof testPod>[0], name = "web-1") =>
    podHostname(testPod(spec, { name }), "node01", "cluster.local");

  it("is one label", () => {
    expect(hostname({})).toBe("web-1");
    expect(hostname({ hostname: "db" })).toBe("db");
    expect(hostname({ hostNetwork: true })).toBe("node01");
    expect(hostname({}, `${"a".repeat(62)}-b`)).toBe("a".repeat(62));
  });

  it("is the full one where the pod asks for it, if Linux takes it", () => {
    const spec = { hostname: "db", subdomain: "peers", setHostnameAsFQDN: true };
    expect(hostname(spec)).toBe("db.peers.shop.svc.cluster.local");
    expect(hostname({ setHostnameAsFQDN: true })).toBe("web-1");
    const subdomain = "p".repeat(40);
    expect(() => hostname({ ...spec, subdomain })).toThrow(
      `Failed to construct FQDN from Pod hostname and cluster domain, FQDN db.${subdomain}.shop.svc.cluster.local is too long (64 characters is the max, 66 characters requested)`,
    );
  });

  it("is another one where the pod names that", () => {
    expect(hostname({ hostNetwork: true, hostnameOverride: "other.example" })).toBe("other.example");
  });
});
