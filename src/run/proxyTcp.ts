import { createConnection, createServer, type Server, type Socket } from "node:net";

/** Where a proxy takes connections to. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Something that listens. */
export interface Listener {
  close(): void;
}

/** As many connections are carried at once for one port; more are refused. */
const MAX_CONNECTIONS = 1024;

/** Both directions; one that ends leaves the other open, one that fails ends both. */
function carry(client: Socket, target: Target): void {
  const server = createConnection({ host: target.address, port: target.port, allowHalfOpen: true });
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.setNoDelay(true);
    from.on("error", () => to.destroy());
    from.once("close", (hadError) => {
      if (hadError) to.destroy();
    });
    from.pipe(to);
  }
}

/**
 * Listens on a TCP port of this node and carries its connections to a container.
 * @param address `0.0.0.0`, `::` (IPv6 alone) or an address of this node
 * @throws Error with code EADDRINUSE, EACCES, EADDRNOTAVAIL
 */
export function proxyTcp(address: string, port: number, target: Target): Promise<Listener> {
  const clients = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    carry(client, target);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port, ipv6Only: true }, () => {
      server.off("error", reject);
      resolve({
        close() {
          server.close();
          for (const client of clients) client.destroy();
        },
      });
    });
  });
}
