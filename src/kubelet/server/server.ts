import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { Logger } from "#base/log.ts";
import type { LogFolders } from "../logs/index.ts";
import type { MirrorPods } from "../modules/index.ts";
import type { PodManager } from "../pods/index.ts";
import type { ProcessRuntime } from "../runtime/index.ts";
import type { NodeStats } from "../stats/index.ts";
import type { KubeletAccess } from "./access.ts";
import { serveLogs, serveModuleLogs } from "./logs.ts";
import { serveNodeLogs } from "./nodeLogs.ts";
import { parseContainerPath, RequestError } from "./requests.ts";
import { serveRun } from "./run.ts";
import { StreamServer } from "./streamServer.ts";
import { failure, refuseUpgrade } from "./upgrade.ts";

/** Where the server listens and whom it trusts. PEM texts. */
export interface KubeletServerOptions {
  readonly address: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  /** Issuer of the certificates that are looked at. */
  readonly clientCa: string;
  readonly healthzAddress: string;
  /** 0 for none. */
  readonly healthzPort: number;
}

/** What it serves. */
export interface KubeletServerDeps {
  readonly access: KubeletAccess;
  readonly pods: PodManager;
  readonly runtime: ProcessRuntime;
  readonly logFolders: LogFolders;
  /** The node's own logs. */
  readonly logFolder: string;
  /** What the node runs in its own processes and shows as pods. */
  readonly modules: Pick<MirrorPods, "find">;
  /** Text in Prometheus' format. */
  readonly metrics: () => string;
  /** What the node and its containers use. */
  readonly stats: NodeStats;
  /** What is wrong with the agent; undefined when nothing is. */
  readonly problem: () => string | undefined;
  /** What the node's kernel holds and why; see `podwire/origins`. */
  readonly origins?: () => Promise<unknown>;
  /** What the node's service proxy goes by; see `podwire/service-proxy`. */
  readonly serviceProxy?: () => unknown;
  readonly log: Logger;
}

/** The node agent's own API: logs, exec, attach, port-forward and figures, for the API server. */
export class KubeletServer {
  readonly #options: KubeletServerOptions;
  readonly #deps: KubeletServerDeps;
  readonly #https: Server;
  readonly #healthz: Server;
  readonly #streams: StreamServer;

  constructor(options: KubeletServerOptions, deps: KubeletServerDeps) {
    this.#options = options;
    this.#deps = deps;
    const { cert, key, clientCa } = options;
    // Certificates are asked for, and looked at per request, so that a client without one is told what is missing.
    const tls = { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: false };
    this.#https = createHttpsServer(tls, (request, response) => void this.#serve(request, response));
    this.#https.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#healthz = createHttpServer((request, response) => this.#serveHealth(request, response));
    this.#streams = new StreamServer(deps);
  }

  /** @throws Error with code EADDRINUSE */
  async start(): Promise<void> {
    const { address, port, healthzAddress, healthzPort } = this.#options;
    await listen(this.#https, port, address);
    if (healthzPort !== 0) await listen(this.#healthz, healthzPort, healthzAddress);
  }

  async stop(): Promise<void> {
    this.#streams.stop();
    await Promise.all([close(this.#https), close(this.#healthz)]);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? "/", "https://kubelet");
      await this.#deps.access.check(request, url.pathname);
      await this.#route(request, url, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else refuse(response, error);
    }
  }

  async #route(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const { pods, logFolders } = this.#deps;
    if (await this.#routeOwn(url, response)) return;
    if (url.pathname.startsWith("/logs/"))
      return serveNodeLogs(this.#deps.logFolder, url.pathname.slice("/logs/".length), response);
    const path = parseContainerPath(url.pathname);
    const module = path && this.#deps.modules.find(path.namespace, path.pod);
    if (module && path.verb === "containerLogs") return serveModuleLogs(module, path, url.searchParams, response);
    if (path?.verb === "containerLogs") return serveLogs(pods, logFolders, path, url.searchParams, response);
    if (path?.verb === "run" && request.method === "POST")
      return serveRun(this.#deps, path, url.searchParams, response);
    if (path && ["exec", "attach", "portForward"].includes(path.verb))
      throw new RequestError(400, "you must upgrade the connection");
    throw new RequestError(404, "404 page not found");
  }

  /** Paths of the agent as a whole. @returns false for another path */
  async #routeOwn(url: URL, response: ServerResponse): Promise<boolean> {
    const { pods, metrics, stats, origins, serviceProxy } = this.#deps;
    switch (url.pathname) {
      case "/healthz":
      case "/healthz/ping":
        this.#serveHealth(undefined, response);
        return true;
      case "/pods":
      case "/runningpods/":
        sendJson(response, { kind: "PodList", apiVersion: "v1", metadata: {}, items: pods.list() });
        return true;
      case "/metrics":
        sendMetrics(response, metrics());
        return true;
      case "/metrics/resource":
        sendMetrics(response, stats.resourceMetrics());
        return true;
      case "/stats/summary":
        sendJson(response, await stats.summary());
        return true;
      case "/podwire/origins":
        if (!origins) return false;
        sendJson(response, await origins());
        return true;
      case "/podwire/service-proxy":
        if (!serviceProxy) return false;
        sendJson(response, serviceProxy());
        return true;
      default:
        return false;
    }
  }

  #serveHealth(_request: IncomingMessage | undefined, response: ServerResponse): void {
    const problem = this.#deps.problem();
    response.writeHead(problem === undefined ? 200 : 500, { "content-type": "text/plain" }).end(problem ?? "ok");
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      const url = new URL(request.url ?? "/", "https://kubelet");
      await this.#deps.access.check(request, url.pathname);
      this.#streams.upgrade(request, url, socket, head);
    } catch (error) {
      refuseUpgrade(socket, error);
    }
  }
}

function sendMetrics(response: ServerResponse, text: string): void {
  response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text);
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status, message, headers } = failure(error);
  response.writeHead(status, { ...headers, "content-type": "text/plain; charset=utf-8" }).end(`${message}\n`);
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
