import * as http2 from "node:http2";
import type { ApiRequest, ApiResponse, Transport } from "./transport.ts";

/** How to reach an API server by TLS and who to be there. Certificates and keys are PEM texts. */
export interface Http2Options {
  /** `https://192.168.1.10:6443`. */
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Asked for every request, since projected tokens are renewed in their file. */
  readonly token?: () => string | undefined;
  /** Milliseconds between pings of an otherwise silent connection; one without an answer ends it. Default 15 s. */
  readonly pingMs?: number;
}

/** Flow control windows: large, since a list of thousands of pods otherwise waits for a round trip every 64 KiB. */
const windowBytes = 4 << 20;

/**
 * A transport with one HTTP/2 session, opened at the first request and again after it broke. A request fails with
 * the connection's error; callers retry, since only they know whether that is safe.
 */
export function http2Transport(options: Http2Options): Transport {
  return new Http2Transport(options);
}

class Http2Transport implements Transport {
  readonly #options: Http2Options;
  #session: http2.ClientHttp2Session | undefined;
  #closed = false;

  constructor(options: Http2Options) {
    this.#options = options;
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    request.signal?.throwIfAborted();
    const token = this.#options.token?.();
    const headers: http2.OutgoingHttpHeaders = {
      ...request.headers,
      ":method": request.method,
      ":path": request.path,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    return await exchange(this.#open(headers, request.body === undefined), request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const session = this.#session;
    if (!session || session.destroyed) return;
    await new Promise<void>((done) => {
      session.once("close", done);
      session.destroy(undefined, http2.constants.NGHTTP2_CANCEL);
    });
  }

  /** Opens a stream; a session that is shutting down (GOAWAY) gets a successor. */
  #open(headers: http2.OutgoingHttpHeaders, endStream: boolean): http2.ClientHttp2Stream {
    if (this.#closed) throw new Error(`the connection to ${this.#options.server} was closed`);
    let session = this.#session;
    if (!session || session.closed || session.destroyed) session = this.#session = this.#connect();
    try {
      return session.request(headers, { endStream });
    } catch (error) {
      if (!session.closed && !session.destroyed && this.#session === session) throw error;
      session = this.#session = this.#connect();
      return session.request(headers, { endStream });
    }
  }

  #connect(): http2.ClientHttp2Session {
    const { server, ca, cert, key } = this.#options;
    const session = http2.connect(server, {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      settings: { initialWindowSize: windowBytes, enablePush: false },
    });
    session.once("connect", () => session.setLocalWindowSize(windowBytes * 4));
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    // Every stream reports the session's error to its own request as well.
    session.on("error", forget);
    session.on("goaway", forget);
    session.on("close", forget);
    keepAlive(session, this.#options.pingMs ?? 15_000);
    return session;
  }
}

/** Ends a session whose peer vanished without a FIN (its machine was killed): watches would wait for ever. */
function keepAlive(session: http2.ClientHttp2Session, pingMs: number): void {
  let waiting = false;
  const timer = setInterval(() => {
    // Destroyed and not closed yet: its end is on its way.
    if (session.connecting || session.destroyed) return;
    if (waiting) session.destroy(new Error("the API server does not answer pings"));
    else {
      waiting = true;
      session.ping((error) => {
        if (!error) waiting = false;
      });
    }
  }, pingMs);
  timer.unref();
  session.once("close", () => clearInterval(timer));
}

/** Sends the body and waits for the head of the answer. */
function exchange(stream: http2.ClientHttp2Stream, request: ApiRequest): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const { signal } = request;
    const onAbort = () => {
      stream.close(http2.constants.NGHTTP2_CANCEL);
      stream.destroy(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    stream.once("close", () => {
      signal?.removeEventListener("abort", onAbort);
      reject(new Error(`the API server closed the connection during ${request.method} ${request.path}`));
    });
    // Stays attached: errors after the head reach the reader through the iteration.
    stream.on("error", (error) => reject(error.cause instanceof Error ? error.cause : error));
    stream.once("response", (head) => {
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(head)) {
        if (!name.startsWith(":") && value !== undefined)
          headers[name] = Array.isArray(value) ? value.join(", ") : String(value);
      }
      resolve({ status: head[":status"] ?? 0, headers, body: readBody(stream, request) });
    });
    if (request.body !== undefined) stream.end(request.body);
  });
}

/**
 * The chunks of a stream; one that was reset or lost its connection throws, so that no cut list passes as whole. By
 * hand, since Node's own iteration (24.21) takes `closed` of an HTTP/2 stream for the end of reading: an answer that
 * has come whole before anybody looks would be read and then called broken off.
 */
async function* readBody(stream: http2.ClientHttp2Stream, request: ApiRequest): AsyncGenerator<Uint8Array, void, void> {
  let wake = () => {};
  const changed = () => wake();
  for (const event of ["readable", "end", "error", "close"]) stream.on(event, changed);
  try {
    for (;;) {
      const chunk = stream.read() as Uint8Array | null;
      if (chunk !== null) yield chunk;
      else if (stream.errored) throw stream.errored;
      else if (stream.readableEnded || stream.destroyed) break;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    if (!stream.readableEnded) stream.destroy();
  }
  request.signal?.throwIfAborted();
  if (!stream.readableEnded || stream.aborted || (stream.rstCode ?? 0) !== http2.constants.NGHTTP2_NO_ERROR) {
    throw new Error(`the API server broke off its answer to ${request.method} ${request.path}`);
  }
}
