import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { Client, type EndpointSlice, type Service } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { parseCidr, parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import type { BpfCall } from "#kernel/bpf/index.ts";
import { openConntrack } from "#kernel/conntrack/index.ts";
import {
  connectTcp,
  inNetns,
  listenTcp,
  type Netns,
  newNetns,
  setSysctls,
  udpSocket,
  warmThreadPool,
} from "#kernel/namespaces/index.ts";
import { type Operation, openRtnetlink } from "#kernel/netlink/index.ts";
import { type Nftables, openNftables } from "#kernel/nft/index.ts";
import {
  ebpfBackend,
  nftablesBackend,
  type RelaySettings,
  type ServiceBackend,
  type ServiceProxy,
  type ServiceProxyOptions,
  startServiceProxy,
  type TrafficSettings,
  userspaceBackend,
} from "#services/index.ts";
import { TestGroup } from "../support/testGroup.ts";

/** A machine of the lab. */
export interface Place extends Netns {
  /** The control group that sockets of the machine are made in. Absent: this process's. */
  group?: TestGroup;
}

/** How the lab's node tells pods' traffic. */
export const traffic: TrafficSettings = {
  nodeName: "node01",
  localTraffic: { kind: "cidrs", cidrs: [parseCidr("10.244.0.0/16"), parseCidr("fd00:10:244::/48")] },
};

/**
 * One node with two pods on a bridge, and a machine outside:
 *
 * ```
 * pod1 10.244.1.2 ─┐
 * pod2 10.244.1.3 ─┴─ cni0 10.244.1.1 [node01] eth0 192.168.1.11 ── 192.168.1.1 outside
 * ```
 * with IPv6 beside it (fd00:10:244:1::/64, fd00:192:168:1::/64). "Outside" also holds 10.244.2.2 and fd00:10:244:2::2, a
 * pod of another node.
 */
export class ServicesLab {
  readonly node: Place = newNetns();
  readonly outside: Place = newNetns();
  readonly pod1: Place = newNetns();
  readonly pod2: Place = newNetns();
  readonly api = new FakeApi();
  readonly nft: Nftables;
  readonly #conntrack = inNetns(this.node, openConntrack);
  readonly #open: { close: () => void }[] = [this.#conntrack];
  /** Where NodePorts answer; undefined: at the node's addresses. For proxies started after this. */
  nodePortAddresses: readonly string[] | undefined;
  #proxy: ServiceProxy | undefined;

  /** @param isGrouped sockets of the node and its pods are made in a control group of the node's */
  static async start(isGrouped = false): Promise<ServicesLab> {
    await warmThreadPool();
    const lab = new ServicesLab();
    if (isGrouped) lab.#makeGroup();
    await addressesAnswer(lab.node, ["fd00:10:244:1::1", "fd00:192:168:1::11"]);
    await addressesAnswer(lab.outside, ["fd00:192:168:1::1", "fd00:10:244:2::2"]);
    await addressesAnswer(lab.pod1, ["fd00:10:244:1::2"]);
    await addressesAnswer(lab.pod2, ["fd00:10:244:1::3"]);
    return lab;
  }

  private constructor() {
    this.nft = this.openNft();
    const forwarding = {
      "net.ipv4.ip_forward": "1",
      "net.ipv4.conf.all.rp_filter": "0",
      "net.ipv4.conf.default.rp_filter": "0",
      "net.ipv6.conf.all.forwarding": "1",
      // A link-local address that is still tentative asks for no neighbours: the first seconds would drop packets.
      "net.ipv6.conf.default.accept_dad": "0",
      // Many are refused at once, and nobody is sent a better way.
      "net.ipv4.icmp_ratelimit": "0",
      "net.ipv6.icmp.ratelimit": "0",
      "net.ipv4.conf.all.send_redirects": "0",
      "net.ipv4.conf.default.send_redirects": "0",
      "net.bridge.bridge-nf-call-iptables": "1",
      "net.bridge.bridge-nf-call-ip6tables": "1",
    };
    setSysctls(this.node, forwarding);
    for (const netns of [this.outside, this.pod1, this.pod2]) {
      setSysctls(netns, { "net.ipv6.conf.default.accept_dad": "0" });
    }
    this.#wire();
  }

  #makeGroup(): void {
    const group = new TestGroup();
    for (const place of [this.node, this.pod1, this.pod2]) place.group = group;
  }

  /** A driver of its own on the node, as a new agent has. */
  openNft(): Nftables {
    const nft = inNetns(this.node, () => openNftables());
    this.#open.push(nft);
    return nft;
  }

  #wire(): void {
    const rt = inNetns(this.node, openRtnetlink);
    const peers = [
      ["pod1", this.pod1],
      ["pod2", this.pod2],
      ["eth0", this.outside],
    ] as const;
    // Neighbours are known from the start: a new IPv6 address answers for itself only some milliseconds later, and a
    // question that got no answer is asked again after a second.
    const macs = {
      cni0: "02:00:00:00:01:00",
      pod1: "02:00:00:00:01:02",
      pod2: "02:00:00:00:01:03",
      eth0: "02:00:00:00:02:01",
      node: "02:00:00:00:02:0b",
    };
    const neighbour = (index: number, ip: string, mac: string) => ({ op: "add-neighbour" as const, index, ip, mac });
    rt.apply([
      { op: "add-link", name: "cni0", mac: macs.cni0, kind: { type: "bridge" } },
      ...peers.map(([name, netns]) => ({
        op: "add-link" as const,
        name,
        ...(name === "eth0" && { mac: macs.node }),
        kind: { type: "veth" as const, peer: { name: "eth0", index: 2, mac: macs[name], netns: netns.fd } },
      })),
    ]);
    const index = (name: string) => rt.link({ name })?.index ?? 0;
    const bridge = index("cni0");
    rt.apply([
      { op: "set-link", index: 1, up: true },
      { op: "set-link", index: bridge, up: true },
      { op: "add-address", index: bridge, address: "10.244.1.1/24" },
      { op: "add-address", index: bridge, address: "fd00:10:244:1::1/64" },
      ...["pod1", "pod2"].flatMap((name) => [
        { op: "set-link" as const, index: index(name), up: true, master: bridge },
        { op: "set-bridge-port" as const, index: index(name), hairpin: true },
      ]),
      { op: "set-link", index: index("eth0"), up: true },
      { op: "add-address", index: index("eth0"), address: "192.168.1.11/24" },
      { op: "add-address", index: index("eth0"), address: "fd00:192:168:1::11/64" },
      { op: "add-route", dst: "10.244.2.0/24", via: "192.168.1.1", index: index("eth0") },
      { op: "add-route", dst: "fd00:10:244:2::/64", via: "fd00:192:168:1::1", index: index("eth0") },
      // Service addresses have to have some way, as by a node's default gateway.
      { op: "add-route", dst: "0.0.0.0/0", via: "192.168.1.1", index: index("eth0") },
      { op: "add-route", dst: "::/0", via: "fd00:192:168:1::1", index: index("eth0") },
      ...["10.244.1.2", "fd00:10:244:1::2"].map((ip) => neighbour(bridge, ip, macs.pod1)),
      ...["10.244.1.3", "fd00:10:244:1::3"].map((ip) => neighbour(bridge, ip, macs.pod2)),
      ...["192.168.1.1", "fd00:192:168:1::1"].map((ip) => neighbour(index("eth0"), ip, macs.eth0)),
    ]);
    rt.close();
    const gateways = ["10.244.1.1", "fd00:10:244:1::1"];
    const toBridge = gateways.map((ip) => neighbour(2, ip, macs.cni0));
    const toPods = [
      ...["10.244.1.2", "fd00:10:244:1::2"].map((ip) => neighbour(2, ip, macs.pod1)),
      ...["10.244.1.3", "fd00:10:244:1::3"].map((ip) => neighbour(2, ip, macs.pod2)),
    ];
    host(this.pod1, ["10.244.1.2/24", "fd00:10:244:1::2/64"], gateways, [...toBridge, ...toPods.slice(2)]);
    host(this.pod2, ["10.244.1.3/24", "fd00:10:244:1::3/64"], gateways, [...toBridge, ...toPods.slice(0, 2)]);
    const outside = ["192.168.1.1/24", "fd00:192:168:1::1/64", "10.244.2.2/32", "fd00:10:244:2::2/128"];
    const nodes = ["192.168.1.11", "fd00:192:168:1::11"];
    host(
      this.outside,
      outside,
      nodes,
      nodes.map((ip) => neighbour(2, ip, macs.node)),
    );
  }

  /** Puts objects into the API, new or changed. */
  put(...objects: (Service | EndpointSlice)[]): void {
    for (const object of objects) this.api.put(collectionOf(object), object);
  }

  async delete(object: Service | EndpointSlice): Promise<void> {
    const { name, namespace } = object.metadata;
    const base = collectionOf(object).replace(/\/([^/]+)$/, `/namespaces/${namespace}/$1/${name}`);
    const body = (await this.api.request({ method: "DELETE", path: base })).body;
    for await (const _ of body);
  }

  /** Services on nftables maps in this node. */
  nftables(nft: Nftables = this.nft, settings: Partial<TrafficSettings> = {}): ServiceBackend {
    return nftablesBackend({ ...traffic, ...settings, nft });
  }

  /** Services relayed by this process for this node, with patience for busy machines. */
  userspace(nft: Nftables = this.nft, settings: Partial<TrafficSettings & RelaySettings> = {}): ServiceBackend {
    const patience = { dialTimeoutsMs: [10_000], udpIdleTimeoutMs: 10_000 };
    return userspaceBackend({ ...traffic, ...patience, ...settings, nft, netns: this.node });
  }

  /** Services translated at the sockets of the node's group; it has to have one. */
  ebpf(nft: Nftables = this.nft, settings: Partial<TrafficSettings> & { bpf?: BpfCall } = {}): ServiceBackend {
    const group = this.node.group?.folder;
    if (group === undefined) throw new Error("the lab has no control group");
    // No process of the machines runs: their namespaces are held by this one.
    const namespaces = () => [this.node, this.pod1, this.pod2].map(({ fd }) => `/proc/self/fd/${fd}`);
    return ebpfBackend({ ...traffic, ...settings, nft, group, namespaces });
  }

  /** The node's proxy, running; a second call starts another one, as after a restart. */
  async startProxy(
    backend: ServiceBackend = this.nftables(),
    periods: Pick<ServiceProxyOptions, "syncPeriodMs" | "minSyncPeriodMs"> = {},
  ): Promise<ServiceProxy> {
    const lines: string[] = [];
    this.#proxy = startServiceProxy({
      client: new Client(this.api),
      nodeName: "node01",
      nodeAddresses: [parseIp("192.168.1.11"), parseIp("fd00:192:168:1::11")],
      ...(this.nodePortAddresses && { nodePortAddresses: this.nodePortAddresses.map(parseIp) }),
      ...{ backend, ...periods },
      conntrack: this.#conntrack,
      log: createLogger("proxy", { write: (line) => void lines.push(line) }),
      signal: new AbortController().signal,
    });
    await Promise.race([
      this.#proxy.synced,
      new Promise((_, reject) =>
        setTimeout(() => reject(new Error(`proxy did not sync:\n${lines.join("")}`)), 30_000).unref(),
      ),
    ]);
    return this.#proxy;
  }

  /** A TCP server that says its name and the client's address, and closes. */
  async serveTcp(netns: Place, address: string, port: number, name: string): Promise<void> {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end(`${name} ${socket.remoteAddress}`);
    });
    await new Promise<void>((done) =>
      server.listen({ fd: inGroup(netns, () => listenTcp(netns, address, port)) }, done),
    );
    this.#open.push(server);
  }

  /** The machine outside has these addresses, as a balancer that ends connections itself, and says so. */
  async serveBalancer(addresses: readonly string[], port: number): Promise<void> {
    const rt = inNetns(this.outside, openRtnetlink);
    const bits = (address: string) => (address.includes(":") ? 128 : 32);
    rt.apply(addresses.map((address) => ({ op: "add-address", index: 2, address: `${address}/${bits(address)}` })));
    rt.close();
    await addressesAnswer(
      this.outside,
      addresses.filter((address) => address.includes(":")),
    );
    for (const address of addresses) await this.serveTcp(this.outside, address, port, "balancer");
  }

  /** A TCP server that gives back what it gets. */
  async serveEcho(netns: Place, address: string, port: number): Promise<void> {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    await new Promise<void>((done) =>
      server.listen({ fd: inGroup(netns, () => listenTcp(netns, address, port)) }, done),
    );
    this.#open.push(server);
  }

  /** A connection that stays: sends a text, and gives what comes back. */
  async connect(netns: Place, address: string, port: number): Promise<(text: string) => Promise<string>> {
    const socket = inGroup(netns, () => connectTcp(netns, address, port));
    this.#open.push({ close: () => socket.destroy() });
    const ended = once(socket, "close").then(() => Promise.reject(new Error("the connection is closed")));
    ended.catch(() => {}); // whoever asks is told
    return async (text) => {
      socket.write(text);
      const answer = once(socket, "data", { signal: AbortSignal.timeout(10_000) });
      const [data] = (await Promise.race([answer, ended])) as [Buffer];
      return data.toString();
    };
  }

  /** A UDP server that answers with its name and the client's address. */
  async serveUdp(netns: Place, address: string, port: number, name: string): Promise<void> {
    const socket = await this.#udp(netns, address, port);
    socket.on("message", (_, from) => socket.send(`${name} ${from.address}`, from.port, from.address));
  }

  async #udp(netns: Place, address: string, port: number): Promise<UdpSocket> {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    await new Promise<void>((done) => socket.bind({ fd: inGroup(netns, () => udpSocket(netns, address, port)) }, done));
    this.#open.push({ close: () => socket.close() });
    return socket;
  }

  /** A UDP client with one port, so that all its packets are one flow. */
  async udpClient(netns: Place, local: string): Promise<(address: string, port: number) => Promise<string>> {
    const socket = await this.#udp(netns, local, 0);
    return (address, port) =>
      new Promise((resolve) => {
        const take = (data: Buffer) => {
          clearTimeout(timer);
          resolve(data.toString());
        };
        const timer = setTimeout(() => {
          socket.off("message", take);
          resolve("no answer");
        }, 300);
        socket.once("message", take);
        socket.send("hello", port, address);
      });
  }

  async close(): Promise<void> {
    await this.#proxy?.stop();
    for (const open of this.#open) open.close();
    this.node.group?.close();
    for (const netns of [this.node, this.outside, this.pod1, this.pod2]) netns.close();
  }
}

/**
 * What a TCP server says, or the errno of a failure.
 * @param waitMs short where no answer is expected, or where it is asked again: a flow that began without a rule
 *   stays without
 */
export function ask(netns: Place, address: string, port: number, waitMs = 5000): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = inGroup(netns, () => connectTcp(netns, address, port));
    const timer = setTimeout(() => finish("ETIMEDOUT"), waitMs);
    const finish = (result: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("end", () => finish(text));
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

/** What a UDP server answers, the errno of a failure (of an ICMP error too), or ETIMEDOUT. */
export async function askUdp(netns: Place, address: string, port: number, waitMs = 5000): Promise<string> {
  const isV6 = address.includes(":");
  const socket = createSocket(isV6 ? "udp6" : "udp4");
  await new Promise<void>((done) =>
    socket.bind({ fd: inGroup(netns, () => udpSocket(netns, isV6 ? "::" : "0.0.0.0", 0)) }, done),
  );
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish("ETIMEDOUT"), waitMs);
    const finish = (result: string) => {
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    socket.once("message", (data) => finish(data.toString()));
    socket.once("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.connect(port, address, () => {
      try {
        socket.send("hello");
      } catch (error) {
        finish((error as NodeJS.ErrnoException).code ?? String(error));
      }
    });
  });
}

/** Makes a socket of a machine: it belongs to the control group that its process is in. */
function inGroup<T>({ group }: Place, make: () => T): T {
  return group ? group.within(make) : make();
}

/** A new IPv6 address is made local by a worker of the kernel, some milliseconds later (RTF_LOCAL is 0x80000000). */
async function addressesAnswer(netns: Netns, addresses: readonly string[]): Promise<void> {
  const wanted = addresses.map((address) => Buffer.from(parseIp(address).bytes).toString("hex"));
  for (let tries = 0; tries < 2000; tries++) {
    const routes = inNetns(netns, () => readFileSync("/proc/thread-self/net/ipv6_route", "utf8")).split("\n");
    const isLocal = (hex: string) =>
      routes.some((line) => line.startsWith(`${hex} 80 `) && / [89a-f][0-9a-f]{7} +\S+$/.test(line));
    if (wanted.every(isLocal)) return;
    await new Promise((done) => setTimeout(done, 2));
  }
  throw new Error(`${addresses.join(", ")} did not become local`);
}

function host(netns: Netns, addresses: readonly string[], gateways: readonly string[], neighbours: Operation[]): void {
  const rt = inNetns(netns, openRtnetlink);
  // Of several addresses a client has the first one: IPv6 would take the one that is most like the destination.
  const first = (isV6: boolean) => addresses.find((address) => address.includes(":") === isV6)?.split("/")[0] ?? "";
  rt.apply([
    { op: "set-link", index: 1, up: true },
    { op: "set-link", index: 2, up: true },
    ...addresses.map((address) => ({ op: "add-address" as const, index: 2, address })),
    ...gateways.map((via) => ({
      op: "add-route" as const,
      dst: via.includes(":") ? "::/0" : "0.0.0.0/0",
      via,
      index: 2,
      source: first(via.includes(":")),
    })),
    ...neighbours,
  ]);
  rt.close();
}

function collectionOf(object: Service | EndpointSlice): string {
  return object.kind === "Service" ? "/api/v1/services" : "/apis/discovery.k8s.io/v1/endpointslices";
}
