import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Service } from "#api/index.ts";
import { inNetns } from "#kernel/namespaces/index.ts";
import {
  type Iptables,
  type IptablesSettings,
  iptablesBackend,
  openIptables,
  type ServiceBackend,
} from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { caseObjects, labAddresses, serviceCases } from "../compliance/serviceCases.ts";
import { serviceCompliance } from "../compliance/services.ts";
import { flip } from "../support/serviceFlips.ts";
import { ask, ServicesLab, traffic } from "./servicesLab.ts";

/** Skips, with the reason for the counts at the end of a run, where neither this machine nor its tools have iptables. */
function ifIptables(): { readonly skip?: true; readonly meta?: { readonly skipReason: string } } {
  try {
    openIptables();
    return {};
  } catch (error) {
    return { skip: true, meta: { skipReason: (error as Error).message } };
  }
}

const backend = (lab: ServicesLab, settings: Partial<IptablesSettings> = {}): ServiceBackend => {
  const iptables = openIptables({ netns: lab.node });
  return iptablesBackend({ ...traffic, nodePortsEverywhere: true, syncPeriodMs: 50, ...settings, iptables });
};

/** Packets that go their way come to a machine that does not forward them. */
const otherPort = {
  reason: "only rules of table nat take packets to a ClusterIP: others go their way, as with kube-proxy",
  instead: "silence",
} as const;
const noFirewall = {
  reason: "without endpoints kube-proxy's chains refuse everybody, before source ranges are asked",
  instead: "refused",
} as const;
const notFromNode = {
  reason: "kube-proxy's chains refuse external addresses to what comes in or passes, not to the node itself",
  instead: "silence",
} as const;

/** Chains, rules and nothing that counts or tells the time. */
const content = (saved: string) => saved.split("\n").filter((line) => /^(-A|:KUBE|:MINE)/.test(line));

describe("iptables", ifIptables(), () => {
  serviceCompliance({
    mode: "iptables",
    make: backend,
    exceptions: {
      "ClusterIP, a port that it does not have: pod1, TCP": otherPort,
      "ClusterIP, a port that it does not have: pod1, UDP": otherPort,
      "ClusterIP, a port that it does not have: node, TCP": otherPort,
      "ClusterIP, a port that it does not have: outside, TCP": otherPort,
      "ClusterIP, a port that it does not have: outside, UDP": otherPort,
      "LoadBalancer limited to outside, no endpoints: pod1, TCP": noFirewall,
      "LoadBalancer limited to outside, no endpoints: pod1, UDP": noFirewall,
      "ExternalIP, no endpoints: node, TCP": notFromNode,
      "LoadBalancer, no endpoints: node, TCP": notFromNode,
    },
  });

  describe("V04 Services on chains of iptables", () => {
    let lab: ServicesLab;
    let iptables: Iptables;
    const ports = [{ name: "8080-8080", port: 8080, protocol: "TCP" as const, nodePort: 30080 }];
    const made = service("nginx", { clusterIP: "10.105.131.148", type: "NodePort", ports });
    const nginx = { ...made, metadata: { ...made.metadata, namespace: "default" } } as Service;
    const found = slice("nginx", ["10.244.1.3"], [{ name: "8080-8080", port: 8080, protocol: "TCP" }]);
    const endpoints = { ...found, metadata: { ...found.metadata, namespace: "default" } };
    const onNode = (...command: [string, ...string[]]) =>
      inNetns(lab.node, () => execFileSync(command[0], command.slice(1), { encoding: "utf8", timeout: 60_000 }));

    beforeEach(async () => {
      lab = await ServicesLab.start();
      iptables = openIptables({ netns: lab.node });
      await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
      lab.put(nginx, endpoints);
    });
    afterEach(() => lab.close());

    it("V05 iptables -L -t nat | grep nginx shows what note 4 shows", async () => {
      await lab.startProxy(backend(lab));
      // Without -n it asks for names, and nobody here would answer: let it hear so at once.
      onNode("iptables", "-A", "OUTPUT", "-p", "udp", "--dport", "53", "-j", "REJECT");
      const lines = onNode("iptables", "-L", "-t", "nat")
        .split("\n")
        .filter((line) => line.includes("nginx"))
        .map((line) => line.replaceAll(/ +/g, " ").trim());
      expect(lines).toEqual(
        expect.arrayContaining([
          expect.stringMatching(
            /^KUBE-SVC-3ZVO6MMCRQUXYOC5 (tcp|6) -- anywhere 10\.105\.131\.148 \/\* default\/nginx:8080-8080 cluster IP \*\/ tcp dpt:(http-alt|8080)$/,
          ),
          expect.stringMatching(
            /^KUBE-MARK-MASQ (tcp|6) -- !10\.244\.0\.0\/16 10\.105\.131\.148 \/\* default\/nginx:8080-8080 cluster IP \*\/ tcp dpt:(http-alt|8080)$/,
          ),
          expect.stringMatching(
            /^KUBE-SEP-[A-Z2-7]{16} (all|0) -- anywhere anywhere \/\* default\/nginx:8080-8080 -> 10\.244\.1\.3:8080 \*\/$/,
          ),
          expect.stringMatching(
            /^KUBE-MARK-MASQ (all|0) -- 10\.244\.1\.3 anywhere \/\* default\/nginx:8080-8080 \*\/$/,
          ),
          expect.stringMatching(/^DNAT (tcp|6) -- anywhere anywhere \/\* default\/nginx:8080-8080 \*\/ tcp /),
        ]),
      );
    });

    it("V06 NodePorts at 127.0.0.1, as localhostNodePorts says", async () => {
      const proxy = await lab.startProxy(backend(lab));
      expect(await ask(lab.node, "127.0.0.1", 30080)).toMatch(/^pod2/);
      await proxy.stop();
      await lab.startProxy(backend(lab, { localhostNodePorts: false }));
      expect(await ask(lab.node, "127.0.0.1", 30080)).toBe("ECONNREFUSED");
      expect(await ask(lab.node, "192.168.1.11", 30080)).toMatch(/^pod2/);
    });

    it("SCTP ports, source ranges and affinity load in both families", async () => {
      const sctp = [{ name: "sctp", port: 132, protocol: "SCTP" as const }];
      lab.put(
        service("sctp", { clusterIP: "fd00:10:96::9", ports: sctp, sessionAffinity: "ClientIP" }),
        slice("sctp", ["fd00:10:244:1::2", "fd00:10:244:1::3"], sctp),
      );
      await lab.startProxy(backend(lab));
      expect(await iptables.save(6)).toContain("-j DNAT --to-destination [fd00:10:244:1::3]:132");
    });

    it("a process without memory writes nothing that is there, and of what somebody changed that chain", async () => {
      for (const a of labAddresses)
        for (const [index, one] of serviceCases.entries()) lab.put(...caseObjects(one, index + 1, a));
      const sctp = [{ name: "sctp", port: 132, protocol: "SCTP" as const }];
      lab.put(
        service("sticky", { clusterIP: "10.96.9.1", ports: sctp, sessionAffinity: "ClientIP" }),
        slice("sticky", ["10.244.1.2", "10.244.1.3", "10.244.1.4"], sctp),
        service("open", { clusterIP: "10.96.9.2", type: "LoadBalancer", loadBalancerSourceRanges: ["0.0.0.0/0"] }),
        slice("open", ["10.244.1.2"]),
      );
      await (await lab.startProxy(backend(lab))).stop();
      const before = content(await iptables.save(4));
      const written: string[] = [];
      const recording: Iptables = {
        ...iptables,
        restore: (family, text) => {
          written.push(text);
          return iptables.restore(family, text);
        },
      };
      const start = () =>
        lab.startProxy(iptablesBackend({ ...traffic, nodePortsEverywhere: true, iptables: recording }));
      await (await start()).stop();
      expect(written).toEqual([]);
      onNode("iptables", "-t", "nat", "-A", "KUBE-SVC-3ZVO6MMCRQUXYOC5", "-j", "RETURN");
      onNode("iptables", "-t", "nat", "-D", "POSTROUTING", "1");
      await (await start()).stop();
      expect(written).toHaveLength(1);
      expect(written[0]?.match(/^[*:-][AI]?[^\s]*( \S+)?/gm)).toEqual([
        "*nat",
        ":KUBE-SVC-3ZVO6MMCRQUXYOC5 -",
        expect.stringContaining("-I POSTROUTING"),
        "-A KUBE-SVC-3ZVO6MMCRQUXYOC5",
        "-A KUBE-SVC-3ZVO6MMCRQUXYOC5",
      ]);
      expect(content(await iptables.save(4))).toEqual(before);
    });

    it("somebody flushes a table: it is noticed and put right", async () => {
      await lab.startProxy(backend(lab));
      const before = content(await iptables.save(4)).sort();
      for (const args of ["-F", "-X"]) onNode("iptables", "-t", "nat", args);
      await expect.poll(async () => content(await iptables.save(4)).sort()).toEqual(before);
      expect(await ask(lab.pod1, "10.105.131.148", 8080)).toBe("pod2 10.244.1.2");
    });

    it("V06 a rule that somebody removed by hand comes back by the clock alone (iptables-sync-period)", async () => {
      // The backend's own look at the canaries is for flushed tables, and far away.
      await lab.startProxy(backend(lab, { syncPeriodMs: 3_600_000 }), { syncPeriodMs: 200 });
      const before = content(await iptables.save(4));
      onNode("iptables", "-t", "nat", "-D", "KUBE-SVC-3ZVO6MMCRQUXYOC5", "1");
      expect(content(await iptables.save(4))).not.toEqual(before);
      await expect.poll(async () => content(await iptables.save(4)), { timeout: 30_000 }).toEqual(before);
    });

    it("V06 between two changes of the rules is iptables-min-sync-period", async () => {
      const writtenAt: number[] = [];
      const recording: Iptables = {
        ...iptables,
        restore: (family, text) => {
          writtenAt.push(performance.now());
          return iptables.restore(family, text);
        },
      };
      const recorded = iptablesBackend({ ...traffic, nodePortsEverywhere: true, iptables: recording });
      const proxy = await lab.startProxy(recorded, { minSyncPeriodMs: 500 });
      for (const n of [1, 2]) {
        writtenAt.length = 0;
        lab.put(service(`first-${n}`, { clusterIP: `10.96.9.${n}` }), slice(`first-${n}`, ["10.244.1.2"]));
        await expect.poll(() => writtenAt.length, { interval: 5, timeout: 30_000 }).toBe(1);
        lab.put(service(`second-${n}`, { clusterIP: `10.96.8.${n}` }), slice(`second-${n}`, ["10.244.1.2"]));
        await expect.poll(() => writtenAt.length, { interval: 5, timeout: 30_000 }).toBe(2);
        // The clocks of timers and of performance.now() differ by up to a millisecond.
        expect((writtenAt[1] ?? 0) - (writtenAt[0] ?? 0)).toBeGreaterThan(498);
        await proxy.settled();
      }
    });

    it("a new process removes chains of Services that went meanwhile; others' rules stay, by cleanup too", async () => {
      for (const rule of [
        ["-t", "nat", "-N", "MINE"],
        ["-t", "nat", "-A", "POSTROUTING", "-j", "MINE"],
        ["-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP"],
      ])
        onNode("iptables", ...rule);
      const others = content(await iptables.save(4));
      const proxy = await lab.startProxy(backend(lab));
      await proxy.stop();
      await lab.delete(nginx);
      await (await lab.startProxy(backend(lab))).stop();
      const after = await iptables.save(4);
      expect(after).not.toMatch(/nginx|KUBE-(SVC|SEP|EXT)-/);
      expect(content(after)).toEqual(expect.arrayContaining(others));
      await backend(lab).cleanup();
      expect(content(await iptables.save(4))).toEqual(others);
      expect(content(await iptables.save(6))).toEqual([]);
    });

    it("no flow is lost while endpoints change", async () => {
      const { lost, answered } = await flip({ endpoints: 2, flows: 1000, changes: 6, backend });
      expect(lost).toEqual([]);
      expect(answered).toBeGreaterThan(2);
    }, 60_000);
  });
});
