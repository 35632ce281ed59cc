import { createSocket, type Socket } from "node:dgram";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Netns, openNetns, udpSocket } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { listeners } from "./listeners.ts";
import { type Arrival, isV6, type ProbeOrder, type ProbeReport, type Target } from "./model.ts";

const NETNS_FOLDER = "/run/netns";
/** How long after the last sending answers are waited for. */
const PATIENCE_MS = 1000;
/** A datagram is sent this often until its answer comes. */
const ATTEMPTS = 3;

interface Endpoint {
  /** Name of the pod, or of the node for its own namespace. */
  readonly name: string;
  readonly socket: Socket;
  /** Sends and answers over IPv6, else over IPv4. */
  readonly v6: boolean;
}

/** Text of a probe's datagram: who sends, from which address it believes to send, to whom. */
interface Datagram {
  readonly kind: "ask" | "answer";
  readonly from: string;
  readonly to: string;
  /** In an answer: the source address that the asked pod saw. */
  readonly seen?: string;
}

/** Addresses of a network namespace, without prefix lengths. */
function addressesOf(netns: Netns): string[] {
  const rtnl = openRtnetlink(netns);
  try {
    return rtnl.addresses().map(({ address }) => address.split("/")[0] ?? "");
  } finally {
    rtnl.close();
  }
}

/** Named network namespaces of this node with their addresses. */
function namespaces(): { netns: Netns; addresses: string[] }[] {
  let names: string[] = [];
  try {
    names = readdirSync(NETNS_FOLDER);
  } catch {
    // A node without pods may have no such folder.
  }
  return names.flatMap((name) => {
    try {
      const netns = openNetns(join(NETNS_FOLDER, name));
      return [{ netns, addresses: addressesOf(netns) }];
    } catch {
      // Gone between the listing and now, or a file that is no namespace.
      return [];
    }
  });
}

/** Sends and answers datagrams in the namespaces of a node's pods, for one round of the connectivity check. */
export class Probe {
  readonly #order: ProbeOrder;
  readonly #endpoints: Endpoint[] = [];
  readonly #seenBy = new Map<string, string>();
  readonly #missing: string[] = [];
  #waiting: (() => void) | undefined;

  constructor(order: ProbeOrder) {
    this.#order = order;
  }

  /** Opens a socket for each pod's address in its namespace, and one of each family in the node's own. @throws SysError */
  open(): void {
    const found = namespaces();
    for (const pod of this.#order.pods) {
      const home = found.find(({ addresses }) => addresses.includes(pod.ip));
      if (!home) this.#missing.push(pod.name);
      else this.#bind(pod.name, isV6(pod.ip), udpSocket(home.netns, pod.ip, this.#order.port));
    }
    for (const { netns } of found) netns.close();
    for (const v6 of new Set(this.#order.targets.map(({ ip }) => isV6(ip)))) this.#bind(this.#order.node, v6);
  }

  #bind(name: string, v6: boolean, fd?: number): void {
    const socket = createSocket(v6 ? "udp6" : "udp4");
    socket.on("message", (data, peer) => this.#received(name, socket, data, peer));
    socket.on("error", () => undefined);
    if (fd === undefined) socket.bind(0);
    else socket.bind({ fd });
    this.#endpoints.push({ name, socket, v6 });
  }

  #received(name: string, socket: Socket, data: Buffer, peer: { address: string; port: number }): void {
    const message = parse(data);
    if (!message) return;
    if (message.kind === "answer") {
      this.#seenBy.set(`${name}>${message.from}`, message.seen ?? "");
      this.#waiting?.();
      return;
    }
    const answer: Datagram = { kind: "answer", from: name, to: message.from, seen: peer.address };
    socket.send(JSON.stringify(answer), peer.port, peer.address);
  }

  /** Sends from every endpoint to every target of its family and waits for the answers. */
  async run(): Promise<ProbeReport> {
    const wanted = this.#endpoints.flatMap(({ name, socket, v6 }) =>
      this.#order.targets.filter(({ ip }) => isV6(ip) === v6).map((target) => ({ name, socket, target })),
    );
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const open = wanted.filter(({ name, target }) => !this.#seenBy.has(`${name}>${target.name}`));
      if (open.length === 0) break;
      for (const { name, socket, target } of open) this.#ask(name, socket, target);
      await this.#answered(wanted.length);
    }
    const arrivals = wanted.map(({ name, target }): Arrival => {
      const seen = this.#seenBy.get(`${name}>${target.name}`);
      return { from: name, to: target.name, ...(seen === undefined ? {} : { seen }) };
    });
    return { node: this.#order.node, arrivals, missing: this.#missing, listening: listeners() };
  }

  #ask(from: string, socket: Socket, target: Target): void {
    const message: Datagram = { kind: "ask", from, to: target.name };
    socket.send(JSON.stringify(message), this.#order.port, target.ip, () => undefined);
  }

  /** Resolves when all answers are there, or after a while. */
  #answered(count: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      this.#waiting = () => {
        if (this.#seenBy.size < count) return;
        clearTimeout(timer);
        resolve();
      };
      this.#waiting();
    });
  }

  /** Closes all sockets. */
  close(): void {
    for (const { socket } of this.#endpoints) socket.close();
  }
}

function parse(data: Buffer): Datagram | undefined {
  try {
    const value = JSON.parse(data.toString("utf8")) as Datagram;
    return value.kind === "ask" || value.kind === "answer" ? value : undefined;
  } catch {
    return undefined;
  }
}
