import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { type DnsSettings, hostsFile, podHostname, resolvConf } from "./files.ts";

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
