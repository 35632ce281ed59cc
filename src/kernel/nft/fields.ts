import { type DataType, dataTypes } from "./dataTypes.ts";

/** Headers that payload offsets count from (enum nft_payload_bases). */
export type PayloadBase = "link" | "network" | "transport";

/** Bytes of the packet. Offsets and lengths in bytes. */
export interface PayloadField {
  readonly kind: "payload";
  /** nft's name, such as "ip daddr". */
  readonly text: string;
  readonly type: DataType;
  readonly base: PayloadBase;
  readonly offset: number;
  readonly length: number;
  /** nft's numbers of protocol and field in a set's `typeof` (proto_desc id, header template index), when known. */
  readonly template?: readonly [protocol: number, field: number];
}

/** What the kernel knows about a packet besides its bytes (enum nft_meta_keys). */
export interface MetaField {
  readonly kind: "meta";
  readonly text: string;
  readonly type: DataType;
  readonly key: number;
}

/** What the kernel knows about the packet's connection (enum nft_ct_keys). */
export interface CtField {
  readonly kind: "ct";
  readonly text: string;
  readonly type: DataType;
  readonly key: number;
}

/** Result of a route lookup: which type the source or destination address is on this machine. */
export interface FibField {
  readonly kind: "fib";
  readonly text: string;
  readonly type: DataType;
  readonly address: "saddr" | "daddr";
}

/** A number made anew for each packet: offset ≤ n < offset + modulus. */
export interface NumgenField {
  readonly kind: "numgen";
  readonly text: string;
  readonly type: DataType;
  readonly mode: "random" | "inc";
  readonly modulus: number;
  readonly offset: number;
}

/** Something a rule can read: compared, looked up, or stored. */
export type Field = PayloadField | MetaField | CtField | FibField | NumgenField;

const payload = (
  text: string,
  type: DataType,
  base: PayloadBase,
  offset: number,
  template?: readonly [number, number],
): PayloadField => ({
  kind: "payload",
  text,
  type,
  base,
  offset,
  length: type.length,
  ...(template && { template }),
});

const meta = (name: string, type: DataType, key: number): MetaField => ({
  kind: "meta",
  text: `meta ${name}`,
  type,
  key,
});

// Names of interfaces are printed by nft without "meta".
const bareMeta = (text: string, type: DataType, key: number): MetaField => ({
  kind: "meta",
  text,
  type,
  key,
});

/** Header fields of IPv4 (RFC 791). Template numbers: nftables' PROTO_DESC_IP and enum ip_hdr_fields. */
export const ip = {
  saddr: payload("ip saddr", dataTypes.ipv4_addr, "network", 12, [12, 11]),
  daddr: payload("ip daddr", dataTypes.ipv4_addr, "network", 16, [12, 12]),
  protocol: payload("ip protocol", dataTypes.inet_proto, "network", 9),
} as const;

/** Header fields of IPv6 (RFC 8200). */
export const ip6 = {
  saddr: payload("ip6 saddr", dataTypes.ipv6_addr, "network", 8, [13, 8]),
  daddr: payload("ip6 daddr", dataTypes.ipv6_addr, "network", 24, [13, 9]),
} as const;

/** Ports, at the same place in TCP, UDP and SCTP. */
export const th = {
  sport: payload("th sport", dataTypes.inet_service, "transport", 0, [11, 1]),
  dport: payload("th dport", dataTypes.inet_service, "transport", 2, [11, 2]),
} as const;

/** Meta keys (include/uapi/linux/netfilter/nf_tables.h, enum nft_meta_keys). */
export const metaFields = {
  priority: meta("priority", dataTypes.classid, 2),
  mark: meta("mark", dataTypes.mark, 3),
  iif: bareMeta("iif", dataTypes.iface_index, 4),
  oif: bareMeta("oif", dataTypes.iface_index, 5),
  iifname: bareMeta("iifname", dataTypes.ifname, 6),
  oifname: bareMeta("oifname", dataTypes.ifname, 7),
  nfproto: meta("nfproto", dataTypes.nf_proto, 15),
  l4proto: meta("l4proto", dataTypes.inet_proto, 16),
} as const;

/** Connection keys (enum nft_ct_keys). */
export const ct = {
  state: { kind: "ct", text: "ct state", type: dataTypes.ct_state, key: 0 },
  status: { kind: "ct", text: "ct status", type: dataTypes.ct_status, key: 2 },
  mark: { kind: "ct", text: "ct mark", type: dataTypes.mark, key: 3 },
} as const satisfies Record<string, CtField>;

/** Bits of `ct state` and `ct status`. */
export const ctBits = {
  invalid: 1,
  established: 2,
  related: 4,
  new: 8,
  untracked: 64,
  snat: 16,
  dnat: 32,
} as const;

/** `fib saddr|daddr type`. */
export function fibType(address: "saddr" | "daddr"): FibField {
  return {
    kind: "fib",
    text: `fib ${address} type`,
    type: dataTypes.fib_addrtype,
    address,
  };
}

/** Values of {@link fibType} (RTN_ of rtnetlink.h). */
export const fibTypes = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  multicast: 5,
} as const;

/** A random number (or one counting up), host order: `offset` to `offset + modulus - 1`. */
export function numgen(modulus: number, offset = 0, mode: "random" | "inc" = "random"): NumgenField {
  const text = `numgen ${mode} mod ${modulus}${offset ? ` offset ${offset}` : ""}`;
  return {
    kind: "numgen",
    text,
    type: dataTypes.integer,
    mode,
    modulus,
    offset,
  };
}

/** Address fields of a family: the same rules are made for both. */
export function addressFields(family: "ip" | "ip6"): {
  readonly saddr: PayloadField;
  readonly daddr: PayloadField;
} {
  return family === "ip" ? ip : ip6;
}

const knownPayloads: readonly PayloadField[] = [...Object.values(ip), ...Object.values(ip6), ...Object.values(th)];
const knownMeta: readonly MetaField[] = Object.values(metaFields);
const knownCt: readonly CtField[] = Object.values(ct);

/**
 * The named field at a place of the packet, or an unnamed one (`@nh,96,32`).
 * A family tells IPv4's bytes from IPv6's.
 */
export function payloadField(family: string, base: PayloadBase, offset: number, length: number): PayloadField {
  const known = knownPayloads.find(
    (field) =>
      field.base === base &&
      field.offset === offset &&
      field.length === length &&
      !(family === "ip" && field.text.startsWith("ip6 ")) &&
      !(family === "ip6" && field.text.startsWith("ip ")),
  );
  if (known) return known;
  const short = { link: "ll", network: "nh", transport: "th" }[base];
  const type: DataType = { ...dataTypes.integer, length, order: "network" };
  return {
    kind: "payload",
    text: `@${short},${offset * 8},${length * 8}`,
    type,
    base,
    offset,
    length,
  };
}

/** The meta field of a key. @throws RangeError for a key that the model lacks */
export function metaField(key: number): MetaField {
  const known = knownMeta.find((field) => field.key === key);
  if (!known) throw new RangeError(`meta key ${key} is not in the model`);
  return known;
}

/** The connection field of a key. @throws RangeError for a key that the model lacks */
export function ctField(key: number): CtField {
  const known = knownCt.find((field) => field.key === key);
  if (!known) throw new RangeError(`ct key ${key} is not in the model`);
  return known;
}
