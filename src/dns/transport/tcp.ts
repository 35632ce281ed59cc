import { createServer, type Server, type Socket } from "node:net";
import { hasCode } from "#base/errors.ts";
import type { Answerer } from "../core/index.ts";
import { answerMemory, Connection } from "./connection.ts";
import type { Listener } from "./udp.ts";

/** Bounds that keep one client from harming others (RFC 7766 §6). Times in milliseconds. */
export interface TcpLimits {
  /** A connection on which nothing moves. */
  readonly idleMs: number;
  /** From the first byte of a message to its last. */
  readonly messageMs: number;
  /** From an answer until the client's side has taken it. Absent: idleMs is the only bound. */
  readonly writeMs?: number;
  readonly connections: number;
  /** Queries of one connection under way at once; reading pauses beyond. */
  readonly pipelined: number;
  /** Answers not yet taken by the client; reading pauses beyond. */
  readonly unsentBytes: number;
}

/** CoreDNS' idle time of 10 s; the others suit a cluster. */
export const tcpLimits: TcpLimits = {
  idleMs: 10_000,
  messageMs: 10_000,
  connections: 1024,
  pipelined: 64,
  unsentBytes: 1 << 20,
};

/**
 * Serves DNS over TCP: messages with a length before them, any number on a connection, answered as they get ready
 * (RFC 7766 §6.2.1.1).
 * @throws the bind error (EADDRINUSE, EACCES)
 */
export async function listenTcp(host: string, port: number, answerer: Answerer, limits = tcpLimits): Promise<Listener> {
  const sockets = new Set<Socket>();
  const joined = answerMemory();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    new Connection(socket, answerer, limits, joined);
  });
  server.maxConnections = limits.connections;
  await listen(server, host, port);
  server.on("error", () => {}); // accept errors such as EMFILE; the next connection may succeed
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  if (host !== "") return await listenOn(server, host, port);
  try {
    await listenOn(server, "::", port);
  } catch (error) {
    if (!hasCode(error, "EAFNOSUPPORT") && !hasCode(error, "EADDRNOTAVAIL")) throw error;
    await listenOn(server, "0.0.0.0", port);
  }
}

function listenOn(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 511 }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}
