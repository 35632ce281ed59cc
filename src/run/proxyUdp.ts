import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Listener, Target } from "./proxyTcp.ts";

/** As many clients are known at once for one port; the one that has been silent the longest goes first. */
const MAX_CLIENTS = 1024;
/** A client that is silent so long is forgotten, in ms (docker-proxy, UDPConnTrackTimeout). */
const SILENCE = 90_000;

interface Client {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

/** The clients of one published port, each with a socket of its own towards the container. */
class Clients {
  readonly #outside: Socket;
  readonly #target: Target;
  /** The one heard of last comes last. */
  readonly #clients = new Map<string, Client>();

  constructor(outside: Socket, target: Target) {
    this.#outside = outside;
    this.#target = target;
  }

  take(message: Buffer, from: RemoteInfo): void {
    const key = `${from.address} ${from.port}`;
    const client = this.#clients.get(key) ?? this.#add(key, from);
    this.#clients.delete(key);
    this.#clients.set(key, client);
    client.timer.refresh();
    client.socket.send(message, this.#target.port, this.#target.address);
  }

  close(): void {
    for (const key of [...this.#clients.keys()]) this.#forget(key);
  }

  #add(key: string, { address, port }: RemoteInfo): Client {
    const [oldest] = this.#clients.keys();
    if (this.#clients.size >= MAX_CLIENTS && oldest !== undefined) this.#forget(oldest);
    const socket = createSocket("udp4");
    // Nobody listens in the container: the client is told nothing, as by docker-proxy.
    socket.on("error", () => this.#forget(key));
    socket.on("message", (answer) => this.#outside.send(answer, port, address));
    const timer = setTimeout(() => this.#forget(key), SILENCE);
    return { socket, timer };
  }

  #forget(key: string): void {
    const client = this.#clients.get(key);
    if (!client) return;
    this.#clients.delete(key);
    clearTimeout(client.timer);
    client.socket.close();
  }
}

/**
 * Listens on a UDP port of this node and carries datagrams to a container and its answers back.
 * @param address as for proxyTcp
 * @throws Error with code EADDRINUSE, EACCES, EADDRNOTAVAIL
 */
export function proxyUdp(address: string, port: number, target: Target): Promise<Listener> {
  const socket = createSocket(address.includes(":") ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
  const clients = new Clients(socket, target);
  socket.on("message", (message, from) => clients.take(message, from));
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      // A client that is gone by the time of the answer.
      socket.on("error", () => undefined);
      resolve({
        close() {
          clients.close();
          socket.close();
        },
      });
    });
  });
}
