import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const helper = join(import.meta.dirname, "../support/runNetwork.ts");
const asRoot = process.geteuid?.() === 0 ? [] : ["--user", "--map-root-user"];
const namespaces = [...asRoot, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** What a fresh node has: a /run of its own, loopback, no forwarding. `run` is a keeper without its container. */
const NODE = `
mount -t tmpfs run /run && ip link set lo up && sysctl -qw net.ipv4.ip_forward=0 net.ipv4.ip_unprivileged_port_start=1024
run() { "$NODE" "$HELPER" "$@"; }
state() {
  ip addr; ip route; ls /run/netns 2>/dev/null
  for ns in $(ls /run/netns 2>/dev/null); do ip -n "$ns" addr; ip -n "$ns" route; done
  cat /proc/sys/net/ipv4/ip_forward
  for ns in $(ls /run/netns 2>/dev/null); do ip netns exec "$ns" cat /proc/sys/net/ipv4/ip_unprivileged_port_start; done
  iptables-save
}
`;

/** Runs a script on a fresh node of its own. @returns what it printed */
function onNode(script: string): Promise<string> {
  const env = { ...process.env, NODE: process.execPath, HELPER: helper };
  const args = [...namespaces, "--propagation", "private", "sh", "-ec", NODE + script];
  return new Promise((resolve, reject) => {
    execFile("unshare", args, { env, timeout: 60_000, killSignal: "SIGKILL" }, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stdout}\n${stderr}`)) : resolve(stdout),
    );
  });
}

/** State without what differs by itself: random names and MAC addresses, times, and what the kernel settles later. */
function settled(text: string): string {
  return text
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\[\d+:\d+\]/g, "")
    .replaceAll(/veth[0-9a-f]{7}/g, "VETH")
    .replaceAll(/^ +(inet6|valid_lft).*\n/gm, "")
    .replaceAll(/ (state|qdisc|qlen) \S+| (linkdown)\b|<\S*>/g, "")
    .replace(/(VETH@.*\n +link\/ether )\S+/g, "$1MAC");
}

describe("C03 C04 the network of podwire run, on the real kernel", () => {
  test.each(["bridge 8080:80 192.168.1.11:53:5353/udp", "none"])(
    "what --explain says, typed on a fresh node, gives the same: %s",
    async (words) => {
      const made = await onNode(`run make ${words} >/run/steps; cat /run/steps; echo ----; state`);
      const [steps = "", state = ""] = made.split("----\n");
      expect(steps.match(/^# \d/gm)).toHaveLength(8);
      expect(steps).toContain("ip netns add ");
      const typed = await onNode(`cat >/run/steps <<'STEPS'\n${steps}STEPS\nsh -e /run/steps; state`);
      expect(settled(typed)).toBe(settled(state));
    },
  );

  test("docker0 has no carrier while it is empty, and the container's network is as Docker's", async () => {
    const state = await onNode(`
      run make bridge 8080:80 >/dev/null; state; run sweep
      until ip addr show docker0 | grep -q NO-CARRIER; do sleep 0.05; done; ip addr show docker0`);
    expect(state).toContain("inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0");
    expect(state).toContain("default via 172.17.0.1 dev eth0");
    expect(state).toContain("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER");
    expect(state).toContain("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80");
    expect(state).toContain("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE");
    expect(state.trimEnd().split("\n").slice(-6).join("\n")).toContain(
      "inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0",
    );
    expect(state).toMatch(/docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP> .* state DOWN /);
  });

  test("runs at the same time get addresses of their own, and reach each other", async () => {
    const count = 4;
    const state = await onNode(`
      for i in $(seq ${count}); do run make bridge 808$i:80 >/dev/null & done; wait
      for ns in $(ls /run/netns); do
        ip -n $ns -4 -br addr show eth0
        for i in $(seq ${count}); do ip netns exec $ns ping -c1 -W5 172.17.0.$((i + 1)) >/dev/null && echo answered; done
      done`);
    const addresses = [...state.matchAll(/172\.17\.0\.(\d+)\/16/g)].map((match) => Number(match[1]));
    expect(addresses.sort()).toEqual([2, 3, 4, 5]);
    expect(state.match(/answered/g)).toHaveLength(count * count);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])(
    "killed before step %d, it leaves nothing that a sweep does not",
    async (step) => {
      const state = await onNode(`
      if run die ${step}; then exit 1; fi
      run sweep
      ls /run/netns /run/podwire-run 2>/dev/null | grep -c . ; ip -br link | grep -c veth || true
      iptables-save | grep 172.17.0.2 || true
      run make bridge 8080:80 | grep -c 172.17.0.2/16`);
      // The lock file and two headings; no veth; no rule; the address again.
      expect(state.trim().split("\n").at(-1)).toBe("1");
      expect(state).not.toContain("-A ");
      expect(state.split("\n").at(1)).toBe("0");
      expect(state).not.toMatch(/^[0-9a-f]{12,}$/m);
    },
  );

  test("a published port leads to the container, from the node and from elsewhere, and is free at the end", async () => {
    const state = await onNode(`
      ip netns add other; ip link add to-other type veth peer name eth0 netns other
      ip addr add 10.1.0.1/24 dev to-other; ip link set to-other up
      ip -n other addr add 10.1.0.2/24 dev eth0; ip -n other link set eth0 up
      mkfifo /run/input; run hold 8080:80 5353:53/udp </run/input >/run/held & exec 3>/run/input
      until [ -s /run/held ]; do sleep 0.05; done
      read -r ns address </run/held
      ip netns exec $ns socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:'echo hello from $SOCAT_PEERADDR' & server=$!
      ip netns exec $ns socat UDP-LISTEN:53,fork SYSTEM:'read line; echo $line back' & server="$server $!"
      until ip netns exec $ns ss -lntu | grep -c -e :80 -e :53 | grep -q 2; do sleep 0.05; done
      echo "node $(socat -T5 - TCP:127.0.0.1:8080 </dev/null)"
      echo "node6 $(socat -T5 - TCP6:[::1]:8080 </dev/null)"
      echo "own $(socat -T5 - TCP:10.1.0.1:8080 </dev/null)"
      echo "other $(ip netns exec other socat -T5 - TCP:10.1.0.1:8080 </dev/null)"
      echo "itself $(ip netns exec $ns socat -T5 - TCP:10.1.0.1:8080 </dev/null)"
      ask() { bash -c 'exec 4<>/dev/udp/$0/5353; echo datagram >&4; echo "$0 $(timeout 20 dd bs=999 count=1 status=none <&4)"' "$1"; }
      for to in 127.0.0.1 ::1 10.1.0.1; do ask $to; done
      ip netns exec other bash -c 'exec 4<>/dev/udp/10.1.0.1/5353; echo datagram >&4; echo "other $(timeout 20 dd bs=999 count=1 status=none <&4)"'
      kill $server; exec 3>&-; wait
      ss -lntu | grep -c -e 8080 -e 5353 || true
      iptables-save | grep -c 172.17.0.2 || true`);
    expect(state.trim().split("\n")).toEqual([
      "node hello from 172.17.0.1",
      "node6 hello from 172.17.0.1",
      "own hello from 10.1.0.1",
      "other hello from 10.1.0.2",
      "itself hello from 172.17.0.1",
      "127.0.0.1 datagram back",
      "::1 datagram back",
      "10.1.0.1 datagram back",
      "other datagram back",
      "0",
      "0",
    ]);
  });
});
