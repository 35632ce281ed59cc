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
    const hostPorts = new HostPorts(() => nft);
    const held = async () => {
      const state = await nft.readTable({ family: "ip", name: "podwire-hostports" });
      return [...(state?.sets ?? [])].flatMap((set) =>
        (state?.elements.get(set.name) ?? []).map((e) => `${set.name} ${elementText(set, e)}`),
      );
    };
    await hostPorts.add(pod, "s1", IPS);
    await hostPorts.add(pod, "s1", IPS);
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
});
