import { formatIp } from "#base/ip.ts";

/**
 * The type of a value in a set key, map data or comparison.
 * `id` is the number by which nft tells types apart in listings (`enum datatypes` of nftables' include/datatype.h);
 * the kernel only stores it.
 */
export interface DataType {
  readonly name: string;
  readonly id: number;
  /** Length in bytes, unpadded. */
  readonly length: number;
  /** Byte order of numbers: addresses and ports are network order, numbers that the kernel makes are host order. */
  readonly order: "network" | "host";
  /** nft's text of a value. */
  readonly format: (bytes: Uint8Array) => string;
}

/** Protocols that nft 1.0.6 prints by name (from /etc/protocols), as in its listings. */
const protocolNames = new Map([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [58, "ipv6-icmp"],
  [132, "sctp"],
]);

/** Connection states: bit → name (include/uapi/linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT). */
const stateNames: readonly [number, string][] = [
  [1, "invalid"],
  [2, "established"],
  [4, "related"],
  [8, "new"],
  [64, "untracked"],
];

/** Connection status bits that rules ask for (enum ip_conntrack_status). */
const statusNames: readonly [number, string][] = [
  [2, "seen-reply"],
  [4, "assured"],
  [8, "confirmed"],
  [16, "snat"],
  [32, "dnat"],
];

/** Address types of a fib lookup (enum of include/uapi/linux/rtnetlink.h, RTN_). */
const fibNames = new Map([
  [1, "unicast"],
  [2, "local"],
  [3, "broadcast"],
  [4, "anycast"],
  [5, "multicast"],
  [6, "blackhole"],
  [7, "unreachable"],
  [8, "prohibit"],
]);

/** Every type that the model knows, by nft's name. */
export const dataTypes = {
  integer: {
    name: "integer",
    id: 4,
    length: 4,
    order: "host",
    format: (b) => String(hostNumber(b)),
  },
  ipv4_addr: {
    name: "ipv4_addr",
    id: 7,
    length: 4,
    order: "network",
    format: (b) => formatIp({ family: 4, bytes: b }),
  },
  ipv6_addr: {
    name: "ipv6_addr",
    id: 8,
    length: 16,
    order: "network",
    format: (b) => formatIp({ family: 6, bytes: b }),
  },
  ether_addr: {
    name: "ether_addr",
    id: 9,
    length: 6,
    order: "network",
    format: formatMac,
  },
  inet_proto: {
    name: "inet_proto",
    id: 12,
    length: 1,
    order: "network",
    format: (b) => named(protocolNames, b[0] ?? 0),
  },
  inet_service: {
    name: "inet_service",
    id: 13,
    length: 2,
    order: "network",
    format: (b) => String(networkNumber(b)),
  },
  mark: {
    name: "mark",
    id: 19,
    length: 4,
    order: "host",
    format: (b) => hex32(hostNumber(b)),
  },
  iface_index: {
    name: "iface_index",
    id: 20,
    length: 4,
    order: "host",
    format: (b) => String(hostNumber(b)),
  },
  classid: {
    name: "classid",
    id: 23,
    length: 4,
    order: "host",
    format: (b) => formatClassId(hostNumber(b)),
  },
  ct_state: {
    name: "ct_state",
    id: 26,
    length: 4,
    order: "host",
    format: (b) => flags(stateNames, hostNumber(b)),
  },
  ct_status: {
    name: "ct_status",
    id: 28,
    length: 4,
    order: "host",
    format: (b) => flags(statusNames, hostNumber(b)),
  },
  fib_addrtype: {
    name: "fib_addrtype",
    id: 38,
    length: 4,
    order: "host",
    format: (b) => named(fibNames, hostNumber(b)),
  },
  nf_proto: {
    name: "nf_proto",
    id: 2,
    length: 1,
    order: "host",
    format: (b) => (b[0] === 10 ? "ipv6" : "ipv4"),
  },
  ifname: {
    name: "ifname",
    id: 41,
    length: 16,
    order: "host",
    format: formatInterface,
  },
} as const satisfies Record<string, DataType>;

/** The type with nft's number, undefined when unknown. */
export function dataTypeById(id: number): DataType | undefined {
  return Object.values<DataType>(dataTypes).find((type) => type.id === id);
}

/** A u32 in host order (marks, numgen, class ids). */
export function hostU32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** A u16 in network order (ports). */
export function networkU16(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}

/** An interface name as the kernel compares it: 16 bytes, padded with NUL. A trailing `*` compares only the prefix. */
export function interfaceName(name: string): Uint8Array {
  const text = Buffer.from(name.endsWith("*") ? name.slice(0, -1) : name, "utf8");
  if (text.length > 15) throw new RangeError(`interface name ${JSON.stringify(name)} is longer than 15 bytes`);
  if (name.endsWith("*")) return Uint8Array.from(text);
  const bytes = new Uint8Array(16);
  bytes.set(text);
  return bytes;
}

/** The concatenation of values: each part padded to 4 bytes, as registers hold them. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += padded(part.length);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += padded(part.length);
  }
  return bytes;
}

/** Length rounded up to whole 4-byte registers. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/** nft's text of a concatenated value: `10.96.0.1 . tcp . 80`. */
export function formatConcat(types: readonly DataType[], bytes: Uint8Array): string {
  let at = 0;
  return types
    .map((type) => {
      const part = bytes.subarray(at, at + type.length);
      at += padded(type.length);
      return type.format(part);
    })
    .join(" . ");
}

function hostNumber(bytes: Uint8Array): number {
  let value = 0;
  for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

function networkNumber(bytes: Uint8Array): number {
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value;
}

function hex32(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

function named(names: ReadonlyMap<number, string>, value: number): string {
  return names.get(value) ?? String(value);
}

function flags(names: readonly (readonly [number, string])[], value: number): string {
  const known = names.filter(([bit]) => value & bit);
  const rest = known.reduce((left, [bit]) => left & ~bit, value);
  return rest || known.length === 0 ? hex32(value) : known.map(([, name]) => name).join(",");
}

function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function formatClassId(value: number): string {
  if (value === 0) return "none";
  if (value === 0xffffffff) return "root";
  return `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
}

function formatInterface(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
  return `"${text}${end < 0 && bytes.length < 16 ? "*" : ""}"`;
}
