import { createSocket, type Socket } from "node:dgram";
import { hasCode } from "#base/errors.ts";
import type { Counter, Metrics } from "#base/metrics.ts";
import type { Answerer } from "../core/index.ts";

/** A listener of one transport. */
export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** Queries waiting for a slow answer (an upstream's); more are dropped, as a full socket buffer would. */
export const maxPending = 4096;

/** Counts the queries that there was no room for. */
export function droppedCounter(metrics: Metrics): Counter {
  return metrics.counter(
    "podwire_dns_dropped_total",
    "Counter of queries that were dropped because too many waited for their answers.",
  );
}

/** Answers the queries of a UDP socket: those whose answer is known at once however many wait for theirs. */
export class UdpQueries {
  readonly #answerer: Answerer;
  readonly #dropped: () => void;
  readonly #most: number;
  #waiting = 0;

  /** @param dropped told of each query that there was no room for; `most` that may wait */
  constructor(answerer: Answerer, dropped: () => void, most = maxPending) {
    this.#answerer = answerer;
    this.#dropped = dropped;
    this.#most = most;
  }

  /** Answers a packet by `send`, now or later. */
  answer(packet: Uint8Array, from: { address: string; port: number }, send: (bytes: Uint8Array) => void): void {
    const busy = this.#waiting >= this.#most;
    const { address, port } = from;
    const answer = this.#answerer.answer(packet, { address, port, protocol: "udp", busy });
    if (answer instanceof Promise) {
      this.#waiting++;
      void answer
        .then((bytes) => bytes && send(bytes))
        .finally(() => {
          this.#waiting--;
        });
    } else if (answer) send(answer);
    else if (busy) this.#dropped();
  }
}

/**
 * Serves DNS over UDP on all addresses of `host` (empty: every address, IPv6 and IPv4 on one socket). Answers go out
 * from the address that the routes say, which on a machine with several need not be the one that was asked.
 * @param dropped told of each query that there was no room for
 * @throws the bind error (EADDRINUSE, EACCES)
 */
export async function listenUdp(host: string, port: number, answerer: Answerer, dropped = () => {}): Promise<Listener> {
  const socket = await bound(host, port);
  const queries = new UdpQueries(answerer, dropped);
  let closed = false;
  socket.on("message", (packet, { address, port: from }) => {
    if (from === 0) return;
    queries.answer(packet, { address: plainAddress(address), port: from }, (bytes) => {
      // An error here is the client's: gone, or an address without a route. UDP has nobody to tell.
      if (!closed) socket.send(bytes, from, address, () => {});
    });
  });
  socket.on("error", () => {}); // ICMP errors of earlier answers
  return {
    port: socket.address().port,
    close: () => {
      closed = true; // answers under way are lost, as they would be with the program's end
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}

/** An IPv4 client on a socket for both families shows as ::ffff:a.b.c.d. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

async function bound(host: string, port: number): Promise<Socket> {
  if (host !== "") return await bind(host.includes(":") ? "udp6" : "udp4", host, port);
  try {
    return await bind("udp6", "::", port);
  } catch (error) {
    if (!hasCode(error, "EAFNOSUPPORT") && !hasCode(error, "EADDRNOTAVAIL")) throw error;
    return await bind("udp4", "0.0.0.0", port); // a kernel or namespace without IPv6
  }
}

function bind(type: "udp4" | "udp6", address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port }, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
