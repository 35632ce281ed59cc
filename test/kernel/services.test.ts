import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { service, slice } from "#services/testing/objects.ts";
import { ask, ServicesLab } from "./servicesLab.ts";

interface Addresses {
  readonly family: string;
  readonly vip: string;
  readonly vip2: string;
  readonly pod1: string;
  readonly pod2: string;
  readonly gateway: string;
  readonly node: string;
  readonly outside: string;
}

const families: Addresses[] = [
  {
    family: "IPv4",
    vip: "10.96.0.1",
    vip2: "10.96.0.2",
    pod1: "10.244.1.2",
    pod2: "10.244.1.3",
    gateway: "10.244.1.1",
    node: "192.168.1.11",
    outside: "192.168.1.1",
  },
  {
    family: "IPv6",
    vip: "fd00:10:96::1",
    vip2: "fd00:10:96::2",
    pod1: "fd00:10:244:1::2",
    pod2: "fd00:10:244:1::3",
    gateway: "fd00:10:244:1::1",
    node: "fd00:192:168:1::11",
    outside: "fd00:192:168:1::1",
  },
];

describe.each(families)("V02 Services move packets (part: ClusterIP, NodePort), $family", (a) => {
  let lab: ServicesLab;
  const nodePort = { type: "NodePort", ports: [{ name: "http", port: 80, nodePort: 30080 }] } as const;
  const elsewhere = { address: a.pod2, nodeName: "node02" };

  beforeEach(async () => {
    lab = await ServicesLab.start();
    await lab.serveTcp(lab.pod1, a.pod1, 8080, "pod1");
    await lab.serveTcp(lab.pod2, a.pod2, 8080, "pod2");
  });
  afterEach(() => lab.close());

  it("a pod reaches a ClusterIP's endpoint on its own node, with its own address", async () => {
    lab.put(service("web", { clusterIP: a.vip }), slice("web", [a.pod2]));
    await lab.startProxy();
    expect(await ask(lab.pod1, a.vip, 80)).toBe(`pod2 ${a.pod1}`);
  });

  it("a pod reaches itself through its Service (hairpin), masqueraded", async () => {
    lab.put(service("web", { clusterIP: a.vip }), slice("web", [a.pod1]));
    await lab.startProxy();
    expect(await ask(lab.pod1, a.vip, 80)).toBe(`pod1 ${a.gateway}`);
  });

  it("the node and a machine outside reach a ClusterIP, masqueraded", async () => {
    lab.put(service("web", { clusterIP: a.vip }), slice("web", [a.pod2]));
    await lab.startProxy();
    expect(await ask(lab.node, a.vip, 80)).toBe(`pod2 ${a.gateway}`);
    expect(await ask(lab.outside, a.vip, 80)).toBe(`pod2 ${a.gateway}`);
  });

  it("outside, a pod and the node itself reach a NodePort", async () => {
    lab.put(service("web", { clusterIP: a.vip, ...nodePort }), slice("web", [a.pod2]));
    await lab.startProxy();
    for (const from of [lab.outside, lab.pod1, lab.node]) {
      expect(await ask(from, a.node, 30080)).toBe(`pod2 ${a.gateway}`);
    }
  });

  it("connections are spread over the endpoints", async () => {
    lab.put(service("web", { clusterIP: a.vip }), slice("web", [a.pod1, a.pod2]));
    await lab.startProxy();
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(lab.outside, a.vip, 80)));
    const pod1 = answers.filter((answer) => answer.startsWith("pod1")).length;
    const pod2 = answers.filter((answer) => answer.startsWith("pod2")).length;
    expect(pod1 + pod2).toBe(60);
    // Both below 12 of 60 has a probability of less than one in a million.
    expect(Math.min(pod1, pod2)).toBeGreaterThan(11);
  });

  it("a Service without endpoints, and a port that it does not have, refuse at once", async () => {
    lab.put(service("web", { clusterIP: a.vip, ...nodePort }));
    lab.put(service("other", { clusterIP: a.vip2 }), slice("other", [a.pod2]));
    await lab.startProxy();
    for (const from of [lab.pod1, lab.node, lab.outside]) expect(await ask(from, a.vip, 80)).toBe("ECONNREFUSED");
    expect(await ask(lab.outside, a.node, 30080)).toBe("ECONNREFUSED");
    expect(await ask(lab.pod1, a.vip2, 81)).toBe("ECONNREFUSED");
  });

  it("follows endpoints and Services as they come and go", async () => {
    const web = service("web", { clusterIP: a.vip });
    lab.put(web);
    const proxy = await lab.startProxy();
    lab.put(slice("web", [a.pod1]));
    await expect.poll(() => ask(lab.outside, a.vip, 80, 700)).toMatch(/^pod1/);
    lab.put(slice("web", [a.pod2]));
    await expect.poll(() => ask(lab.outside, a.vip, 80, 700)).toMatch(/^pod2/);
    lab.put(slice("web", [{ address: a.pod2, conditions: { ready: false } }]));
    await expect.poll(() => ask(lab.outside, a.vip, 80, 700)).toBe("ECONNREFUSED");
    lab.put(slice("web", [a.pod1, a.pod2]));
    await expect.poll(() => ask(lab.outside, a.vip, 80, 700)).toMatch(/^pod/);
    await lab.delete(web);
    await expect.poll(() => proxy.frontends().size).toBe(0);
    await proxy.settled();
    const left = await lab.nft.readTable({ family: a.family === "IPv4" ? "ip" : "ip6", name: "podwire-services" });
    expect([...(left?.elements.values() ?? [])].flat()).toEqual([]);
    expect(left?.chains.map(({ name }) => name).filter((name) => /\d/.test(name))).toEqual([]);
  });

  it("ClientIP affinity keeps a client with its endpoint, until that is gone", async () => {
    lab.put(service("web", { clusterIP: a.vip, sessionAffinity: "ClientIP" }), slice("web", [a.pod1, a.pod2]));
    const proxy = await lab.startProxy();
    const answers = new Set<string>();
    for (let i = 0; i < 12; i++) answers.add((await ask(lab.outside, a.vip, 80)).split(" ")[0] ?? "");
    expect(answers.size).toBe(1);
    const [first] = answers;
    const remaining = first === "pod1" ? "pod2" : "pod1";
    lab.put(slice("web", [remaining === "pod1" ? a.pod1 : a.pod2]));
    await expect
      .poll(() => proxy.frontends().get("shop/web")?.[0]?.action)
      .toMatchObject({ targets: [expect.anything()] });
    await proxy.settled();
    expect(await ask(lab.outside, a.vip, 80)).toMatch(remaining);
    lab.put(slice("web", [a.pod1, a.pod2]));
    await expect.poll(() => proxy.frontends().get("shop/web")?.[0]?.action).toMatchObject({ targets: { length: 2 } });
    await proxy.settled();
    for (let i = 0; i < 8; i++) expect(await ask(lab.outside, a.vip, 80)).toMatch(remaining);
  });

  it("internalTrafficPolicy Local: own endpoints, or nothing", async () => {
    lab.put(service("web", { clusterIP: a.vip, internalTrafficPolicy: "Local" }), slice("web", [a.pod1, elsewhere]));
    lab.put(service("far", { clusterIP: a.vip2, internalTrafficPolicy: "Local" }), slice("far", [elsewhere]));
    await lab.startProxy();
    for (let i = 0; i < 8; i++) expect(await ask(lab.outside, a.vip, 80)).toMatch(/^pod1/);
    expect(await ask(lab.outside, a.vip2, 80, 700)).toBe("ETIMEDOUT");
  });

  it("externalTrafficPolicy Local: the client's address stays; pods and the node reach all endpoints", async () => {
    const local = { ...nodePort, externalTrafficPolicy: "Local" } as const;
    lab.put(service("web", { clusterIP: a.vip, ...local }), slice("web", [a.pod1, elsewhere]));
    await lab.startProxy();
    for (let i = 0; i < 8; i++) expect(await ask(lab.outside, a.node, 30080)).toBe(`pod1 ${a.outside}`);
    const fromNode = await Promise.all(Array.from({ length: 30 }, () => ask(lab.node, a.node, 30080)));
    expect(new Set(fromNode.map((answer) => answer.split(" ")[0]))).toEqual(new Set(["pod1", "pod2"]));
    const fromPod = await Promise.all(Array.from({ length: 30 }, () => ask(lab.pod2, a.node, 30080)));
    expect(new Set(fromPod.map((answer) => answer.split(" ")[0]))).toEqual(new Set(["pod1", "pod2"]));
  });

  it("externalTrafficPolicy Local without endpoints here drops what comes from outside", async () => {
    const local = { ...nodePort, externalTrafficPolicy: "Local" } as const;
    lab.put(service("web", { clusterIP: a.vip, ...local }), slice("web", [elsewhere]));
    await lab.startProxy();
    expect(await ask(lab.outside, a.node, 30080, 700)).toBe("ETIMEDOUT");
    expect(await ask(lab.pod1, a.node, 30080)).toMatch(/^pod2/);
  });

  it("an external address of a Service works from outside", async () => {
    const external = a.family === "IPv4" ? "203.0.113.7" : "2001:db8::7";
    lab.put(service("web", { clusterIP: a.vip, externalIPs: [external] }), slice("web", [a.pod2]));
    await lab.startProxy();
    expect(await ask(lab.outside, external, 80)).toBe(`pod2 ${a.gateway}`);
  });

  it("UDP: port 53 of the ClusterIP, and one port over two protocols", async () => {
    await lab.serveUdp(lab.pod2, a.pod2, 8053, "udp");
    await lab.serveTcp(lab.pod2, a.pod2, 8053, "tcp");
    const ports = [
      { name: "dns", port: 53, protocol: "UDP" as const },
      { name: "dns-tcp", port: 53, protocol: "TCP" as const },
    ];
    lab.put(service("dns", { clusterIP: a.vip, ports }));
    lab.put(
      slice(
        "dns",
        [a.pod2],
        ports.map(({ name, protocol }) => ({ name, protocol, port: 8053 })),
      ),
    );
    await lab.startProxy();
    const client = await lab.udpClient(lab.pod1, a.pod1);
    await expect.poll(() => client(a.vip, 53)).toBe(`udp ${a.pod1}`);
    expect(await ask(lab.pod1, a.vip, 53)).toBe(`tcp ${a.pod1}`);
  });

  it("UDP: a client that keeps its port follows the Service when its endpoint goes, comes back, or comes first", async () => {
    const ports = [{ name: "dns", port: 53, protocol: "UDP" as const }];
    const endpoints = (address: string, ready = true) =>
      slice("dns", [{ address, conditions: { ready } }], [{ ...ports[0], port: 8053 }]);
    await lab.serveUdp(lab.pod1, a.pod1, 8053, "pod1");
    await lab.serveUdp(lab.pod2, a.pod2, 8053, "pod2");
    lab.put(service("dns", { clusterIP: a.vip, ports }), endpoints(a.pod1));
    await lab.startProxy();
    const client = await lab.udpClient(lab.outside, a.outside);
    await expect.poll(() => client(a.vip, 53)).toMatch(/^pod1/);
    lab.put(endpoints(a.pod2));
    await expect.poll(() => client(a.vip, 53)).toMatch(/^pod2/);
    lab.put(endpoints(a.pod2, false));
    await expect.poll(() => client(a.vip, 53)).toBe("no answer");
    lab.put(endpoints(a.pod1));
    await expect.poll(() => client(a.vip, 53)).toMatch(/^pod1/);
  });
});
