import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import {
  Http2ServerRequest,
  Http2ServerResponse,
  type Http2Session,
  type IncomingHttpHeaders as IncomingHttp2Headers,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

/** A request over either version of HTTP, as Node's HTTP/1 has it. */
export type AnyRequest = IncomingMessage | Http2ServerRequest;
/** An answer over either version of HTTP, as Node's HTTP/1 has it. */
export type AnyResponse = ServerResponse | Http2ServerResponse;

/** Where an answer goes. */
export interface Outlet {
  /** The body of the answer. */
  readonly out: Writable;
  /** Sends status and headers; nothing when the client has gone. */
  head(status: number, headers: Readonly<Record<string, string>>): void;
}

/** The head of a request over either version of HTTP. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders | IncomingHttp2Headers;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** The connection, which its requests share. */
  readonly connection: Http2Session | Socket;
  socket(): Socket;
}

/** One request and its answer. */
export interface Exchange extends Received, Outlet {
  /** The body of the request. */
  readonly body: Readable;
  /** Sends the head now, though the body will not begin for long. */
  flushHead(): void;
  /** Calls back when the client goes before it has its answer, perhaps more than once. */
  onGone(callback: () => void): void;
  /** Keeps no more of the body: the client is told to stop once it has its answer. */
  refuseBody(): void;
  /** The two as Node's HTTP/1 has them, for who passes them on. */
  compatible(): readonly [AnyRequest, AnyResponse];
}

/** The outlet of an answer as Node's HTTP/1 has it. */
export function outletOf(response: AnyResponse): Outlet {
  // The two kinds of response have the same methods with types that do not unite.
  const out = response as ServerResponse;
  return { out, head: (status, headers) => void out.writeHead(status, headers) };
}

/** The head of a request of HTTP/1. */
export function received(request: IncomingMessage): Received {
  const { method = "", url = "/", headers, rawHeaders, socket } = request;
  return { method, url, headers, rawHeaders, connection: socket, socket: () => socket };
}

/** A request of HTTP/1. */
export function plainExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  return {
    ...received(request),
    ...outletOf(response),
    body: request,
    flushHead: () => response.flushHeaders(),
    onGone(callback) {
      response.on("close", () => response.writableEnded || callback());
      response.on("error", callback);
    },
    refuseBody() {
      // The connection ends after the answer; until then what comes is thrown away.
      response.shouldKeepAlive = false;
      request.resume();
    },
    compatible: () => [request, response],
  };
}

/**
 * A stream of HTTP/2. Node's own requests and responses for it are a second pair of streams above the first, of which
 * only a proxied request has a use.
 */
export function streamExchange(
  stream: ServerHttp2Stream,
  headers: IncomingHttp2Headers,
  rawHeaders: readonly string[],
): Exchange {
  const session = stream.session as Http2Session;
  return {
    method: headers[":method"] ?? "",
    url: headers[":path"] ?? "/",
    headers,
    rawHeaders,
    body: stream,
    connection: session,
    socket: () => session.socket as Socket,
    // It goes at once.
    flushHead() {},
    out: stream,
    head(status, more) {
      if (!stream.destroyed && !stream.closed) stream.respond({ ":status": status, ...more });
    },
    onGone(callback) {
      stream.on("aborted", () => {
        callback();
        // What is left of the request would keep the stream.
        stream.resume();
      });
      stream.on("error", callback);
    },
    refuseBody() {
      stream.pause();
      // RFC 9113 8.1: after a whole answer this asks the client to stop.
      stream.once("finish", () => stream.close());
    },
    compatible: () => [
      new Http2ServerRequest(stream, headers, {}, rawHeaders as string[]),
      new Http2ServerResponse(stream),
    ],
  };
}
