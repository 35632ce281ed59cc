import { createServer, type Server, type Socket } from "node:net";
import { hasCode } from "#base/errors.ts";
import type { Answerer, Peer } from "../core/index.ts";
import { FrameReader, frame } from "./frames.ts";
import { type Listener, plainAddress } from "./udp.ts";

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
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serve(socket, answerer, limits);
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

function serve(socket: Socket, answerer: Answerer, limits: TcpLimits): void {
  const peer: Peer = {
    address: plainAddress(socket.remoteAddress ?? ""),
    port: socket.remotePort ?? 0,
    protocol: "tcp",
    ...(socket.localAddress !== undefined && { local: plainAddress(socket.localAddress) }),
  };
  const reader = new FrameReader();
  let pending = 0;
  let ended = false;
  let deadline: NodeJS.Timeout | undefined;
  const pace = () => {
    const full = pending >= limits.pipelined || socket.writableLength > limits.unsentBytes;
    if (full) socket.pause();
    else socket.resume();
    if (ended && pending === 0) socket.end();
    return full;
  };
  const send = (bytes: Uint8Array | undefined) => {
    if (!bytes || !socket.writable) return;
    if (limits.writeMs === undefined) return void socket.write(frame(bytes));
    const late = setTimeout(() => socket.destroy(), limits.writeMs);
    socket.write(frame(bytes), () => clearTimeout(late));
  };
  const drain = () => {
    let whole = false;
    for (let packet = reader.next(); packet; packet = reader.next()) {
      whole = true;
      const answer = answerer.answer(packet, peer);
      if (!(answer instanceof Promise)) {
        send(answer);
      } else {
        pending++;
        void answer.then(send).finally(() => {
          pending--;
          if (!pace()) drain();
        });
      }
      if (pace()) break;
    }
    if (whole || !reader.partial) {
      clearTimeout(deadline);
      deadline = undefined;
    }
    // Measured from a message's first byte, so that a client dripping bytes does not keep its place.
    if (reader.partial) deadline ??= setTimeout(() => socket.destroy(), limits.messageMs);
  };
  socket.setTimeout(limits.idleMs, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("close", () => clearTimeout(deadline));
  socket.on("drain", () => {
    if (!pace()) drain();
  });
  socket.on("data", (chunk) => {
    reader.push(chunk);
    drain();
  });
  socket.on("end", () => {
    ended = true;
    pace();
  });
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
