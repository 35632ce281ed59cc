import { createServer, type Server, type Socket } from "node:net";
import { connectTcp, type Netns } from "#kernel/namespaces/index.ts";
import type { ForwardTarget } from "./protocol.ts";

/** Connections of one forward at the same time; more are refused. */
const MAX_CONNECTIONS = 4096;

/** Joins two connections, each side's end and errors included. */
export function splice(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.setNoDelay(true);
    from.on("error", () => to.destroy());
    // What came before the end still has to be delivered.
    from.on("close", () => to.destroySoon());
    from.pipe(to);
  }
}

/**
 * Accepts connections of a listener in the host's network namespace and carries each to an address of the lab,
 * dialled from a machine's namespace.
 * @param handle a listening TCP handle that the parent process sent
 */
export function startForward(handle: object, netns: Netns, target: ForwardTarget): Server {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    try {
      splice(client, connectTcp(netns, target.address, target.port));
    } catch {
      // The target's address cannot be reached now; the client sees a reset.
      client.resetAndDestroy();
    }
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(handle);
  return server;
}
