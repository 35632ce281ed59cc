import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { iptablesBackend, serviceFrontends } from "#services/index.ts";
import { chainName, type NftPort, nftEndpointChange, nftFirstSync, portCommands } from "./kubeProxyNft.ts";
import { serviceObject, sliceObject } from "./serviceLoad.ts";

const port: NftPort = {
  ...{ namespace: "ns1", name: "svc1", protocol: "tcp", portName: "p80", clusterIp: "172.30.0.41", port: 80 },
  ...{ endpoints: ["10.180.0.1", "10.180.0.2"], targetPort: 80 },
};
const node = { podCidr: "10.0.0.0/8", serviceCidr: "172.30.0.0/16", address: "192.168.0.2" };

/** Commands of a text by what they begin with, and of how many. */
const count = (text: string, beginning: string) => text.split("\n").filter((line) => line.startsWith(beginning)).length;

describe("the nftables rules that the benchmark races (part: of kube-proxy 1.36)", () => {
  it("name a Service's chain as kube-proxy does", () => {
    // The name that TestOverallNFTablesRules expects for ns1/svc1, and one of a machine's listing.
    expect(chainName(port)).toBe("service-ULMVA6XW-ns1/svc1/tcp/p80");
    const kubernetes = { ...port, namespace: "default", name: "kubernetes", portName: "https" };
    expect(chainName(kubernetes)).toBe("service-2QRHZV4L-default/kubernetes/tcp/https");
  });

  it("are one chain with one rule for each port, and an element for each endpoint", () => {
    const chain = "service-ULMVA6XW-ns1/svc1/tcp/p80";
    expect(portCommands(port)).toEqual([
      `add chain ip kube-proxy ${chain}`,
      `add rule ip kube-proxy ${chain} meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.180.0.1 . 80 , 1 : 10.180.0.2 . 80 }`,
      "add element ip kube-proxy cluster-ips { 172.30.0.41 }",
      `add element ip kube-proxy service-ips { 172.30.0.41 . tcp . 80 : goto ${chain} }`,
      "add element ip kube-proxy hairpin-connections { 10.180.0.1 . 10.180.0.1 . tcp . 80 }",
      "add element ip kube-proxy hairpin-connections { 10.180.0.2 . 10.180.0.2 . tcp . 80 }",
    ]);
  });

  it("have the chains of kube-proxy's table at their hooks, and its sets", () => {
    const text = nftFirstSync(node, []);
    const hooks = [...text.matchAll(/chain ip kube-proxy (\S+) \{ type (\S+) hook (\S+) priority (\S+)/g)];
    expect(hooks.map(([, ...words]) => words.join(" ")).toSorted()).toEqual([
      "filter-forward filter forward 0",
      "filter-input filter input 0",
      "filter-output filter output 0",
      "filter-output-pre-dnat filter output -110",
      "filter-prerouting-pre-dnat filter prerouting -110",
      "nat-output nat output -100",
      "nat-postrouting nat postrouting 100",
      "nat-prerouting nat prerouting -100",
    ]);
    const sets = [...text.matchAll(/add (?:set|map) ip kube-proxy (\S+)/g)].map(([, name]) => name);
    expect(sets.toSorted()).toEqual([
      ...["cluster-ips", "firewall-ips", "hairpin-connections", "no-endpoint-nodeports"],
      ...["no-endpoint-services", "nodeport-ips", "service-ips", "service-nodeports"],
    ]);
    // Of the always-there rules a packet to a Service meets these three, in this order.
    expect(text.split("\n").filter((line) => line.startsWith("add rule ip kube-proxy services "))).toEqual([
      'add rule ip kube-proxy services ip daddr @cluster-ips ip saddr != 10.0.0.0/8 mark set mark or 0x4000 comment "masquerade clusterIP traffic from outside cluster"',
      "add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips",
      "add rule ip kube-proxy services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports",
    ]);
  });

  it("grow by as many commands as there are Services and endpoints", () => {
    const ports = Array.from({ length: 5 }, (_, i) => ({ ...port, name: `svc${i}`, clusterIp: `172.30.0.${i + 1}` }));
    const text = nftFirstSync(node, ports);
    expect(count(text, "add chain ip kube-proxy service-")).toBe(5 + 1); // and service-endpoints-check
    expect(count(text, "add rule ip kube-proxy service-") - 1).toBe(5);
    expect(count(text, "add element ip kube-proxy service-ips")).toBe(5);
    expect(count(text, "add element ip kube-proxy hairpin-connections")).toBe(10);
  });

  it("change one endpoint by writing its Service's chain alone", () => {
    const lines = nftEndpointChange(port, { ...port, endpoints: ["10.180.0.3", "10.180.0.2"] })
      .trim()
      .split("\n");
    expect(lines.map((line) => line.split(" ").slice(0, 5).join(" "))).toEqual([
      "flush chain ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80",
      "add rule ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80",
      "delete element ip kube-proxy hairpin-connections",
      "add element ip kube-proxy hairpin-connections",
    ]);
  });
});

describe("the iptables rules that the benchmark races", () => {
  const load = { services: 20, endpoints: 3 };

  it("are kube-proxy's: one rule to each port's chain, one to each endpoint's, two in that, one to mark", async () => {
    let text = "";
    const backend = iptablesBackend({
      nodeName: "node01",
      localTraffic: { kind: "none" },
      iptables: {
        ...{ version: "", save: async () => "", hasChain: async () => true, setSysctl: () => {} },
        restore: async (family, rules) => {
          if (family === 4) text = rules;
        },
      },
    });
    backend.setNode({ name: "node01", addresses: [parseIp("10.0.0.1")] });
    for (let i = 0; i < load.services; i++) {
      const frontends = serviceFrontends(serviceObject(load, i), [sliceObject(load, i)], {
        ...{ name: "node01", addresses: [] },
      });
      backend.setService(`bench/${i}`, frontends);
    }
    await backend.readBack();
    await backend.commit();
    await backend.close();
    // One Service, the one that packets are sent to, has a port over UDP as well.
    const ports = load.services + 1;
    expect(text.match(/^-A KUBE-SERVICES .* -j KUBE-SVC-/gm)).toHaveLength(ports);
    expect(text.match(/^-A KUBE-SVC-\S+ .* -j KUBE-SEP-/gm)).toHaveLength(ports * 3);
    expect(text.match(/^-A KUBE-SEP-\S+ .* -j KUBE-MARK-MASQ/gm)).toHaveLength(ports * 3);
    expect(text.match(/^-A KUBE-SEP-\S+ .* -j DNAT --to-destination /gm)).toHaveLength(ports * 3);
  });
});
