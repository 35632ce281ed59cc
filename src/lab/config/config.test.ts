import { describe, expect, it } from "vitest";
import { type ClusterInput, explainWithFile, parseConfigFile, resolveConfig, withNode } from "./index.ts";

describe("K01 a cluster's configuration (part: what it means)", () => {
  it("has the notes' ranges and names by default", () => {
    const config = resolveConfig({});
    expect(config.nodes.map((n) => [n.name, n.role, n.addresses])).toEqual([
      ["controlplane", "control-plane", ["192.168.1.10"]],
      ["node01", "worker", ["192.168.1.11"]],
      ["node02", "worker", ["192.168.1.12"]],
    ]);
    expect([config.podCidrs, config.serviceCidrs]).toEqual([["10.244.0.0/16"], ["10.96.0.0/12"]]);
  });

  it("gives nodes an address of each family in a dual-stack cluster", () => {
    const config = resolveConfig({
      podCidr: "10.244.0.0/16,fd00:10:244::/56",
      serviceCidr: "10.96.0.0/12,fd00:10:96::/112",
      nodes: 1,
    });
    expect(config.nodes[0]?.addresses).toEqual(["192.168.1.10", "fd00:192:168:1::a"]);
  });

  it("is in a user namespace unless it is to be privileged, which the mode ebpf needs", () => {
    expect(resolveConfig({})).toMatchObject({ privileged: false, proxyMode: "" });
    const given = parseConfigFile("privileged: true\nproxyMode: ebpf\n", "c.yaml");
    expect(resolveConfig(given)).toMatchObject({ privileged: true, proxyMode: "ebpf" });
    expect(resolveConfig({ proxyMode: "iptables" })).toMatchObject({ privileged: false, proxyMode: "iptables" });
    expect(() => resolveConfig({ proxyMode: "ebpf" })).toThrow(
      /^proxyMode ebpf needs a privileged cluster \(.*--privileged\)/,
    );
    expect(() => parseConfigFile("privileged: yes please\n", "c.yaml")).toThrow(
      'c.yaml:1: privileged: found "yes please"; allowed is a boolean',
    );
    expect(() => parseConfigFile("proxyMode: fast\n", "c.yaml")).toThrow(
      'c.yaml:1: proxyMode: found "fast"; allowed are nftables, iptables, ipvs, userspace, ebpf',
    );
  });

  it("gives nodes larger parts of the pod range, with more pods in each", () => {
    expect(resolveConfig({})).toMatchObject({ maxPods: 110, nodeCidrMaskSizes: { 4: 24, 6: 64 } });
    expect(resolveConfig({ maxPods: 600, nodeCidrMaskSizeIpv4: 22 })).toMatchObject({
      maxPods: 600,
      nodeCidrMaskSizes: { 4: 22, 6: 64 },
    });
  });

  it("means no example when there is no ingress", () => {
    expect(resolveConfig({ ingress: "none", example: "online-store" }).example).toBe("none");
  });

  it.each([
    [{ podCidr: "10.96.0.0/16" }, "podCidr 10.96.0.0/16 and serviceCidr 10.96.0.0/12 overlap"],
    [{ podCidr: "192.168.0.0/16" }, "podCidr 192.168.0.0/16 and nodeCidr 192.168.1.0/24 overlap"],
    [{ podCidr: "10.244.0.0" }, "podCidr: "],
    [{ podCidr: "10.244.0.1/16" }, "podCidr: "],
    [{ podCidr: "10.244.0.0/16,10.245.0.0/16" }, "allowed is one range, or one of IPv4 and one of IPv6"],
    [{ nodes: 0 }, "nodes: found 0; allowed is 1 to 200"],
    [{ nodes: [{ name: "a" }, { name: "a" }] }, 'nodes[0] and nodes[1] are both named "a"'],
    [
      {
        nodes: [
          { name: "a", address: "192.168.1.20" },
          { name: "b", address: "192.168.1.20" },
        ],
      },
      "nodes a and b both have the address 192.168.1.20",
    ],
    [
      { nodes: [{ name: "a", address: "192.168.2.20" }] },
      "node a: address 192.168.2.20 is not in the node network 192.168.1.0/24",
    ],
    [{ nodes: [{ name: "a", address: "192.168.1.1" }] }, "address 192.168.1.1 is the router's"],
    [{ nodes: [{ name: "router" }] }, '"router" is the name of the lab\'s router'],
    [{ nodes: [{ name: "a", role: "worker" as const }] }, "allowed is exactly one"],
    [{ name: "Übung" }, 'name: found "Übung"'],
    [{ name: "../up" }, 'name: found "../up"'],
    [
      { podCidr: "10.244.0.0/24" },
      "podCidr: found 10.244.0.0/24 for 3 nodes; allowed is /22 or larger, as each node takes a /24",
    ],
    [{ podCidr: "10.244.0.0/25", nodes: 1 }, "for 1 node; allowed is /24 or larger"],
    [{ podCidr: "10.244.0.0/16,fd00:1::/64" }, "podCidr: found fd00:1::/64 for 3 nodes; allowed is /62 or larger"],
    [{ podCidr: "127.0.0.0/16" }, "podCidr: found 127.0.0.0/16, which overlaps 127.0.0.0/8 (loopback)"],
    [{ nodeCidr: "224.0.0.0/24" }, "nodeCidr: found 224.0.0.0/24, which overlaps 224.0.0.0/4 (multicast)"],
    [{ serviceCidr: "10.96.0.0/29" }, "serviceCidr: found 10.96.0.0/29; allowed is /28 or larger"],
    [
      { serviceCidr: "10.96.0.0/12,fd00:2::/108" },
      "serviceCidr 10.96.0.0/12,fd00:2::/108 and podCidr 10.244.0.0/16 clash: only serviceCidr has IPv6",
    ],
    [
      { podCidr: "fd00:1::/48,10.244.0.0/16" },
      "podCidr fd00:1::/48,10.244.0.0/16 and nodeCidr 192.168.1.0/24,fd00:192:168:1::/64 clash: the first of each",
    ],
    [{ nodeCidr: "192.168.1.0/28", nodes: 6 }, "nodeCidr: found 192.168.1.0/28, which has no host number 15"],
    [{ nodes: [{ name: "a", address: "x" }] }, 'node a: address: "x": not an IP address'],
    [
      { nodes: [{ name: "a", address: "192.168.1.255" }] },
      "node a: address 192.168.1.255 is no host of 192.168.1.0/24",
    ],
    [{ nodes: [{ name: "a", address: "192.168.1.7,192.168.1.8" }] }, "allowed is one address per family"],
    [{ nodes: [{ name: "localhost" }] }, '"localhost" is every machine\'s name for itself'],
    [{ clusterDomain: "Bad Domain" }, 'clusterDomain: found "Bad Domain"'],
    [{ ingress: "none" as const, ingressPort: 8080 }, "ingressPort 8080 and ingress none clash"],
    [{ maxPods: 0 }, "maxPods: found 0; allowed is 1 to 1023, the ports of a node's bridge"],
    [{ maxPods: 2000, nodeCidrMaskSizeIpv4: 20 }, "maxPods: found 2000; allowed is 1 to 1023"],
    [
      { maxPods: 400 },
      "maxPods: found 400, but a node's /24 has addresses for 253 pods; allowed are fewer, or a smaller nodeCidrMaskSizeIpv4",
    ],
    [{ nodeCidrMaskSizeIpv4: 15 }, "nodeCidrMaskSizeIpv4: found 15; allowed is 16 to 30, as podCidr is 10.244.0.0/16"],
    [{ nodeCidrMaskSizeIpv4: 24.5 }, "nodeCidrMaskSizeIpv4: found 24.5; allowed is 16 to 30"],
    [{ nodeCidrMaskSizeIpv6: 64 }, "nodeCidrMaskSizeIpv6: found 64, but podCidr 10.244.0.0/16 has no IPv6"],
    [
      { podCidr: "10.244.0.0/16,fd00:1::/48", nodeCidrMaskSizeIpv6: 65 },
      "nodeCidrMaskSizeIpv6: found 65; allowed is 48 to 64, as podCidr is fd00:1::/48",
    ],
    [
      { nodeCidrMaskSizeIpv4: 16 },
      "podCidr: found 10.244.0.0/16 for 3 nodes; allowed is /14 or larger, as each node takes a /16",
    ],
    [{ pods: 1.5 }, "pods: found 1.5; allowed is 0 to 1000"],
  ])("refuses %j", (input, message) => {
    expect(() => resolveConfig(input)).toThrow(message);
  });
});

describe("a configuration file", () => {
  it("is read", () => {
    const input = parseConfigFile(
      "name: x\nnodes:\n- name: a\n- name: b\n  address: 192.168.1.50\npodCidr: 10.1.0.0/16\n",
      "c.yaml",
    );
    expect(resolveConfig(input).nodes.map((n) => n.addresses[0])).toEqual(["192.168.1.10", "192.168.1.50"]);
  });

  it.each([
    ["name: x\npodCIDR: 10.0.0.0/8\n", 'c.yaml:2: unknown key "podCIDR"; allowed are name, nodes, podCidr'],
    ["ingress: traefik\n", 'c.yaml:1: ingress: found "traefik"; allowed are nginx, none'],
    ["pods: many\n", 'c.yaml:1: pods: found "many"; allowed is a number'],
    ["nodes:\n- name: a\n- name: a\n", 'c.yaml:3: node "a" is already defined at c.yaml:2'],
    ["nodes:\n- nam: a\n", 'c.yaml:2: unknown key "nam"; allowed are name, address, role'],
    ["a: [\n", "c.yaml:"],
    ["- a\n", "c.yaml:1: a configuration is a map"],
  ])("refuses %j by file and line", (text, message) => {
    expect(() => parseConfigFile(text, "c.yaml")).toThrow(message);
  });

  it("a value that cannot be is told with its line, unless a flag gave it", () => {
    const text = "name: x\n\npodCidr: 10.100.0.0/16\nserviceCidr: 10.96.0.0/12\n";
    const failure = (flags: ClusterInput): unknown => {
      try {
        return resolveConfig({ ...parseConfigFile(text, "c.yaml"), ...flags });
      } catch (error) {
        return (explainWithFile(error, text, "c.yaml", Object.keys(flags)) as Error).message;
      }
    };
    expect(failure({})).toMatch(/^c\.yaml:3: podCidr 10\.100\.0\.0\/16 and serviceCidr 10\.96\.0\.0\/12 overlap; /);
    expect(failure({ podCidr: "10.97.0.0/16" })).toMatch(/^c\.yaml:4: podCidr 10\.97\.0\.0\/16 and serviceCidr /);
    expect(failure({ podCidr: "10.97.0.0/16", serviceCidr: "10.97.0.0/16" })).toMatch(/^podCidr 10\.97\.0\.0\/16 and /);
    expect(failure({ podCidr: "10.1.0.0/16", pods: -1 })).toBe("pods: found -1; allowed is 0 to 1000");
  });
});

describe("K01 a node that is added (part: what is refused)", () => {
  it.each([
    ["node01", 'there is a node "node01" already'],
    ["UP", 'node name: found "UP"; allowed are lower-case letters, digits and "-", at most 63'],
    ["router", 'node name: "router" is the name of the lab\'s router'],
  ])("%s, in words that name no file", (name, message) => {
    expect(() => withNode(resolveConfig({}), { name })).toThrow(expect.objectContaining({ message }));
  });
});
