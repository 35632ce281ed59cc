import { readdirSync, readlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BpfCall, bpfCall } from "#kernel/bpf/index.ts";
import { SysError } from "#kernel/ffi/index.ts";
import type { ServiceBackend } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { labAddresses } from "../compliance/serviceCases.ts";
import type { TestGroup } from "../support/testGroup.ts";
import { attached, commit, hooks, ifEbpf } from "./ebpfHarness.ts";
import { ask, askUdp, ServicesLab } from "./servicesLab.ts";

describe("any call of bpf(2) may fail: Services go on, and the next attempt does what is missing", ifEbpf(), () => {
  const [a] = labAddresses;
  if (!a) throw new Error("there are addresses");
  const vip = a.clusterIp(1);
  let lab: ServicesLab;
  beforeEach(async () => {
    lab = await ServicesLab.start(true);
    await lab.serveTcp(lab.pod1, a.pod1, 8080, "pod1");
    await lab.serveTcp(lab.pod2, a.pod2, 8080, "pod2");
  });
  afterEach(() => lab.close());
  let calls = 0;
  let failing = 0;
  const bpf: BpfCall = (command, attributes) => {
    if (++calls === failing) throw new SysError("bpf", 12, `call ${calls}`);
    return bpfCall(command, attributes);
  };
  const run = async (endpoints: string[], failAt: number, backend = lab.ebpf(undefined, { bpf })) => {
    calls = 0;
    failing = failAt;
    await commit(backend, vip, endpoints);
    return backend;
  };
  const end = async (backend: ServiceBackend, isClean: boolean) => {
    await backend.close();
    if (isClean) await lab.ebpf().cleanup();
  };

  it.each([
    ["of a first start", true],
    ["of a restart", false],
  ])(
    "%s",
    async (_, isFirst) => {
      await end(await run([a.pod1], 0), isFirst);
      const counted = await run([a.pod1], 0);
      const total = calls;
      calls = 0;
      await counted.readBack();
      const reading = calls;
      await end(counted, isFirst);
      expect(total).toBeGreaterThan(hooks.length * 3);
      for (let n = 1; n <= total; n++) {
        const backend = lab.ebpf(undefined, { bpf });
        await expect(run([a.pod1], n, backend), `call ${n}`).rejects.toThrow(/ENOMEM|the kernel/);
        // On a first start there is nothing before it is known what is there; then rules come before programs.
        if (!isFirst || n > reading) expect(await ask(lab.pod2, vip, 80)).toMatch(/^pod1 /);
        await run([a.pod2], 0, backend);
        expect(await ask(lab.pod1, vip, 80)).toBe(`pod2 ${a.pod1}`);
        expect(attached((lab.node.group as TestGroup).folder)).toHaveLength(hooks.length);
        await end(backend, isFirst);
        if (!isFirst) await end(await run([a.pod1], 0), false);
      }
      expect(openObjects()).toEqual([]);
    },
    60_000,
  );
});

describe("V04 ClientIP affinity at sockets (part: its end)", ifEbpf(), () => {
  it("after its time a pod is balanced anew", { timeout: 60_000 }, async () => {
    const lab = await ServicesLab.start(true);
    try {
      await lab.serveTcp(lab.pod1, "10.244.1.2", 8080, "pod1");
      await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
      const sessionAffinityConfig = { clientIP: { timeoutSeconds: 1 } };
      const spec = { clusterIP: "10.96.0.1", sessionAffinity: "ClientIP" as const, sessionAffinityConfig };
      lab.put(service("web", spec), slice("web", ["10.244.1.2", "10.244.1.3"]));
      await lab.startProxy(lab.ebpf());
      const who = async () => (await ask(lab.pod1, "10.96.0.1", 80)).split(" ")[0];
      const answers = new Set([await who()]);
      // The same one each time has a probability of one in a million.
      for (let n = 0; n < 20 && answers.size === 1; n++) {
        await new Promise((done) => setTimeout(done, 1100));
        answers.add(await who());
      }
      expect(answers.size).toBe(2);
    } finally {
      await lab.close();
    }
  });
});

/** Flows of the test of changing endpoints, and how many there are at a time. */
const [FLOWS, WINDOW] = [6_000, 16];

describe("V04 no flow of a pod is lost while endpoints change (part: ebpf)", ifEbpf(), () => {
  it.each([1, 2, 10])("%i endpoints", { timeout: 1_800_000 }, async (count) => {
    const lab = await ServicesLab.start(true);
    try {
      const vip = "10.96.0.1";
      const ports = Array.from({ length: count * 2 }, (_, n) => 9000 + n);
      for (const port of ports) {
        await lab.serveTcp(lab.pod2, "10.244.1.3", port, "pod2");
        await lab.serveUdp(lab.pod2, "10.244.1.3", port, "pod2");
      }
      const protocols = ["TCP", "UDP"] as const;
      lab.put(
        service("ring", {
          clusterIP: vip,
          ports: protocols.map((protocol) => ({ name: protocol, port: 80, protocol })),
        }),
      );
      // A slice for each server, for each has a port of its own; half of them are ready, and those that were still serve.
      const put = (turn: number) =>
        lab.put(
          ...ports.map((port, n) => {
            const ready = (n + turn) % ports.length < count;
            const endpoint = { address: "10.244.1.3", conditions: { ready, serving: true, terminating: !ready } };
            const made = slice(
              "ring",
              [endpoint],
              protocols.map((protocol) => ({ name: protocol, port, protocol })),
            );
            return { ...made, metadata: { ...made.metadata, name: `ring-${n}` } };
          }),
        );
      put(0);
      let proxy = await lab.startProxy(lab.ebpf());
      let [sent, changes] = [0, 0];
      const lost: string[] = [];
      const client = async () => {
        while (sent < FLOWS) {
          const send = sent++ % 2 ? ask : askUdp;
          const answer = await send(lab.pod1, vip, 80, 10_000);
          if (!answer.startsWith("pod2 ")) lost.push(answer);
        }
      };
      const changing = (async () => {
        while (sent < FLOWS) {
          put(++changes);
          await proxy.settled();
          if (changes === 20) {
            await proxy.stop();
            proxy = await lab.startProxy(lab.ebpf(lab.openNft()));
          }
          await new Promise(setImmediate);
        }
      })();
      await Promise.all([changing, ...Array.from({ length: WINDOW }, client)]);
      expect(lost).toEqual([]);
      expect(changes).toBeGreaterThan(100);
    } finally {
      await lab.close();
    }
  });
});

/** What this process holds of bpf(2). */
function openObjects(): string[] {
  const links = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The folder's own.
      return [];
    }
  });
  return links.filter((link) => /bpf/.test(link));
}
