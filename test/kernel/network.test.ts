import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, resources } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { connectTcp, listenTcp, localPort, type Netns } from "#kernel/namespaces/index.ts";
import { openRtnetlink, ROUTE_PROTOCOL_PODWIRE, waitUntilReady } from "#kernel/netlink/index.ts";
import { TestCluster } from "#test/support/nodes.ts";
import { ping } from "#test/support/ping.ts";

let api: FakeApi;
let cluster: TestCluster;
let stop: AbortController;
beforeEach(() => {
  api = new FakeApi();
  cluster = new TestCluster(api, 3, ["10.244.0.0/16", "fd00:244::/48"]);
  stop = new AbortController();
});
afterEach(() => {
  stop.abort(new Error("test ended"));
  cluster.close();
});

/** Waits until every node reaches both others in both families. */
async function settled(started: readonly ReturnType<TestCluster["start"]>[]): Promise<void> {
  const states = () => started.map(({ network }) => network.status());
  await expect
    .poll(states, { interval: 2 })
    .toEqual(started.map(() => expect.objectContaining({ ready: true, peers: 4 })));
}

describe("P06 flannel vxlan (part: two and three nodes of ours)", () => {
  it("carries packets between pods of different nodes, and from nodes to pods, over IPv4 and IPv6", async () => {
    const started = [1, 2, 3].map((i) => cluster.start(i, stop.signal));
    const infos = await Promise.all(started.map(({ network }) => network.ready));
    expect(infos[0]).toEqual({ podCidrs: ["10.244.1.0/24", "fd00:244:0:1::/64"], mtu: 1450 });
    await settled(started);
    const pods = await Promise.all(
      cluster.nodes.map(async ({ node }, i) => {
        const pod = node.pod(`p${i}`);
        return { pod, result: (await node.runtime.add(pod)).result };
      }),
    );
    expect(pods.map(({ result }) => result.ips[0]?.address)).toEqual([
      "10.244.1.2/24",
      "10.244.2.2/24",
      "10.244.3.2/24",
    ]);
    for (const { pod } of pods) {
      for (const to of [1, 2, 3]) {
        expect(await ping(pod.ns, `10.244.${to}.2`)).toBe(true);
        expect(await ping(pod.ns, `fd00:244:0:${to}::2`)).toBe(true);
      }
    }
    expect(await ping(cluster.at(3).node.netns, "10.244.1.2")).toBe(true);
    const env = readFileSync(join(cluster.at(1).node.directory, "subnet.env"), "utf8");
    expect(env).toBe(
      "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_NETWORK=fd00:244::/48\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    );
    const node = await new Client(api).get(resources.nodes, "node01");
    expect(node.metadata.annotations?.["flannel.alpha.coreos.com/public-ip"]).toBe("192.168.1.11");
  });

  it("keeps pods' addresses between pods, hides them outside, and fits packets of the pods' MTU", async () => {
    const started = [1, 2, 3].map((i) => cluster.start(i, stop.signal));
    await settled(started);
    const [from, to] = await Promise.all(
      [1, 2].map(async (i) => {
        const { node } = cluster.at(i);
        const pod = node.pod(`m${i}`);
        await node.runtime.add(pod);
        return pod.ns;
      }),
    );
    if (!from || !to) throw new Error("no pods");
    const seenBy = async (netns: Netns, address: string) => {
      const fd = listenTcp(netns, address, 0);
      const server = createServer((socket) => socket.end(String(socket.remoteAddress))).listen({ fd });
      const socket = connectTcp(from, address, localPort(fd));
      const answer = await text(socket);
      server.close();
      return answer;
    };
    expect(await seenBy(to, "10.244.2.2")).toBe("10.244.1.2");
    expect(await seenBy(to, "fd00:244:0:2::2")).toBe("fd00:244:0:1::2");
    // A host beside the nodes that has no way to the pods.
    const outside = openRtnetlink(cluster.underlay);
    outside.apply([
      { op: "add-address", index: 2, address: "192.168.1.1/24" },
      { op: "add-address", index: 2, address: "fd00:1::1/64" },
    ]);
    await waitUntilReady([{ rtnl: outside, links: [], addresses: [{ index: 2, address: "fd00:1::1/64" }] }]);
    outside.close();
    expect(await seenBy(cluster.underlay, "192.168.1.1")).toBe("192.168.1.11");
    expect(await seenBy(cluster.underlay, "fd00:1::1")).toBe("fd00:1::11");
    // 1450 bytes with the headers of IP and ICMP: 1500 on the underlay.
    expect(await ping(from, "10.244.2.2", { size: 1450 - 28 })).toBe(true);
  });

  it("changes nothing at a restart, keeps MAC addresses, and knows the origin of what it found", async () => {
    const started = [1, 2, 3].map((i) => cluster.start(i, stop.signal));
    await settled(started);
    const first = started[0] as (typeof started)[0];
    const before = snapshot(1);
    stop.abort(new Error("restart"));
    await first.network.ended;
    stop = new AbortController();
    const again = cluster.start(1, stop.signal);
    await again.network.ready;
    expect(snapshot(1)).toEqual(before);
    const routes = again.rtnl.routes({ protocol: ROUTE_PROTOCOL_PODWIRE });
    expect(routes.map((route) => again.rtnl.origins.route(route)?.name).sort()).toEqual([
      "node02",
      "node02",
      "node03",
      "node03",
    ]);
    for (const entry of again.rtnl.neighbours().filter(({ state }) => state === "permanent")) {
      expect(again.rtnl.origins.neighbour(entry)?.kind).toBe("Node");
    }
  });

  it("follows nodes that leave and come with another MAC address, and mends what was broken meanwhile", async () => {
    const started = [1, 2, 3].map((i) => cluster.start(i, stop.signal));
    await settled(started);
    const first = started[0] as (typeof started)[0];
    const client = new Client(api);
    await client.delete(resources.nodes, "node03");
    await expect.poll(() => first.network.status().peers).toBe(2);
    await expect.poll(() => snapshot(1).routes).toEqual(["10.244.2.0/24", "fd00:244:0:2::/64"]);
    const annotations = { "flannel.alpha.coreos.com/backend-data": '{"VNI":1,"VtepMAC":"02:00:00:00:00:77"}' };
    await client.patch(resources.nodes, "node02", undefined, { metadata: { annotations } }, { type: "merge" });
    await expect.poll(() => snapshot(1).macs).toContain("02:00:00:00:00:77");
    await expect
      .poll(() => snapshot(1).fdb.filter((line) => line.startsWith("02:00:00:00:00:77")))
      .toEqual(["02:00:00:00:00:77 192.168.1.12"]);
    const route = first.rtnl.routes({ protocol: ROUTE_PROTOCOL_PODWIRE }).find(({ dst }) => dst === "10.244.2.0/24");
    first.rtnl.apply([{ op: "delete-route", dst: "10.244.2.0/24", index: route?.index as number }]);
    first.network.resync();
    await expect.poll(() => snapshot(1).routes).toHaveLength(2);
  });
});

/** What the kernel of a node holds of the pod network. */
function snapshot(position: number) {
  const rtnl = openRtnetlink(cluster.at(position).node.netns);
  const state = {
    routes: rtnl
      .routes({ protocol: ROUTE_PROTOCOL_PODWIRE })
      .map(({ dst }) => dst)
      .sort(),
    macs: rtnl
      .neighbours()
      .flatMap(({ state: s, mac }) => (s === "permanent" && mac ? [mac] : []))
      .sort(),
    fdb: rtnl
      .fdb()
      .flatMap(({ mac, dst }) => (dst ? [`${mac} ${dst}`] : []))
      .sort(),
    links: rtnl.links().map(({ name, index, mac }) => `${name} ${index} ${mac}`),
  };
  rtnl.close();
  return state;
}
