import { describe, expect, it } from "vitest";
import { FakeNetwork, NetlinkError } from "#kernel/netlink/index.ts";
import type { JsonObject } from "../../config/json.ts";
import { CniError } from "../../errors.ts";
import type { Delegate, PluginCall, PluginDeps } from "../../plugin.ts";
import type { CniResult } from "../../result.ts";
import { bridgePlugin } from "./index.ts";

const config: JsonObject = {
  bridge: "cni0",
  isDefaultGateway: true,
  hairpinMode: true,
  mtu: 1450,
  ipam: { type: "host-local" },
};
const assigned: CniResult = {
  interfaces: [],
  ips: [{ address: "10.244.1.2/24", gateway: "10.244.1.1" }, { address: "fd00::2/64" }],
  routes: [],
  dns: {},
};

/** A node and a container in a fake network, with an IPAM that keeps count. */
class Bench {
  readonly network = new FakeNetwork();
  readonly node = this.network.newNamespace();
  readonly pod = this.network.newNamespace();
  readonly masqueraded: string[] = [];
  readonly sysctls: string[] = [];
  addresses = 0;
  masqueradeFails = false;
  ipam: CniResult = assigned;

  readonly #delegate: Delegate = async (command) => {
    if (command === "ADD") this.addresses++;
    if (command === "DEL") this.addresses = 0;
    return command === "ADD" ? this.ipam : undefined;
  };

  readonly deps: PluginDeps = {
    delegate: this.#delegate,
    openRtnetlink: (netns) => this.network.open(netns ?? this.node),
    openNetns: () => ({ fd: this.pod.fd, close: () => {} }),
    setSysctls: (settings) =>
      void this.sysctls.push(...Object.entries(settings).map(([name, value]) => `${name}=${value}`)),
    lock: async () => () => {},
    masquerade: {
      add: async (network, id, addresses) => {
        if (this.masqueradeFails) throw new Error("no nftables");
        this.masqueraded.push(`${network} ${id} ${addresses.join(",")}`);
      },
      remove: async () => void this.masqueraded.pop(),
    },
  };

  readonly plugin = bridgePlugin(this.deps);

  call(extra: JsonObject = {}, prevResult?: CniResult): PluginCall {
    return {
      containerId: "c1",
      netns: "/run/netns/c1",
      ifName: "eth0",
      args: {},
      path: [],
      networkName: "cbr0",
      cniVersion: "1.0.0",
      config: { type: "bridge", ...config, ...extra },
      ...(prevResult ? { prevResult } : {}),
    };
  }

  veths(): string[] {
    const names = this.network
      .open(this.node)
      .links()
      .map((link) => link.name);
    return names.filter((name) => name.startsWith("veth"));
  }
}

describe("N06 bridge (part: bridge plugin on a fake kernel)", () => {
  it("asks the kernel for what the reference plugin does", async () => {
    const bench = new Bench();
    const result = await bench.plugin.add(bench.call());
    const veth = bench.veths()[0] ?? "";
    const history = bench.network.history.map((line) =>
      line.replace(veth, "VETH").replace(/(address|lladdr) (\w\w:){5}\w\w/, "$1 MAC"),
    );
    expect(history).toEqual([
      "ip link add cni0 address MAC type bridge",
      "ip link set dev #2 up",
      `ip link add VETH mtu 1450 master #2 type veth peer name eth0 netns ${bench.pod.fd}`,
      "ip address add 10.244.1.1/24 dev #2",
      "ip address add fd00::1/64 dev #2",
      "ip link set dev #2 up",
      "ip address add 10.244.1.2/24 dev #2",
      "ip address add fd00::2/64 dev #2",
      "ip route add 0.0.0.0/0 via 10.244.1.1 dev #2 proto 3",
      "ip route add ::/0 via fd00::1 dev #2 proto 3",
      "bridge link set dev #3 hairpin on",
      "ip link set dev #3 up",
      "ip neigh replace 10.244.1.2 lladdr MAC dev #2 nud stale extern_learn",
      "ip neigh replace fd00::2 lladdr MAC dev #2 nud stale extern_learn",
      "ip neigh replace 10.244.1.1 lladdr MAC dev #2 nud stale extern_learn",
      "ip neigh replace fd00::1 lladdr MAC dev #2 nud stale extern_learn",
    ]);
    expect(result.interfaces.map((item) => item.name)).toEqual(["cni0", veth, "eth0"]);
    expect(result.interfaces[2]?.sandbox).toBe("/run/netns/c1");
    expect(result.ips.map((ip) => ip.interface)).toEqual([2, 2]);
    expect(bench.sysctls).toContain("net/ipv4/ip_forward=1");
    await bench.plugin.check(bench.call({}, result));
    await bench.plugin.del(bench.call());
    await bench.plugin.del(bench.call());
    expect(bench.veths()).toEqual([]);
    expect(bench.addresses).toBe(0);
  });

  it("leaves nothing behind when any one call to the kernel fails", async () => {
    const whole = new Bench();
    await whole.plugin.add(whole.call());
    const calls = whole.network.history.length;
    for (let n = 0; n < calls; n++) {
      const bench = new Bench();
      bench.network.failAt(n);
      await expect(bench.plugin.add(bench.call()), `call ${n}`).rejects.toThrow(NetlinkError);
      expect(bench.veths(), `call ${n}: ${bench.network.history[n]}`).toEqual([]);
      expect(bench.addresses, `call ${n}`).toBe(0);
      expect(
        bench.network
          .open(bench.pod)
          .links()
          .map((link) => link.name),
      ).toEqual(["lo"]);
      // And the next attempt works.
      await bench.plugin.add(bench.call());
      expect(bench.veths()).toHaveLength(1);
    }
  });

  it("tells node and container each other's MAC address, and the node forgets it with the container", async () => {
    const bench = new Bench();
    const [node, inside] = [bench.network.open(bench.node), bench.network.open(bench.pod)];
    const known = (rtnl: typeof node) => rtnl.neighbours().map(({ ip, mac }) => `${ip} ${mac}`);
    const first = await bench.plugin.add(bench.call());
    const mac = inside.link({ name: "eth0" })?.mac;
    const gateway = node.link({ name: "cni0" })?.mac;
    expect(known(node)).toEqual([`10.244.1.2 ${mac}`, `fd00::2 ${mac}`]);
    expect(known(inside)).toEqual([`10.244.1.1 ${gateway}`, `fd00::1 ${gateway}`]);
    await bench.plugin.del({ ...bench.call({}, first), netns: "" });
    expect(known(node)).toEqual([]);
    await bench.plugin.del({ ...bench.call({}, first), netns: "" });
    // The same address for another container, whose deletion was never heard of.
    await bench.plugin.del(bench.call());
    await bench.plugin.add(bench.call());
    await bench.plugin.del(bench.call());
    await bench.plugin.add(bench.call());
    expect(known(node)[0]).toBe(`10.244.1.2 ${inside.link({ name: "eth0" })?.mac}`);
    // Without a gateway on the bridge the node does not talk to the container.
    const plain = new Bench();
    await plain.plugin.add(plain.call({ isDefaultGateway: false, isGateway: false }));
    expect(known(plain.network.open(plain.node))).toEqual([]);
  });

  it("masquerades with ipMasq, and undoes all when that fails", async () => {
    const bench = new Bench();
    await bench.plugin.add(bench.call({ ipMasq: true }));
    expect(bench.masqueraded).toEqual(["cbr0 c1 10.244.1.2/24,fd00::2/64"]);
    await bench.plugin.del(bench.call({ ipMasq: true }));
    expect(bench.masqueraded).toEqual([]);
    bench.masqueradeFails = true;
    await expect(bench.plugin.add(bench.call({ ipMasq: true }))).rejects.toThrow("no nftables");
    expect(bench.veths()).toEqual([]);
    expect(bench.addresses).toBe(0);
  });

  it("shares a bridge between networks, but not a subnet between gateways", async () => {
    const bench = new Bench();
    await bench.plugin.add(bench.call());
    const other = bench.network.newNamespace();
    bench.ipam = { ...assigned, ips: [{ address: "10.244.1.9/24", gateway: "10.244.1.254" }] };
    const call = { ...bench.call(), netnsFd: other.fd };
    await expect(bench.plugin.add(call)).rejects.toThrow(
      '"cni0" already has an IP address different from 10.244.1.254/24',
    );
    expect(bench.veths()).toHaveLength(1);
    await bench.plugin.add({ ...bench.call({ forceAddress: true }), netnsFd: other.fd });
    const addresses = bench.network
      .open(bench.node)
      .addresses(2)
      .map(({ address }) => address);
    expect(addresses).toEqual(["fd00::1/64", "10.244.1.254/24"]);
  });

  it("keeps the DEL of a namespace that is gone harmless", async () => {
    const bench = new Bench();
    const gone = {
      ...bench.deps,
      openNetns: () => {
        throw Object.assign(new Error("ENOENT"), { code: "ENOENT" });
      },
    };
    await bridgePlugin(gone).del(bench.call());
    await bench.plugin.del({ ...bench.call(), netns: "" });
    await expect(bridgePlugin(gone).add(bench.call())).rejects.toThrow('failed to open netns "/run/netns/c1"');
  });

  it.each([
    [{ vlan: 7 }, '"vlan" is not supported'],
    [{ hairpinMode: true, promiscMode: true }, "cannot set hairpin mode and promiscuous mode at the same time"],
    [{ mtu: "1450" }, '"mtu" is "1450", wanted a whole number'],
    [{ isGateway: "yes" }, '"isGateway" is "yes", wanted true or false'],
    [{ bridge: "a-bridge-with-a-long-name" }, "longer than 15 characters"],
    [{ ipam: {}, ipMasq: "" }, '"ipMasq" is ""'],
  ])("refuses %j", async (extra, message) => {
    const bench = new Bench();
    const failure = await bench.plugin.add(bench.call(extra as JsonObject)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CniError);
    expect((failure as CniError).message).toContain(message);
    expect(bench.network.history).toEqual([]);
  });

  it("says what CHECK found missing", async () => {
    const bench = new Bench();
    const result = await bench.plugin.add(bench.call());
    const inside = bench.network.open(bench.pod);
    inside.apply([{ op: "delete-address", index: 2, address: "10.244.1.2/24" }]);
    await expect(bench.plugin.check(bench.call({}, result))).rejects.toThrow("address 10.244.1.2/24 is missing");
    inside.apply([{ op: "delete-link", index: 2 }]);
    await expect(bench.plugin.check(bench.call({}, result))).rejects.toThrow("interface not found");
  });
});
