import { randomInt } from "node:crypto";
import { connect, type Socket } from "node:net";
import { decodeHeader, encodeMessage, type Message } from "#wire/dns/index.ts";
import { FrameReader, frame } from "../../transport/frames.ts";
import { failure, matching, type Target } from "./exchange.ts";

/** Files and names of a connection over TLS. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/** How connections are opened and kept. */
export interface PoolOptions {
  /** How long an idle connection is kept, milliseconds. */
  readonly expireMs: number;
  /** How long a connection is used at all; 0: any time. */
  readonly maxAgeMs: number;
  /** Most idle connections. */
  readonly maxIdle: number;
  /** Texts of the PEM files for TLS; used for targets with TLS alone. */
  readonly tls: TlsFiles;
  /** Told whether a kept connection was there to be used. */
  readonly counted: (kept: boolean) => void;
}

/** Connections to one upstream, kept open for a while after use; one query at a time on each. */
export class TcpPool {
  readonly #target: Target;
  readonly #options: PoolOptions;
  readonly #idle: { readonly socket: Socket; readonly timer: NodeJS.Timeout }[] = [];

  readonly #openedMs = new WeakMap<Socket, number>();

  constructor(target: Target, options: PoolOptions) {
    this.#target = target;
    this.#options = options;
  }

  /**
   * Asks and resolves with the answer. A kept connection that the other side ended meanwhile is tried anew once.
   * @param end when the time for it is over, by performance.now()
   */
  async exchange(query: Message, end: number): Promise<Message> {
    const bytes = encodeMessage({ ...query, id: randomInt(0x10000) });
    const kept = this.#take();
    this.#options.counted(kept !== undefined);
    if (kept) {
      try {
        return await this.#ask(kept, query, bytes, end);
      } catch (error) {
        if (error instanceof LateError) throw error;
      }
    }
    const opening = this.#open();
    // Not awaited without need: a connect(2) that fails at once is told before, to nobody, which would end the process.
    const socket = opening instanceof Promise ? await opening : opening;
    this.#openedMs.set(socket, performance.now());
    return await this.#ask(socket, query, bytes, end);
  }

  /** A new connection, still being made: what is written before waits for it. */
  #open(): Socket | Promise<Socket> {
    const { host, port, tls } = this.#target;
    return tls ? this.#openTls(tls) : connect({ host, port, noDelay: true });
  }

  async #openTls(tls: NonNullable<Target["tls"]>): Promise<Socket> {
    const { host, port } = this.#target;
    const { connect: connectTls } = await import("node:tls"); // only forwards over TLS pay for it
    const { ca, cert, key, servername = tls.servername } = this.#options.tls;
    return connectTls({
      host,
      port,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(servername !== undefined && { servername }),
    });
  }

  /** Closes the kept connections. */
  close(): void {
    for (let socket = this.#take(); socket; socket = this.#take()) socket.destroy();
  }

  #take(): Socket | undefined {
    for (let entry = this.#idle.pop(); entry; entry = this.#idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.socket.destroyed) continue; // and may still be about to tell its error
      entry.socket.removeAllListeners();
      return entry.socket;
    }
    return undefined;
  }

  #keep(socket: Socket): void {
    socket.removeAllListeners();
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("data", () => socket.destroy()); // nothing was asked
    const { expireMs, maxAgeMs, maxIdle } = this.#options;
    const age = performance.now() - (this.#openedMs.get(socket) ?? 0);
    const keepMs = maxAgeMs > 0 ? Math.min(expireMs, maxAgeMs - age) : expireMs;
    if (keepMs <= 0 || this.#idle.length >= maxIdle) return void socket.destroy();
    const timer = setTimeout(() => socket.destroy(), keepMs);
    timer.unref();
    this.#idle.push({ socket, timer });
  }

  /** @param bytes the query encoded, with an id of its own */
  #ask(socket: Socket, query: Message, bytes: Uint8Array, end: number): Promise<Message> {
    const { id } = decodeHeader(bytes);
    const reader = new FrameReader();
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on("error", () => {});
        socket.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new LateError(failure("tcp", this.#target, "i/o timeout").message)),
        end - performance.now(),
      );
      socket.on("error", (error) => fail(failure("tcp", this.#target, error.message, error)));
      socket.on("close", () => fail(failure("tcp", this.#target, "EOF")));
      socket.on("data", (chunk) => {
        reader.push(chunk);
        const packet = reader.next();
        if (!packet) return;
        const answer = matching(packet, id, query);
        if (!answer) return fail(failure("tcp", this.#target, "answer to another question"));
        clearTimeout(timer);
        this.#keep(socket);
        resolve({ ...answer, id: query.id });
      });
      socket.write(frame(bytes));
    });
  }
}

/** The answer did not come in time. */
class LateError extends Error {}
