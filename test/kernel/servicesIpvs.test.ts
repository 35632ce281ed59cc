import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { openIpvs, type ServerKey } from "#kernel/ipvs/index.ts";
import { inNetns, newNetns } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { protocols } from "#kernel/nft/index.ts";
import {
  checkIpvs,
  IPVS_DEVICE,
  IPVS_TABLE,
  type IpvsBackendOptions,
  ipvsBackend,
  openIpvsNode,
  type ServiceBackend,
} from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { ipvsCompliance } from "../compliance/ipvs.ts";
import { labAddresses } from "../compliance/serviceCases.ts";
import { serviceCompliance } from "../compliance/services.ts";
import { guestProgram, vitestInGuest } from "../support/guest.ts";
import { flip } from "../support/serviceFlips.ts";
import { ask, ServicesLab, traffic } from "./servicesLab.ts";

/** Why this kernel cannot have the mode, in the words that a user gets; undefined when it can. */
function refusal(): string | undefined {
  try {
    checkIpvs("");
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const isLong = process.env["PODWIRE_LONG"] === "1";
const IPVSADM = "/usr/sbin/ipvsadm";
const refused = refusal();
const guest = guestProgram();

const backend = (lab: ServicesLab, settings: Partial<IpvsBackendOptions> = {}): ServiceBackend =>
  ipvsBackend({ ...traffic, ...settings, node: openIpvsNode(lab.node), nft: lab.openNft() });

/** Skips with the reason for the counts at the end of a run. */
const unless = (isThere: boolean, skipReason: string) => (isThere ? {} : { skip: true, meta: { skipReason } });

describe("V04 ipvs where the kernel has none (part: refused at start)", unless(refused !== undefined, "it has"), () => {
  it("says what is missing, and what to do", () => {
    const missing = /IPVS not supported by the kernel: .*modprobe ip_vs|.*CONFIG_IP_VS_NFCT|IPVS is root's/;
    expect(refused).toMatch(new RegExp(`^can't use the IPVS proxier: (${missing.source})`));
    expect(refused).toMatch(/; or choose the mode nftables$/);
  });

  const options = unless(guest !== undefined, "no guest kernel is installed (PODWIRE_TEST_GUEST)");
  it("V02 V04 Services as virtual servers of IPVS, in a kernel that has it", {
    ...options,
    timeout: 380_000,
  }, async () => {
    const short = isLong ? [] : ["-t", "IPv4|mode ipvs: every|V04 ipvs|IPVS .kernel"];
    const report = await vitestInGuest(guest as string, ["test/kernel/servicesIpvs.test.ts", ...short], 360);
    expect(report.failed).toEqual([]);
    // The table's cases of one family are more.
    expect(report.passed).toBeGreaterThan(150);
  });

  const inLong = isLong ? options : unless(false, "only in the long tests");
  it("V04 K02 podwire kube-proxy --proxy-mode ipvs (part: the program, with packets)", {
    ...inLong,
    timeout: 380_000,
  }, async () => {
    const report = await vitestInGuest(guest as string, ["test/kernel/kubeProxy.test.ts", "-t", "mode ipvs:"], 360);
    expect(report).toEqual({ passed: 1, failed: [] });
  });
});

/** What is only there to run in a kernel that has IPVS. */
function ipvsTests(): void {
  serviceCompliance({ mode: "ipvs", make: backend });

  describe.each(labAddresses)("V04 Services as virtual servers of IPVS (part: what is its own), $family", (a) => {
    let lab: ServicesLab;
    const vip = a.clusterIp(1);
    const isV6 = a.family === "IPv6";
    beforeEach(async () => {
      lab = await ServicesLab.start();
      await lab.serveTcp(lab.pod1, a.pod1, 8080, "pod1");
      await lab.serveTcp(lab.pod2, a.pod2, 8080, "pod2");
      await lab.serveTcp(lab.outside, a.far, 8080, "far");
    });
    afterEach(() => lab.close());

    const onNode = <T>(work: () => T): T => inNetns(lab.node, work);
    const there = <T>(work: (ipvs: ReturnType<typeof openIpvs>) => T): T => {
      const ipvs = onNode(openIpvs);
      try {
        return work(ipvs);
      } finally {
        ipvs.close();
      }
    };
    const tcp = (address: string, port = 80): ServerKey => ({ ip: parseIp(address), protocol: protocols.TCP, port });
    /** Ports and weights of the virtual servers in the kernel. */
    const held = () =>
      there((ipvs) =>
        ipvs
          .servers()
          .map((server) => ({ server, reals: ipvs.realServers(server) }))
          .map(({ server, reals }) => ({ port: server.port, weights: reals.map(({ weight }) => weight) })),
      );
    const bound = () => {
      const rt = onNode(openRtnetlink);
      const index = rt.link({ name: IPVS_DEVICE })?.index;
      const addresses = index === undefined ? undefined : rt.addresses(index).map(({ address }) => address);
      rt.close();
      return addresses?.sort();
    };
    const sysctl = (name: string) => onNode(() => readFileSync(`/proc/sys/net/ipv4/${name}`, "utf8").trim());

    const ports = [{ name: "http", port: 80, protocol: "TCP" as const, nodePort: 30080 }];
    /** Every kind of address but a balancer's; one of them the node's own. */
    const everywhere = () => {
      const spec = { clusterIP: vip, type: "NodePort" as const, ports, sessionAffinity: "ClientIP" as const };
      lab.put(service("web", { ...spec, externalIPs: [a.external(1), a.node] }), slice("web", [a.pod1, a.pod2]));
    };

    it("kube-ipvs0 has the addresses that are not the node's, and sysctls are upstream's", async () => {
      everywhere();
      await lab.startProxy(backend(lab, { strictArp: true }));
      const prefix = isV6 ? 128 : 32;
      expect(bound()).toEqual([`${a.external(1)}/${prefix}`, `${vip}/${prefix}`].sort());
      const names = ["vs/conntrack", "vs/expire_nodest_conn", "vs/expire_quiescent_template", "ip_forward"];
      expect(names.map(sysctl)).toEqual(["1", "1", "1", "1"]);
      expect([sysctl("conf/all/arp_ignore"), sysctl("conf/all/arp_announce")]).toEqual(["1", "2"]);
      expect(await ask(lab.pod1, a.external(1), 80)).toMatch(/^pod/);
    });

    it("ipvsadm lists what we set up", unless(existsSync(IPVSADM), "ipvsadm is not installed"), async () => {
      everywhere();
      await lab.startProxy(backend(lab, { scheduler: "wrr" }));
      const text = (address: string) => (isV6 ? `[${address}]` : address);
      const shown = onNode(() => execFileSync(IPVSADM, ["-Sn"], { encoding: "utf8" }));
      const servers = [`${text(vip)}:80`, `${text(a.node)}:30080`, `${text(a.external(1))}:80`, `${text(a.node)}:80`];
      const lines = servers.flatMap((server) => [
        `-A -t ${server} -s wrr -p 10800`,
        ...[a.pod1, a.pod2].map((pod) => `-a -t ${server} -r ${text(pod)}:8080 -m -w 1`),
      ]);
      expect(shown.trim().split("\n").sort()).toEqual(lines.sort());
    });

    it("what listens on the node answers at its own address, and at no Service's", async () => {
      await lab.serveTcp(lab.node, isV6 ? "::" : "0.0.0.0", 22, "node");
      lab.put(service("web", { clusterIP: vip, externalIPs: [a.external(1), a.node] }), slice("web", [a.pod1]));
      await lab.startProxy(backend(lab));
      expect(await ask(lab.outside, a.node, 22)).toMatch(/^node /);
      expect(await ask(lab.outside, a.node, 80)).toMatch(/^pod1 /);
      for (const address of [vip, a.external(1)]) expect(await ask(lab.outside, address, 22)).toBe("ECONNREFUSED");
    });

    it("load balancers ask for a Service's health at its addresses", async () => {
      await lab.serveTcp(lab.node, isV6 ? "::" : "0.0.0.0", 30999, "health");
      const spec = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 30999 } as const;
      const web = service("web", { clusterIP: vip, ...spec });
      lab.put(
        { ...web, status: { loadBalancer: { ingress: [{ ip: a.balancer(1) }] } } } as typeof web,
        slice("web", [a.pod1]),
      );
      await lab.startProxy(backend(lab));
      expect(await ask(lab.outside, a.balancer(1), 30999)).toMatch(/^health /);
      expect(await ask(lab.outside, a.balancer(1), 30998)).toBe("ECONNREFUSED");
    });

    it("an endpoint that goes keeps its connections at weight 0; one without any goes at once", async () => {
      lab.put(service("web", { clusterIP: vip }), slice("web", [a.pod1], [{ name: "http", port: 8081 }]));
      await lab.serveEcho(lab.pod1, a.pod1, 8081);
      const proxy = await lab.startProxy(backend(lab, { drainCheckMs: 20 }));
      const echo = await lab.connect(lab.outside, vip, 80);
      expect(await echo("one")).toBe("one");
      lab.put(slice("web", [a.pod1]));
      await expect.poll(held).toEqual([{ port: 80, weights: expect.arrayContaining([0, 1]) }]);
      expect(await echo("two")).toBe("two");
      // It comes back, and what came in its place goes.
      lab.put(slice("web", [a.pod1], [{ name: "http", port: 8081 }]));
      await expect.poll(held).toEqual([{ port: 80, weights: [1] }]);
      await proxy.settled();
      expect(await echo("three")).toBe("three");
    });

    it("a new process sweeps what it left, and leaves alone others' virtual servers and what excludeCIDRs names", async () => {
      const gone = service("gone", {
        clusterIP: a.clusterIp(2),
        type: "NodePort",
        ports,
        externalIPs: [a.external(2)],
      });
      lab.put(service("web", { clusterIP: vip }), gone, slice("web", [a.pod1]), slice("gone", [a.pod2]));
      await (await lab.startProxy(backend(lab))).stop();
      const others = tcp(isV6 ? "2001:db8::99" : "192.0.2.99", 99);
      there((ipvs) => ipvs.apply([{ op: "add-server", server: { ...others, scheduler: "rr" } }]));
      await lab.delete(gone);
      const excludeCidrs = [`${a.external(2)}/${isV6 ? 128 : 32}`];
      await (await lab.startProxy(backend(lab, { excludeCidrs }))).stop();
      const ports80 = () =>
        held()
          .map(({ port }) => port)
          .sort();
      expect(ports80()).toEqual([80, 80, 99]);
      expect(await ask(lab.pod1, vip, 80)).toMatch(/^pod1/);
      await backend(lab).cleanup();
      expect(held().map(({ port }) => port)).toContain(99);
      expect(bound()).toBeUndefined();
      expect((await lab.nft.listTables()).map(({ name }) => name)).not.toContain(IPVS_TABLE);
    });

    it("without a way to tell pods' traffic the node reaches endpoints elsewhere all the same", async () => {
      const far = { address: a.far, nodeName: "node02" };
      lab.put(service("web", { clusterIP: vip }), slice("web", [far]));
      await lab.startProxy(backend(lab, { localTraffic: { kind: "none" } }));
      expect(await ask(lab.node, vip, 80)).toBe(`far ${a.node}`);
      expect(await ask(lab.pod1, vip, 80)).toBe(`far ${a.pod1}`);
    });

    it("somebody flushes the table, or takes an address away: it is put right", async () => {
      lab.put(service("web", { clusterIP: vip, externalIPs: [a.external(1)] }), slice("web", [a.pod1]));
      await lab.startProxy(backend(lab));
      const before = bound();
      const rt = onNode(openRtnetlink);
      const index = rt.link({ name: IPVS_DEVICE })?.index ?? 0;
      rt.apply([{ op: "delete-link", index }]);
      rt.close();
      onNode(() => execFileSync("nft", ["delete", "table", isV6 ? "ip6" : "ip", IPVS_TABLE]));
      await expect.poll(bound).toEqual(before);
      expect(await ask(lab.pod1, vip, 80)).toBe(`pod1 ${a.gateway}`);
    });
  });

  const inLong = unless(isLong, "only in the long tests");
  it("V04 no flow is lost while endpoints change (part: ipvs)", { ...inLong, timeout: 120_000 }, async () => {
    const { lost, answered } = await flip({ endpoints: 2, flows: 1000, changes: 6, backend });
    expect(lost).toEqual([]);
    expect(answered).toBeGreaterThan(2);
  });

  ipvsCompliance("kernel", () => {
    const netns = newNetns();
    const ipvs = inNetns(netns, openIpvs);
    // Before there is any address the kernel takes every one for a broadcast address.
    const rt = inNetns(netns, openRtnetlink);
    rt.apply([{ op: "set-link", index: 1, up: true }]);
    rt.close();
    netns.close();
    return ipvs;
  });

  it("V04 ipvs: a scheduler that the kernel does not have is refused by name", () => {
    expect(() => checkIpvs("nosuch")).toThrow(
      'can\'t use the IPVS proxier: the kernel has no scheduler "nosuch": load the module ip_vs_nosuch',
    );
  });
}

if (refused === undefined) describe("ipvs", ipvsTests);
