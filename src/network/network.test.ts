import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, type Node, resources } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { FakeNetwork, ROUTE_PROTOCOL_PODWIRE } from "#kernel/netlink/index.ts";
import { FakeNftables } from "#kernel/nft/index.ts";
import { type PodNetwork, startPodNetwork } from "./network.ts";

const flannel = "flannel.alpha.coreos.com";

/** One node on a fake kernel, with an API that has a second node already. */
class Bench {
  readonly api = new FakeApi();
  readonly client = new Client(this.api);
  readonly kernel = new FakeNetwork();
  readonly netns = this.kernel.newNamespace();
  readonly rtnl = this.kernel.open(this.netns);
  readonly directory = mkdtempSync(join(tmpdir(), "podwire-network-"));
  stop = new AbortController();
  readonly log: string[] = [];

  constructor() {
    this.rtnl.apply([
      { op: "add-link", name: "eth0", index: 2, kind: { type: "dummy" }, up: true },
      { op: "add-address", index: 2, address: "192.168.1.11/24" },
    ]);
    this.put(1);
    this.put(2, {
      [`${flannel}/kube-subnet-manager`]: "true",
      [`${flannel}/backend-type`]: "vxlan",
      [`${flannel}/backend-data`]: '{"VNI":1,"VtepMAC":"02:00:00:00:00:02"}',
      [`${flannel}/public-ip`]: "192.168.1.12",
    });
    this.kernel.history.length = 0;
  }

  put(number: number, annotations: Record<string, string> = {}): void {
    const metadata = { name: `node0${number}`, annotations };
    this.api.put("/api/v1/nodes", { metadata, spec: { podCIDRs: [`10.244.${number}.0/24`] } } as Node);
  }

  start(): PodNetwork {
    this.kernel.history.length = 0;
    return startPodNetwork(
      {
        nodeName: "node01",
        nodeAddresses: ["192.168.1.11"],
        externalInterface: "eth0",
        clusterCidrs: ["10.244.0.0/16"],
        paths: { netConf: join(this.directory, "none"), subnetEnv: join(this.directory, "subnet.env") },
      },
      {
        client: this.client,
        rtnl: this.rtnl,
        nft: new FakeNftables(),
        log: createLogger("test", { write: (line) => void this.log.push(line) }),
        signal: this.stop.signal,
        sysctls: () => {},
      },
    );
  }

  async restart(network: PodNetwork): Promise<PodNetwork> {
    this.stop.abort(new Error("restart"));
    await network.ended;
    this.stop = new AbortController();
    return this.start();
  }

  state() {
    return {
      links: this.rtnl.links().map(({ name, index, mac }) => `${name} ${index} ${mac}`),
      addresses: this.rtnl.addresses(),
      routes: this.rtnl.routes({ protocol: ROUTE_PROTOCOL_PODWIRE }),
      neighbours: this.rtnl.neighbours(),
      fdb: this.rtnl.fdb(),
    };
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => {
  bench.stop.abort(new Error("test ended"));
  rmSync(bench.directory, { recursive: true });
});

describe("P06 flannel vxlan (part: restarts and faults on a fake kernel)", () => {
  it("asks the kernel for nothing at a restart", async () => {
    const first = bench.start();
    await first.ready;
    expect(bench.kernel.history).toHaveLength(6);
    const before = bench.state();
    const again = await bench.restart(first);
    await again.ready;
    expect(bench.kernel.history).toEqual([]);
    expect(bench.state()).toEqual(before);
  });

  it("keeps the MAC address of its annotation when the device is gone", async () => {
    const first = bench.start();
    await first.ready;
    const mac = bench.rtnl.link({ name: "flannel.1" })?.mac;
    bench.rtnl.apply([{ op: "delete-link", index: bench.rtnl.link({ name: "flannel.1" })?.index as number }]);
    const again = await bench.restart(first);
    await again.ready;
    expect(bench.rtnl.link({ name: "flannel.1" })?.mac).toBe(mac);
    expect(again.status()).toEqual({ ready: true, peers: 1 });
  });

  it("makes a device anew that has another source", async () => {
    const first = bench.start();
    await first.ready;
    const { index } = bench.rtnl.link({ name: "flannel.1" }) ?? { index: 0 };
    bench.rtnl.apply([
      { op: "delete-link", index },
      { op: "add-link", name: "flannel.1", index: 30, kind: { type: "vxlan", id: 1, link: 2, local: "192.168.1.99" } },
    ]);
    await (await bench.restart(first)).ready;
    expect(bench.rtnl.link({ name: "flannel.1" })?.kind).toMatchObject({ local: "192.168.1.11" });
  });

  it("removes what a node left behind while nobody looked, and leaves other routes alone", async () => {
    const first = bench.start();
    await first.ready;
    bench.rtnl.apply([
      { op: "add-route", dst: "0.0.0.0/0", via: "192.168.1.1" },
      { op: "add-route", dst: "10.244.0.0/20", via: "192.168.1.77", protocol: 4 },
    ]);
    bench.stop.abort(new Error("restart"));
    await first.ended;
    await bench.client.delete(resources.nodes, "node02");
    const again = await bench.restart(first);
    await again.ready;
    expect(bench.rtnl.routes().map(({ dst }) => dst)).toEqual(["0.0.0.0/0", "10.244.0.0/20"]);
    expect(bench.rtnl.neighbours()).toEqual([]);
    expect(bench.rtnl.fdb()).toEqual([]);
  });

  it("comes to the same end when any one call to the kernel fails", async () => {
    const whole = bench.start();
    await whole.ready;
    const { routes, neighbours, fdb } = bench.state();
    for (let n = 0; n < 6; n++) {
      const other = new Bench();
      other.kernel.failAt(n);
      const network = other.start();
      await network.ready;
      const state = other.state();
      expect({ routes: state.routes, neighbours: state.neighbours, fdb: state.fdb }, `call ${n}`).toEqual({
        routes,
        neighbours,
        fdb,
      });
      expect(network.status()).toEqual({ ready: true, peers: 1 });
      expect(other.log.filter((line) => line.startsWith("E"))).toHaveLength(1);
      other.stop.abort(new Error("next"));
      await network.ended;
      rmSync(other.directory, { recursive: true });
    }
  });

  it("is ready for its own pods before it has told the others, and tells them again when that failed", async () => {
    let refusals = 2;
    bench.api.onRequest = ({ method }) => {
      if (method === "PATCH" && refusals-- > 0) throw new Error("connection lost");
    };
    const network = bench.start();
    await network.ready;
    const told = async () => (await bench.client.get(resources.nodes, "node01")).metadata.annotations;
    expect(await told()).toEqual({});
    await expect.poll(told).toMatchObject({ [`${flannel}/backend-type`]: "vxlan" });
    expect(bench.kernel.history).toHaveLength(6);
  });

  it("waits for a subnet, and says what is wrong with one outside of the pod network", async () => {
    bench.api.put("/api/v1/nodes", { metadata: { name: "node01" }, spec: {} } as Node);
    const network = bench.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(bench.kernel.history).toEqual([]);
    await bench.client.patch(
      resources.nodes,
      "node01",
      undefined,
      { spec: { podCIDRs: ["10.9.0.0/24"] } },
      { type: "merge" },
    );
    await expect.poll(() => network.status().error).toBe("subnet 10.9.0.0/24 of node01 is in none of the pod networks");
  });
});
