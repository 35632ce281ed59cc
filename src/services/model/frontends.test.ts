import { describe, expect, it } from "vitest";
import { formatCidr, formatIp, parseIp } from "#base/ip.ts";
import { service, slice } from "../testing/objects.ts";
import type { Action, Frontend, Target } from "./frontend.ts";
import { serviceFrontends } from "./frontends.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11"), parseIp("fd00:192::11")] };
const list = (targets: readonly Target[]) => targets.map(({ ip, port }) => `${formatIp(ip)}:${port}`).join(" ");

function actionText(action: Action): string {
  if (action.kind === "balance") return list(action.targets);
  if (action.kind === "balance-local") return `local [${list(action.local)}] of ${list(action.targets)}`;
  return action.kind;
}

/** `ClusterIP 10.96.0.1:80 → 10.244.1.2:8080`, one line a frontend. */
function show(frontends: readonly Frontend[]): string[] {
  return frontends.map(({ kind, ip, port, action }) => `${kind} ${formatIp(ip)}:${port} → ${actionText(action)}`);
}

const far = { address: "10.244.2.2", nodeName: "node02" };

describe("V02 what each address of a Service does (part: model)", () => {
  it("ClusterIP and NodePort, in both families", () => {
    const dual = service("web", {
      clusterIP: "10.96.0.1",
      clusterIPs: ["10.96.0.1", "fd00:96::1"],
      type: "NodePort",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
    });
    expect(show(serviceFrontends(dual, [slice("web", ["10.244.1.2"]), slice("web", ["fd00::2"])], node))).toEqual([
      "ClusterIP 10.96.0.1:80 → 10.244.1.2:8080",
      "ClusterIP fd00:96::1:80 → fd00::2:8080",
      "NodePort 192.168.1.11:30080 → 10.244.1.2:8080",
      "NodePort fd00:192::11:30080 → fd00::2:8080",
    ]);
  });

  it("headless Services, ExternalName and those of another proxy: nothing", () => {
    const labelled = service("web", { clusterIP: "10.96.0.1" });
    const other = {
      ...labelled,
      metadata: { ...labelled.metadata, labels: { "service.kubernetes.io/service-proxy-name": "x" } },
    };
    for (const one of [service("a", { clusterIP: "None" }), service("a", { type: "ExternalName" }), other]) {
      expect(serviceFrontends(one, [slice("a", ["10.244.1.2"])], node)).toEqual([]);
    }
  });

  it("ports are matched by name and protocol", () => {
    const ports = [
      { name: "dns", port: 53, protocol: "UDP" as const },
      { name: "dns-tcp", port: 53, protocol: "TCP" as const },
    ];
    const targets = [
      { name: "dns", port: 1053, protocol: "UDP" as const },
      { name: "dns-tcp", port: 2053, protocol: "TCP" as const },
      { name: "other", port: 9 },
    ];
    const found = serviceFrontends(
      service("dns", { clusterIP: "10.96.0.10", ports }),
      [slice("dns", ["10.244.1.2"], targets)],
      node,
    );
    expect(found.map(({ protocol, action }) => [protocol, actionText(action)])).toEqual([
      [17, "10.244.1.2:1053"],
      [6, "10.244.1.2:2053"],
    ]);
  });

  it("ready endpoints; when there are none, those that serve while terminating; when there are none, refusal", () => {
    const web = service("web", { clusterIP: "10.96.0.1" });
    const ready = { address: "10.244.1.2", conditions: { ready: true } };
    const unready = { address: "10.244.1.3", conditions: { ready: false } };
    const going = { address: "10.244.1.4", conditions: { ready: false, serving: true, terminating: true } };
    const gone = { address: "10.244.1.5", conditions: { ready: false, serving: false, terminating: true } };
    const at = (...endpoints: Parameters<typeof slice>[1]) =>
      show(serviceFrontends(web, [slice("web", endpoints)], node))[0];
    expect(at(ready, unready, going, gone)).toBe("ClusterIP 10.96.0.1:80 → 10.244.1.2:8080");
    expect(at(unready, going, gone)).toBe("ClusterIP 10.96.0.1:80 → 10.244.1.4:8080");
    expect(at(unready, gone)).toBe("ClusterIP 10.96.0.1:80 → reject");
    expect(show(serviceFrontends(web, [], node))).toEqual(["ClusterIP 10.96.0.1:80 → reject"]);
  });

  it("internalTrafficPolicy Local: the node's own endpoints, else drop", () => {
    const web = service("web", { clusterIP: "10.96.0.1", internalTrafficPolicy: "Local" });
    expect(show(serviceFrontends(web, [slice("web", ["10.244.1.2", far])], node))[0]).toContain("→ 10.244.1.2:8080");
    expect(show(serviceFrontends(web, [slice("web", [far])], node))[0]).toContain("→ drop");
  });

  it("externalTrafficPolicy Local concerns NodePorts and external addresses only", () => {
    const web = service("web", {
      clusterIP: "10.96.0.1",
      type: "NodePort",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
      externalIPs: ["203.0.113.7"],
      externalTrafficPolicy: "Local",
    });
    expect(show(serviceFrontends(web, [slice("web", ["10.244.1.2", far])], node))).toEqual([
      "ClusterIP 10.96.0.1:80 → 10.244.1.2:8080 10.244.2.2:8080",
      "ExternalIP 203.0.113.7:80 → local [10.244.1.2:8080] of 10.244.1.2:8080 10.244.2.2:8080",
      "NodePort 192.168.1.11:30080 → local [10.244.1.2:8080] of 10.244.1.2:8080 10.244.2.2:8080",
    ]);
  });

  it("load balancer addresses, unless the balancer proxies (KEP-1860)", () => {
    const ingress = [
      { ip: "203.0.113.9" },
      { ip: "203.0.113.10", ipMode: "Proxy" },
      { ip: "203.0.113.11", ipMode: "VIP" },
      { hostname: "lb.example" },
    ];
    const web = {
      ...service("web", { clusterIP: "10.96.0.1", type: "LoadBalancer" }),
      status: { loadBalancer: { ingress } },
    };
    expect(show(serviceFrontends(web, [slice("web", ["10.244.1.2"])], node))).toEqual([
      "ClusterIP 10.96.0.1:80 → 10.244.1.2:8080",
      "LoadBalancer 203.0.113.9:80 → 10.244.1.2:8080",
      "LoadBalancer 203.0.113.11:80 → 10.244.1.2:8080",
    ]);
  });

  // Upstream: pkg/proxy/nftables, the chain firewall-…: ranges of the family; with the node's own address in them the
  // balancer's addresses too. NodePorts, external addresses and the cluster IP are not limited.
  it.each([
    [["10.0.0.0/8"], ["10.0.0.0/8"]],
    [
      [" 10.0.0.0/8 ", "203.0.113.0/28"],
      ["10.0.0.0/8", "203.0.113.0/28"],
    ],
    [["192.168.1.0/24"], ["192.168.1.0/24", "203.0.113.9/32"]],
    [["fd00::/16"], undefined],
    [[], undefined],
  ])("loadBalancerSourceRanges %j: who may use the balancer's address", (loadBalancerSourceRanges, expected) => {
    const web = {
      ...service("web", {
        clusterIP: "10.96.0.1",
        type: "LoadBalancer",
        ports: [{ name: "http", port: 80, nodePort: 30080 }],
        externalIPs: ["203.0.113.7"],
        loadBalancerSourceRanges,
      }),
      status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } },
    };
    const found = serviceFrontends(web, [slice("web", ["10.244.1.2"])], node);
    const limits = found.map(({ kind, sources }) => [kind, sources?.map(formatCidr)]);
    expect(limits).toEqual([
      ["ClusterIP", undefined],
      ["LoadBalancer", expected],
      ["ExternalIP", undefined],
      ["NodePort", undefined],
    ]);
  });

  it("one port over two protocols, and SCTP, by their IANA numbers", () => {
    const ports = (["TCP", "UDP", "SCTP"] as const).map((protocol) => ({
      name: protocol.toLowerCase(),
      port: 53,
      protocol,
    }));
    const targets = ports.map(({ name, protocol }, i) => ({ name, protocol, port: 1000 + i }));
    const found = serviceFrontends(
      service("dns", { clusterIP: "10.96.0.10", ports }),
      [slice("dns", ["10.244.1.2"], targets)],
      node,
    );
    expect(found.map(({ protocol, port, action }) => [protocol, port, actionText(action)])).toEqual([
      [6, 53, "10.244.1.2:1000"],
      [17, 53, "10.244.1.2:1001"],
      [132, 53, "10.244.1.2:1002"],
    ]);
  });

  it("a named target port may have another number in each slice", () => {
    const web = service("web", { clusterIP: "10.96.0.1" });
    const slices = [
      slice("web", ["10.244.1.2"], [{ name: "http", port: 8080 }]),
      slice("web", ["10.244.1.3"], [{ name: "http", port: 9090 }]),
      slice("web", ["10.244.1.4"], [{ name: "metrics", port: 1 }]),
    ];
    expect(show(serviceFrontends(web, slices, node))).toEqual([
      "ClusterIP 10.96.0.1:80 → 10.244.1.2:8080 10.244.1.3:9090",
    ]);
  });

  it("publishNotReadyAddresses: the slices say ready, and that counts", () => {
    const web = service("web", { clusterIP: "10.96.0.1", publishNotReadyAddresses: true });
    const going = { address: "10.244.1.2", conditions: { ready: true, serving: false, terminating: true } };
    expect(show(serviceFrontends(web, [slice("web", [going])], node))[0]).toContain("→ 10.244.1.2:8080");
  });

  it("NodePorts answer where the node says they do", () => {
    const web = service("web", {
      clusterIP: "10.96.0.1",
      type: "NodePort",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
    });
    const here = { ...node, nodePortAddresses: [parseIp("10.0.0.5"), parseIp("192.168.1.11"), parseIp("fd00::5")] };
    expect(show(serviceFrontends(web, [slice("web", ["10.244.1.2"])], here))).toEqual([
      "ClusterIP 10.96.0.1:80 → 10.244.1.2:8080",
      "NodePort 10.0.0.5:30080 → 10.244.1.2:8080",
      "NodePort 192.168.1.11:30080 → 10.244.1.2:8080",
    ]);
  });

  // KEP-1669: for each policy on its own, endpoints that terminate count only while none is ready.
  it("terminating endpoints, for externalTrafficPolicy Local and for all", () => {
    const web = service("web", {
      clusterIP: "10.96.0.1",
      type: "NodePort",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
      externalTrafficPolicy: "Local",
    });
    const at = (...endpoints: Parameters<typeof slice>[1]) =>
      show(serviceFrontends(web, [slice("web", endpoints)], node)).map((line) => line.split("→ ")[1]);
    const going = { ready: false, serving: true, terminating: true };
    const here = { address: "10.244.1.2", conditions: going };
    expect(at(here, far)).toEqual(["10.244.2.2:8080", "local [10.244.1.2:8080] of 10.244.2.2:8080"]);
    expect(at(here, "10.244.1.3", far)).toEqual([
      "10.244.1.3:8080 10.244.2.2:8080",
      "local [10.244.1.3:8080] of 10.244.1.3:8080 10.244.2.2:8080",
    ]);
    expect(at(here, { ...far, conditions: going })).toEqual([
      "10.244.1.2:8080 10.244.2.2:8080",
      "local [10.244.1.2:8080] of 10.244.1.2:8080 10.244.2.2:8080",
    ]);
    expect(at(far)).toEqual(["10.244.2.2:8080", "local [] of 10.244.2.2:8080"]);
    expect(at({ ...here, conditions: { ...going, serving: false } })).toEqual(["reject", "reject"]);
  });

  it("of two pods with one address, the one that stays counts", () => {
    const web = service("web", { clusterIP: "10.96.0.1" });
    const going = { address: "10.244.1.2", conditions: { ready: false, serving: true, terminating: true } };
    const [frontend] = serviceFrontends(web, [slice("web", [going, "10.244.1.2", going])], node);
    expect(frontend?.action).toMatchObject({ targets: [{ origin: { field: "endpoints[1]" } }] });
    expect(frontend?.choice.serving).toHaveLength(1);
  });

  it("an endpoint in two slices counts once, in its better state; the order of slices does not matter", () => {
    const web = service("web", { clusterIP: "10.96.0.1" });
    const slices = [
      slice("web", [{ address: "10.244.1.2", conditions: { ready: false } }, "10.244.1.9"]),
      slice("web", ["10.244.1.2"]),
    ];
    const expected = ["ClusterIP 10.96.0.1:80 → 10.244.1.2:8080 10.244.1.9:8080"];
    expect(show(serviceFrontends(web, slices, node))).toEqual(expected);
    expect(show(serviceFrontends(web, slices.toReversed(), node))).toEqual(expected);
  });

  it("carries affinity, label, and the manifest's line", () => {
    const web = service(
      "web",
      { clusterIP: "10.96.0.1", sessionAffinity: "ClientIP" },
      { "podwire.dev/source": "shop.yaml:3" },
    );
    const [frontend] = serviceFrontends(web, [], node);
    expect(frontend).toMatchObject({
      label: "shop/web:http",
      affinitySeconds: 10_800,
      origin: { kind: "Service", namespace: "shop", name: "web", field: "spec.ports[0]", source: "shop.yaml:3" },
    });
  });
});

describe("V02 what each address of a Service does (part: hints of endpoints)", () => {
  const here = { ...node, zone: "a" };
  const hinted = (address: string, zone: string | undefined, nodeName: string | undefined, ready = true) => ({
    address,
    nodeName: nodeName ?? "node09",
    conditions: { ready, serving: ready, terminating: false },
    hints: {
      ...(zone === undefined ? {} : { forZones: [{ name: zone }] }),
      ...(nodeName === undefined ? {} : { forNodes: [{ name: nodeName }] }),
    },
  });
  const web = service("web", { clusterIP: "10.96.0.1" });
  const backends = (endpoints: Parameters<typeof slice>[1], at: typeof node & { zone?: string } = here) =>
    show(serviceFrontends(web, [slice("web", endpoints)], at)).map((line) => line.split("→ ")[1]);

  it("lead to endpoints of the node's zone, and everywhere while the zone has none or a hint is missing", () => {
    const both = [hinted("10.244.1.2", "a", undefined), hinted("10.244.2.2", "b", undefined)];
    expect(backends(both)).toEqual(["10.244.1.2:8080"]);
    expect(backends(both, { ...node, zone: "c" })).toEqual(["10.244.1.2:8080 10.244.2.2:8080"]);
    expect(backends(both, node)).toEqual(["10.244.1.2:8080 10.244.2.2:8080"]);
    expect(backends([...both, "10.244.3.3"])).toEqual(["10.244.1.2:8080 10.244.2.2:8080 10.244.3.3:8080"]);
    expect(backends([hinted("10.244.1.2", "a", undefined, false), ...both.slice(1)])).toEqual(["10.244.2.2:8080"]);
  });

  it("lead to endpoints of the node itself first, then of its zone", () => {
    const own = hinted("10.244.1.2", "a", "node01");
    const near = hinted("10.244.2.2", "a", "node02");
    const far3 = hinted("10.244.3.2", "b", "node03");
    expect(backends([own, near, far3])).toEqual(["10.244.1.2:8080"]);
    expect(backends([near, far3])).toEqual(["10.244.2.2:8080"]);
    expect(backends([far3])).toEqual(["10.244.3.2:8080"]);
  });

  it("of the node are ignored where an endpoint has none, those of the zone are not", () => {
    const near = hinted("10.244.2.2", "a", "node02");
    const zoneOnly = hinted("10.244.3.2", "a", undefined);
    const far4 = hinted("10.244.4.2", "b", "node04");
    expect(backends([hinted("10.244.1.2", "a", "node01"), near, zoneOnly, far4])).toEqual([
      "10.244.1.2:8080 10.244.2.2:8080 10.244.3.2:8080",
    ]);
  });

  it("count for nothing when no endpoint is ready", () => {
    const going = (address: string, zone: string) => ({
      ...hinted(address, zone, undefined),
      conditions: { ready: false, serving: true, terminating: true },
    });
    expect(backends([going("10.244.1.2", "a"), going("10.244.2.2", "b")])).toEqual(["10.244.1.2:8080 10.244.2.2:8080"]);
  });

  it("count for nothing where the traffic policy is Local", () => {
    const local = service("web", { clusterIP: "10.96.0.1", internalTrafficPolicy: "Local" });
    const slices = [slice("web", [hinted("10.244.1.2", "b", "node01"), hinted("10.244.2.2", "a", "node02")])];
    expect(show(serviceFrontends(local, slices, here))).toEqual(["ClusterIP 10.96.0.1:80 → 10.244.1.2:8080"]);
  });
});
