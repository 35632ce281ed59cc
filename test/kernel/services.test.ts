import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import type { TrafficSettings } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { labAddresses } from "../compliance/serviceCases.ts";
import { serviceCompliance } from "../compliance/services.ts";
import { ask, ServicesLab } from "./servicesLab.ts";

serviceCompliance({ mode: "nftables", make: (lab, settings) => lab.nftables(lab.openNft(), settings) });

describe.each(labAddresses)("V02 Services on nftables maps (part: settings), $family", (a) => {
  let lab: ServicesLab;
  const vip = a.clusterIp(1);
  const external = a.external(1);
  beforeEach(async () => {
    lab = await ServicesLab.start();
    await lab.serveTcp(lab.pod1, a.pod1, 8080, "pod1");
    await lab.serveTcp(lab.pod2, a.pod2, 8080, "pod2");
    await lab.serveTcp(lab.outside, a.far, 8080, "far");
  });
  afterEach(() => lab.close());

  /** Who a pod and the outside are, to an endpoint here; and what they reach by policy Local with an endpoint elsewhere. */
  const seen = async (settings: Partial<TrafficSettings>) => {
    const far = { address: a.far, nodeName: "node02" };
    lab.put(service("web", { clusterIP: vip }), slice("web", [a.pod2]));
    lab.put(service("far", { clusterIP: a.clusterIp(2), externalIPs: [external], externalTrafficPolicy: "Local" }));
    lab.put(slice("far", [far]));
    await lab.startProxy(lab.nftables(lab.openNft(), settings));
    const name = (answer: string) =>
      Object.entries({ pod1: a.pod1, outside: a.outside, node: a.gateway }).find(([, ip]) =>
        answer.endsWith(` ${ip}`),
      )?.[0];
    return {
      pod: name(await ask(lab.pod1, vip, 80)),
      outside: name(await ask(lab.outside, vip, 80)),
      podToLocal: (await ask(lab.pod1, external, 80, 700)).split(" ")[0],
    };
  };

  it.each<[string, Partial<TrafficSettings>, Awaited<ReturnType<typeof seen>>]>([
    ["masqueradeAll", { masqueradeAll: true }, { pod: "node", outside: "node", podToLocal: "far" }],
    [
      "detectLocalMode BridgeInterface",
      { localTraffic: { kind: "interface", name: "cni0" } },
      { pod: "pod1", outside: "node", podToLocal: "far" },
    ],
    [
      "detectLocalMode InterfaceNamePrefix",
      { localTraffic: { kind: "interface-prefix", prefix: "cn" } },
      { pod: "pod1", outside: "node", podToLocal: "far" },
    ],
    [
      "no way to tell pods' traffic",
      { localTraffic: { kind: "none" } },
      { pod: "pod1", outside: "outside", podToLocal: "ETIMEDOUT" },
    ],
    ["another bit of the mark", { masqueradeBit: 31 }, { pod: "pod1", outside: "node", podToLocal: "far" }],
  ])("%s", async (_, settings, expected) => {
    expect(await seen(settings)).toEqual(expected);
  });

  it("nodePortAddresses: NodePorts answer there alone, and at new addresses when told", async () => {
    lab.nodePortAddresses = [a.gateway];
    const ports = [{ name: "http", port: 80, nodePort: 30080 }];
    lab.put(service("web", { clusterIP: vip, type: "NodePort", ports }), slice("web", [a.pod2]));
    const proxy = await lab.startProxy();
    expect(await ask(lab.outside, a.gateway, 30080)).toMatch(/^pod2/);
    expect(await ask(lab.outside, a.node, 30080)).toBe("ECONNREFUSED");
    proxy.setNodeAddresses([parseIp(a.node)]);
    await proxy.settled();
    expect(await ask(lab.outside, a.node, 30080)).toMatch(/^pod2/);
    expect(await ask(lab.outside, a.gateway, 30080)).toBe("ECONNREFUSED");
  });

  it("when the last Service goes, no element and no chain of it is left", async () => {
    const web = service("web", {
      clusterIP: vip,
      type: "NodePort",
      sessionAffinity: "ClientIP",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
      externalTrafficPolicy: "Local",
    });
    lab.put(web, slice("web", [a.pod1, a.pod2]));
    const proxy = await lab.startProxy();
    expect(await ask(lab.outside, vip, 80)).toMatch(/^pod/);
    await lab.delete(web);
    await expect.poll(() => proxy.frontends().size).toBe(0);
    await proxy.settled();
    const left = await lab.nft.readTable({ family: a.family === "IPv4" ? "ip" : "ip6", name: "podwire-services" });
    const own = [...(left?.elements ?? [])].filter(([set]) => set !== "affinity").flatMap(([, elements]) => elements);
    expect(own).toEqual([]);
    expect(left?.chains.map(({ name }) => name).filter((name) => /\d/.test(name))).toEqual([]);
  });
});
