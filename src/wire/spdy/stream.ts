import { Duplex } from "node:stream";
import { INITIAL_WINDOW, RESET } from "./constants.ts";
import type { SpdyHeaders } from "./headers.ts";

/** Largest piece of data in one frame, so that streams take turns. */
const MAX_PIECE = 16 * 1024;

/** What a stream asks of its session. */
export interface StreamPort {
  /** Bytes that may be sent on a stream now. */
  allowance(stream: SpdyStream): number;
  /** Sends data; `done` is called when the connection has taken it. */
  send(stream: SpdyStream, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void;
  reply(stream: SpdyStream, headers: SpdyHeaders): void;
  reset(stream: SpdyStream, status: number): void;
  /** What is held unread on a stream has changed by so many bytes; less than 0: they were read. */
  held(stream: SpdyStream, bytes: number): void;
  removed(stream: SpdyStream): void;
}

type Done = (error?: Error | null) => void;

/**
 * One stream of a session. It half-closes as TCP does: `end()` says that no more is sent, 'end' that no more comes.
 * When the peer resets it or the session ends it is destroyed: 'close' without 'end'.
 */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  /** What the peer will yet take, in bytes; kept whether or not it is obeyed. */
  sendWindow: number;
  readonly #port: StreamPort;
  #pending: { data: Buffer; readonly done: Done } | undefined;
  #sending = false;
  #held = 0;
  #remoteEnded = false;
  #localEnded = false;
  #gone = false;

  constructor(id: number, headers: SpdyHeaders, port: StreamPort, sendWindow: number) {
    super({ allowHalfOpen: true, highWaterMark: INITIAL_WINDOW });
    this.id = id;
    this.headers = headers;
    this.sendWindow = sendWindow;
    this.#port = port;
  }

  /** Bytes that came and were not read. */
  get held(): number {
    return this.#held;
  }

  /** Nothing more comes from the peer. */
  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  /** Accepts a stream that the peer opened. Clients drop data that comes before. */
  accept(headers: SpdyHeaders = {}): this {
    this.#port.reply(this, headers);
    return this;
  }

  /** Ends both directions at once. @param status of constants.RESET */
  reset(status: number = RESET.cancel): void {
    if (!this.#gone) this.#port.reset(this, status);
    this.#gone = true;
    this.destroy();
  }

  /** Data from the peer. */
  receive(data: Buffer, fin: boolean): void {
    if (data.length > 0) {
      this.#held += data.length;
      this.#port.held(this, data.length);
      this.push(data);
      this.#settle();
    }
    if (fin) {
      this.#remoteEnded = true;
      this.push(null);
    }
  }

  /** The peer has reset it. */
  lost(): void {
    this.#gone = true;
    this.destroy();
  }

  /** The session is over. What has come whole can still be read; what is written is dropped. */
  orphaned(): void {
    if (!this.#remoteEnded) return this.lost();
    this.#gone = true;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.done();
    this.end();
  }

  /** The window has grown. */
  flush(): void {
    const pending = this.#pending;
    if (!pending || this.#sending) return;
    const size = Math.min(pending.data.length, MAX_PIECE, this.#port.allowance(this));
    if (size <= 0) return;
    const piece = pending.data.subarray(0, size);
    pending.data = pending.data.subarray(size);
    this.#sending = true;
    this.#port.send(this, piece, false, (error) => {
      this.#sending = false;
      if (!error && pending.data.length > 0) return this.flush();
      this.#pending = undefined;
      pending.done(error);
    });
  }

  override _read(): void {
    // Data comes by receive().
  }

  /** As every stream's; what was read makes room for the peer. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#settle();
    return chunk;
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (data.length === 0 || this.#gone) return done();
    this.#pending = { data, done };
    this.flush();
  }

  override _final(done: Done): void {
    this.#localEnded = true;
    if (this.#gone) return done();
    this.#port.send(this, Buffer.alloc(0), true, done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#settle(0);
    const over = this.#remoteEnded && this.#localEnded;
    if (!over && !this.#gone) this.#port.reset(this, RESET.cancel);
    this.#gone = true;
    const pending = this.#pending;
    this.#pending = undefined;
    this.#port.removed(this);
    pending?.done(new Error("the stream is closed"));
    done(error);
  }

  #settle(left = this.readableLength): void {
    const read = this.#held - left;
    if (read <= 0) return;
    this.#held = left;
    this.#port.held(this, -read);
  }
}
