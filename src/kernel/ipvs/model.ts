import { formatIp, type Ip } from "#base/ip.ts";

/** Identity of a virtual server. */
export interface ServerKey {
  readonly ip: Ip;
  /** IANA number: TCP, UDP or SCTP. */
  readonly protocol: number;
  readonly port: number;
}

/** A virtual server: an address whose connections IPVS gives to real servers. */
export interface VirtualServer extends ServerKey {
  /** `rr`, `wrr`, `lc`, `sh`, … */
  readonly scheduler: string;
  /** A client stays with its real server for this time, in s (persistence by the whole address). Absent: no such thing. */
  readonly persistentSeconds?: number;
  /** The scheduler looks at the client's port too (`mh-port`, `sh-port`). */
  readonly hashesPort?: boolean;
}

/** A real server, reached by NAT, of the virtual server's family. */
export interface RealServer {
  readonly ip: Ip;
  readonly port: number;
  /** 0: no new connections; those that are there go on. */
  readonly weight: number;
}

/** A real server as the kernel shows it. */
export interface RealServerState extends RealServer {
  readonly activeConnections: number;
  /** TCP's that are closed but remembered, and all of UDP's. */
  readonly inactiveConnections: number;
}

/** One change. Those of a real server name its virtual server; only the address and port of what is deleted count. */
export type IpvsOperation =
  | { readonly op: "add-server" | "set-server"; readonly server: VirtualServer }
  | { readonly op: "delete-server"; readonly server: ServerKey }
  | { readonly op: "add-real" | "set-real" | "delete-real"; readonly server: ServerKey; readonly real: RealServer };

/** How long connections without packets are remembered, in s; 0 leaves it as it is. */
export interface IpvsTimeouts {
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
}

/** IPVS of one network namespace: the kernel's, or a fake. All calls are synchronous. */
export interface Ipvs {
  /** All virtual servers of addresses; those of firewall marks are left out. @throws NetlinkError */
  servers(): VirtualServer[];
  /** None when there is no such virtual server. @throws NetlinkError */
  realServers(server: ServerKey): RealServerState[];
  /**
   * Applies the operations in order. A refused one does not stop the others.
   * @throws NetlinkError whose `index` is the first refused operation's
   */
  apply(operations: readonly IpvsOperation[]): void;
  /** @throws NetlinkError */
  setTimeouts(timeouts: IpvsTimeouts): void;
  close(): void;
}

const protocolNames: Readonly<Record<number, string>> = { 6: "TCP", 17: "UDP", 132: "SCTP" };

/** `TCP 10.96.0.1:443`, as ipvsadm writes it; identity of a virtual server. */
export function serverText({ ip, protocol, port }: ServerKey): string {
  return `${protocolNames[protocol] ?? protocol} ${socketText(ip, port)}`;
}

/** `10.244.1.2:8080`, `[fd00::2]:8080`; identity of a real server. */
export function realText({ ip, port }: Pick<RealServer, "ip" | "port">): string {
  return socketText(ip, port);
}

/** What an operation does, for errors. */
export function describeIpvs(operation: IpvsOperation): string {
  const words = operation.op
    .replace("-", " ")
    .replace("real", "real server")
    .replace(" server", (word) => ("real" in operation ? word : " virtual server"));
  const of = "real" in operation ? `${realText(operation.real)} of ` : "";
  return `${words} ${of}${serverText(operation.server)}`;
}

function socketText(ip: Ip, port: number): string {
  return ip.family === 6 ? `[${formatIp(ip)}]:${port}` : `${formatIp(ip)}:${port}`;
}
