import type { Ip } from "#base/ip.ts";
import type { MapSpec } from "#kernel/bpf/index.ts";

/**
 * What the programs' maps hold, byte by byte. Numbers are in the machine's byte order (little-endian), ports in the
 * network's. Strings of a byte each (latin1) stand for records in Maps of ours.
 *
 *     address   16 address (IPv4 as ::ffff:a.b.c.d) . 2 port . 1 protocol . 1 zero
 *     services  address                     → 4 list . 4 number of endpoints . 4 affinity in s, 0 without . 4 zero
 *     endpoints 4 list . 4 index            → address
 *     members   4 list . address            → 4: 1 chosen, 0 still serving; of lists that clients come back to
 *     replies   8 socket . address . 4 zero → address that the socket sent to; of UDP
 *     peers     the same of TCP
 *     flows     8 socket . address . 4 zero → address of the endpoint that its datagrams go to
 *     affinity  8 network namespace . 4 list . 4 zero → 8 ns since boot . address . 4 zero
 */
export const ADDRESS = { length: 20, ip: 0, port: 16, protocol: 18, zero: 19 } as const;
export const SERVICE = { length: 16, list: 0, count: 4, affinity: 8 } as const;
export const ENDPOINT_KEY = { length: 8, list: 0, index: 4 } as const;
export const MEMBER_KEY = { length: 24, list: 0, address: 4 } as const;
const MEMBER_LENGTH = 4;
export const SOCKET_KEY = { length: 32, cookie: 0, address: 8, zero: 28 } as const;
export const AFFINITY_KEY = { length: 16, netns: 0, list: 8, zero: 12 } as const;
export const AFFINITY = { length: 32, at: 0, address: 8, zero: 28 } as const;

/** Most services' addresses and endpoints that are translated; the rest is left to the rules. */
export const LIMITS = { services: 65_536, endpoints: 262_144 } as const;
/** Sockets and clients that are remembered; of more, the ones that were silent longest are forgotten. */
const REMEMBERED = 65_536;

/**
 * The programs' maps. A change of layout changes the names: then a new process makes new ones. Twice the limits, since
 * what is new comes before what is gone goes.
 */
export const mapSpecs = {
  services: hash("pw1_services", ADDRESS.length, SERVICE.length, 2 * LIMITS.services),
  endpoints: hash("pw1_endpoints", ENDPOINT_KEY.length, ADDRESS.length, 2 * LIMITS.endpoints),
  members: hash("pw1_members", MEMBER_KEY.length, MEMBER_LENGTH, 2 * LIMITS.endpoints),
  replies: recent("pw1_replies", SOCKET_KEY.length, ADDRESS.length),
  peers: recent("pw1_peers", SOCKET_KEY.length, ADDRESS.length),
  flows: recent("pw1_flows", SOCKET_KEY.length, ADDRESS.length),
  affinity: recent("pw1_affinity", AFFINITY_KEY.length, AFFINITY.length),
} as const satisfies Record<string, MapSpec>;
export type MapName = keyof typeof mapSpecs;
export const mapNames = Object.keys(mapSpecs) as MapName[];

function hash(name: string, keySize: number, valueSize: number, maxEntries: number): MapSpec {
  return { name, type: "hash", keySize, valueSize, maxEntries };
}

function recent(name: string, keySize: number, valueSize: number): MapSpec {
  return { name, type: "lruHash", keySize, valueSize, maxEntries: REMEMBERED };
}

/** An address and port as the programs compare them. @param protocol IANA number */
export function addressRecord(ip: Ip, port: number, protocol: number): string {
  const bytes = Buffer.alloc(ADDRESS.length);
  if (ip.family === 4) bytes.writeUInt16LE(0xffff, 10);
  bytes.set(ip.bytes, ip.family === 4 ? 12 : 0);
  bytes.writeUInt16BE(port, ADDRESS.port);
  bytes.writeUInt8(protocol, ADDRESS.protocol);
  return bytes.toString("latin1");
}

/** What an address leads to. */
export interface ServiceRecord {
  /** Number of its list of endpoints. */
  readonly list: number;
  readonly count: number;
  /** 0: clients do not stay. */
  readonly affinitySeconds: number;
}

/** Value of `services`. */
export function serviceRecord({ list, count, affinitySeconds }: ServiceRecord): string {
  return words(list, count, affinitySeconds, 0);
}

/** The number of the list in a value of `services`. */
export function listOf(record: string): number {
  return Buffer.from(record, "latin1").readUInt32LE(SERVICE.list);
}

/** Key of `endpoints`. */
export function endpointKey(list: number, index: number): string {
  return words(list, index);
}

/** Key of `members`. @param address by {@link addressRecord} */
export function memberKey(list: number, address: string): string {
  return words(list) + address;
}

/** Value of `members`. */
export function memberRecord(isChosen: boolean): string {
  return words(isChosen ? 1 : 0);
}

function words(...numbers: number[]): string {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [index, number] of numbers.entries()) bytes.writeUInt32LE(number, index * 4);
  return bytes.toString("latin1");
}
