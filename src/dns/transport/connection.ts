import type { Socket } from "node:net";
import { maxMessageBytes } from "#wire/dns/index.ts";
import type { Answerer, Peer } from "../core/index.ts";
import { FrameReader } from "./frames.ts";
import type { TcpLimits } from "./tcp.ts";
import { plainAddress } from "./udp.ts";

/** Bytes of the length before each message. */
const lengthBytes = 2;
/** Room for the answers to what has come in one piece; more are written before the others are made. */
const batchBytes = 2 * (lengthBytes + maxMessageBytes);

/** What the connections of a listener share. */
export interface Shared {
  /** Memory in which answers are joined; none keeps anything there. */
  readonly joined: Uint8Array;
  /** Bytes of answers that clients have not taken yet. */
  unsent: number;
}

/** Memory for {@link Shared.joined}. */
export function answerMemory(): Uint8Array {
  return new Uint8Array(batchBytes);
}

/**
 * One client: answers what has come, in one write where the answers are known at once (a client that sends many
 * questions waits for none of them), each later one as it gets ready.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #answerer: Answerer;
  readonly #limits: TcpLimits;
  readonly #peer: Peer;
  readonly #reader = new FrameReader();
  /** Answers that are joined, and how many bytes there are. */
  readonly #joined: Uint8Array;
  readonly #shared: Shared;
  #bytes = 0;
  /** What the shared count of unsent bytes has of this connection. */
  #unsent = 0;
  #pending = 0;
  #ended = false;
  #deadline: NodeJS.Timeout | undefined;

  constructor(socket: Socket, answerer: Answerer, limits: TcpLimits, shared: Shared) {
    this.#socket = socket;
    this.#answerer = answerer;
    this.#limits = limits;
    this.#joined = shared.joined;
    this.#shared = shared;
    this.#peer = {
      address: plainAddress(socket.remoteAddress ?? ""),
      port: socket.remotePort ?? 0,
      protocol: "tcp",
      ...(socket.localAddress !== undefined && { local: plainAddress(socket.localAddress) }),
    };
    socket.setTimeout(limits.idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(this.#deadline);
      this.#countUnsent(0);
    });
    socket.on("data", (chunk) => {
      this.#reader.push(chunk);
      this.#drain();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#pace();
    });
  }

  /** Stops reading while too much is under way; ends what the client has ended. Returns whether it is too much. */
  #pace(): boolean {
    const full = this.#hasEnough();
    if (full) this.#socket.pause();
    else this.#socket.resume();
    if (this.#ended && this.#pending === 0) this.#socket.end();
    return full;
  }

  #goOn(): void {
    if (!this.#pace()) this.#drain();
  }

  /** Answers the whole messages that are here. */
  #drain(): void {
    let whole = false;
    while (!this.#full()) {
      const packet = this.#reader.next();
      if (!packet) break;
      whole = true;
      this.#answer(packet);
    }
    this.#write();
    this.#pace();
    this.#watchPartial(whole);
  }

  /** Whether no more is answered now. Joined answers count as unsent only once the kernel has not taken them. */
  #full(): boolean {
    if (this.#bytes + lengthBytes + maxMessageBytes <= this.#joined.length && !this.#hasEnough()) return false;
    this.#write();
    return this.#hasEnough();
  }

  /** Whether so much is under way that no more is taken: by itself, or by its share when all together have too much. */
  #hasEnough(): boolean {
    const { pipelined, unsentBytes, allUnsentBytes, connections } = this.#limits;
    const unsent = this.#socket.destroyed ? 0 : this.#socket.writableLength + this.#bytes;
    this.#countUnsent(unsent);
    if (this.#pending >= pipelined || unsent > unsentBytes) return true;
    return this.#shared.unsent > allUnsentBytes && unsent > allUnsentBytes / connections;
  }

  #countUnsent(unsent: number): void {
    this.#shared.unsent += unsent - this.#unsent;
    this.#unsent = unsent;
  }

  #answer(packet: Uint8Array): void {
    const length = this.#answerer.ready(packet, this.#peer, this.#joined, this.#bytes + lengthBytes);
    if (length > 0) return this.#joinedOf(length);
    const answer = this.#answerer.answer(packet, this.#peer);
    if (!(answer instanceof Promise)) return this.#join(answer);
    this.#pending++;
    void answer
      .then((bytes) => {
        this.#join(bytes);
        this.#write();
      })
      .finally(() => {
        this.#pending--;
        this.#goOn();
      });
  }

  #join(bytes: Uint8Array | undefined): void {
    if (!bytes) return;
    this.#joined.set(bytes, this.#bytes + lengthBytes);
    this.#joinedOf(bytes.length);
  }

  /** Counts in an answer of that length, and writes the length before it (RFC 1035 §4.2.2). */
  #joinedOf(length: number): void {
    this.#joined[this.#bytes] = length >> 8;
    this.#joined[this.#bytes + 1] = length & 0xff;
    this.#bytes += lengthBytes + length;
  }

  #write(): void {
    if (this.#bytes === 0) return;
    const bytes = this.#joined.slice(0, this.#bytes);
    this.#bytes = 0;
    if (!this.#socket.writable) return;
    const { writeMs } = this.#limits;
    const late = writeMs === undefined ? undefined : setTimeout(() => this.#socket.destroy(), writeMs);
    // Not by the event "drain": a write below the socket's own mark ends without one.
    this.#socket.write(bytes, (error) => {
      clearTimeout(late);
      if (!error) this.#goOn();
    });
  }

  /** Measured from a message's first byte, so that a client dripping bytes does not keep its place. */
  #watchPartial(whole: boolean): void {
    const { partial } = this.#reader;
    if (whole || !partial) {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
    }
    if (partial) this.#deadline ??= setTimeout(() => this.#socket.destroy(), this.#limits.messageMs);
  }
}
