import { type Attributes, attributeText, parseAttributes } from "#kernel/netlink/index.ts";
import { DATA, REG, VERDICT, VERDICT_CODES } from "./constants.ts";
import { type Field, payloadField } from "./fields.ts";
import type { Comparison, Family, Statement, Verdict } from "./model.ts";

// Values inside a rule's expressions, for reading rules back.

/** A verdict from the payload of NFTA_DATA_VERDICT. */
export function readVerdict(payload: Buffer): Verdict {
  const attributes = parseAttributes(payload);
  const code = attributes.get(VERDICT.CODE)?.readInt32BE() ?? 0;
  const kind = (Object.keys(VERDICT_CODES) as (keyof typeof VERDICT_CODES)[]).find((k) => VERDICT_CODES[k] === code);
  if (!kind) throw new RangeError(`nftables verdict ${code} is not in the model`);
  return kind === "jump" || kind === "goto" ? { kind, chain: textOf(attributes, VERDICT.CHAIN) } : { kind };
}

/** Text of an attribute, "" when absent. */
export function textOf(attributes: Attributes, type: number): string {
  const payload = attributes.get(type);
  return payload ? attributeText(payload) : "";
}

/** A u32 attribute (network order), 0 when absent. */
export function numberOf(attributes: Attributes, type: number): number {
  return attributes.get(type)?.readUInt32BE() ?? 0;
}

/** Bytes of a nested NFTA_DATA_VALUE, none when absent. */
export function bytesOf(attributes: Attributes, type: number): Uint8Array {
  const value = parseAttributes(attributes.get(type) ?? Buffer.alloc(0)).get(DATA.VALUE);
  return Uint8Array.from(value ?? []);
}

/** Register by number of 4-byte units: the kernel reports 16-byte aligned ones as the 16-byte registers 1 to 4. */
export function register(attributes: Attributes, type: number): number | undefined {
  const number = attributes.get(type)?.readUInt32BE();
  if (number === undefined || number === REG.VERDICT || number >= REG.FIRST) return number;
  return REG.FIRST + (number - 1) * 4;
}

/** nft compares only the leading bytes of an address for a prefix of whole bytes: `10.244.0.0/16` as two bytes. */
export function prefixMatch(family: Family, field: Field, operator: Comparison, value: Uint8Array): Statement {
  const match = { kind: "match", operator } as const;
  if (field.kind !== "payload" || !field.text.startsWith("@")) return { ...match, field, value };
  const full = payloadField(family, field.base, field.offset, family === "ip6" ? 16 : 4);
  if (full.text.startsWith("@")) return { ...match, field, value };
  const widened = new Uint8Array(full.length);
  widened.set(value);
  return {
    ...match,
    field: full,
    value: widened,
    mask: new Uint8Array(full.length).fill(0xff, 0, value.length),
  };
}

/** A u32 in host order. */
export function hostNumber(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
}
