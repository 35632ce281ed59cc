import type { Socket } from "node:net";

/**
 * The connections of a listener, by client. When there is no room for one more, a client that has fewer takes the place
 * of the oldest connection of the client that has most: one alone cannot keep all others away.
 */
export class Clients {
  readonly #most: number;
  readonly #byAddress = new Map<string, Set<Socket>>();
  #count = 0;

  /** @param most connections at a time */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a connection in, until it closes; false when there is no room for it. */
  add(socket: Socket): boolean {
    const address = socket.remoteAddress ?? "";
    const own = this.#byAddress.get(address) ?? new Set<Socket>();
    if (this.#count >= this.#most && !this.#makeRoom(own.size + 1)) return false;
    own.add(socket);
    this.#byAddress.set(address, own);
    this.#count++;
    socket.once("close", () => this.#remove(address, socket));
    return true;
  }

  /** Ends all connections. */
  close(): void {
    for (const sockets of this.#byAddress.values()) for (const socket of sockets) socket.destroy();
  }

  /** Ends a connection of the client with most, if it has more than a client would have with one more. */
  #makeRoom(wanted: number): boolean {
    let largest: ReadonlySet<Socket> = new Set();
    let address = "";
    for (const [of, sockets] of this.#byAddress) if (sockets.size > largest.size) [address, largest] = [of, sockets];
    const [oldest] = largest;
    if (!oldest || largest.size <= wanted) return false;
    this.#remove(address, oldest);
    oldest.destroy();
    return true;
  }

  #remove(address: string, socket: Socket): void {
    const sockets = this.#byAddress.get(address);
    if (!sockets?.delete(socket)) return;
    this.#count--;
    if (sockets.size === 0) this.#byAddress.delete(address);
  }
}
