import { formatIp, type Ip } from "#base/ip.ts";

/** Addresses and ports of one direction of a connection. Ports are 0 for protocols without them. */
export interface Tuple {
  readonly source: Ip;
  readonly destination: Ip;
  /** IANA number. */
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A tracked connection. Without NAT `reply` is `original` turned around. */
export interface Flow {
  readonly original: Tuple;
  readonly reply: Tuple;
}

/** Which connections to list. */
export interface FlowFilter {
  readonly family: 4 | 6;
  /** IANA number; absent: all protocols. */
  readonly protocol?: number;
  /** Of a protocol with ports: only those whose original direction leads there. */
  readonly destination?: Pick<Tuple, "destination" | "destinationPort">;
}

/** Connection tracking of one network namespace: the kernel's, or a fake. */
export interface Conntrack {
  /** @throws NetlinkError */
  list(filter: FlowFilter): Flow[];
  /**
   * Forgets connections, by their original direction: the next packet begins a new one. Those that are gone already
   * are no error.
   * @returns how many were there
   * @throws NetlinkError
   */
  delete(flows: readonly Flow[]): number;
  close(): void;
}

/** `10.244.1.2:53210 → 10.96.0.10:53/17`, a tuple's identity. */
export function tupleText({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string {
  return `${formatIp(source)}:${sourcePort} → ${formatIp(destination)}:${destinationPort}/${protocol}`;
}

/** Whether a tuple has this destination. */
export function leadsTo(
  tuple: Tuple,
  { destination, destinationPort }: NonNullable<FlowFilter["destination"]>,
): boolean {
  return tuple.destinationPort === destinationPort && Buffer.compare(tuple.destination.bytes, destination.bytes) === 0;
}
