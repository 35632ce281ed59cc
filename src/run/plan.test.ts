import { describe, expect, it } from "vitest";
import { parsePublish, type RunNetwork } from "./model.ts";
import { explainStep, type NodeState, planRemoval, planSteps } from "./plan.ts";
import { portRules, ruleCommand, sharedRules } from "./rules.ts";

const MAC = "02:42:71:01:5b:e4";
const fresh: NodeState = { forwards: false, iptables: { nat: "", filter: "" } };
const attachment = { veth: "veth1111111", peer: "veth2222222", address: "172.17.0.2" };
const bridge: RunNetwork = { mode: "bridge", netns: "b3165c10a92b", attachment, ports: [parsePublish("8080:80")] };

const typed = (network: RunNetwork, state: NodeState): string[] =>
  planSteps(network, state, MAC).flatMap(({ commands }) => commands.map((words) => words.join(" ")));

/** What iptables-save prints when a plan's rules are there. */
function saved(network: RunNetwork): NodeState["iptables"] {
  const rules = [...sharedRules(), ...(network.attachment ? portRules(network.attachment, network.ports) : [])];
  const text = (table: "nat" | "filter") =>
    [
      ":DOCKER - [0:0]",
      ...rules.filter((rule) => rule.table === table).map(({ chain, words }) => `-A ${chain} ${words.join(" ")}`),
    ].join("\n");
  return { nat: text("nat"), filter: text("filter") };
}

describe("C04 the eight steps", () => {
  it("come in the notes' order", () => {
    expect(planSteps(bridge, fresh, MAC).map(({ number, title }) => `${number} ${title}`)).toEqual([
      "1 create network namespace",
      "2 create bridge network/interface",
      "3 create veth pair (virtual cable)",
      "4 attach veth to namespace",
      "5 attach other veth to bridge",
      "6 assign IP addresses",
      "7 bring the interfaces up",
      "8 enable NAT: IP masquerade, and the published ports",
    ]);
  });

  it("are commands of ip, sysctl and iptables", () => {
    const commands = typed(bridge, fresh);
    expect(commands.slice(0, 14)).toEqual([
      "ip netns add b3165c10a92b",
      "ip netns exec b3165c10a92b sysctl -qw net.ipv4.ip_unprivileged_port_start=0",
      `ip link add docker0 address ${MAC} type bridge`,
      "ip link add veth1111111 type veth peer name veth2222222",
      "ip link set veth2222222 netns b3165c10a92b",
      "ip -n b3165c10a92b link set veth2222222 name eth0 address 02:42:ac:11:00:02",
      "ip link set veth1111111 master docker0",
      "ip addr add 172.17.0.1/16 brd 172.17.255.255 dev docker0",
      "ip -n b3165c10a92b addr add 172.17.0.2/16 brd 172.17.255.255 dev eth0",
      "ip link set docker0 up",
      "ip link set veth1111111 up",
      "ip -n b3165c10a92b link set lo up",
      "ip -n b3165c10a92b link set eth0 up",
      "ip -n b3165c10a92b route add default via 172.17.0.1",
    ]);
    // As Docker's documentation and its own iptables-save show them.
    for (const rule of [
      "-t nat -N DOCKER",
      "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
      "-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
      "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
      "-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
      "-t nat -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
      "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
    ])
      expect(commands).toContain(`iptables -w ${rule}`);
    expect(commands.filter((words) => words.startsWith("sysctl"))).toEqual(["sysctl -qw net.ipv4.ip_forward=1"]);
  });

  it("leave out what the node has already, and say so", () => {
    const there: NodeState = { bridge: { up: true, hasAddress: true }, forwards: true, iptables: saved(bridge) };
    const steps = planSteps(bridge, there, MAC);
    expect(steps.filter(({ commands }) => commands.length === 0).map(({ number }) => number)).toEqual([2, 8]);
    expect(explainStep(steps[1] ?? expect.fail())).toBe("# 2. create bridge network/interface: is there already\n");
    // A bridge that somebody took down, or that lost its address, is mended.
    const broken = typed(bridge, { ...there, bridge: { up: false, hasAddress: false } });
    expect(broken).toContain("ip link set docker0 up");
    expect(broken).toContain("ip addr add 172.17.0.1/16 brd 172.17.255.255 dev docker0");
  });

  it("make a loopback alone for none, and nothing for host", () => {
    expect(typed({ mode: "none", netns: "n", ports: [] }, fresh)).toEqual([
      "ip netns add n",
      "ip netns exec n sysctl -qw net.ipv4.ip_unprivileged_port_start=0",
      "ip -n n link set lo up",
    ]);
    expect(typed({ mode: "host", ports: [] }, fresh)).toEqual([]);
  });

  it("read as a script", () => {
    expect(
      explainStep({
        number: 5,
        title: "attach",
        commands: [
          ["ip", "link"],
          ["ip", "addr"],
        ],
      }),
    ).toBe("# 5. attach\nip link\nip addr\n");
  });
});

describe("C03 taking a container's network away (part: plan)", () => {
  it("deletes its own rules and its cable, nothing that others share", () => {
    expect(planRemoval(bridge, true, saved(bridge)).map((words) => words.join(" "))).toEqual([
      "iptables -w -t nat -D DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
      "iptables -w -D DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
      "iptables -w -t nat -D POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
      "ip link del veth1111111",
    ]);
    expect(planRemoval(bridge, false, fresh.iptables)).toEqual([]);
    expect(planRemoval({ mode: "host", ports: [] }, false, fresh.iptables)).toEqual([]);
  });

  it("publishes on one address where one is named", () => {
    const [nat] = portRules(attachment, [parsePublish("192.168.1.11:53:53/udp")]);
    expect(nat && ruleCommand("-A", nat).join(" ")).toBe(
      "iptables -w -t nat -A DOCKER -d 192.168.1.11/32 ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53",
    );
  });
});
