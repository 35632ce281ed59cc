import { type Cidr, cidrBase, cidrMask } from "#base/ip.ts";
import { dataTypes, hostU32 } from "./dataTypes.ts";
import { ct, type Field, metaFields } from "./fields.ts";
import { type Comparison, type Expression, type NftSet, partTypes, type Statement } from "./model.ts";

// Short names for the statements that rules are made of.

/** `field == value`, or with another operator. */
export function match(field: Field, value: Uint8Array, operator: Comparison = "=="): Statement {
  return { kind: "match", field, operator, value };
}

/** `field 10.244.0.0/16`, or with `!=` outside of it. A whole address is compared without a mask. */
export function inNetwork(field: Field, cidr: Cidr, operator: "==" | "!=" = "=="): Statement {
  const value = cidrBase(cidr).bytes;
  const isWhole = cidr.prefix === value.length * 8;
  return {
    kind: "match",
    field,
    operator,
    value,
    ...(!isWhole && { mask: cidrMask(cidr).bytes }),
  };
}

/** At least one of the connection status bits is set. */
export function ctStatus(bits: number): Statement {
  return {
    kind: "match",
    field: ct.status,
    operator: "!=",
    value: new Uint8Array(4),
    mask: hostU32(bits),
  };
}

/** The packet's place in its connection is one of these. */
export function ctState(bits: number): Statement {
  return {
    kind: "match",
    field: ct.state,
    operator: "!=",
    value: new Uint8Array(4),
    mask: hostU32(bits),
  };
}

/** At least one bit of `bits` is set in the packet's mark. */
export function hasMark(bits: number): Statement {
  return {
    kind: "match",
    field: metaFields.mark,
    operator: "!=",
    value: new Uint8Array(4),
    mask: hostU32(bits),
  };
}

/** Sets bits of the packet's mark and leaves the others. */
export function setMarkBits(bits: number): Statement {
  return {
    kind: "assign",
    field: metaFields.mark,
    value: {
      kind: "bits",
      field: metaFields.mark,
      mask: ~bits >>> 0,
      flip: bits,
    },
  };
}

/** Clears bits of the packet's mark and leaves the others. */
export function clearMarkBits(bits: number): Statement {
  return {
    kind: "assign",
    field: metaFields.mark,
    value: { kind: "bits", field: metaFields.mark, mask: ~bits >>> 0, flip: 0 },
  };
}

/** The rule goes on only when the set has (or with `negate` lacks) the key. */
export function inSet(key: readonly Field[], set: NftSet, negate = false): Statement {
  return { kind: "lookup", key, set: set.name, ...(negate && { negate }) };
}

/** What the map holds for a key. */
export function mapped(key: readonly Field[], map: NftSet): Extract<Expression, { kind: "map" }> {
  return {
    kind: "map",
    key,
    map: map.name,
    types: Array.isArray(map.data) ? partTypes(map.data) : [],
  };
}

/** Goes where the verdict map says; on with the next rule when it says nothing. */
export function vmap(key: readonly Field[], map: NftSet): Statement {
  return { kind: "vmap", key, map: map.name };
}

export const accept: Statement = {
  kind: "verdict",
  verdict: { kind: "accept" },
};
export const drop: Statement = { kind: "verdict", verdict: { kind: "drop" } };
export const back: Statement = { kind: "verdict", verdict: { kind: "return" } };

/** On in another chain, and back here after it. */
export function jump(chain: { readonly name: string }): Statement {
  return { kind: "verdict", verdict: { kind: "jump", chain: chain.name } };
}

/** On in another chain, and not back. */
export function goTo(chain: { readonly name: string }): Statement {
  return { kind: "verdict", verdict: { kind: "goto", chain: chain.name } };
}

/** Numbers of transport protocols (IANA). */
export const protocols = {
  TCP: 6,
  UDP: 17,
  SCTP: 132,
  ICMP: 1,
  ICMPv6: 58,
} as const;

/** The type of an address of the family. */
export function addressType(family: "ip" | "ip6") {
  return family === "ip" ? dataTypes.ipv4_addr : dataTypes.ipv6_addr;
}
