import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "#api/index.ts";
import type { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { type Attachment, CniRuntime, defaultConflist, kernelDeps, type PluginDeps } from "#cni/index.ts";
import { inNetns, type Netns, newNetns, pinNetns, setSysctls, unpinNetns } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { openNftables } from "#kernel/nft/index.ts";
import { type PodNetwork, startPodNetwork } from "#network/index.ts";
import { wrapper } from "./cni.ts";

/** A container's namespace with what CNI wants to know of it. */
export type TestPod = Attachment & { readonly ns: Netns };

/** A node in a namespace of this process: directories and a CNI runtime of its own. */
export class TestNode {
  readonly netns = newNetns();
  readonly directory = mkdtempSync(join(tmpdir(), "podwire-node-"));
  readonly confDir = join(this.directory, "net.d");
  readonly binDir = join(this.directory, "bin");
  readonly runtime: CniRuntime;
  readonly #open: Netns[] = [this.netns];
  readonly #pins: string[] = [];

  constructor() {
    mkdirSync(this.confDir);
    mkdirSync(this.binDir);
    for (const type of ["bridge", "host-local", "loopback"]) this.install(type, wrapper(type));
    const options = { confDir: this.confDir, binDirs: [this.binDir], cacheDir: join(this.directory, "cni") };
    this.runtime = new CniRuntime(options, { log: createLogger("test", { level: "error" }), plugins: this.deps() });
  }

  /** Plugin dependencies that take this namespace for the node's. */
  deps(): Omit<PluginDeps, "delegate"> {
    const here = this.netns;
    return {
      ...kernelDeps({ nftables: () => inNetns(here, openNftables) }),
      openRtnetlink: (netns) => openRtnetlink(netns ?? here),
      setSysctls: (settings, netns) => setSysctls(netns ?? here, settings),
    };
  }

  /** Puts a plugin into the directory of plugins. */
  install(name: string, text: string): void {
    writeFileSync(join(this.binDir, name), text, { mode: 0o755 });
  }

  /** Puts a network configuration into the node; addresses are kept in the node's own directory. */
  configure(file: string, value: unknown): void {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const withData = text.replaceAll(
      '"host-local"',
      `"host-local", "dataDir": ${JSON.stringify(join(this.directory, "networks"))}`,
    );
    writeFileSync(join(this.confDir, file), withData);
  }

  /** A new namespace for a container, pinned to a file of the directory `pin` if given. */
  pod(id: string, pin?: string): TestPod {
    const ns = newNetns();
    this.#open.push(ns);
    const path = join(pin ?? "", `podwire-test-${process.pid}-${id}`);
    if (pin !== undefined) {
      pinNetns(ns, path);
      this.#pins.push(path);
    }
    return { containerId: id, netns: pin === undefined ? "" : path, netnsFd: ns.fd, ns };
  }

  close(): void {
    for (const path of this.#pins) unpinNetns(path);
    for (const ns of this.#open) ns.close();
    rmSync(this.directory, { recursive: true });
  }
}

/** Nodes on one switch, 192.168.1.11, .12, … and fd00:1::11, …, with the pod network on each. */
export class TestCluster {
  readonly underlay = newNetns();
  readonly nodes: { readonly name: string; readonly node: TestNode }[] = [];
  readonly #api: FakeApi;
  readonly #clusterCidrs: readonly string[];

  constructor(api: FakeApi, count: number, clusterCidrs: readonly string[]) {
    this.#api = api;
    this.#clusterCidrs = clusterCidrs;
    const rtnl = openRtnetlink(this.underlay);
    rtnl.apply([{ op: "add-link", name: "br0", index: 2, kind: { type: "bridge" }, up: true }]);
    for (let i = 1; i <= count; i++) {
      const node = new TestNode();
      rtnl.apply([
        {
          op: "add-link",
          name: `n${i}`,
          index: 100 + i,
          up: true,
          master: 2,
          kind: { type: "veth", peer: { name: "eth0", index: 2, netns: node.netns.fd } },
        },
      ]);
      setSysctls(node.netns, { "net/ipv6/conf/eth0/accept_dad": "0" });
      const inside = openRtnetlink(node.netns);
      inside.apply([
        { op: "set-link", index: 1, up: true },
        { op: "set-link", index: 2, up: true },
        { op: "add-address", index: 2, address: `192.168.1.1${i}/24` },
        { op: "add-address", index: 2, address: `fd00:1::1${i}/64` },
      ]);
      inside.close();
      const name = `node0${i}`;
      const podCIDRs = clusterCidrs.map((cidr) => (cidr.includes(":") ? `fd00:244:0:${i}::/64` : `10.244.${i}.0/24`));
      api.put("/api/v1/nodes", { metadata: { name }, spec: { podCIDR: podCIDRs[0], podCIDRs } } as never);
      node.configure("10-podwire.conflist", defaultConflist(podCIDRs, 1450));
      this.nodes.push({ name, node });
    }
    rtnl.close();
  }

  /** Starts the pod network of a node, as its agent would. */
  start(
    position: number,
    signal: AbortSignal,
  ): { readonly network: PodNetwork; readonly rtnl: ReturnType<typeof openRtnetlink> } {
    const { name, node } = this.at(position);
    const rtnl = openRtnetlink(node.netns);
    const nft = inNetns(node.netns, openNftables);
    const network = startPodNetwork(
      {
        nodeName: name,
        nodeAddresses: [`192.168.1.1${position}`, `fd00:1::1${position}`],
        externalInterface: "eth0",
        clusterCidrs: this.#clusterCidrs,
        paths: { netConf: join(node.directory, "net-conf.json"), subnetEnv: join(node.directory, "subnet.env") },
      },
      {
        client: new Client(this.#api),
        rtnl,
        nft,
        log: createLogger(name, { level: "warn" }),
        signal,
        sysctls: (settings) => setSysctls(node.netns, settings),
      },
    );
    void network.ended.finally(() => {
      rtnl.close();
      nft.close();
    });
    return { network, rtnl };
  }

  /** The node of a position, from 1. */
  at(position: number): { readonly name: string; readonly node: TestNode } {
    const found = this.nodes[position - 1];
    if (!found) throw new RangeError(`no node ${position}`);
    return found;
  }

  close(): void {
    for (const { node } of this.nodes) node.close();
    this.underlay.close();
  }
}
