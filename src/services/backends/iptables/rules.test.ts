import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "#api/index.ts";
import { parseCidr, parseIp } from "#base/ip.ts";
import { serviceFrontends } from "../../model/index.ts";
import { type EndpointSpec, service, slice } from "../../testing/objects.ts";
import { FamilyRules } from "./familyRules.ts";
import { familyLayout, type IptablesSettings } from "./layout.ts";
import { endpointChain, isServiceChain, portChains } from "./names.ts";
import { parseSaved } from "./saved.ts";

const node = { name: "node01", addresses: [parseIp("192.168.0.2"), parseIp("fd00:192::2")] };
const pods = [parseCidr("10.0.0.0/8"), parseCidr("fd00:10::/64")];
const settings: IptablesSettings = {
  nodeName: "node01",
  localTraffic: { kind: "cidrs", cidrs: pods },
  nodePortsEverywhere: true,
};

/** A Service as kube-proxy's own documentation has them: port 80 named p80. */
function svc(namespace: string, name: string, spec: Partial<Service["spec"]>, more: object = {}): Service {
  const ports = [{ name: "p80", port: 80, protocol: "TCP" as const }];
  const made = service(name, { ports, ...spec });
  return { ...made, metadata: { ...made.metadata, namespace }, ...more } as Service;
}

const p80 = [{ name: "p80", port: 80, protocol: "TCP" as const }];
const elsewhere = (address: string): EndpointSpec => ({ address, nodeName: "node02" });

function rulesOf(
  services: readonly (readonly [Service, readonly EndpointSlice[]])[],
  family: 4 | 6 = 4,
  more: Partial<IptablesSettings> = {},
): FamilyRules {
  const rules = new FamilyRules(familyLayout(family, { ...settings, ...more }));
  rules.setNode(node);
  for (const [object, slices] of services) put(rules, object, slices);
  return rules;
}

function put(rules: FamilyRules, object: Service, slices: readonly EndpointSlice[]): void {
  rules.setService(`${object.metadata.namespace}/${object.metadata.name}`, serviceFrontends(object, slices, node));
}

/** The rules of a first load, without `-A`, of chains that match. */
function loaded(rules: FamilyRules, chains: RegExp, table: "filter" | "nat" = "nat"): string[] {
  rules.adopt(parseSaved(""));
  return appended(rules.plan()?.text ?? "", chains, table);
}

function appended(text: string, chains: RegExp, table: "filter" | "nat"): string[] {
  const found = [...(parseSaved(text).get(table) ?? [])].filter(([chain]) => chains.test(chain));
  return found.flatMap(([chain, rules]) => rules.map((rule) => `${chain} ${rule}`));
}

describe("names of chains", () => {
  it("V05 are kube-proxy's (part: those of note 4)", () => {
    // notes-4.md: 4.3, as kube-proxy made them.
    expect(portChains("default/nginx:8080-8080", "tcp").cluster).toBe("KUBE-SVC-3ZVO6MMCRQUXYOC5");
    expect(endpointChain("default/nginx:8080-8080", "tcp", "10.50.192.1:8080")).toBe("KUBE-SEP-PINH4Z4JZXK5ZU4X");
  });

  it("those of a Service are told from those of others", () => {
    for (const kind of ["SVC", "SVL", "EXT", "FW", "SEP", "XLB"]) expect(isServiceChain(`KUBE-${kind}-A`)).toBe(true);
    for (const name of ["KUBE-SERVICES", "KUBE-MARK-MASQ", "KUBE-FORWARD", "CNI-1"])
      expect(isServiceChain(name)).toBe(false);
  });
});

describe("V05 rules of iptables mode", () => {
  it("a ClusterIP of note 4, as kube-proxy writes it", () => {
    const ports = [{ name: "8080-8080", port: 8080, protocol: "TCP" as const }];
    const rules = rulesOf([
      [
        svc("default", "nginx", { clusterIP: "10.105.131.148", ports }),
        [slice("nginx", ["10.50.192.1"], [{ name: "8080-8080", port: 8080, protocol: "TCP" }])],
      ],
    ]);
    expect(loaded(rules, /./)).toEqual([
      "KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
      "KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
      'KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
      "KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
      'KUBE-SERVICES -m comment --comment "default/nginx:8080-8080 cluster IP" -m tcp -p tcp -d 10.105.131.148 --dport 8080 -j KUBE-SVC-3ZVO6MMCRQUXYOC5',
      'KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
      'KUBE-SVC-3ZVO6MMCRQUXYOC5 -m comment --comment "default/nginx:8080-8080 cluster IP" -m tcp -p tcp -d 10.105.131.148 --dport 8080 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ',
      'KUBE-SVC-3ZVO6MMCRQUXYOC5 -m comment --comment "default/nginx:8080-8080 -> 10.50.192.1:8080" -j KUBE-SEP-PINH4Z4JZXK5ZU4X',
      "KUBE-SEP-PINH4Z4JZXK5ZU4X -m comment --comment default/nginx:8080-8080 -s 10.50.192.1 -j KUBE-MARK-MASQ",
      "KUBE-SEP-PINH4Z4JZXK5ZU4X -m comment --comment default/nginx:8080-8080 -m tcp -p tcp -j DNAT --to-destination 10.50.192.1:8080",
    ]);
  });

  // Expected rules are those that kube-proxy's own documentation of its output gives for the same Services.
  it("a load balancer with policy Local and no endpoint here: pods and the node reach all, others are dropped", () => {
    const rules = rulesOf([
      [
        svc(
          "ns2",
          "svc2",
          {
            clusterIP: "172.30.0.42",
            type: "LoadBalancer",
            externalTrafficPolicy: "Local",
            externalIPs: ["192.168.99.22"],
            healthCheckNodePort: 30000,
            ports: [{ name: "p80", port: 80, protocol: "TCP", nodePort: 3001 }],
          },
          { status: { loadBalancer: { ingress: [{ ip: "1.2.3.4" }] } } },
        ),
        [slice("svc2", [elsewhere("10.180.0.2")], p80)],
      ],
    ]);
    expect(
      loaded(rules, /^KUBE-(NODEPORTS|SERVICES|EXT-|SVL-|SVC-)/).filter((rule) => !/nodeports/.test(rule)),
    ).toEqual([
      'KUBE-SERVICES -m comment --comment "ns2/svc2:p80 cluster IP" -m tcp -p tcp -d 172.30.0.42 --dport 80 -j KUBE-SVC-GNZBNJ2PO5MGZ6GT',
      'KUBE-SERVICES -m comment --comment "ns2/svc2:p80 external IP" -m tcp -p tcp -d 192.168.99.22 --dport 80 -j KUBE-EXT-GNZBNJ2PO5MGZ6GT',
      'KUBE-SERVICES -m comment --comment "ns2/svc2:p80 loadbalancer IP" -m tcp -p tcp -d 1.2.3.4 --dport 80 -j KUBE-EXT-GNZBNJ2PO5MGZ6GT',
      "KUBE-NODEPORTS -m comment --comment ns2/svc2:p80 -m tcp -p tcp --dport 3001 -j KUBE-EXT-GNZBNJ2PO5MGZ6GT",
      'KUBE-EXT-GNZBNJ2PO5MGZ6GT -m comment --comment "pod traffic for ns2/svc2:p80 external destinations" -s 10.0.0.0/8 -j KUBE-SVC-GNZBNJ2PO5MGZ6GT',
      'KUBE-EXT-GNZBNJ2PO5MGZ6GT -m comment --comment "masquerade LOCAL traffic for ns2/svc2:p80 external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ',
      'KUBE-EXT-GNZBNJ2PO5MGZ6GT -m comment --comment "route LOCAL traffic for ns2/svc2:p80 external destinations" -m addrtype --src-type LOCAL -j KUBE-SVC-GNZBNJ2PO5MGZ6GT',
      'KUBE-SVC-GNZBNJ2PO5MGZ6GT -m comment --comment "ns2/svc2:p80 cluster IP" -m tcp -p tcp -d 172.30.0.42 --dport 80 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ',
      'KUBE-SVC-GNZBNJ2PO5MGZ6GT -m comment --comment "ns2/svc2:p80 -> 10.180.0.2:80" -j KUBE-SEP-RS4RBKLTHTF2IUXJ',
    ]);
    expect(loaded(rules, /^KUBE/, "filter").sort()).toEqual([
      'KUBE-EXTERNAL-SERVICES -m comment --comment "ns2/svc2:p80 has no local endpoints" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 3001 -j DROP',
      'KUBE-EXTERNAL-SERVICES -m comment --comment "ns2/svc2:p80 has no local endpoints" -m tcp -p tcp -d 1.2.3.4 --dport 80 -j DROP',
      'KUBE-EXTERNAL-SERVICES -m comment --comment "ns2/svc2:p80 has no local endpoints" -m tcp -p tcp -d 192.168.99.22 --dport 80 -j DROP',
      'KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
      'KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      'KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
      "KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
      'KUBE-NODEPORTS -m comment --comment "ns2/svc2:p80 health check node port" -m tcp -p tcp --dport 30000 -j ACCEPT',
    ]);
  });

  it("a load balancer's source ranges: who may come, and what becomes of the rest", () => {
    const limited = svc(
      "ns5",
      "svc5",
      {
        clusterIP: "172.30.0.45",
        type: "LoadBalancer",
        loadBalancerSourceRanges: [" 203.0.113.0/25"],
        ports: [{ name: "p80", port: 80, protocol: "TCP", nodePort: 3002 }],
      },
      { status: { loadBalancer: { ingress: [{ ip: "5.6.7.8" }] } } },
    );
    const rules = rulesOf([[limited, [slice("svc5", [elsewhere("10.180.0.3")], p80)]]]);
    expect(loaded(rules, /^KUBE-(NODEPORTS|EXT-|FW-)/)).toEqual([
      "KUBE-NODEPORTS -m comment --comment ns5/svc5:p80 -m tcp -p tcp --dport 3002 -j KUBE-EXT-NUKIZ6OKUXPJNT4C",
      'KUBE-EXT-NUKIZ6OKUXPJNT4C -m comment --comment "masquerade traffic for ns5/svc5:p80 external destinations" -j KUBE-MARK-MASQ',
      "KUBE-EXT-NUKIZ6OKUXPJNT4C -j KUBE-SVC-NUKIZ6OKUXPJNT4C",
      'KUBE-FW-NUKIZ6OKUXPJNT4C -m comment --comment "ns5/svc5:p80 loadbalancer IP" -s 203.0.113.0/25 -j KUBE-EXT-NUKIZ6OKUXPJNT4C',
      'KUBE-FW-NUKIZ6OKUXPJNT4C -m comment --comment "other traffic to ns5/svc5:p80 will be dropped by KUBE-PROXY-FIREWALL"',
    ]);
    expect(loaded(rules, /^KUBE-SERVICES/).filter((rule) => /5\.6\.7\.8/.test(rule))).toEqual([
      'KUBE-SERVICES -m comment --comment "ns5/svc5:p80 loadbalancer IP" -m tcp -p tcp -d 5.6.7.8 --dport 80 -j KUBE-FW-NUKIZ6OKUXPJNT4C',
    ]);
    expect(loaded(rules, /^KUBE-PROXY-FIREWALL/, "filter")).toEqual([
      'KUBE-PROXY-FIREWALL -m comment --comment "ns5/svc5:p80 traffic not accepted by KUBE-FW-NUKIZ6OKUXPJNT4C" -m tcp -p tcp -d 5.6.7.8 --dport 80 -j DROP',
    ]);
  });

  it("no endpoints: every address refuses, and table nat has nothing", () => {
    const empty = svc("ns6", "svc6", {
      clusterIP: "172.30.0.46",
      type: "NodePort",
      externalIPs: ["192.168.99.11"],
      ports: [{ name: "p80", port: 80, protocol: "TCP", nodePort: 3001 }],
    });
    const rules = rulesOf([[empty, []]]);
    expect(loaded(rules, /SERVICES/, "filter")).toEqual([
      'KUBE-SERVICES -m comment --comment "ns6/svc6:p80 has no endpoints" -m tcp -p tcp -d 172.30.0.46 --dport 80 -j REJECT',
      'KUBE-EXTERNAL-SERVICES -m comment --comment "ns6/svc6:p80 has no endpoints" -m tcp -p tcp -d 192.168.99.11 --dport 80 -j REJECT',
      'KUBE-EXTERNAL-SERVICES -m comment --comment "ns6/svc6:p80 has no endpoints" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 3001 -j REJECT',
    ]);
    expect(loaded(rules, /./).filter((rule) => /svc6/.test(rule))).toEqual([]);
  });

  it("three endpoints are chosen with equal chances, and a client is remembered by each endpoint's list", () => {
    const sticky = svc("ns1", "svc1", { clusterIP: "172.30.0.41", sessionAffinity: "ClientIP" });
    const rules = rulesOf([[sticky, [slice("svc1", ["10.180.0.1", "10.180.0.2", "10.180.0.3"], p80)]]]);
    const lines = loaded(rules, /^KUBE-(SVC|SEP)-/);
    const recent = lines.filter((rule) => /--rcheck/.test(rule));
    expect(recent).toHaveLength(3);
    expect(recent[0]).toBe(
      'KUBE-SVC-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 -> 10.180.0.1:80" -m recent --name KUBE-SEP-SXIVWICOYRO3J4NJ --rcheck --seconds 10800 --reap -j KUBE-SEP-SXIVWICOYRO3J4NJ',
    );
    expect(lines.flatMap((rule) => /--probability (\S+)/.exec(rule)?.[1] ?? [])).toEqual([
      "0.3333333333",
      "0.5000000000",
    ]);
    expect(lines).toContain(
      "KUBE-SEP-SXIVWICOYRO3J4NJ -m comment --comment ns1/svc1:p80 -m recent --name KUBE-SEP-SXIVWICOYRO3J4NJ --set -m tcp -p tcp -j DNAT --to-destination 10.180.0.1:80",
    );
  });

  it("internalTrafficPolicy Local: the chain of local endpoints, or a drop", () => {
    const inner = svc("ns1", "svc1", { clusterIP: "172.30.0.41", internalTrafficPolicy: "Local" });
    const rules = rulesOf([[inner, [slice("svc1", ["10.180.0.1", elsewhere("10.180.2.1")], p80)]]]);
    expect(loaded(rules, /^KUBE-SV[CL]-/)).toEqual([
      'KUBE-SVL-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 172.30.0.41 --dport 80 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ',
      'KUBE-SVL-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 -> 10.180.0.1:80" -j KUBE-SEP-SXIVWICOYRO3J4NJ',
    ]);
    put(rules, inner, [slice("svc1", [elsewhere("10.180.2.1")], p80)]);
    expect(loaded(rules, /^KUBE-SERVICES/, "filter")).toEqual([
      'KUBE-SERVICES -m comment --comment "ns1/svc1:p80 has no local endpoints" -m tcp -p tcp -d 172.30.0.41 --dport 80 -j DROP',
    ]);
  });

  it("IPv6 and SCTP", () => {
    const ports = [{ name: "sctp", port: 132, protocol: "SCTP" as const }];
    const six = svc("ns1", "svc1", { clusterIP: "fd00:172:30::41", ports });
    const rules = rulesOf([[six, [slice("svc1", ["fd00:10::2"], [{ name: "sctp", port: 132, protocol: "SCTP" }])]]], 6);
    const lines = loaded(rules, /./);
    expect(lines.filter((rule) => /--to-destination/.test(rule))).toEqual([
      expect.stringMatching(
        /^KUBE-SEP-\w+ -m comment --comment ns1\/svc1:sctp -m sctp -p sctp -j DNAT --to-destination \[fd00:10::2\]:132$/,
      ),
    ]);
    expect(lines.filter((rule) => /KUBE-MARK-MASQ$/.test(rule) && / -s /.test(rule))).toEqual([
      expect.stringContaining("-d fd00:172:30::41 --dport 132 ! -s fd00:10::/64 -j"),
      expect.stringContaining("-s fd00:10::2 -j"),
    ]);
    // Nothing of IPv6 answers at ::1, whatever the settings; and of IPv4 nothing is left in this family.
    expect(lines.filter((rule) => /NODEPORTS$/.test(rule))).toEqual([
      expect.stringContaining("--dst-type LOCAL ! -d ::1/128 -j"),
    ]);
    expect(loaded(rules, /^KUBE-FIREWALL/, "filter")).toEqual([]);
  });
});

describe("settings of iptables mode", () => {
  const web = svc("ns1", "svc1", { clusterIP: "172.30.0.41" });
  const slices = [slice("svc1", ["10.180.0.1"], p80)];
  const masquerades = (more: Partial<IptablesSettings>) =>
    loaded(rulesOf([[web, slices]], 4, more), /^KUBE-SVC-/).filter((rule) => /KUBE-MARK-MASQ$/.test(rule));

  it.each<[string, Partial<IptablesSettings>, string]>([
    ["masqueradeAll", { masqueradeAll: true }, "--dport 80 -j KUBE-MARK-MASQ"],
    ["BridgeInterface", { localTraffic: { kind: "interface", name: "cni0" } }, "! -i cni0 -j KUBE-MARK-MASQ"],
    [
      "InterfaceNamePrefix",
      { localTraffic: { kind: "interface-prefix", prefix: "veth" } },
      "! -i veth+ -j KUBE-MARK-MASQ",
    ],
  ])("detectLocalMode and others: %s", (_, more, expected) => {
    expect(masquerades(more)).toEqual([expect.stringContaining(expected)]);
  });

  it("without a way to tell pods' traffic nothing to a ClusterIP is masqueraded", () => {
    expect(masquerades({ localTraffic: { kind: "none" } })).toEqual([]);
  });

  it("two networks of one family are refused by name", () => {
    const cidrs = [parseCidr("10.0.0.0/9"), parseCidr("10.128.0.0/9")];
    expect(() => familyLayout(4, { ...settings, localTraffic: { kind: "cidrs", cidrs } })).toThrow(/one IPv4 network/);
  });

  it("masqueradeBit", () => {
    expect(loaded(rulesOf([], 4, { masqueradeBit: 31 }), /MARK-MASQ/)).toEqual([
      "KUBE-MARK-MASQ -j MARK --or-mark 0x80000000",
    ]);
  });

  it("V06 localhostNodePorts off: nothing answers at 127.0.0.1, and the chain that guards it is not made", () => {
    const rules = rulesOf([], 4, { localhostNodePorts: false });
    expect(loaded(rules, /^KUBE-SERVICES/)).toEqual([
      expect.stringContaining("-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8 -j KUBE-NODEPORTS"),
    ]);
    expect(rules.plan()?.text).not.toContain("KUBE-FIREWALL");
  });

  it("nodePortAddresses: one rule for each address", () => {
    const rules = rulesOf([], 4, { nodePortsEverywhere: false });
    rules.setNode({ ...node, nodePortAddresses: [parseIp("192.168.0.2"), parseIp("127.0.0.1"), parseIp("fd00::2")] });
    expect(loaded(rules, /^KUBE-SERVICES/)).toEqual([
      expect.stringMatching(/-d 192\.168\.0\.2 -j KUBE-NODEPORTS$/),
      expect.stringMatching(/-d 127\.0\.0\.1 -j KUBE-NODEPORTS$/),
    ]);
  });
});
