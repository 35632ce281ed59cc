import { describe, expect, it } from "vitest";
import { parseConfigFile, resolveConfig } from "./index.ts";

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
});
