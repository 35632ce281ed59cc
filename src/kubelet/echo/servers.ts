import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createListener, type Server, type Socket } from "node:net";
import { currentNetns, listenTcp, openNetns } from "#kernel/namespaces/index.ts";
import type { ServedContainer } from "../pods/index.ts";
import { echoAnswer } from "./answer.ts";
import { type EchoOptions, parseEchoOptions } from "./options.ts";

interface Served {
  readonly container: ServedContainer;
  readonly options: EchoOptions;
  readonly listeners: Server[];
  readonly sockets: Set<Socket>;
}

/** Connections that are busy when their server is removed get this long to finish, in ms. */
const DRAIN_MS = 1000;

/** The echo servers of all pods of a node, in one process: sockets live in the pods' network namespaces. */
export class EchoServers {
  readonly #served = new Map<string, Served>();
  /** Whose connection it is. One HTTP server handles those of all pods. */
  readonly #owners = new WeakMap<Socket, Served>();
  readonly #http: HttpServer;

  constructor() {
    this.#http = createServer((request, response) => this.#answer(request, response));
  }

  /** Ids of the containers that are served. */
  get ids(): readonly string[] {
    return [...this.#served.keys()];
  }

  /**
   * Listens for a container. One that is served already stays as it is.
   * @throws Error when the arguments are wrong; SysError when a port is taken
   */
  async add(container: ServedContainer): Promise<void> {
    if (this.#served.has(container.id)) return;
    const options = parseEchoOptions(container.args, container.ports);
    const served: Served = { container, options, listeners: [], sockets: new Set() };
    this.#served.set(container.id, served);
    const netns = container.netns === undefined ? currentNetns() : openNetns(container.netns);
    try {
      const hasIpv6 = container.addresses.some((a) => a.includes(":"));
      for (const port of options.ports) {
        await this.#listen(served, listenTcp(netns, "0.0.0.0", port));
        if (hasIpv6) await this.#listen(served, listenTcp(netns, "::", port));
      }
    } catch (error) {
      this.remove(container.id);
      throw error;
    } finally {
      netns.close();
    }
  }

  /** Stops serving a container: no new connections; those that are idle end now, busy ones soon. */
  remove(id: string): void {
    const served = this.#served.get(id);
    if (!served) return;
    this.#served.delete(id);
    for (const listener of served.listeners) listener.close();
    for (const socket of served.sockets) socket.destroySoon();
    const timer = setTimeout(() => {
      for (const socket of served.sockets) socket.destroy();
    }, DRAIN_MS);
    timer.unref();
  }

  /** Stops serving all others. */
  retain(ids: readonly string[]): void {
    const kept = new Set(ids);
    for (const id of this.ids) if (!kept.has(id)) this.remove(id);
  }

  #listen(served: Served, fd: number): Promise<void> {
    const listener = createListener((socket) => {
      this.#owners.set(socket, served);
      served.sockets.add(socket);
      socket.on("close", () => served.sockets.delete(socket));
      this.#http.emit("connection", socket);
    });
    served.listeners.push(listener);
    return new Promise((resolve, reject) => {
      listener.once("error", reject);
      listener.listen({ fd }, resolve);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const served = this.#owners.get(socket);
    if (!served) {
      socket.destroy();
      return;
    }
    request.resume();
    const { status, headers, body } = echoAnswer(served.options, served.container, {
      method: request.method ?? "GET",
      url: request.url ?? "/",
      headers: request.headers,
      client: endOf(socket.remoteAddress, socket.remotePort),
      server: endOf(socket.localAddress, socket.localPort),
    });
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? undefined : body);
  }
}

function endOf(address = "", port = 0): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
