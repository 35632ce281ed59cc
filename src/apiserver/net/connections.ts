import { readFileSync } from "node:fs";
import type { Socket } from "node:net";

/**
 * So many connections at most. kube-apiserver has no such bound: its descriptors end it. A node's agent and its proxy
 * hold two or three, a kubectl one, and each takes some 60 kB of memory here.
 */
const MAX_CONNECTIONS = 4096;

/** So many of them at most of clients who have not said who they are. */
const MAX_STRANGERS = 512;

/** Descriptors that are left for files, for agents that are asked and for what else the process does. */
const OTHER_DESCRIPTORS = 256;

/** How many connections there may be. */
export interface ConnectionLimits {
  readonly all: number;
  readonly strangers: number;
}

/** The limits of this process: fewer where it may have few descriptors. */
export function connectionLimits(): ConnectionLimits {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  const all = Math.max(64, Math.min(MAX_CONNECTIONS, Number(soft ?? Infinity) - OTHER_DESCRIPTORS));
  return { all, strangers: Math.min(MAX_STRANGERS, Math.ceil(all / 2)) };
}

/**
 * The open connections, within limits: where too many are of strangers, who have not been authenticated yet, the one
 * that has waited longest makes room, so that a flood shuts nobody out who can show who he is. Where there are too many
 * in all, the new one is refused.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #all = new Map<string, Socket>();
  /** In the order of their arrival. */
  readonly #strangers = new Set<string>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** Takes a new connection, or ends it. @returns whether it may go on */
  take(socket: Socket): boolean {
    const name = nameOf(socket);
    if (this.#strangers.size >= this.#limits.strangers) this.#endOldest();
    if (this.#all.size >= this.#limits.all) {
      socket.destroy();
      return false;
    }
    this.#all.set(name, socket);
    this.#strangers.add(name);
    socket.on("close", () => this.#forget(name, socket));
    return true;
  }

  /** The client at the other end has shown who it is. @param socket the connection, or the TLS above it */
  authenticated(socket: Socket): void {
    this.#strangers.delete(nameOf(socket));
  }

  /** Ends all. */
  end(): void {
    for (const socket of this.#all.values()) socket.destroy();
  }

  #endOldest(): void {
    const [name] = this.#strangers;
    const socket = name === undefined ? undefined : this.#all.get(name);
    if (name === undefined || !socket) return;
    socket.destroy();
    this.#forget(name, socket);
  }

  /** A name comes again when a client takes its port again, perhaps before the old connection says that it is closed. */
  #forget(name: string, socket: Socket): void {
    if (this.#all.get(name) !== socket) return;
    this.#all.delete(name);
    this.#strangers.delete(name);
  }
}

/** What a connection and the TLS above it have in common. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
