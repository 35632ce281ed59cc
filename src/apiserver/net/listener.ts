import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { StatusError, tooLarge } from "../errors.ts";
import type { ApiServerOptions } from "../options.ts";
import { bodyLimit } from "../rest/body.ts";
import type { Call, Reply, Sink } from "../rest/call.ts";
import type { Handler } from "../rest/handler.ts";
import { type ShownCertificate, shownCertificate, userAt } from "./client-certificate.ts";
import type { NodeProxy } from "./node-proxy.ts";

/** A request over either version of HTTP. */
export type AnyRequest = IncomingMessage | Http2ServerRequest;
/** An answer over either version of HTTP. */
export type AnyResponse = ServerResponse | Http2ServerResponse;

const clientGone = "the client has gone";

/** The TLS side of the server: HTTP/2 and HTTP/1.1 on the same port, over any number of listening sockets. */
export class Listener {
  readonly #options: ApiServerOptions;
  readonly #deps: { readonly handler: Handler; readonly proxy: NodeProxy; readonly log: Logger };
  readonly #secure: Http2SecureServer;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** Users by TLS session, so that a certificate is looked at once per connection. */
  readonly #users = new WeakMap<object, ShownCertificate>();
  #address: { host: string; port: number } | undefined;

  constructor(
    options: ApiServerOptions,
    deps: { readonly handler: Handler; readonly proxy: NodeProxy; readonly log: Logger },
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#secure = createSecureServer({
      allowHTTP1: true,
      cert: options.tls.cert,
      key: options.tls.key,
      minVersion: "TLSv1.2",
      maxHeaderListPairs: 128,
      // In MB. Long lists on their way to a slow client count; the default of 10 would refuse its next request.
      maxSessionMemory: 512,
      settings: { maxConcurrentStreams: 1000, initialWindowSize: 1 << 20 },
      ...(options.clientCa ? { ca: options.clientCa, requestCert: true, rejectUnauthorized: false } : {}),
    });
    this.#secure.on("request", (request, response) => void this.#serve(request, response));
    this.#secure.on(
      "upgrade",
      (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.#upgrade(request, socket, head),
    );
    this.#secure.on("sessionError", (error) => deps.log.debug("HTTP/2 session failed", { error: errorMessage(error) }));
  }

  get address(): { host: string; port: number } | undefined {
    return this.#address;
  }

  /** Opens all listening sockets. */
  async start(): Promise<void> {
    const { listen, listenFds = [] } = this.#options;
    if (listen) {
      const server = await this.#open({ host: listen.host, port: listen.port });
      const { address, port } = server.address() as AddressInfo;
      this.#address = { host: address, port };
    }
    for (const fd of listenFds) await this.#open({ fd });
  }

  /** Stops listening and ends every connection. */
  async stop(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #open(where: { host: string; port: number } | { fd: number }): Promise<Server> {
    const server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      this.#secure.emit("connection", socket);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => resolve(server));
    });
  }

  async #serve(request: AnyRequest, response: AnyResponse): Promise<void> {
    const gone = new AbortController();
    const out = response as ServerResponse;
    // Only when it comes before the end; and without a reason of its own, abort() makes a DOMException (30 µs).
    out.on("close", () => out.writableEnded || gone.abort(clientGone));
    out.on("error", () => gone.abort(clientGone));
    const call = this.#call(request, gone.signal);
    try {
      if (this.#deps.proxy.wants(call)) await this.#deps.proxy.forward(call, request, response);
      else await send(await this.#deps.handler.handle(call), response, request.method ?? "", gone.signal);
    } catch (error) {
      // The answer has begun, so it can only be broken off.
      this.#deps.log.error("Answer failed", { method: call.method, path: call.url, error: errorMessage(error) });
      out.destroy();
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    await this.#deps.proxy.upgrade(this.#call(request, new AbortController().signal), request, socket, head);
  }

  #call(request: AnyRequest, signal: AbortSignal): Call {
    let body: Promise<Buffer> | undefined;
    return {
      method: request.method ?? "",
      url: request.url ?? "/",
      headers: request.headers as Readonly<Record<string, string | undefined>>,
      body: () => (body ??= readBody(request)),
      yaml: this.#deps.handler.yaml,
      signal,
      headerValues: (name) => headerValues(request, name),
      certificateUser: () => this.#certificateUser(request),
    };
  }

  #certificateUser(request: AnyRequest): ReturnType<typeof userAt> {
    if (!this.#options.clientCa) return undefined;
    const session = "stream" in request ? request.stream.session : undefined;
    const key = session ?? request.socket;
    let known = this.#users.get(key);
    if (!known) {
      known = shownCertificate((session?.socket ?? request.socket) as TLSSocket);
      this.#users.set(key, known);
    }
    return userAt(known, Date.now());
  }
}

/** All values of a header, in their order. */
function headerValues(request: AnyRequest, name: string): string[] {
  const values: string[] = [];
  const { rawHeaders } = request;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] as string);
  }
  return values;
}

/** Longest time that a body may take (kube-apiserver's --request-timeout). */
const bodyTimeoutMs = 60_000;

function bodyTimeout(): StatusError {
  return new StatusError(504, "Timeout", "Timeout: request did not complete within the allotted timeout", {});
}

async function readBody(request: AnyRequest): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > bodyLimit) throw tooLarge(bodyLimit);
  const chunks: Buffer[] = [];
  let size = 0;
  // A client that sends its body drop by drop is cut off.
  const timer = setTimeout(() => request.destroy(bodyTimeout()), bodyTimeoutMs);
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bodyLimit) throw tooLarge(bodyLimit);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

/** Sends an answer. Resolves when it is on its way; a stream goes on. */
export async function send(reply: Reply, response: AnyResponse, method: string, signal: AbortSignal): Promise<void> {
  // The two kinds of response have the same methods with types that do not unite.
  const out = response as ServerResponse;
  if (signal.aborted) return;
  if (reply.pieces) {
    out.writeHead(reply.status, reply.headers);
    await sendPieces(method === "HEAD" ? [] : reply.pieces, out, signal);
    return;
  }
  if (!reply.stream) {
    const body = typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
    out.writeHead(
      reply.status,
      reply.status === 304 ? reply.headers : { ...reply.headers, "content-length": String(body.length) },
    );
    out.end(method === "HEAD" || reply.status === 304 ? undefined : body);
    return;
  }
  out.writeHead(reply.status, reply.headers);
  out.flushHeaders();
  reply.stream(sinkOf(response), signal);
}

/** Sends as fast as the client reads, and lets others have their turn in between. */
async function sendPieces(pieces: Iterable<string>, out: ServerResponse, signal: AbortSignal): Promise<void> {
  for (const piece of pieces) {
    if (signal.aborted) return;
    if (out.write(piece)) await setImmediate();
    // It fails only when the client goes: then nobody is left to be told, and the loop ends above.
    else await once(out, "drain", { signal }).catch(() => {});
  }
  out.end();
}

/**
 * Where the events of a watch go. What is written in one turn of the event loop goes out as one: the more there is to
 * do, the less each event costs.
 */
function sinkOf(response: AnyResponse): Sink {
  const out = "stream" in response ? response.stream : response;
  let corked = false;
  const uncork = (): void => {
    corked = false;
    out.uncork();
  };
  return {
    get backlog() {
      return out.writableLength;
    },
    write(chunk) {
      if (!corked) {
        corked = true;
        out.cork();
        process.nextTick(uncork);
      }
      out.write(chunk);
    },
    end: () => void response.end(),
  };
}

/** The answer to a refused upgrade, as HTTP/1.1 text. */
export function upgradeRefusal(error: StatusError): string {
  const body = `${JSON.stringify(error.toStatus())}\n`;
  return `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
