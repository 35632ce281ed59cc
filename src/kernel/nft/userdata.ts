import { UDATA } from "./constants.ts";
import type { Field } from "./fields.ts";
import type { KeyPart, NftSet } from "./model.ts";

// Userdata is what nft keeps beside an object for its own listings: the kernel stores the bytes unread.
// Format: type u8, length u8, value; nested where the value is such a list itself (libnftnl's udata.c).

/** nft's numbers of expressions in `typeof` (enum expr_types of nftables' include/expression.h). */
const EXPR_TYPES = {
  payload: 7,
  meta: 9,
  ct: 12,
  concat: 13,
  numgen: 23,
} as const;

/** One userdata item. Values are at most 255 bytes. */
function item(type: number, value: Uint8Array): Buffer {
  if (value.length > 255) throw new RangeError(`userdata item of ${value.length} bytes, 255 at most`);
  return Buffer.concat([Buffer.of(type, value.length), value]);
}

function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return item(type, bytes);
}

const COMMENT_BYTES = 127;

/** Userdata holding a comment. nft accepts 128 bytes; longer text is cut. */
export function commentUserdata(comment: string, type: number = UDATA.COMMENT): Buffer {
  // Of a short one it need not be counted how many bytes it has.
  if (comment.length * 3 <= COMMENT_BYTES) {
    const bytes = Buffer.allocUnsafe(3 + comment.length * 3);
    const length = bytes.write(comment, 2, "utf8") + 1;
    bytes[0] = type;
    bytes[1] = length;
    bytes[1 + length] = 0;
    return bytes.subarray(0, 2 + length);
  }
  const isShort = Buffer.byteLength(comment) <= COMMENT_BYTES;
  const text = isShort ? comment : Buffer.from(comment, "utf8").subarray(0, COMMENT_BYTES).toString("utf8");
  const length = Buffer.byteLength(text) + 1;
  const bytes = Buffer.alloc(2 + length);
  bytes[0] = type;
  bytes[1] = length;
  bytes.write(text, 2, "utf8");
  return bytes;
}

/** The comment in userdata, undefined when it has none. */
export function userdataComment(bytes: Uint8Array | undefined, type: number = UDATA.COMMENT): string | undefined {
  if (!bytes) return undefined;
  for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
    const value = bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0));
    if (bytes[at] === type) return Buffer.from(value).toString("utf8").replace(/\0.*$/s, "");
  }
  return undefined;
}

/**
 * A set's userdata: its comment, and how its key parts are made. Without the latter nft lists `type … integer`
 * for a numgen part and cannot read its own listing back (nft 1.0.6 even aborts).
 */
export function setUserdata(set: NftSet): Buffer | undefined {
  const items: Buffer[] = [];
  const key = typeofItem(UDATA.SET_KEY_TYPEOF, set.key);
  const data = Array.isArray(set.data) ? typeofItem(UDATA.SET_DATA_TYPEOF, set.data as readonly KeyPart[]) : undefined;
  if (key && (data || !Array.isArray(set.data))) {
    items.push(u32(UDATA.SET_KEY_BYTE_ORDER, byteOrder(set.key)), key);
    if (data) items.push(u32(UDATA.SET_DATA_BYTE_ORDER, byteOrder(set.data as readonly KeyPart[])), data);
  }
  if (set.comment) items.push(commentUserdata(set.comment, UDATA.SET_COMMENT));
  return items.length ? Buffer.concat(items) : undefined;
}

/** nft's enum byteorder: 0 for concatenations, else 1 host, 2 network. */
function byteOrder(parts: readonly KeyPart[]): number {
  if (parts.length !== 1) return 0;
  const part = parts[0] as KeyPart;
  return ("kind" in part ? part.type : part).order === "host" ? 1 : 2;
}

function typeofItem(type: number, parts: readonly KeyPart[]): Buffer | undefined {
  const items: Buffer[] = [];
  for (const part of parts) {
    const value = "kind" in part ? typeofField(part) : undefined;
    if (!value) return undefined;
    items.push(value);
  }
  if (items.length === 1) return item(type, items[0] as Buffer);
  const parts_ = Buffer.concat(items.map((value, index) => item(index, value)));
  return item(type, Buffer.concat([u32(0, EXPR_TYPES.concat), item(1, parts_)]));
}

/** Expression type (0) and its details (1); undefined for fields that nft has no such form for. */
function typeofField(field: Field): Buffer | undefined {
  const pair = (type: number, ...details: Buffer[]) => Buffer.concat([u32(0, type), item(1, Buffer.concat(details))]);
  switch (field.kind) {
    case "payload":
      if (!field.template) return undefined;
      return pair(EXPR_TYPES.payload, u32(0, field.template[0]), u32(1, field.template[1]));
    case "meta":
      return pair(EXPR_TYPES.meta, u32(0, field.key));
    case "numgen":
      return pair(
        EXPR_TYPES.numgen,
        u32(0, field.mode === "random" ? 1 : 0),
        u32(1, field.modulus),
        u32(2, field.offset),
      );
    default:
      return undefined;
  }
}
