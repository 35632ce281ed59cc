import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveConfig } from "#lab/config/index.ts";
import { Lab } from "#lab/parent/index.ts";
import { clusterTopology, parseTopology } from "#lab/topology/index.ts";
import { installation } from "../support/installation.ts";

/** Three hosts in a row, as in the notes: A and C know no way to each other, B does not forward. */
const THREE_HOSTS = `
segments: [left, right]
machines:
  a: { interfaces: { eth0: { segment: left, address: 192.168.1.5/24 } } }
  b: { interfaces: { eth0: { segment: left, address: 192.168.1.6/24 }, eth1: { segment: right, address: 192.168.2.6/24 } } }
  c: { interfaces: { eth0: { segment: right, address: 192.168.2.5/24 } } }
`;

/** Runs shell scripts on a lab's machines with nothing of the tests' own environment, as `podwire exec` does. */
function shellOf(lab: Lab): (machine: string, script: string) => ReturnType<Lab["exec"]> {
  const shell = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c"];
  return (machine, script) => lab.exec(machine, [...shell, script]);
}

describe("three hosts in a row", () => {
  const lab = new Lab(installation());
  const sh = shellOf(lab);

  beforeAll(() => lab.start(parseTopology(THREE_HOSTS, "three-hosts.yaml")));
  afterAll(() => lab.stop());

  it("L01 interfaces, addresses and MACs with the real tools", async () => {
    expect((await sh("a", "ip link show eth0")).stdout).toMatch(/eth0@.* state UP .*link\/ether 02:50:/s);
    expect((await sh("a", "ifconfig eth0")).stdout).toContain("inet 192.168.1.5  netmask 255.255.255.0");
    expect((await sh("a", "ip addr add 192.168.1.99/24 dev eth0 && ip -4 -brief addr show eth0")).stdout).toContain(
      "192.168.1.99/24",
    );
    expect((await sh("b", "ping -c1 -W5 192.168.1.99")).code).toBe(0);
    await sh("a", "ip link set eth0 down");
    expect((await sh("b", "ping -c1 -W1 192.168.1.5")).code).not.toBe(0);
    await sh("a", "ip link set eth0 up");
    expect((await sh("b", "ping -c3 -W5 192.168.1.5")).code).toBe(0);
  });

  it("L03 no route, then routes without forwarding, then forwarding (part: the packets; the explainer names causes later)", async () => {
    const before = await sh("a", "ping -c1 -W1 192.168.2.5");
    expect(before.stdout + before.stderr).toContain("Network is unreachable");
    expect((await sh("a", "ip route add 192.168.2.0/24 via 192.168.1.6")).code).toBe(0);
    expect((await sh("c", "ip route add 192.168.1.0/24 via 192.168.2.6")).code).toBe(0);
    expect((await sh("b", "cat /proc/sys/net/ipv4/ip_forward")).stdout.trim()).toBe("0");
    expect((await sh("a", "ping -c1 -W1 192.168.2.5")).stdout).toContain("100% packet loss");
    await sh("b", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    expect((await sh("a", "ping -c1 -W5 192.168.2.5")).stdout).toContain("1 received");
  });

  it("L02 routes and a default route with the real tools (part: one gateway)", async () => {
    await sh("a", "ip route add default via 192.168.1.6");
    expect((await sh("a", "ip route show default")).stdout).toBe("default via 192.168.1.6 dev eth0 \n");
    expect((await sh("a", "route -n")).stdout).toMatch(/^0\.0\.0\.0\s+192\.168\.1\.6\s+0\.0\.0\.0\s+UG/m);
    const wrong = await sh("a", "ip route add 192.168.3.10/24 via 192.168.1.6");
    expect(wrong.stderr).toContain("Invalid prefix for given prefix length");
  });
});

describe("a cluster's machines", () => {
  const lab = new Lab(installation());
  const sh = shellOf(lab);

  beforeAll(() => lab.start(clusterTopology(resolveConfig({})), { resolver: ["192.168.1.1"] }));
  afterAll(() => lab.stop());

  it("K04 the node's interface has the alternative name ens3, carries its address and the default route (part: not docker0)", async () => {
    expect((await sh("node01", "ip link show ens3")).stdout).toMatch(/^2: eth0@.*altname ens3/s);
    expect((await sh("node01", "ip -4 -brief addr")).stdout).toContain("192.168.1.11/24");
    expect((await sh("node01", "ip route show default")).stdout).toContain("default via 192.168.1.1 dev eth0");
  });

  it("H02 real ARP: empty before, filled after a ping, gone after deletion (part: the cache; not packets, expiry)", async () => {
    expect((await sh("node01", "ip neigh show 192.168.1.12")).stdout).toBe("");
    await sh("node01", "ping -c1 -W5 192.168.1.12");
    expect((await sh("node01", "arp -n 192.168.1.12")).stdout).toMatch(/192\.168\.1\.12\s+ether\s+02:50:01:00:00:0c/);
    expect(
      (await sh("node01", "ip neigh del 192.168.1.12 dev eth0 && ip neigh show 192.168.1.12")).stdout,
    ).not.toContain("REACHABLE");
  });

  it("L08 each node shows its own processes and logs only (part: processes, sockets)", async () => {
    const { stdout } = await sh("node01", "hostname; ps -e -o comm=; netstat -nplt | grep -c LISTEN");
    const lines = stdout.trim().split("\n");
    expect(lines[0]).toBe("node01");
    expect(lines).toContain("tini");
    expect(lines).not.toContain("node");
    expect(lines.at(-1)).toBe("0");
  });

  it("C01 namespaces, a cable between them, ping, arp, deletion of one end, typed on a node (part: not the lesson)", async () => {
    const script = `set -e
      ip netns add red; ip netns add blue; ip netns
      ip link add veth-red type veth peer name veth-blue
      ip link set veth-red netns red; ip link set veth-blue netns blue
      ip -n red addr add 192.168.15.1/24 dev veth-red; ip -n blue addr add 192.168.15.2/24 dev veth-blue
      ip -n red link set veth-red up; ip -n blue link set veth-blue up
      ip netns exec red ping -c1 -W5 192.168.15.2
      ip netns exec red arp -n
      ip -n red link del veth-red
      ip -n blue link`;
    const { stdout, stderr, code } = await sh("node02", script);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/blue\nred\n|red\nblue\n/);
    expect(stdout).toContain("1 received");
    expect(stdout).toMatch(/192\.168\.15\.2\s+ether/);
    expect(stdout).not.toMatch(/veth-blue[^\n]*\n[^\n]*$/);
  });

  it("C02 a bridge with several namespaces, NAT to the LAN and beyond, a port forward, typed on a node", async () => {
    const cable = (name: string, address: string) => `
      ip netns add ${name}; ip link add veth-${name} type veth peer name veth-${name}-br
      ip link set veth-${name} netns ${name}; ip link set veth-${name}-br master v-net-0 up
      ip -n ${name} addr add ${address}/24 dev veth-${name}; ip -n ${name} link set veth-${name} up; ip -n ${name} link set lo up`;
    const bridge = `set -e; ip link add v-net-0 type bridge; ip link set dev v-net-0 up
      ${[1, 2, 3, 4].map((i) => cable(["red", "blue", "orange", "gray"][i - 1] as string, `192.168.15.${i}`)).join("")}
      ip -o link show master v-net-0`;
    const made = await sh("controlplane", bridge);
    expect({ code: made.code, stderr: made.stderr }).toEqual({ code: 0, stderr: "" });
    expect(made.stdout.match(/^\d+: veth-\w+-br@/gm)).toHaveLength(4);
    const from = (name: string, command: string) => sh("controlplane", `ip netns exec ${name} ${command}`);
    for (const i of [1, 2, 4])
      expect((await from("orange", `ping -c1 -W5 192.168.15.${i}`)).stdout).toContain("1 received");

    // The host is not on the network until the bridge has an address.
    expect((await sh("controlplane", "ping -c1 -W1 192.168.15.1")).stdout).not.toContain("1 received");
    await sh("controlplane", "ip addr add 192.168.15.5/24 dev v-net-0");
    expect((await sh("controlplane", "ping -c1 -W5 192.168.15.1")).stdout).toContain("1 received");

    // The LAN: no route, then a route but addresses that nobody there knows, then translated ones.
    const lan = "ping -c1 -W1 192.168.1.12";
    const none = await from("blue", lan);
    expect(none.stdout + none.stderr).toContain("Network is unreachable");
    await from("blue", "ip route add 192.168.1.0/24 via 192.168.15.5");
    await sh("controlplane", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    expect((await from("blue", lan)).stdout).toContain("100% packet loss");
    const nat = await sh("controlplane", "iptables -t nat -A POSTROUTING -s 192.168.15.0/24 -j MASQUERADE");
    expect(nat).toMatchObject({ code: 0, stderr: "" });
    expect((await from("blue", "ping -c1 -W5 192.168.1.12")).stdout).toContain("1 received");

    // Beyond the LAN: through the default route to the router, which says that there is nothing behind it.
    const before = await from("blue", "ping -c1 -W1 203.0.113.1");
    expect(before.stdout + before.stderr).toContain("Network is unreachable");
    await from("blue", "ip route add default via 192.168.15.5");
    expect((await from("blue", "ping -c1 -W5 203.0.113.1")).stdout).toMatch(/From 192\.168\.1\.1 .*Unreachable/);

    // From outside: nobody listens on the host itself, then its port 80 is blue's.
    const web = "timeout 5 sh -c 'echo served by blue | nc -l -p 80 -s 192.168.15.2' >/dev/null 2>&1 &";
    const fetch = () => sh("node02", "nc -w 2 192.168.1.10 80 </dev/null");
    expect((await fetch()).stdout).toBe("");
    const dnat = "iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 192.168.15.2:80";
    expect(await sh("controlplane", dnat)).toMatchObject({ code: 0, stderr: "" });
    await from("blue", web);
    expect((await fetch()).stdout).toBe("served by blue\n");
    expect((await sh("controlplane", "iptables -t nat -S PREROUTING")).stdout).toContain(
      "--dport 80 -j DNAT --to-destination 192.168.15.2:80",
    );
  });

  it("ping across nodes over a vxlan made by hand, pods' namespaces by hand (P06 part: by hand)", async () => {
    const node = (own: number, other: number) => `set -e
      ip link add flannel.1 type vxlan id 1 local 192.168.1.1${own} dev eth0 nolearning dstport 8472
      ip link set flannel.1 address 02:42:00:00:00:0${own} mtu 1450 up
      ip addr add 10.244.${own}.0/32 dev flannel.1
      ip neigh add 10.244.${other}.0 lladdr 02:42:00:00:00:0${other} dev flannel.1
      bridge fdb append 02:42:00:00:00:0${other} dev flannel.1 dst 192.168.1.1${other}
      ip route add 10.244.${other}.0/24 via 10.244.${other}.0 dev flannel.1 onlink
      ip link add cni0 type bridge; ip addr add 10.244.${own}.1/24 dev cni0; ip link set cni0 up
      ip netns add pod; ip link add v0 type veth peer name eth0 netns pod; ip link set v0 master cni0 up
      ip -n pod addr add 10.244.${own}.2/24 dev eth0; ip -n pod link set eth0 up; ip -n pod route add default via 10.244.${own}.1`;
    expect(await sh("node01", node(1, 2))).toMatchObject({ code: 0, stderr: "" });
    expect(await sh("node02", node(2, 1))).toMatchObject({ code: 0, stderr: "" });
    const ping = await sh("node01", "ip netns exec pod ping -c2 -W5 10.244.2.2");
    expect(ping.stdout).toContain("2 received");
  });

  it("names outside answer SERVFAIL and addresses unreachable, at once", async () => {
    const { stdout } = await sh(
      "node01",
      "dig +time=10 +tries=1 @192.168.1.1 example.com; ping -c1 -W10 203.0.113.1 2>&1",
    );
    expect(stdout).toContain("status: SERVFAIL");
    expect(stdout).toMatch(/From 192\.168\.1\.1 .*Unreachable/);
  });

  it("a machine cannot reach outside of itself: other machines' processes, the machine's files, sysctls, reboot", async () => {
    expect((await sh("node01", "ls /home; ls /root/.ssh /var/lib/dpkg 2>&1 | head -3")).stdout).not.toContain("id_");
    expect((await sh("node01", "echo 1 > /proc/sys/vm/drop_caches")).code).not.toBe(0);
    expect((await sh("node01", "echo x > /proc/sys/kernel/hostname && hostname")).stdout.trim()).toMatch(/^(x|)$/);
    expect((await sh("node01", "echo b > /proc/sysrq-trigger")).code).not.toBe(0);
    expect((await sh("node01", "mount -t tmpfs none /mnt && touch /mnt/x && ls /mnt")).stdout).toBe("x\n");
    expect((await sh("node01", "mount -o remount,rw /usr && touch /usr/x")).code).not.toBe(0);
  });
});
