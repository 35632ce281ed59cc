import { describe, expect, it } from "vitest";
import { formatIp } from "#base/ip.ts";
import { elementText, FakeNftables } from "#kernel/nft/index.ts";
import { testPod } from "../testing.ts";
import { HostPorts, hostPortsOf } from "./hostPorts.ts";

const ports = [
  { containerPort: 80, hostPort: 8080 },
  { containerPort: 53, hostPort: 5353, protocol: "UDP" as const, hostIP: "192.168.1.11" },
  { containerPort: 9090 },
];
const pod = testPod({ containers: [{ name: "c", ports }] });
const IPS = ["10.244.1.2", "fd00::2"];

describe("hostPort", () => {
  it("leads from the node, or from one address of it, to the pod's addresses of that family", () => {
    const shown = hostPortsOf(pod, IPS).map(
      ({ protocol, address, port, to }) =>
        `${protocol} ${address ? formatIp(address) : "*"}:${port} ${formatIp(to.address)} ${to.port}`,
    );
    expect(shown).toEqual(["TCP *:8080 10.244.1.2 80", "TCP *:8080 fd00::2 80", "UDP 192.168.1.11:5353 10.244.1.2 53"]);
    expect(hostPortsOf(testPod({ hostNetwork: true, containers: [{ name: "c", ports }] }), IPS)).toEqual([]);
  });

  it("comes and goes with the pod's network", async () => {
    const nft = new FakeNftables();
    const settings: string[] = [];
    const hostPorts = new HostPorts(
      () => nft,
      (name, value) => settings.push(`${name}=${value}`),
    );
    const held = async () => {
      const state = await nft.readTable({ family: "ip", name: "podwire-hostports" });
      return [...(state?.sets ?? [])].flatMap((set) =>
        (state?.elements.get(set.name) ?? []).map((e) => `${set.name} ${elementText(set, e)}`),
      );
    };
    expect(await hostPorts.add(testPod(), "s0", IPS)).toBeUndefined();
    expect(settings).toEqual([]);
    await hostPorts.add(pod, "s1", IPS);
    expect(await hostPorts.add(pod, "s1", IPS)).toBeUndefined();
    // As the portmap plugin, though for every interface; the rule in the chain raw keeps others out.
    expect(new Set(settings)).toEqual(new Set(["net.ipv4.conf.all.route_localnet=1"]));
    expect(await held()).toEqual([
      'everywhere tcp . 8080 comment "s1" : 10.244.1.2 . 80',
      'addressed 192.168.1.11 . udp . 5353 comment "s1" : 10.244.1.2 . 53',
      'hairpin 10.244.1.2 . 10.244.1.2 comment "s1"',
    ]);
    await hostPorts.remove("s2");
    expect(await held()).toHaveLength(3);
    await hostPorts.remove("s1");
    expect(await held()).toEqual([]);
  });

  it("says when it is not open at 127.0.0.1", async () => {
    const nft = new FakeNftables();
    const hostPorts = new HostPorts(
      () => nft,
      () => {
        throw new Error("EROFS: read-only file system");
      },
    );
    expect(await hostPorts.add(pod, "s1", IPS)).toBe(
      "hostPort is not open at 127.0.0.1 of the node: net.ipv4.conf.all.route_localnet: EROFS: read-only file system",
    );
  });
});
