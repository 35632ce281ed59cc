import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defaultConflist } from "#cni/index.ts";
import { inNetns, type Netns, newNetns, openNetns } from "#kernel/namespaces/index.ts";
import { openRtnetlink, waitUntilReady } from "#kernel/netlink/index.ts";
import { TestNode } from "#test/support/nodes.ts";
import { ping } from "#test/support/ping.ts";

function addressFiles(network: string): string[] {
  return readdirSync(join(node.directory, "networks", network))
    .filter((name) => /^(10\.|fd)/.test(name))
    .sort();
}

function nodeLinks(): string[] {
  const rtnl = openRtnetlink(node.netns);
  const names = rtnl.links().map((link) => link.name);
  rtnl.close();
  return names;
}

const mynet = `{
  "cniVersion": "0.2.0",
  "name": "mynet",
  "type": "bridge",
  "bridge": "cni0",
  "isGateway": true,
  "ipMasq": true,
  "ipam": {
    "type": "host-local",
    "subnet": "10.22.0.0/16",
    "routes": [
      {
        "dst": "0.0.0.0/0"
      }
    ]
  }
}`;

let node: TestNode;
beforeEach(() => {
  node = new TestNode();
});
afterEach(() => node.close());

describe("N01 CNI runtime with the bridge plugin on the kernel (part: ADD, DEL, CHECK)", () => {
  it("connects pods of a node with each other and with the node", async () => {
    node.configure("10-podwire.conflist", defaultConflist(["10.244.1.0/24", "fd00:244:1::/64"], 1450));
    const [a, b] = [node.pod("a"), node.pod("b")];
    const added = await node.runtime.add(a);
    await node.runtime.add(b);
    expect(added.result.ips).toEqual([
      { address: "10.244.1.2/24", gateway: "10.244.1.1", interface: 2 },
      { address: "fd00:244:1::2/64", gateway: "fd00:244:1::1", interface: 2 },
    ]);
    expect(await ping(a.ns, "10.244.1.3")).toBe(true);
    expect(await ping(a.ns, "fd00:244:1::3")).toBe(true);
    expect(await ping(node.netns, "10.244.1.2")).toBe(true);
    expect(await ping(a.ns, "10.244.1.1")).toBe(true);
    await node.runtime.check(a);
    expect(addressFiles("cbr0")).toContain("10.244.1.2");
    await node.runtime.del(a);
    await node.runtime.del(a);
    await node.runtime.del({ containerId: "b", netns: "" });
    expect(addressFiles("cbr0")).toEqual([]);
    expect(nodeLinks().filter((name) => name.startsWith("veth"))).toHaveLength(1);
  });

  it("tells node and pod each other's MAC address, finds a pod whose address changes, and forgets it in the end", async () => {
    node.configure("10-podwire.conflist", defaultConflist(["10.244.1.0/24", "fd00:244:1::/64"], 1450));
    const pod = node.pod("a");
    await node.runtime.add(pod);
    // So that they do not count among those that the machine learns, of which it keeps 1,024 for all its namespaces.
    const learnt = (ns: Pick<Netns, "fd">) =>
      inNetns(ns, () => spawnSync("ip", ["neigh", "show"], { encoding: "utf8" }).stdout)
        .split("\n")
        .filter((line) => line.includes("extern_learn"))
        .map((line) => line.split(" ")[0])
        .sort();
    expect(learnt(node.netns)).toEqual(["10.244.1.2", "fd00:244:1::2"]);
    expect(learnt(pod.ns)).toEqual(["10.244.1.1", "fd00:244:1::1"]);
    inNetns(pod.ns, () => spawnSync("ip", ["link", "set", "eth0", "address", "02:00:00:00:00:99"]));
    // A pod that lost its neighbours with its MAC address asks for them, and the node learns from that.
    expect(await ping(pod.ns, "10.244.1.1")).toBe(true);
    expect(await ping(node.netns, "10.244.1.2")).toBe(true);
    await node.runtime.del({ containerId: "a", netns: "" });
    expect(learnt(node.netns)).toEqual([]);
    await node.runtime.del({ containerId: "a", netns: "" });
  });

  it("makes a pod's network without starting a program for it", async () => {
    node.configure("10-podwire.conflist", defaultConflist(["10.244.1.0/24"], 1450));
    const pods = Array.from({ length: 12 }, (_, i) => node.pod(`p${i}`));
    // CPU time of children that have ended (proc_pid_stat(5), cutime and cstime): Node alone takes 40 ms to start.
    const ofChildren = () => {
      const fields = readFileSync("/proc/self/stat", "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      return Number(fields[13]) + Number(fields[14]);
    };
    const before = ofChildren();
    for (const pod of pods) await node.runtime.add(pod);
    expect(ofChildren()).toBe(before);
  });

  it("fails an ADD whole when the name is taken, and frees the address", async () => {
    node.configure("10.conflist", defaultConflist(["10.244.1.0/24"], 1450));
    const pod = node.pod("a");
    const rtnl = openRtnetlink(pod.ns);
    rtnl.apply([{ op: "add-link", name: "eth0", kind: { type: "bridge" } }]);
    await expect(node.runtime.add(pod)).rejects.toThrow('container veth name ("eth0") already exists');
    rtnl.close();
    expect(addressFiles("cbr0")).toEqual([]);
    expect(nodeLinks().filter((name) => name.startsWith("veth"))).toEqual([]);
  });
});

describe("N04 the notes' mynet configuration", () => {
  it("is accepted unchanged: version 0.2.0, 10.22.x, gateway, default route, masquerade", async () => {
    node.configure("mynet.conf", mynet);
    const pod = node.pod("a");
    const { result, network } = await node.runtime.add(pod);
    expect(network.name).toBe("mynet");
    expect(result.ips[0]?.address).toBe("10.22.0.2/16");
    const rtnl = openRtnetlink(pod.ns);
    expect(rtnl.routes().find((route) => route.dst === "0.0.0.0/0")?.via).toBe("10.22.0.1");
    rtnl.close();
    // Another network of the node: it sees the node's address, not the pod's.
    const far = newNetns();
    const here = openRtnetlink(node.netns);
    here.apply([
      {
        op: "add-link",
        name: "out",
        index: 90,
        up: true,
        kind: { type: "veth", peer: { name: "in", index: 2, netns: far.fd } },
      },
    ]);
    here.apply([{ op: "add-address", index: 90, address: "192.168.7.1/24" }]);
    const farLinks = openRtnetlink(far);
    farLinks.apply([
      { op: "set-link", index: 2, up: true },
      { op: "add-address", index: 2, address: "192.168.7.2/24" },
    ]);
    await waitUntilReady([
      { rtnl: here, links: [90] },
      { rtnl: farLinks, links: [2] },
    ]);
    here.close();
    // The far host has no route to 10.22: only a masqueraded packet is answered.
    expect(await ping(pod.ns, "192.168.7.2")).toBe(true);
    farLinks.close();
    far.close();
    await node.runtime.del(pod);
  });

  it("shares the bridge with the default network", async () => {
    node.configure("10-podwire.conflist", defaultConflist(["10.244.1.0/24"], 1450));
    const first = node.pod("a");
    await node.runtime.add(first);
    node.configure("05-mynet.conf", mynet);
    const second = node.pod("b");
    expect((await node.runtime.add(second)).result.ips[0]?.address).toBe("10.22.0.2/16");
    expect(await ping(second.ns, "10.244.1.2")).toBe(true);
    await node.runtime.del(first);
    expect(addressFiles("cbr0")).toEqual([]);
  });
});

describe("N05 net-script.sh as a plugin", () => {
  const script = `#!/bin/sh
set -e
case "$1" in
add)
    ip -n "$3" link add eth0 type bridge
    ip -n "$3" addr add 10.99.0.5/24 dev eth0
    ip -n "$3" link set eth0 up
    ip -n "$3" route add default via 10.99.0.1
    ;;
del)
    ip -n "$3" link del eth0
    echo "$2 $CNI_COMMAND" > "$(dirname "$0")/deleted"
    ;;
esac
`;
  it("is called with add and del, its result read from the namespace, with a warning", async () => {
    node.install("net-script.sh", script);
    node.configure("net-script.conf", { cniVersion: "0.2.0", name: "mynet", type: "net-script" });
    const pod = node.pod("c1", "/run/netns");
    const { result, warnings } = await node.runtime.add(pod);
    expect(result.ips).toEqual([{ address: "10.99.0.5/24", interface: 0, gateway: "10.99.0.1" }]);
    expect(warnings).toEqual(["net-script.sh printed no CNI result; 10.99.0.5/24 was read from eth0 in the namespace"]);
    await node.runtime.del(pod);
    expect(readFileSync(join(node.binDir, "deleted"), "utf8")).toBe("c1 DEL\n");
  });
});

describe("N03 plugins are looked up at each call (part: absent and foreign plugins)", () => {
  it("names a plugin that is not there, and takes back what its predecessors did", async () => {
    const conflist = defaultConflist(["10.244.1.0/24"], 1450);
    node.configure("10.conflist", { ...conflist, plugins: [...(conflist.plugins as unknown[]), { type: "portmap" }] });
    await expect(node.runtime.add(node.pod("a"))).rejects.toThrow(
      `failed to find plugin "portmap" in path [${node.binDir}]`,
    );
    expect(addressFiles("cbr0")).toEqual([]);
    expect(nodeLinks().filter((name) => name.startsWith("veth"))).toEqual([]);
  });

  it("runs an edited plugin as a process", async () => {
    node.install(
      "loopback",
      '#!/bin/sh\ncat > /dev/null\necho \'{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.3/8"}]}\'\n',
    );
    node.configure("10.conflist", { cniVersion: "1.0.0", name: "lo", plugins: [{ type: "loopback" }] });
    expect((await node.runtime.add(node.pod("a"))).result.ips).toEqual([{ address: "10.1.2.3/8" }]);
  });
});

it("opens pinned namespaces by path", async () => {
  node.configure("10.conflist", defaultConflist(["10.244.1.0/24"], 1450));
  const { netnsFd: _, ...pod } = node.pod("pinned", node.directory);
  const { result } = await node.runtime.add(pod);
  expect(result.interfaces[2]?.sandbox).toBe(pod.netns);
  const again = openNetns(pod.netns);
  expect(await ping(again, "10.244.1.1")).toBe(true);
  again.close();
});

describe("N02 plugins as executables on the kernel (part: bridge with host-local, 0.4.0)", () => {
  it("do ADD, CHECK and DEL as a runtime calls them, one process each", () => {
    const pod = node.pod("exec", node.directory);
    const data = { dataDir: join(node.directory, "networks") };
    const config = { cniVersion: "0.4.0", name: "mynet", type: "bridge", bridge: "cni0", isDefaultGateway: true };
    const run = (command: string, extra: object = {}) => {
      const input = JSON.stringify({
        ...config,
        ipam: { type: "host-local", subnet: "10.22.0.0/16", ...data },
        ...extra,
      });
      const env = {
        CNI_COMMAND: command,
        CNI_CONTAINERID: "exec",
        CNI_NETNS: pod.netns,
        CNI_IFNAME: "eth0",
        CNI_PATH: node.binDir,
        PATH: "/usr/bin:/bin",
      };
      const child = inNetns(node.netns, () => spawnSync(join(node.binDir, "bridge"), { input, env, encoding: "utf8" }));
      return { code: child.status, answer: child.stdout === "" ? undefined : JSON.parse(child.stdout) };
    };
    const added = run("ADD");
    expect(added.code).toBe(0);
    expect(added.answer.ips).toEqual([{ version: "4", interface: 2, address: "10.22.0.2/16", gateway: "10.22.0.1" }]);
    expect(run("CHECK", { prevResult: added.answer })).toEqual({ code: 0, answer: undefined });
    expect(run("ADD")).toMatchObject({ code: 1, answer: { cniVersion: "0.4.0", code: 999 } });
    // The address of the first attachment is still its own.
    expect(addressFiles("mynet")).toEqual(["10.22.0.2"]);
    expect(run("DEL")).toEqual({ code: 0, answer: undefined });
    expect(run("DEL")).toEqual({ code: 0, answer: undefined });
    expect(nodeLinks().filter((name) => name.startsWith("veth"))).toEqual([]);
  });
});
