import { createServer, type Server } from "node:net";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { Client, type EndpointSlice, type Service } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { parseCidr, parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
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
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { type Nftables, openNftables } from "#kernel/nft/index.ts";
import { type ServiceProxy, startServiceProxy } from "#services/index.ts";

/**
 * One node with two pods on a bridge, and a machine outside:
 *
 * ```
 * pod1 10.244.1.2 ─┐
 * pod2 10.244.1.3 ─┴─ cni0 10.244.1.1 [node01] eth0 192.168.1.11 ── 192.168.1.1 outside
 * ```
 * with IPv6 beside it (fd00:10:244:1::/64, fd00:192:168:1::/64). "Outside" also holds 10.244.2.2, a pod of another node.
 */
export class ServicesLab {
  readonly node = newNetns();
  readonly outside = newNetns();
  readonly pod1 = newNetns();
  readonly pod2 = newNetns();
  readonly api = new FakeApi();
  readonly nft: Nftables;
  readonly #open: { close: () => void }[] = [];
  #proxy: ServiceProxy | undefined;

  static async start(): Promise<ServicesLab> {
    await warmThreadPool();
    return new ServicesLab();
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
      "net.bridge.bridge-nf-call-iptables": "1",
      "net.bridge.bridge-nf-call-ip6tables": "1",
    };
    setSysctls(this.node, forwarding);
    for (const netns of [this.outside, this.pod1, this.pod2]) {
      setSysctls(netns, { "net.ipv6.conf.default.accept_dad": "0" });
    }
    this.#wire();
  }

  /** A driver of its own on the node, as a new agent has. */
  openNft(): Nftables {
    const nft = inNetns(this.node, () => openNftables());
    this.#open.push(nft);
    return nft;
  }

  #wire(): void {
    const rt = inNetns(this.node, openRtnetlink);
    const peers: [string, Netns][] = [
      ["pod1", this.pod1],
      ["pod2", this.pod2],
      ["eth0", this.outside],
    ];
    rt.apply([
      { op: "add-link", name: "cni0", kind: { type: "bridge" } },
      ...peers.map(([name, netns]) => ({
        op: "add-link" as const,
        name,
        kind: { type: "veth" as const, peer: { name: "eth0", index: 2, netns: netns.fd } },
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
      // Service addresses have to have some way, as by a node's default gateway.
      { op: "add-route", dst: "0.0.0.0/0", via: "192.168.1.1", index: index("eth0") },
      { op: "add-route", dst: "::/0", via: "fd00:192:168:1::1", index: index("eth0") },
    ]);
    rt.close();
    host(this.pod1, ["10.244.1.2/24", "fd00:10:244:1::2/64"], ["10.244.1.1", "fd00:10:244:1::1"]);
    host(this.pod2, ["10.244.1.3/24", "fd00:10:244:1::3/64"], ["10.244.1.1", "fd00:10:244:1::1"]);
    const outside = ["192.168.1.1/24", "fd00:192:168:1::1/64", "10.244.2.2/32"];
    host(this.outside, outside, ["192.168.1.11", "fd00:192:168:1::11"]);
  }

  /** Puts objects into the API, new or changed. */
  put(...objects: (Service | EndpointSlice)[]): void {
    for (const object of objects) this.api.put(collectionOf(object), object);
  }

  async delete(object: Service | EndpointSlice): Promise<void> {
    const { name, namespace } = object.metadata;
    const base = collectionOf(object).replace(/\/([^/]+)$/, `/namespaces/${namespace}/$1/${name}`);
    const body = (await this.api.request({ method: "DELETE", path: base })).body;
    for await (const _ of body) continue;
  }

  /** The node's proxy, running; a second call starts another one with a driver of its own, as after a restart. */
  async startProxy(nft: Nftables = this.nft): Promise<ServiceProxy> {
    const lines: string[] = [];
    this.#proxy = startServiceProxy({
      client: new Client(this.api),
      nodeName: "node01",
      nodeAddresses: [parseIp("192.168.1.11"), parseIp("fd00:192:168:1::11")],
      podCidrs: [parseCidr("10.244.0.0/16"), parseCidr("fd00:10:244::/48")],
      nft,
      log: createLogger("proxy", { write: (line) => void lines.push(line) }),
      signal: new AbortController().signal,
    });
    await Promise.race([
      this.#proxy.synced,
      new Promise((_, reject) => setTimeout(() => reject(new Error(`proxy did not sync:\n${lines.join("")}`)), 5000).unref()),
    ]);
    return this.#proxy;
  }

  /** A TCP server that says its name and the client's address, and closes. */
  async serveTcp(netns: Netns, address: string, port: number, name: string): Promise<void> {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end(`${name} ${socket.remoteAddress}`);
    });
    await new Promise<void>((done) => server.listen({ fd: listenTcp(netns, address, port) }, done));
    this.#open.push(server);
  }

  /** A UDP server that answers with its name and the client's address. */
  async serveUdp(netns: Netns, address: string, port: number, name: string): Promise<void> {
    const socket = await this.#udp(netns, address, port);
    socket.on("message", (_, from) => socket.send(`${name} ${from.address}`, from.port, from.address));
  }

  async #udp(netns: Netns, address: string, port: number): Promise<UdpSocket> {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    await new Promise<void>((done) => socket.bind({ fd: udpSocket(netns, address, port) }, done));
    this.#open.push({ close: () => socket.close() });
    return socket;
  }

  /** A UDP client with one port, so that all its packets are one flow. */
  async udpClient(netns: Netns, local: string): Promise<(address: string, port: number) => Promise<string>> {
    const socket = await this.#udp(netns, local, 0);
    return (address, port) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve("no answer"), 300);
        socket.once("message", (data) => {
          clearTimeout(timer);
          resolve(data.toString());
        });
        socket.send("hello", port, address);
      });
  }

  async close(): Promise<void> {
    await this.#proxy?.stop();
    for (const open of this.#open) open.close();
    for (const netns of [this.node, this.outside, this.pod1, this.pod2]) netns.close();
  }
}

/** What a TCP server says, or the errno of a failure. */
export function ask(netns: Netns, address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connectTcp(netns, address, port);
    const timer = setTimeout(() => finish("ETIMEDOUT"), 700);
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

function host(netns: Netns, addresses: readonly string[], gateways: readonly string[]): void {
  const rt = inNetns(netns, openRtnetlink);
  rt.apply([
    { op: "set-link", index: 1, up: true },
    { op: "set-link", index: 2, up: true },
    ...addresses.map((address) => ({ op: "add-address" as const, index: 2, address })),
    ...gateways.map((via) => ({ op: "add-route" as const, dst: via.includes(":") ? "::/0" : "0.0.0.0/0", via, index: 2 })),
  ]);
  rt.close();
}

function collectionOf(object: Service | EndpointSlice): string {
  return object.kind === "Service" ? "/api/v1/services" : "/apis/discovery.k8s.io/v1/endpointslices";
}
