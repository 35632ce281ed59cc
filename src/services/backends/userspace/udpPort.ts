import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { connectDatagrams } from "#base/datagrams.ts";
import { errorMessage } from "#base/errors.ts";
import { formatIp } from "#base/ip.ts";
import { localPort, type SocketPlace, udpSocket } from "#kernel/namespaces/index.ts";
import type { Target } from "../../model/index.ts";
import type { Portal } from "./portals.ts";
import { Balancer, openPort, type ProxyPort, type RelayDeps, targetText } from "./proxyPort.ts";

/** Clients of one port of a Service at a time; the one that was silent for the longest time makes room. */
export const MAX_CLIENTS = 4096;

/** Datagrams that wait for the kernel to take them, for each socket; more are lost, as datagrams may be. */
const MAX_WAITING = 64;

/** Upstream's udpIdleTimeout, in ms. */
const IDLE_MS = 250;

/**
 * Takes datagrams and relays those of each client by a socket of its own, so that answers find back.
 * @throws SysError when the socket cannot be had
 */
export function udpPort(portal: Portal, deps: RelayDeps): ProxyPort {
  return new UdpPort(portal, deps);
}

class UdpPort implements ProxyPort {
  readonly port: number;
  readonly #label: string;
  readonly #deps: RelayDeps;
  readonly #balancer: Balancer;
  readonly #socket: Socket;
  /** By address and port of the client, the one that was silent for the longest time first. */
  readonly #flows = new Map<string, Flow>();

  constructor(portal: Portal, deps: RelayDeps) {
    this.#label = portal.label;
    this.#deps = deps;
    this.#balancer = new Balancer(portal, deps);
    const fd = openPort(deps, (port) => udpSocket(deps.place, deps.address, port));
    this.port = localPort(fd);
    this.#socket = createSocket(portal.family === 4 ? "udp4" : "udp6");
    this.#socket.on("message", (data, from) => this.#take(data, from));
    this.#socket.on("error", (error) => this.#complain("ReadFrom failed", error));
    this.#socket.bind({ fd });
  }

  update(portal: Portal): void {
    this.#balancer.update(portal);
    const serving = new Set(portal.serving.map(targetText));
    for (const flow of this.#flows.values()) if (!serving.has(targetText(flow.target))) flow.close();
  }

  stop(): void {
    for (const flow of this.#flows.values()) flow.close();
    this.#socket.close();
  }

  #take(data: Buffer, from: RemoteInfo): void {
    const client = `${from.address} ${from.port}`;
    const flow = this.#flows.get(client) ?? this.#open(client, from);
    if (!flow) return;
    this.#flows.delete(client);
    this.#flows.set(client, flow);
    flow.send(data);
  }

  #open(client: string, { address, port }: RemoteInfo): Flow | undefined {
    const { log, place, udpIdleTimeoutMs = IDLE_MS } = this.#deps;
    log?.debug("New UDP connection from client", { address: client });
    const target = this.#balancer.next(address);
    if (!target) return undefined;
    const [oldest] = this.#flows.size >= MAX_CLIENTS ? this.#flows.values() : [];
    oldest?.close();
    try {
      return new Flow(place, target, {
        idleMs: udpIdleTimeoutMs,
        reply: (data) => send(this.#socket, data, [port, address], (error) => this.#complain("WriteTo failed", error)),
        failed: (error) => this.#complain("Read failed", error),
        ended: () => this.#flows.delete(client),
      });
    } catch (error) {
      this.#complain("Dial failed", error);
      return undefined;
    }
  }

  #complain(message: string, error: unknown): void {
    this.#deps.complaints.say(message, { service: this.#label, err: errorMessage(error) });
  }
}

interface FlowDeps {
  readonly idleMs: number;
  readonly reply: (data: Buffer) => void;
  readonly failed: (error: unknown) => void;
  readonly ended: () => void;
}

/** What one client exchanges with one endpoint. */
class Flow {
  readonly target: Target;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  readonly #deps: FlowDeps;
  readonly #connected: Promise<void>;
  #isOpen = true;

  /** @throws SysError when the socket cannot be had */
  constructor(place: SocketPlace, target: Target, deps: FlowDeps) {
    this.target = target;
    this.#deps = deps;
    const isV4 = target.ip.family === 4;
    const fd = udpSocket(place, isV4 ? "0.0.0.0" : "::", 0);
    this.#socket = createSocket(isV4 ? "udp4" : "udp6");
    this.#timer = setTimeout(() => this.close(), deps.idleMs);
    this.#socket.on("message", (data) => {
      this.#timer.refresh();
      deps.reply(data);
    });
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.bind({ fd });
    // Connected, so that nobody else can answer and a refusal is heard.
    this.#connected = connectDatagrams(this.#socket, target.port, formatIp(target.ip)).catch((error: unknown) =>
      this.#fail(error),
    );
  }

  send(data: Buffer): void {
    this.#timer.refresh();
    void this.#connected.then(() => {
      if (this.#isOpen) send(this.#socket, data, [], (error) => this.#fail(error));
    });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#deps.ended();
  }

  #fail(error: unknown): void {
    if (!this.#isOpen) return;
    this.#deps.failed(error);
    this.close();
  }
}

/** Sends a datagram, unless too many wait already. */
function send(
  socket: Socket,
  data: Buffer,
  to: readonly [] | readonly [port: number, address: string],
  failed: (error: Error) => void,
): void {
  if (socket.getSendQueueCount() >= MAX_WAITING) return;
  const sent = (error: Error | null) => {
    if (error) failed(error);
  };
  if (to.length) socket.send(data, to[0], to[1], sent);
  else socket.send(data, sent);
}
