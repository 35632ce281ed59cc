import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { WebSocketServer } from "ws";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { REMOTE_COMMAND_PROTOCOLS } from "#wire/websocket/index.ts";
import type { LogFolders } from "../logs/index.ts";
import type { MirrorPods } from "../modules/index.ts";
import type { PodManager } from "../pods/index.ts";
import type { ProcessRuntime } from "../runtime/index.ts";
import { runAttach } from "./attach.ts";
import { runExec } from "./exec.ts";
import { serveLogs, serveModuleLogs } from "./logs.ts";
import { type ContainerPath, parseContainerPath, parseStreamOptions, RequestError } from "./requests.ts";
import { StreamSession } from "./session.ts";

/** Where the server listens and whom it trusts. PEM texts. */
export interface KubeletServerOptions {
  readonly address: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  /** Issuer of the certificates that clients must have. */
  readonly clientCa: string;
  readonly healthzAddress: string;
  /** 0 for none. */
  readonly healthzPort: number;
}

/** What it serves. */
export interface KubeletServerDeps {
  readonly pods: PodManager;
  readonly runtime: ProcessRuntime;
  readonly logFolders: LogFolders;
  /** What the node runs in its own processes and shows as pods. */
  readonly modules: Pick<MirrorPods, "find">;
  /** Text in Prometheus' format. */
  readonly metrics: () => string;
  /** What is wrong with the agent; undefined when nothing is. */
  readonly problem: () => string | undefined;
  /** What the node's kernel holds and why; see `podwire/origins`. */
  readonly origins?: () => Promise<unknown>;
  readonly log: Logger;
}

/** The node agent's own API: logs, exec and attach for the API server. */
export class KubeletServer {
  readonly #options: KubeletServerOptions;
  readonly #deps: KubeletServerDeps;
  readonly #https: Server;
  readonly #healthz: Server;
  readonly #webSockets: WebSocketServer;

  constructor(options: KubeletServerOptions, deps: KubeletServerDeps) {
    this.#options = options;
    this.#deps = deps;
    const { cert, key, clientCa } = options;
    // Certificates are asked for, and looked at per request, so that a client without one is told what is missing.
    const tls = { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: false };
    this.#https = createHttpsServer(tls, (request, response) => void this.#serve(request, response));
    this.#https.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#healthz = createHttpServer((request, response) => this.#serveHealth(request, response));
    this.#webSockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      handleProtocols: (offered) => REMOTE_COMMAND_PROTOCOLS.find((p) => offered.has(p)) ?? false,
    });
  }

  /** @throws Error with code EADDRINUSE */
  async start(): Promise<void> {
    const { address, port, healthzAddress, healthzPort } = this.#options;
    await listen(this.#https, port, address);
    if (healthzPort !== 0) await listen(this.#healthz, healthzPort, healthzAddress);
  }

  async stop(): Promise<void> {
    for (const socket of this.#webSockets.clients) socket.terminate();
    await Promise.all([close(this.#https), close(this.#healthz)]);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? "/", "https://kubelet");
      if (url.pathname === "/healthz") return this.#serveHealth(request, response);
      if (!isTrusted(request)) throw new RequestError(401, "Unauthorized");
      await this.#route(url, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else refuse(response, error);
    }
  }

  async #route(url: URL, response: ServerResponse): Promise<void> {
    const { pods, logFolders, metrics } = this.#deps;
    if (url.pathname === "/pods") {
      const body = JSON.stringify({ kind: "PodList", apiVersion: "v1", metadata: {}, items: pods.list() });
      response.writeHead(200, { "content-type": "application/json" }).end(body);
      return;
    }
    if (url.pathname === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(metrics());
      return;
    }
    if (url.pathname === "/podwire/origins" && this.#deps.origins) {
      const body = JSON.stringify(await this.#deps.origins());
      response.writeHead(200, { "content-type": "application/json" }).end(body);
      return;
    }
    const path = parseContainerPath(url.pathname);
    const module = path && this.#deps.modules.find(path.namespace, path.pod);
    if (module && path.verb === "containerLogs") return serveModuleLogs(module, path, url.searchParams, response);
    if (path?.verb === "containerLogs") return serveLogs(pods, logFolders, path, url.searchParams, response);
    if (path?.verb === "exec" || path?.verb === "attach")
      throw new RequestError(400, "you must upgrade the connection");
    throw new RequestError(404, `${url.pathname}: not found`);
  }

  #serveHealth(_request: IncomingMessage, response: ServerResponse): void {
    const problem = this.#deps.problem();
    response.writeHead(problem === undefined ? 200 : 500, { "content-type": "text/plain" }).end(problem ?? "ok");
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    try {
      if (!isTrusted(request)) throw new RequestError(401, "Unauthorized");
      const url = new URL(request.url ?? "/", "https://kubelet");
      const start = this.#streamOf(url, request);
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        start(new StreamSession(webSocket)).catch((error: unknown) => {
          this.#deps.log.error("A stream failed", { path: url.pathname, error: errorMessage(error) });
          webSocket.terminate();
        });
      });
    } catch (error) {
      refuseUpgrade(socket, error);
    }
  }

  /** Checks an exec or attach request; the function it gives runs it. @throws RequestError */
  #streamOf(url: URL, request: IncomingMessage): (session: StreamSession) => Promise<void> {
    const path = parseContainerPath(url.pathname);
    if (path?.verb === "portForward") {
      throw new RequestError(501, "this node agent does not forward ports yet; use a Service of type NodePort");
    }
    if (!path || (path.verb !== "exec" && path.verb !== "attach"))
      throw new RequestError(404, `${url.pathname}: not found`);
    // Looked for first: clients that are refused over WebSocket ask again over SPDY, and show that second answer.
    const { worker, unit, running } = this.#find(path);
    if (request.headers.upgrade?.toLowerCase() !== "websocket") {
      const message = `streams are served over WebSocket (${REMOTE_COMMAND_PROTOCOLS.join(", ")}), not over ${request.headers.upgrade}`;
      throw new RequestError(400, message);
    }
    const options = parseStreamOptions(url.searchParams);
    if (path.verb === "attach")
      return (session) => runAttach(running, unit.container.stdinOnce ?? false, options, session);
    return (session) => runExec(this.#deps.runtime, worker, unit, running, options, session);
  }

  #find(path: ContainerPath) {
    const module = this.#deps.modules.find(path.namespace, path.pod);
    if (module) {
      const message = `pod ${path.pod} shows a module of the process ${module.process} on this node: there is no container to enter`;
      throw new RequestError(400, message);
    }
    const worker = this.#deps.pods.find(path.namespace, path.pod);
    if (!worker) throw new RequestError(404, `pod does not exist`);
    const unit = worker.unit(path.container);
    if (!unit) throw new RequestError(404, `container not found ("${path.container}")`);
    const { running } = unit;
    if (!running) throw new RequestError(500, `container not found ("${unit.container.name}")`);
    return { worker, unit, running };
  }
}

function isTrusted(request: IncomingMessage): boolean {
  return (request.socket as TLSSocket).authorized;
}

function failure(error: unknown): { status: number; message: string } {
  return error instanceof RequestError ? error : { status: 500, message: errorMessage(error) };
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status, message } = failure(error);
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${message}\n`);
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { status, message } = failure(error);
  const body = `${message}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
