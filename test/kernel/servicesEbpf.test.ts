import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assemble, attachProgram, bpfCall, exit, loadProgram, mov, openProgram } from "#kernel/bpf/index.ts";
import { connectTcp, inNetns, udpSocket } from "#kernel/namespaces/index.ts";
import { openNftables } from "#kernel/nft/index.ts";
import { EBPF_TABLE, ebpfBackend, hasEbpfPrograms, nftablesBackend } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { labAddresses } from "../compliance/serviceCases.ts";
import { serviceCompliance } from "../compliance/services.ts";
import { TestGroup } from "../support/testGroup.ts";
import { attached, commit, ebpfHarness, hooks, ifEbpf } from "./ebpfHarness.ts";
import { ask, askUdp, type Place, ServicesLab, traffic } from "./servicesLab.ts";

/** A UDP socket that is connected to nobody, as a resolver's: sends, and says who answered from where. */
async function talker(place: Place, address: string) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const make = () => udpSocket(place, address, 0);
  const fd = place.group ? place.group.within(make) : make();
  await new Promise<void>((done) => socket.bind({ fd }, done));
  const say = async (to: string, port: number): Promise<string> => {
    const answer = once(socket, "message", { signal: AbortSignal.timeout(10_000) });
    socket.send("hello", port, to);
    const [data, from] = (await answer) as [Buffer, RemoteInfo];
    return `${data.toString().split(" ")[0]} as ${from.address} ${from.port}`;
  };
  return { say, close: () => socket.close() };
}

describe("ebpf", ifEbpf(), () => {
  serviceCompliance(ebpfHarness);

  describe.each(labAddresses)("V04 Services translated at sockets (part: what is its own), $family", (a) => {
    let lab: ServicesLab;
    const vip = a.clusterIp(1);
    const web = service("web", { clusterIP: vip });
    const udp = [{ name: "dns", port: 53, protocol: "UDP" as const }];
    const targets = [{ name: "dns", port: 8080, protocol: "UDP" as const }];
    const dns = service("dns", { clusterIP: a.clusterIp(2), ports: udp, externalIPs: [a.external(2)] });
    const who = async (place: Place, address = vip) => (await ask(place, address, 80)).split(" ")[0] ?? "";

    beforeEach(async () => {
      lab = await ServicesLab.start(true);
      for (const [place, address, name] of [
        [lab.pod1, a.pod1, "pod1"],
        [lab.pod2, a.pod2, "pod2"],
      ] as const) {
        await lab.serveTcp(place, address, 8080, name);
        await lab.serveUdp(place, address, 8080, name);
      }
    });
    afterEach(() => lab.close());

    it("pods and the node need no rules; the peer of their socket is the Service; outside needs them", async () => {
      const more = { type: "NodePort" as const, ports: [{ name: "http", port: 80, nodePort: 30080 }] };
      lab.put(service("web", { clusterIP: vip, externalIPs: [a.external(1)], ...more }), slice("web", [a.pod2]));
      await (await lab.startProxy(lab.ebpf())).stop();
      await nftablesBackend({ ...traffic, nft: lab.nft, tableName: EBPF_TABLE }).cleanup();
      for (const [address, port] of [
        [vip, 80],
        [a.external(1), 80],
        [a.node, 30080],
      ] as const) {
        expect(await ask(lab.pod1, address, port)).toBe(`pod2 ${a.pod1}`);
        expect(await ask(lab.node, address, port)).toMatch(new RegExp(`^pod2 (${a.node}|${a.gateway})$`));
      }
      // IPv4 by a socket of both families, as Java's are.
      if (a.family === "IPv4") expect(await ask(lab.pod1, `::ffff:${vip}`, 80)).toBe(`pod2 ${a.pod1}`);
      // A pod that reaches itself keeps its address.
      expect(await ask(lab.pod2, vip, 80)).toBe(`pod2 ${a.pod2}`);
      expect(await ask(lab.outside, vip, 80, 300)).not.toMatch(/^pod/);
      const socket = (lab.pod1.group as TestGroup).within(() => connectTcp(lab.pod1, vip, 80));
      await once(socket, "data", { signal: AbortSignal.timeout(10_000) });
      expect([socket.remoteAddress, socket.remotePort]).toEqual([vip, 80]);
      socket.destroy();
    });

    it("connections of a pod are spread, and follow endpoints; without any they are refused", async () => {
      lab.put(web, slice("web", [a.pod1, a.pod2]));
      const proxy = await lab.startProxy(lab.ebpf());
      const answers: string[] = [];
      for (let n = 0; n < 60; n++) answers.push(await who(lab.pod1));
      // Fewer than 12 of 60 for one of them has a probability of less than one in a million.
      for (const name of ["pod1", "pod2"]) expect(answers.filter((one) => one === name).length).toBeGreaterThan(11);
      lab.put(slice("web", [a.pod2]));
      await expect.poll(() => proxy.frontends().get("shop/web")?.[0]?.choice.serving.length).toBe(1);
      await proxy.settled();
      for (let n = 0; n < 8; n++) expect(await who(lab.pod1)).toBe("pod2");
      lab.put(slice("web", [{ address: a.pod2, conditions: { ready: false } }]));
      await expect.poll(() => ask(lab.pod1, vip, 80)).toBe("ECONNREFUSED");
    });

    it("UDP that is not connected: one endpoint for a flow, answers come from the Service", async () => {
      const both = slice("dns", [a.pod1, a.pod2], targets);
      lab.put(dns, both);
      const proxy = await lab.startProxy(lab.ebpf());
      const settled = async (count: number) => {
        const action = () => proxy.frontends().get("shop/dns")?.[0]?.action;
        await expect.poll(action).toMatchObject({ targets: { length: count } });
        await proxy.settled();
      };
      const socket = await talker(lab.node, a.gateway);
      const first = await socket.say(a.clusterIp(2), 53);
      expect(first).toMatch(new RegExp(`^pod[12] as ${a.clusterIp(2)} 53$`));
      for (let n = 0; n < 12; n++) expect(await socket.say(a.clusterIp(2), 53)).toBe(first);
      expect(await socket.say(a.external(2), 53)).toMatch(new RegExp(`^pod[12] as ${a.external(2)} 53$`));
      const name = first.slice(0, 4) as "pod1" | "pod2";
      const rest = name === "pod1" ? "pod2" : "pod1";
      // Another one is ready, and this one still serves: the flow stays.
      const leaving = { address: a[name], conditions: { ready: false, serving: true, terminating: true } };
      lab.put(slice("dns", [leaving, a[rest]], targets));
      await settled(1);
      expect(await socket.say(a.clusterIp(2), 53)).toBe(first);
      lab.put(slice("dns", [a[rest]], targets));
      await expect.poll(() => proxy.frontends().get("shop/dns")?.[0]?.choice.serving.length).toBe(1);
      await proxy.settled();
      expect(await socket.say(a.clusterIp(2), 53)).toBe(`${rest} as ${a.clusterIp(2)} 53`);
      // What is sent to a pod itself comes back from that.
      expect(await socket.say(a[rest], 8080)).toBe(`${rest} as ${a[rest]} 8080`);
      expect(await askUdp(lab.pod1, a.clusterIp(2), 53)).toMatch(new RegExp(`^${rest} `));
      socket.close();
    });

    it("UDP that is connected ends with its endpoint, and no other does; what connects anew finds another", async () => {
      const both = slice("dns", [a.pod1, a.pod2], targets);
      lab.put(dns, both);
      const proxy = await lab.startProxy(lab.ebpf());
      const group = lab.node.group as TestGroup;
      const bound = a.family === "IPv4" ? "0.0.0.0" : "::";
      const connected = async () => {
        const socket = createSocket(a.family === "IPv4" ? "udp4" : "udp6");
        await new Promise<void>((done) => socket.bind({ fd: group.within(() => udpSocket(lab.node, bound, 0)) }, done));
        await new Promise<void>((done) => socket.connect(53, a.clusterIp(2), done));
        socket.send("who");
        const [data] = (await once(socket, "message", { signal: AbortSignal.timeout(10_000) })) as [Buffer];
        return { socket, server: data.toString().split(" ")[0] as "pod1" | "pod2" };
      };
      const sockets = await Promise.all(Array.from({ length: 12 }, connected));
      const gone = sockets[0]?.server ?? "pod1";
      const rest = gone === "pod1" ? "pod2" : "pod1";
      const errors = new Map(sockets.map(({ socket }) => [socket, [] as string[]]));
      for (const { socket } of sockets)
        socket.on("error", (error: NodeJS.ErrnoException) => errors.get(socket)?.push(error.code ?? error.message));
      lab.put(slice("dns", [a[rest]], targets));
      await expect.poll(() => proxy.frontends().get("shop/dns")?.[0]?.choice.serving.length).toBe(1);
      await proxy.settled();
      for (const { socket, server } of sockets)
        await expect.poll(() => errors.get(socket)).toEqual(server === gone ? ["ECONNABORTED"] : []);
      const again = await connected();
      expect(again.server).toBe(rest);
      for (const { socket } of [...sockets, again]) socket.close();
    });

    it("ClientIP affinity keeps a pod with its endpoint, until that is gone", async () => {
      lab.put(service("web", { clusterIP: vip, sessionAffinity: "ClientIP" }), slice("web", [a.pod1, a.pod2]));
      const proxy = await lab.startProxy(lab.ebpf());
      const answers = new Set<string>();
      for (let n = 0; n < 12; n++) answers.add(await who(lab.pod1));
      expect(answers.size).toBe(1);
      const rest = answers.has("pod1") ? "pod2" : "pod1";
      const action = () => proxy.frontends().get("shop/web")?.[0]?.action;
      lab.put(slice("web", [a[rest]]));
      await expect.poll(action).toMatchObject({ targets: { length: 1 } });
      await proxy.settled();
      expect(await who(lab.pod1)).toBe(rest);
      lab.put(slice("web", [a.pod1, a.pod2]));
      await expect.poll(action).toMatchObject({ targets: { length: 2 } });
      await proxy.settled();
      for (let n = 0; n < 12; n++) expect(await who(lab.pod1)).toBe(rest);
    });

    it("a connection goes on without the proxy and after its restart, which takes over what is there", async () => {
      await lab.serveEcho(lab.pod2, a.pod2, 8081);
      lab.put(web, slice("web", [a.pod2], [{ name: "http", port: 8081 }]));
      const group = lab.pod1.group as TestGroup;
      const first = await lab.startProxy(lab.ebpf());
      const before = attached(group.folder);
      const socket = group.within(() => connectTcp(lab.pod1, vip, 80));
      const echo = async (text: string) => {
        socket.write(text);
        const [data] = (await once(socket, "data", { signal: AbortSignal.timeout(10_000) })) as [Buffer];
        return data.toString();
      };
      expect(await echo("one")).toBe("one");
      await first.stop();
      expect(await echo("two")).toBe("two");
      lab.put(slice("web", [a.pod2]));
      await lab.startProxy(lab.ebpf(lab.openNft()));
      expect(await echo("three")).toBe("three");
      expect(await ask(lab.pod1, vip, 80)).toBe(`pod2 ${a.pod1}`);
      const after = attached(group.folder);
      expect([before.length, after.length]).toEqual([hooks.length, hooks.length]);
      expect(after.filter((id) => before.includes(id))).toEqual([]);
      socket.destroy();
    });
  });

  describe("V04 the programs of a node (part: beside others, and what is left)", () => {
    let lab: ServicesLab;
    const [a] = labAddresses;
    if (!a) throw new Error("there are addresses");
    const vip = a.clusterIp(1);

    beforeEach(async () => {
      lab = await ServicesLab.start(true);
      await lab.serveTcp(lab.pod1, a.pod1, 8080, "pod1");
      await lab.serveTcp(lab.pod2, a.pod2, 8080, "pod2");
    });
    afterEach(() => lab.close());

    it("each node's view counts for its own sockets: two on one kernel", async () => {
      const other = new TestGroup();
      const nft = inNetns(lab.outside, () => openNftables());
      const [here, there] = [lab.ebpf(), ebpfBackend({ ...traffic, nodeName: "node02", nft, group: other.folder })];
      await commit(here, vip, [a.pod1]);
      await commit(there, vip, [a.pod2]);
      for (let n = 0; n < 6; n++) expect(await ask(lab.pod1, vip, 80)).toMatch(/^pod1 /);
      // A pod of the other node, as far as its control group says.
      lab.pod1.group = other;
      for (let n = 0; n < 6; n++) expect(await ask(lab.pod1, vip, 80)).toMatch(/^pod2 /);
      await Promise.all([here.close(), there.close()]);
      nft.close();
      other.close();
    });

    it("cleanup takes off its own programs and tables; others' stay", async () => {
      const group = lab.node.group as TestGroup;
      const code = assemble([mov(0, 1), exit()], {});
      const mine = loadProgram(bpfCall, { name: "mine", hook: "connect4", code });
      const fd = openSync(group.folder, "r");
      attachProgram(bpfCall, fd, "connect4", mine);
      closeSync(fd);
      const [other] = attached(group.folder);
      const backend = lab.ebpf();
      await commit(backend, vip, [a.pod1]);
      await backend.close();
      const tables = async () => (await lab.nft.listTables()).map(({ name }) => name);
      expect([await tables(), attached(group.folder).length]).toEqual([[EBPF_TABLE, EBPF_TABLE], hooks.length + 1]);
      await lab.ebpf().cleanup();
      expect([await tables(), attached(group.folder)]).toEqual([[], [other]]);
      expect(hasEbpfPrograms(() => group.folder)).toBe(false);
      mine.close();
    });

    it("what somebody takes off or changes is put right", async () => {
      const group = lab.node.group as TestGroup;
      const backend = lab.ebpf();
      await commit(backend, vip, [a.pod1]);
      await lab.ebpf().cleanup();
      await backend.readBack();
      await backend.commit();
      expect(attached(group.folder)).toHaveLength(hooks.length);
      expect(await ask(lab.pod2, vip, 80)).toBe(`pod1 ${a.pod2}`);
      await backend.close();
    });

    it("nothing is left in the kernel when the group is gone, though nobody cleaned up", async () => {
      // Without sockets, which hold a group for as long as they live.
      const group = new TestGroup();
      const backend = ebpfBackend({ ...traffic, nft: lab.nft, group: group.folder });
      await commit(backend, vip, [a.pod1]);
      await backend.close();
      const ids = attached(group.folder);
      expect(ids).toHaveLength(hooks.length);
      group.close();
      const alive = () =>
        ids.filter((id) => {
          try {
            openProgram(bpfCall, id).close();
            return true;
          } catch {
            return false;
          }
        });
      await expect.poll(alive).toEqual([]);
    });
  });
});
