import { createSocket, type Socket } from "node:dgram";
import { hasCode } from "#base/errors.ts";
import type { Answerer } from "../core/index.ts";

/** A listener of one transport. */
export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** Queries waiting for a slow answer (an upstream's); more are dropped, as a full socket buffer would. */
export const maxPending = 4096;

/**
 * Serves DNS over UDP on all addresses of `host` (empty: every address, IPv6 and IPv4 on one socket).
 * @throws the bind error (EADDRINUSE, EACCES)
 */
export async function listenUdp(host: string, port: number, answerer: Answerer): Promise<Listener> {
  const socket = await bound(host, port);
  let pending = 0;
  let closed = false;
  const send = (bytes: Uint8Array | undefined, address: string, to: number) => {
    // An error here is the client's: gone, or an address without a route. UDP has nobody to tell.
    if (bytes && !closed) socket.send(bytes, to, address, () => {});
  };
  socket.on("message", (packet, from) => {
    if (pending >= maxPending || from.port === 0) return;
    const answer = answerer.answer(packet, { address: plainAddress(from.address), port: from.port, protocol: "udp" });
    if (!(answer instanceof Promise)) return send(answer, from.address, from.port);
    pending++;
    void answer
      .then((bytes) => send(bytes, from.address, from.port))
      .finally(() => {
        pending--;
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
