import type { Socket } from "node:dgram";

/**
 * Connects a UDP socket, so that only the other side is heard, and its refusals too. Node tells a failure to the
 * callback alone (no event "error"), and a failure to bind the socket first as the event: both reject here. A socket
 * that is not connected must not be sent on without an address: that throws.
 * @throws Error with a code: ENETUNREACH without a route, EACCES, EMFILE, …
 */
export function connectDatagrams(socket: Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.connect(port, address, (error?: Error) => {
      socket.off("error", reject);
      if (error) reject(error);
      else resolve();
    });
  });
}
