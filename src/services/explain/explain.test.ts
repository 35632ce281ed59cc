import { describe, expect, it } from "vitest";
import type { Node, Pod } from "#api/index.ts";
import { service, slice } from "../testing/objects.ts";
import { answerText, type ClusterObjects, explainQuestion, type Viewpoint } from "./index.ts";

const node = (name: string, ip: string, labels = {}) =>
  ({ metadata: { name, labels }, status: { addresses: [{ type: "InternalIP", address: ip }] } }) as unknown as Node;
const pod = (name: string, nodeName: string, ip: string, hostNetwork = false) =>
  ({
    metadata: { namespace: "shop", name },
    spec: { nodeName, hostNetwork },
    status: { podIPs: [{ ip }] },
  }) as unknown as Pod;

const base: ClusterObjects = {
  services: [],
  slices: [],
  nodes: [
    node("controlplane", "192.168.1.10", { "node-role.kubernetes.io/control-plane": "" }),
    node("node01", "192.168.1.11"),
    node("node02", "192.168.1.12"),
  ],
  pods: [
    pod("client", "node01", "10.244.1.9"),
    pod("web-1", "node01", "10.244.1.2"),
    pod("host", "node01", "192.168.1.11", true),
  ],
  proxyConfig:
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.244.0.0/16\n",
};
const web = service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] });
const endpoints = slice("web", [
  "10.244.1.2",
  { address: "10.244.2.2", nodeName: "node02" },
  { address: "10.244.1.3", conditions: { ready: false } },
]);
const shop: ClusterObjects = { ...base, services: [web], slices: [endpoints] };

const ask = (objects: ClusterObjects, question: string, viewpoint: Partial<Viewpoint> = {}) =>
  explainQuestion(objects, question, { namespace: "shop", ...viewpoint });
const verdicts = (objects: ClusterObjects, question: string, viewpoint: Partial<Viewpoint> = {}) =>
  ask(objects, question, viewpoint).addresses.flatMap(({ kind, paths }) =>
    paths.flatMap(({ candidates, clients }) =>
      clients.map(
        ({ from, verdict, masquerade, origin }) =>
          `${kind} ${from}: ${verdict} ${candidates.map((one) => one.address).join(" ")} ${masquerade} ${origin.field}`,
      ),
    ),
  );

describe("V02 services explain (part: in words)", () => {
  it("says address, policy, candidates, those left out, and masquerading, each with object and field", () => {
    expect(answerText(ask(shop, "web", { from: "client" }))).toBe(`\
Service shop/web on node01, mode nftables, from pod shop/client (10.244.1.9)

ClusterIP 10.96.0.1:80/TCP
  address     Service shop/web spec.clusterIPs[0], spec.ports[0]
  policy      Cluster  Service shop/web spec.internalTrafficPolicy
  candidates  10.244.1.2:8080  node01  EndpointSlice shop/web-ipv4 endpoints[0]
              10.244.2.2:8080  node02  EndpointSlice shop/web-ipv4 endpoints[1]
  left out    10.244.1.3  it is not ready  EndpointSlice shop/web-ipv4 endpoints[2].conditions.ready
  masquerade  no: pods keep their address  ConfigMap kube-system/kube-proxy clusterCIDR
`);
  });

  it("a NodePort at another interface of a node, where nodePortAddresses allow it", () => {
    const ports = [{ name: "http", port: 80, protocol: "TCP" as const, nodePort: 30080 }];
    const spec = { type: "NodePort" as const, clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"], ports };
    const proxies = new Map([["node01", { addresses: ["127.0.0.1", "::1", "192.168.1.11", "10.244.1.1"] }]]);
    const objects = { ...shop, services: [service("web", spec)], proxies };
    expect(() => verdicts(objects, "10.244.1.1:30080")).toThrow("no Service has the address 10.244.1.1 on node01");
    const proxyConfig = `${base.proxyConfig}nodePortAddresses: [10.244.0.0/16]\n`;
    expect(ask({ ...objects, proxyConfig }, "10.244.1.1:30080")).toMatchObject({ node: "node01" });
    expect(() => verdicts({ ...objects, proxyConfig }, "192.168.1.11:30080")).toThrow("no NodePort answers there");
  });

  it("a node that goes by something else than the ConfigMap is said, with the reason", () => {
    const proxyConfig = `${base.proxyConfig}mode: ipvs\n`;
    const proxies = new Map([["node01", { addresses: [], mode: "userspace" as const, error: "there is no IPVS" }]]);
    const objects = { ...shop, proxyConfig, proxies };
    expect(() => ask(objects, "web", { node: "node01" })).toThrow(
      "configmap kube-system/kube-proxy config.conf: there is no IPVS; node01 goes on in the mode userspace",
    );
    expect(ask(objects, "web", { node: "node02" }).mode).toBe("ipvs");
  });

  it("a target port that no pod has is named, and not the selector", () => {
    const ports = [{ name: "http", port: 80, protocol: "TCP" as const, targetPort: "nosuch" }];
    const objects = {
      ...shop,
      services: [service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"], ports })],
      slices: [slice("web", ["10.244.1.2"], [])],
    };
    const text = answerText(ask(objects, "web"));
    expect(text).toContain('no container of a pod has a port that is named "nosuch"');
    expect(text).toMatch(/refused: .*Service shop\/web spec\.ports\[0\]\.targetPort/);
  });

  it("a name as DNS knows it; a port that cannot be; an address that lacks its brackets", () => {
    expect(ask(shop, "web.shop.svc.cluster.local:80").service).toBe("shop/web");
    expect(() => ask(shop, "web:99999")).toThrow("ports 1 to 65535");
    expect(() => ask(shop, "fd00::1:80")).toThrow("an address with a port is written as [fd00::a]:53");
  });

  it("in the userspace mode every endpoint sees the node, and SCTP is refused", () => {
    const proxyConfig = `${base.proxyConfig}mode: userspace\n`;
    expect(verdicts({ ...shop, proxyConfig }, "10.96.0.1:80/tcp", { from: "client" })).toEqual([
      "ClusterIP pod shop/client (10.244.1.9): balance 10.244.1.2:8080 10.244.2.2:8080 yes mode",
    ]);
    const ports = [{ name: "http", port: 80, protocol: "SCTP" as const }];
    const sctp = {
      services: [service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"], ports })],
      slices: [slice("web", ["10.244.1.2"], ports)],
    };
    expect(answerText(ask({ ...shop, ...sctp, proxyConfig }, "web", { from: "client" }))).toContain(
      "refused: SCTP is not supported for user space proxy  ConfigMap kube-system/kube-proxy mode",
    );
  });

  it("says when a node's kube-proxy is not ready, so that what was there before goes on", () => {
    const proxy = (status: string) =>
      ({
        metadata: { namespace: "kube-system", name: "kube-proxy-x1y2z", labels: { "k8s-app": "kube-proxy" } },
        spec: { nodeName: "node01", hostNetwork: true },
        status: { conditions: [{ type: "Ready", status }] },
      }) as unknown as Pod;
    const given = (status: string) => ({
      ...shop,
      pods: [...base.pods, proxy(status)],
      proxyConfig: `${base.proxyConfig}mode: ebpf\n`,
    });
    expect(answerText(ask(given("False"), "web", { from: "client" }))).toMatch(
      /^Service shop\/web on node01, mode ebpf.*\n! kube-proxy on node01 is not ready: the node goes on with what it had before; kubectl logs -n kube-system kube-proxy-x1y2z says why\n\n/,
    );
    expect(ask(given("False"), "web", { node: "node02" })).not.toHaveProperty("unsettled");
    expect(ask(given("True"), "web", { from: "client" })).not.toHaveProperty("unsettled");
  });

  it("in the ebpf mode pods and the node keep their address; from outside, and where ranges are asked, rules decide", () => {
    const proxyConfig = `${base.proxyConfig}mode: ebpf\n`;
    const inEbpf = (spec: Parameters<typeof service>[1]) =>
      verdicts({ ...shop, services: [service("web", { ...web.spec, ...spec })], proxyConfig }, "web");
    const both = "balance 10.244.1.2:8080 10.244.2.2:8080";
    expect(inEbpf({ externalIPs: ["203.0.113.1"] })).toEqual([
      `ClusterIP pods of controlplane: ${both} no mode`,
      `ClusterIP controlplane itself: ${both} no mode`,
      `ClusterIP elsewhere: ${both} yes clusterCIDR`,
      `ExternalIP pods of controlplane: ${both} no mode`,
      `ExternalIP controlplane itself: ${both} no mode`,
      `ExternalIP elsewhere: ${both} yes spec.externalTrafficPolicy`,
    ]);
    const masqueradeAll = `${proxyConfig}nftables:\n  masqueradeAll: true\n`;
    expect(verdicts({ ...shop, proxyConfig: masqueradeAll }, "web")[0]).toBe(
      `ClusterIP pods of controlplane: ${both} yes nftables.masqueradeAll`,
    );
  });

  it("without a client, for every kind of client", () => {
    expect(verdicts(shop, "10.96.0.1:80/tcp")).toEqual([
      "ClusterIP pods of controlplane: balance 10.244.1.2:8080 10.244.2.2:8080 itself clusterCIDR",
      "ClusterIP controlplane itself: balance 10.244.1.2:8080 10.244.2.2:8080 yes clusterCIDR",
      "ClusterIP elsewhere: balance 10.244.1.2:8080 10.244.2.2:8080 yes clusterCIDR",
    ]);
  });

  it("a pod that may reach itself; one on its node's network", () => {
    expect(verdicts(shop, "web", { from: "web-1" })[0]).toMatch(/itself clusterCIDR$/);
    expect(verdicts(shop, "web", { from: "shop/host" })[0]).toMatch(/ yes clusterCIDR$/);
  });

  it("a NodePort at the node that has the address; policy Local leaves pods and the node all endpoints", () => {
    const local = service("web", {
      type: "NodePort",
      clusterIP: "10.96.0.1",
      ports: [{ name: "http", port: 80, nodePort: 30_080 }],
      externalTrafficPolicy: "Local",
    });
    const objects = { ...shop, services: [local] };
    const both = "10.244.1.2:8080 10.244.2.2:8080";
    expect(verdicts(objects, "192.168.1.12:30080")).toEqual([
      `NodePort pods of node02: balance ${both} itself spec.externalTrafficPolicy`,
      `NodePort node02 itself: balance ${both} yes spec.externalTrafficPolicy`,
      "NodePort elsewhere: balance 10.244.2.2:8080 no spec.externalTrafficPolicy",
    ]);
    const paths = ask(objects, "192.168.1.12:30080").addresses[0]?.paths;
    expect(paths?.map(({ leftOut }) => leftOut.map(({ address, reason }) => `${address} ${reason}`))).toEqual([
      ["10.244.1.3 not-ready"],
      ["10.244.1.2 not-local", "10.244.1.3 not-local"],
    ]);
    expect(verdicts(objects, "192.168.1.10:30080").at(-1)).toBe(
      "NodePort elsewhere: drop  no spec.externalTrafficPolicy",
    );
    expect(ask(objects, "192.168.1.12:30080", { from: "client" }).from).toContain("comes as from outside");
  });

  it("in the ipvs mode pods and the node get what is on this node, and the node is always masqueraded", () => {
    const local = service("web", {
      ...{ type: "NodePort", clusterIP: "10.96.0.1", externalTrafficPolicy: "Local" },
      ports: [{ name: "http", port: 80, nodePort: 30_080 }],
    });
    const objects = { ...shop, services: [local], proxyConfig: `${base.proxyConfig}mode: ipvs\n` };
    expect(verdicts(objects, "192.168.1.12:30080")).toEqual([
      "NodePort pods of node02: balance 10.244.2.2:8080 itself mode",
      "NodePort node02 itself: balance 10.244.2.2:8080 yes mode",
      "NodePort elsewhere: balance 10.244.2.2:8080 no spec.externalTrafficPolicy",
    ]);
    const none = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n";
    expect(verdicts({ ...objects, proxyConfig: none }, "10.96.0.1:80")[1]).toMatch(
      /^ClusterIP .* itself: balance .* yes mode$/,
    );
  });

  it("a NodePort at 127.0.0.1 in the iptables mode alone, as iptables.localhostNodePorts says", () => {
    const nodePort = service("web", {
      type: "NodePort",
      clusterIP: "10.96.0.1",
      ports: [{ port: 80, nodePort: 30_080 }],
    });
    const objects = { ...shop, services: [nodePort] };
    const inMode = (text: string) =>
      ask({ ...objects, proxyConfig: `${base.proxyConfig}${text}` }, "web:30080").addresses.map(
        ({ address }) => address,
      );
    expect(inMode("mode: iptables\n")).toEqual(["192.168.1.10:30080/TCP", "127.0.0.1:30080/TCP"]);
    expect(inMode("mode: nftables\n")).toEqual(["192.168.1.10:30080/TCP"]);
    const off = "mode: iptables\niptables:\n  localhostNodePorts: false\n";
    expect(inMode(off)).toEqual(["192.168.1.10:30080/TCP"]);
  });

  it("no endpoints; not among the sources; an address that another Service has", () => {
    expect(verdicts({ ...shop, slices: [] }, "web", { from: "client" })).toEqual([
      "ClusterIP pod shop/client (10.244.1.9): reject  no spec.selector",
    ]);
    const balanced = {
      ...service("web", {
        type: "LoadBalancer",
        clusterIP: "10.96.0.1",
        loadBalancerSourceRanges: ["198.51.100.0/24"],
      }),
      status: { loadBalancer: { ingress: [{ ip: "203.0.113.7" }] } },
    };
    const rival = service("a-web", { clusterIP: "10.96.0.2", externalIPs: ["203.0.113.7"] });
    const objects = { ...shop, services: [balanced, rival] };
    expect(verdicts({ ...objects, services: [balanced] }, "203.0.113.7:80", { from: "client" })).toEqual([
      "LoadBalancer pod shop/client (10.244.1.9): drop  no spec.loadBalancerSourceRanges",
    ]);
    expect(ask(objects, "203.0.113.7:80").service).toBe("shop/a-web");
    expect(ask(objects, "web").addresses.map(({ kind, heldBy }) => [kind, heldBy])).toEqual([
      ["ClusterIP", undefined],
      ["LoadBalancer", "shop/a-web"],
    ]);
  });
});

describe("services explain says what there is instead", () => {
  const headless = service("db", { clusterIP: "None" });
  const alias = service("mail", { type: "ExternalName", externalName: "mail.example.com" });
  const objects = { ...shop, services: [web, headless, alias], slices: [endpoints, slice("db", ["10.244.1.5"])] };
  it.each([
    ["wev", {}, 'no Service "wev" in namespace shop; near are web'],
    ["web", { namespace: "default" }, 'no Service "web" in namespace default; there is shop/web'],
    ["db", {}, "it is headless: DNS gives its endpoints (spec.clusterIP); its endpoints are 10.244.1.5"],
    ["mail", {}, "it is only a name in DNS (spec.type); it is another name of mail.example.com"],
    ["web:81", {}, "Service shop/web has no port 81; it offers 10.96.0.1:80/TCP (shop/web:http)"],
    ["10.96.0.1:80/udp", {}, "10.96.0.1 has no port 80/UDP; it offers 10.96.0.1:80/TCP (shop/web:http)"],
    ["10.96.0.9:80", {}, "no Service has the address 10.96.0.9 on controlplane"],
    ["10.244.1.2:8080", {}, "it is pod shop/web-1's own, packets go there as they are"],
    ["192.168.1.11:30080", {}, "it is node node01's own, and no NodePort answers there"],
    ["web", { from: "clint" }, "no pod shop/clint; near are shop/client"],
    ["web", { node: "node9" }, 'no node "node9"; there are controlplane, node01, node02'],
    ["web", { from: "client", node: "node02" }, "pod shop/client runs on node01, where its packets are translated"],
    ["10.96.0.1.2:80", {}, 'found "10.96.0.1.2:80"; allowed is a Service'],
    ["web:80/icmp", {}, "allowed is a Service ([namespace/]name[:port[/protocol]], ports 1 to 65535) or an address"],
  ])("%s %j", (question, viewpoint, words) => {
    expect(() => ask(objects, question, viewpoint)).toThrow(words);
  });
});
