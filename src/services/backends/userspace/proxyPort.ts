import type { Socket } from "node:net";
import { PodwireError } from "#base/errors.ts";
import { formatIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { isErrno } from "#kernel/ffi/index.ts";
import type { SocketPlace } from "#kernel/namespaces/index.ts";
import type { Target } from "../../model/index.ts";
import type { Complaints } from "./complaints.ts";
import type { Portal } from "./portals.ts";
import { RoundRobin } from "./roundRobin.ts";

/** How the process relays; fixed for the life of a backend. */
export interface RelaySettings {
  /** How long each attempt to reach an endpoint may take, in ms. Default 250, 500, 1000 and 2000, as upstream's. */
  readonly dialTimeoutsMs?: readonly number[];
  /** After this time without a datagram, either way, a UDP client is forgotten, in ms. Default 250, as upstream's. */
  readonly udpIdleTimeoutMs?: number;
  /** Where proxy ports are. Default: the kernel chooses. */
  readonly ports?: { readonly first: number; readonly last: number };
}

/** What proxy ports are made with. */
export interface RelayDeps extends RelaySettings {
  readonly place: SocketPlace;
  /** The node's address that they listen at. */
  readonly address: string;
  /** Takes both halves of every TCP connection that is relayed, while they are open. */
  readonly sockets: Set<Socket>;
  readonly complaints: Complaints;
  readonly log?: Logger | undefined;
}

/** A listening socket that relays what comes in. */
export interface ProxyPort {
  readonly port: number;
  /** Other endpoints or another affinity from now on. */
  update(portal: Portal): void;
  /** Listens no more. TCP connections go on; UDP, which knows no connections, ends. */
  stop(): void;
}

/**
 * A listening socket at one of the ports that are allowed, which are tried from a random one on, as upstream's allocator.
 * @param open makes the socket; 0 is any port
 * @throws SysError when the socket cannot be had; PodwireError "NoPort" when all ports are taken
 */
export function openPort({ ports }: RelaySettings, open: (port: number) => number): number {
  if (!ports) return open(0);
  const { first, last } = ports;
  const count = last - first + 1;
  const start = Math.floor(Math.random() * count);
  for (let i = 0; i < count; i++) {
    try {
      return open(first + ((start + i) % count));
    } catch (error) {
      if (!isErrno(error, "EADDRINUSE")) throw error;
    }
  }
  throw new PodwireError("NoPort", `all ports of portRange ${first}-${last} are taken`);
}

/** The endpoints of a portal, and whose turn it is. */
export class Balancer {
  readonly #label: string;
  readonly #deps: RelayDeps;
  readonly #turns = new RoundRobin<Target>(targetText);

  constructor(portal: Portal, deps: RelayDeps) {
    this.#label = portal.label;
    this.#deps = deps;
    this.update(portal);
  }

  update({ targets, affinitySeconds }: Portal): void {
    this.#turns.update(targets, affinitySeconds, Math.random);
  }

  /** The endpoint for a client; undefined when there are none. */
  next(client: string, anew = false): Target | undefined {
    const { log, complaints } = this.#deps;
    const target = this.#turns.next(client, performance.now(), anew);
    if (target) log?.debug("Mapped service to endpoint", { service: this.#label, endpoint: targetText(target) });
    else complaints.say("Couldn't find an endpoint for service", { service: this.#label, err: "missing endpoints" });
    return target;
  }
}

/** `10.244.1.2:8080`, `[fd00::2]:8080`. */
export function targetText({ ip, port }: Pick<Target, "ip" | "port">): string {
  const text = formatIp(ip);
  return ip.family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}
