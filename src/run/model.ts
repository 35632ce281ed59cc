import { isIPv4 } from "node:net";
import { PodwireError } from "#base/errors.ts";

/** Docker's networks that a container may be started on. */
export const networkModes = ["bridge", "host", "none"] as const;
export type NetworkMode = (typeof networkModes)[number];

/** Docker's default bridge (dockerd, --bip and default-address-pools). */
export const BRIDGE = { name: "docker0", network: "172.17.0.0/16", gateway: "172.17.0.1", prefix: 16 } as const;

/** A port of the node that leads to a port of the container (`-p`). */
export interface PublishedPort {
  /** Address of the node; absent: every one. */
  readonly ip?: string;
  readonly host: number;
  readonly container: number;
  readonly protocol: "tcp" | "udp";
}

/** One container's place in the network; written down before anything of it is made. */
export interface RunNetwork {
  readonly mode: NetworkMode;
  /** Name below /run/netns; absent for `host`. */
  readonly netns?: string;
  /** Set for `bridge`. */
  readonly attachment?: Attachment;
  readonly ports: readonly PublishedPort[];
}

/** A container's cable to docker0. */
export interface Attachment {
  /** The node's end of the veth pair. */
  readonly veth: string;
  /** Name that the container's end has until it is inside, where it becomes eth0. */
  readonly peer: string;
  /** IPv4 address without prefix length. */
  readonly address: string;
}

/** A command line that cannot be meant. */
function wrong(message: string): PodwireError {
  return new PodwireError("InvalidConfig", message);
}

function portNumber(text: string, kind: "containerPort" | "hostPort"): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  // In the words of Docker's command line (go-connections/nat).
  if (port < 1 || port > 65535) throw wrong(`invalid ${kind}: ${text}`);
  return port;
}

/**
 * Reads the value of `-p`: `[IP:]HOST:CONTAINER[/tcp|udp]`.
 * @throws PodwireError "InvalidConfig"
 */
export function parsePublish(text: string): PublishedPort {
  const [ports = "", protocol = "tcp", ...rest] = text.split("/");
  if (rest.length > 0 || (protocol !== "tcp" && protocol !== "udp"))
    throw wrong(`invalid proto: ${[protocol, ...rest].join("/")} (tcp or udp)`);
  const parts = ports.split(":");
  if (parts.length < 2 || parts.length > 3) throw wrong(`-p ${text}: wanted [IP:]HOST:CONTAINER[/udp], as in 8080:80`);
  const [host = "", container = ""] = parts.slice(-2);
  const ip = parts.length === 3 ? (parts[0] ?? "") : "";
  if (parts.length === 3 && !isIPv4(ip)) throw wrong(`invalid IP address: ${ip}`);
  return {
    ...(ip === "" || ip === "0.0.0.0" ? {} : { ip }),
    host: portNumber(host, "hostPort"),
    container: portNumber(container, "containerPort"),
    protocol,
  };
}

/** Whether two published ports want the same port of the node. */
export function collide(a: PublishedPort, b: PublishedPort): boolean {
  const sameAddress = a.ip === undefined || b.ip === undefined || a.ip === b.ip;
  return a.host === b.host && a.protocol === b.protocol && sameAddress;
}

/** A published port as `docker ps` shows it. */
export function portText({ ip, host, container, protocol }: PublishedPort): string {
  const shown = (address: string) => `${address}:${host}->${container}/${protocol}`;
  return ip === undefined ? `${shown("0.0.0.0")}, ${shown("[::]")}` : shown(ip);
}
