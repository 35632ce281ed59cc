import type { IncomingMessage } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { StatusError } from "../errors.ts";
import type { ApiServerOptions } from "../options.ts";
import type { Call, Reply } from "../rest/call.ts";
import type { Handler } from "../rest/handler.ts";
import { send } from "./answer.ts";
import { readBody } from "./body.ts";
import { type ShownCertificate, shownCertificate, userAt } from "./client-certificate.ts";
import { Connections, connectionLimits } from "./connections.ts";
import { EventWriter } from "./event-writer.ts";
import { type Exchange, plainExchange, type Received, received, streamExchange } from "./exchange.ts";
import type { NodeProxy } from "./node-proxy.ts";

const clientGone = "the client has gone";
/** How long a client may take for the handshake, in ms (net/http's tlsHandshakeTimeout as kube-apiserver has it). */
const HANDSHAKE_MS = 10_000;

/** The TLS side of the server: HTTP/2 and HTTP/1.1 on the same port, over any number of listening sockets. */
export class Listener {
  readonly #options: ApiServerOptions;
  readonly #deps: { readonly handler: Handler; readonly proxy: NodeProxy; readonly log: Logger };
  readonly #secure: Http2SecureServer;
  readonly #servers: Server[] = [];
  readonly #connections: Connections;
  /** Connections whose clients are known. */
  readonly #known = new WeakSet<object>();
  /** Users by TLS session, so that a certificate is looked at once per connection. */
  readonly #users = new WeakMap<object, ShownCertificate>();
  readonly #events = new EventWriter();
  #address: { host: string; port: number } | undefined;

  constructor(
    options: ApiServerOptions,
    deps: { readonly handler: Handler; readonly proxy: NodeProxy; readonly log: Logger },
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#connections = new Connections(options.connections ?? connectionLimits());
    const { headersTimeoutMs: headersTimeout = 60_000 } = options;
    // Options of HTTP/1 that the types of HTTP/2 do not know.
    const patience = { headersTimeout, connectionsCheckingInterval: Math.ceil(headersTimeout / 2) };
    this.#secure = createSecureServer({
      allowHTTP1: true,
      minVersion: "TLSv1.2",
      ...options.tls,
      maxHeaderListPairs: 128,
      handshakeTimeout: HANDSHAKE_MS,
      ...patience,
      // In MB. Long lists on their way to a slow client count; the default of 10 would refuse its next request.
      maxSessionMemory: 512,
      settings: { maxConcurrentStreams: 1000, initialWindowSize: 1 << 20 },
      ...(options.clientCa ? { ca: options.clientCa, requestCert: true, rejectUnauthorized: false } : {}),
    });
    // Node looks for requests over HTTP/1 that take too long as soon as its server listens; this one never does, it is
    // handed its connections.
    this.#secure.emit("listening");
    // Node makes its HTTP/1 objects for every stream of HTTP/2 once it sees a listener of requests: without these, and
    // with bodies read by events, a creation takes 0.50 instead of 0.63 ms of CPU.
    this.#secure.removeAllListeners("newListener");
    this.#secure.on("request", (request, response) => {
      if (!("stream" in request)) void this.#serve(plainExchange(request as IncomingMessage, response as never));
    });
    this.#secure.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _: number, raw: string[]) => {
      if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
      void this.#serve(streamExchange(stream, headers, raw));
    });
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
    this.#connections.end();
    await Promise.all(closed);
  }

  #open(where: { host: string; port: number } | { fd: number }): Promise<Server> {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      if (!this.#connections.take(socket)) return;
      this.#secure.emit("connection", socket);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => resolve(server));
    });
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { out } = exchange;
    const gone = new Gone();
    exchange.onGone(() => gone.note());
    let body: Promise<Buffer> | undefined;
    const call = this.#call(exchange, gone, () => (body ??= readBody(exchange)));
    try {
      if (this.#deps.proxy.wants(call)) await this.#deps.proxy.forward(call, ...exchange.compatible());
      else await this.#answer(await this.#deps.handler.handle(call), exchange, call);
    } catch (error) {
      // The answer has begun, so it can only be broken off.
      this.#deps.log.error("Answer failed", { method: call.method, path: call.url, error: errorMessage(error) });
      out.destroy();
    }
  }

  async #answer(reply: Reply, exchange: Exchange, call: Call): Promise<void> {
    if (!reply.stream) return send(reply, exchange, call);
    if (call.signal.aborted) return;
    exchange.head(reply.status, reply.headers);
    exchange.flushHead();
    await reply.stream(this.#events.sink(exchange.out), call.signal);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const call = this.#call(received(request), new Gone(), () => Promise.resolve(Buffer.alloc(0)));
    await this.#deps.proxy.upgrade(call, request, socket, head);
  }

  #call(request: Received, gone: Gone, body: () => Promise<Buffer>): Call {
    const { method, url, headers, rawHeaders } = request;
    return {
      method,
      url,
      headers: headers as Readonly<Record<string, string | undefined>>,
      body,
      yaml: this.#deps.handler.yaml,
      get signal() {
        return gone.signal;
      },
      headerValues: (name) => headerValues(rawHeaders, name),
      certificateUser: () => this.#certificateUser(request),
      authenticated: () => {
        if (this.#known.has(request.connection)) return;
        this.#known.add(request.connection);
        this.#connections.authenticated(request.socket());
      },
    };
  }

  #certificateUser({ connection, socket }: Received): ReturnType<typeof userAt> {
    if (!this.#options.clientCa) return undefined;
    let known = this.#users.get(connection);
    if (!known) {
      known = shownCertificate(socket() as TLSSocket);
      this.#users.set(connection, known);
    }
    return userAt(known, Date.now());
  }
}

/** Whether a client has gone; as a signal for those who ask, which hardly any request does. */
class Gone {
  #is = false;
  #controller: AbortController | undefined;

  note(): void {
    this.#is = true;
    // Without a reason of its own, abort() makes a DOMException (30 µs).
    this.#controller?.abort(clientGone);
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#is) this.#controller.abort(clientGone);
    }
    return this.#controller.signal;
  }
}

/** All values of a header, in their order. */
function headerValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] as string);
  }
  return values;
}

/** The answer to a refused upgrade, as HTTP/1.1 text. */
export function upgradeRefusal(error: StatusError): string {
  const body = `${JSON.stringify(error.toStatus())}\n`;
  return `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
