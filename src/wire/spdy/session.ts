import type { Duplex } from "node:stream";
import { GOAWAY, INITIAL_WINDOW, MAX_31, RESET, SETTING } from "./constants.ts";
import { FrameDecoder } from "./decode.ts";
import { dataHead, FrameEncoder } from "./encode.ts";
import { SpdyError } from "./errors.ts";
import type { SpdyFrame } from "./frames.ts";
import type { SpdyHeaders } from "./headers.ts";
import { SpdyStream, type StreamPort } from "./stream.ts";

/** Which end of a session this is, and its bounds. */
export interface SpdySessionOptions {
  readonly side: "server" | "client";
  /** A stream that the peer opens (server side). It is to be accepted or reset. */
  readonly onStream?: (stream: SpdyStream) => void;
  /** Streams at a time. Default 1000. */
  readonly maxStreams?: number;
  /** Unread bytes of one stream and of all, above which nothing is read from the connection. */
  readonly streamLimit?: number;
  readonly sessionLimit?: number;
}

/** Answers to PING and resets that wait for a peer who does not read, in bytes, above which nothing is read from it. */
const CONTROL_LIMIT = 256 * 1024;

/**
 * A session of SPDY/3.1 over a connection. What comes is bounded twice: by the windows of the protocol, and, for peers
 * that do not keep to them (the Go library of every Kubernetes client is one: it neither sends nor obeys
 * WINDOW_UPDATE), by no longer reading from the connection. For the same reason the peer's windows are obeyed from its
 * first WINDOW_UPDATE or SETTINGS on only.
 */
export class SpdySession {
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  readonly #transport: Duplex;
  readonly #options: Required<Omit<SpdySessionOptions, "onStream">> & Pick<SpdySessionOptions, "onStream">;
  readonly #decoder = new FrameDecoder();
  readonly #encoder = new FrameEncoder();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #full = new Set<SpdyStream>();
  readonly #port: StreamPort;
  #nextId: number;
  #lastPeerId = 0;
  #held = 0;
  /** Read, and not yet told to the peer: of the session, and of each stream. */
  #owed = 0;
  readonly #owedTo = new Map<SpdyStream, number>();
  #obeying = false;
  #initialWindow = INITIAL_WINDOW;
  #sendWindow = INITIAL_WINDOW;
  #controlBytes = 0;
  #goneAway = false;
  #isOver = false;

  constructor(transport: Duplex, options: SpdySessionOptions) {
    this.#transport = transport;
    this.#options = { maxStreams: 1000, streamLimit: 256 * 1024, sessionLimit: 4 << 20, ...options };
    this.#nextId = options.side === "client" ? 1 : 2;
    this.#port = this.#makePort();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    const over = () => {
      this.#over();
      resolve();
    };
    transport.on("close", over);
    transport.on("error", () => transport.destroy());
    // Half of a session is of no use: without more frames no stream can end.
    transport.on("end", () => transport.destroy());
    transport.on("data", (bytes: Buffer) => this.#receive(bytes));
  }

  /** Streams that are open. */
  get size(): number {
    return this.#streams.size;
  }

  /** Opens a stream. @throws SpdyError when the session is ending */
  open(headers: SpdyHeaders): SpdyStream {
    if (this.#isOver || this.#goneAway) throw new SpdyError("the session is closed");
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = this.#add(id, headers);
    this.#control({
      type: "synStream",
      stream: id,
      associated: 0,
      priority: 0,
      fin: false,
      unidirectional: false,
      headers,
    });
    return stream;
  }

  /** No new streams; the connection ends with the last one. */
  end(): void {
    if (this.#isOver || this.#goneAway) return;
    this.#goneAway = true;
    this.#control({ type: "goAway", lastStream: this.#lastPeerId, status: GOAWAY.ok });
    this.#endIfIdle();
  }

  /** Ends all streams and the connection. */
  destroy(): void {
    this.#transport.destroy();
  }

  #makePort(): StreamPort {
    return {
      allowance: (stream) => (this.#obeying ? Math.min(stream.sendWindow, this.#sendWindow) : MAX_31),
      send: (stream, data, fin, done) => this.#send(stream, data, fin, done),
      reply: (stream, headers) => this.#control({ type: "synReply", stream: stream.id, fin: false, headers }),
      reset: (stream, status) => this.#control({ type: "rstStream", stream: stream.id, status }),
      held: (stream, bytes) => this.#account(stream, bytes),
      removed: (stream) => this.#remove(stream),
    };
  }

  #add(id: number, headers: SpdyHeaders): SpdyStream {
    const stream = new SpdyStream(id, headers, this.#port, this.#initialWindow);
    this.#streams.set(id, stream);
    return stream;
  }

  #remove(stream: SpdyStream): void {
    this.#streams.delete(stream.id);
    this.#owedTo.delete(stream);
    this.#full.delete(stream);
    this.#flow();
    this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.#goneAway && this.#streams.size === 0 && !this.#isOver) this.#transport.end();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const stream of [...this.#streams.values()]) stream.orphaned();
  }

  #send(stream: SpdyStream, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void {
    if (this.#isOver || this.#transport.destroyed) return done(new Error("the session is closed"));
    stream.sendWindow -= data.length;
    this.#sendWindow -= data.length;
    const head = dataHead(stream.id, data.length, fin);
    if (data.length === 0) {
      this.#transport.write(head, done);
      return;
    }
    this.#transport.cork();
    this.#transport.write(head);
    this.#transport.write(data, done);
    this.#transport.uncork();
  }

  #control(frame: SpdyFrame): void {
    if (this.#isOver || this.#transport.destroyed) return;
    const bytes = this.#encoder.encode(frame);
    this.#controlBytes += bytes.length;
    this.#transport.write(bytes, () => {
      this.#controlBytes -= bytes.length;
      this.#flow();
    });
    this.#flow();
  }

  #receive(bytes: Buffer): void {
    try {
      for (const frame of this.#decoder.push(bytes)) this.#take(frame);
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
      this.#control({ type: "goAway", lastStream: this.#lastPeerId, status: GOAWAY.protocolError });
      this.#goneAway = true;
      this.#over();
      this.#transport.end();
      this.#transport.removeAllListeners("data");
      this.#transport.resume();
    }
  }

  #take(frame: SpdyFrame): void {
    switch (frame.type) {
      case "synStream":
        return this.#takeStream(frame);
      case "data":
        return this.#takeData(frame.stream, frame.data, frame.fin);
      case "synReply":
      case "headers":
        if (frame.fin) this.#streams.get(frame.stream)?.receive(Buffer.alloc(0), true);
        return;
      case "rstStream":
        return this.#streams.get(frame.stream)?.lost();
      case "ping":
        // An answer to ours has our parity.
        if (frame.id % 2 !== this.#nextId % 2) this.#control(frame);
        return;
      case "goAway":
        this.#goneAway = true;
        return this.#endIfIdle();
      case "settings":
        return this.#takeSettings(frame.settings);
      case "windowUpdate":
        return this.#takeWindow(frame.stream, frame.delta);
    }
  }

  #takeStream(frame: SpdyFrame & { type: "synStream" }): void {
    const { stream: id } = frame;
    if (id % 2 === this.#nextId % 2 || id <= this.#lastPeerId) throw new SpdyError(`stream ${id} is not new`);
    this.#lastPeerId = id;
    const { onStream, maxStreams } = this.#options;
    if (this.#goneAway) return;
    if (!onStream || this.#streams.size >= maxStreams) {
      this.#control({ type: "rstStream", stream: id, status: RESET.refusedStream });
      return;
    }
    const stream = this.#add(id, frame.headers);
    if (frame.fin) stream.receive(Buffer.alloc(0), true);
    onStream(stream);
  }

  #takeData(id: number, data: Buffer, fin: boolean): void {
    const stream = this.#streams.get(id);
    // Of a stream that was reset meanwhile: it counts as read.
    if (!stream || stream.destroyed) return this.#owe(data.length);
    if (stream.remoteEnded) return stream.reset(RESET.streamAlreadyClosed);
    stream.receive(data, fin);
  }

  #takeSettings(settings: readonly { readonly id: number; readonly value: number }[]): void {
    for (const { id, value } of settings) {
      if (id !== SETTING.initialWindowSize) continue;
      if (value > MAX_31) throw new SpdyError("an initial window of more than 31 bits");
      this.#obeying = true;
      for (const stream of this.#streams.values()) stream.sendWindow += value - this.#initialWindow;
      this.#initialWindow = value;
    }
    this.#flush();
  }

  #takeWindow(id: number, delta: number): void {
    this.#obeying = true;
    const stream = this.#streams.get(id);
    if (id === 0) this.#sendWindow = grown(this.#sendWindow, delta);
    else if (stream) stream.sendWindow = grown(stream.sendWindow, delta);
    this.#flush();
  }

  #flush(): void {
    for (const stream of this.#streams.values()) stream.flush();
  }

  #account(stream: SpdyStream, bytes: number): void {
    this.#held += bytes;
    if (stream.held > this.#options.streamLimit) this.#full.add(stream);
    else this.#full.delete(stream);
    if (bytes < 0) {
      this.#owe(-bytes);
      this.#oweTo(stream, -bytes);
    }
    this.#flow();
  }

  /** Tells the peer, half a window at a time, that it may send more. */
  #owe(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < INITIAL_WINDOW / 2) return;
    const delta = this.#owed;
    this.#owed = 0;
    this.#control({ type: "windowUpdate", stream: 0, delta });
  }

  #oweTo(stream: SpdyStream, bytes: number): void {
    if (stream.remoteEnded || stream.destroyed) return;
    const owed = (this.#owedTo.get(stream) ?? 0) + bytes;
    if (owed < INITIAL_WINDOW / 2) {
      this.#owedTo.set(stream, owed);
      return;
    }
    this.#owedTo.delete(stream);
    this.#control({ type: "windowUpdate", stream: stream.id, delta: owed });
  }

  /** Reads from the connection, or does not. */
  #flow(): void {
    if (this.#isOver) return;
    const stop = this.#full.size > 0 || this.#held > this.#options.sessionLimit || this.#controlBytes > CONTROL_LIMIT;
    if (stop) this.#transport.pause();
    else if (this.#transport.isPaused()) this.#transport.resume();
  }
}

function grown(window: number, delta: number): number {
  if (window + delta > MAX_31) throw new SpdyError("a window of more than 31 bits");
  return window + delta;
}
