import { createServer, type Server, type Socket } from "node:net";
import { errorMessage } from "#base/errors.ts";
import { formatIp } from "#base/ip.ts";
import { connectedTcp, listenTcp, localPort } from "#kernel/namespaces/index.ts";
import type { Portal } from "./portals.ts";
import { Balancer, openPort, type ProxyPort, type RelayDeps, targetText } from "./proxyPort.ts";

/** Connections of one port of a Service at a time; more are closed at once. Each holds two sockets and their buffers. */
export const MAX_CONNECTIONS = 4096;

/** Upstream's EndpointDialTimeouts, in ms. */
const DIAL_TIMEOUTS_MS = [250, 500, 1000, 2000] as const;

/** After so much silence it is asked whether the other side is still there (Go's default, so upstream's), in ms. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Listens for TCP connections and relays each to an endpoint.
 * @throws SysError when the socket cannot be had
 */
export function tcpPort(portal: Portal, deps: RelayDeps): ProxyPort {
  return new TcpPort(portal, deps);
}

class TcpPort implements ProxyPort {
  readonly port: number;
  readonly #label: string;
  readonly #deps: RelayDeps;
  readonly #balancer: Balancer;
  readonly #server: Server;

  constructor(portal: Portal, deps: RelayDeps) {
    this.#label = portal.label;
    this.#deps = deps;
    this.#balancer = new Balancer(portal, deps);
    const fd = openPort(deps, (port) => listenTcp(deps.place, deps.address, port));
    this.port = localPort(fd);
    // Nothing is read before there is somebody who takes it.
    const alive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...alive };
    this.#server = createServer(options, (client) => void this.#relay(client));
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on("drop", () =>
      deps.complaints.say("Too many connections", { service: portal.label, limit: MAX_CONNECTIONS }),
    );
    this.#server.on("error", (error) =>
      deps.complaints.say("Accept failed", { service: portal.label, err: errorMessage(error) }),
    );
    this.#server.listen({ fd });
  }

  update(portal: Portal): void {
    this.#balancer.update(portal);
  }

  stop(): void {
    this.#server.close();
  }

  async #relay(client: Socket): Promise<void> {
    const { log, complaints } = this.#deps;
    this.#hold(client);
    log?.debug("Accepted TCP connection from remote", {
      remoteAddress: client.remoteAddress,
      localAddress: client.localAddress,
    });
    const server = await this.#dial(client.remoteAddress ?? "");
    if (!server) {
      complaints.say("Failed to connect to balancer", { service: this.#label });
      client.resetAndDestroy();
      return;
    }
    this.#hold(server);
    if (client.destroyed) server.destroy();
    else join(client, server);
  }

  #hold(socket: Socket): void {
    const { sockets } = this.#deps;
    sockets.add(socket);
    socket.on("error", () => {}); // 'close' follows
    socket.once("close", () => sockets.delete(socket));
  }

  /** A connection to an endpoint; undefined when none of those that were tried took it. */
  async #dial(client: string): Promise<Socket | undefined> {
    const { place, complaints, dialTimeoutsMs = DIAL_TIMEOUTS_MS } = this.#deps;
    for (const [attempt, limitMs] of dialTimeoutsMs.entries()) {
      const target = this.#balancer.next(client, attempt > 0);
      if (!target) return undefined;
      try {
        return await connectedTcp(place, formatIp(target.ip), target.port, limitMs);
      } catch (error) {
        const endpoint = targetText(target);
        complaints.say("Dial failed", { service: this.#label, endpoint, err: errorMessage(error) });
      }
    }
    return undefined;
  }
}

/**
 * Carries bytes both ways. Whoever takes them slowly makes the other side wait; each direction ends on its own; a reset of
 * one side resets the other.
 */
function join(client: Socket, server: Socket): void {
  server.setNoDelay(true);
  server.setKeepAlive(true, KEEP_ALIVE_MS);
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.on("error", () => to.resetAndDestroy());
    // What came before the end still has to be delivered.
    from.on("close", () => to.destroySoon());
    from.pipe(to);
  }
}
