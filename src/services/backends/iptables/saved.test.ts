import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "#base/ip.ts";
import { parseSaved, udpAddresses } from "./saved.ts";

// As iptables-save 1.8.9 prints what kube-proxy writes.
const saved = `*nat
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
-A KUBE-NODEPORTS -p udp -m comment --comment "shop/dns:dns" -m udp --dport 30053 -j KUBE-EXT-A
-A KUBE-NODEPORTS -p tcp -m comment --comment "shop/web:http" -m tcp --dport 30080 -j KUBE-EXT-B
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "shop/dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-A
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "shop/dns:tcp cluster IP" -m tcp --dport 53 -j KUBE-SVC-B
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
`;

describe("V04 what chains of a former process served (part: iptables, UDP)", () => {
  it("addresses of Services, and NodePorts at the node's addresses", () => {
    const found = udpAddresses(parseSaved(saved), [parseIp("192.168.1.11")]);
    expect(found.map(({ ip, port, protocol }) => `${formatIp(ip)}:${port}/${protocol}`)).toEqual([
      "10.96.0.10:53/17",
      "192.168.1.11:30053/17",
    ]);
  });
});
