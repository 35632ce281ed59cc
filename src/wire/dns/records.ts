import { className, typeName } from "./constants.ts";
import { addressText } from "./name.ts";

/** One question (RFC 1035 §4.1.2). */
export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** A resource record with its decoded data (RFC 1035 §4.1.3). */
export interface ResourceRecord {
  /** Owner, absolute. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Seconds, unsigned 32 bits. */
  readonly ttl: number;
  readonly data: RecordData;
}

/** Data of a record; which kind belongs to which type is in `layouts`. */
export type RecordData = AddressData | NameData | SoaData | MxData | SrvData | TextData | PartsData | OpaqueData;

/** A (4 bytes) and AAAA (16 bytes), network byte order. */
export interface AddressData {
  readonly kind: "address";
  readonly address: Uint8Array;
}

/** NS, CNAME, PTR, DNAME and the other types that hold just a name. */
export interface NameData {
  readonly kind: "name";
  readonly target: string;
}

/** SOA (RFC 1035 §3.3.13); times in seconds. */
export interface SoaData {
  readonly kind: "soa";
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** MX (RFC 1035 §3.3.9). */
export interface MxData {
  readonly kind: "mx";
  readonly preference: number;
  readonly exchange: string;
}

/** SRV (RFC 2782). */
export interface SrvData {
  readonly kind: "srv";
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** TXT, SPF and HINFO: character strings of up to 255 bytes each. */
export interface TextData {
  readonly kind: "text";
  readonly strings: readonly Uint8Array[];
}

/** Older types with names among other bytes (MINFO, RP, AFSDB, RT, PX, KX, NAPTR): strings are names. */
export interface PartsData {
  readonly kind: "parts";
  readonly parts: readonly (string | Uint8Array)[];
}

/** Every other type, as bytes (RFC 3597). */
export interface OpaqueData {
  readonly kind: "opaque";
  readonly bytes: Uint8Array;
}

/** One piece of a PartsData layout: a name, that many bytes, or that many character strings kept as bytes. */
export type Part = "name" | { readonly bytes: number } | { readonly strings: number };

/** How the data of a type is laid out. `compress`: names in it may be written compressed (RFC 3597 §4). */
export interface Layout {
  readonly kind: RecordData["kind"];
  readonly compress: boolean;
  /** Bytes of an address. */
  readonly size?: 4 | 16;
  readonly parts?: readonly Part[];
}

const name: Layout = { kind: "name", compress: true };
const opaque: Layout = { kind: "opaque", compress: false };
const text: Layout = { kind: "text", compress: false };
const numberAndName: Layout = { kind: "parts", compress: false, parts: [{ bytes: 2 }, "name"] };

/**
 * Layouts of the types that are not opaque. Compressed names are read in all of them, since old servers send them;
 * they are written only in those of RFC 1035 (RFC 3597 §4 forbids the others).
 */
const layouts: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [1, { kind: "address", compress: false, size: 4 }], // A
  [28, { kind: "address", compress: false, size: 16 }], // AAAA
  ...[2, 3, 4, 5, 7, 8, 9, 12].map((type) => [type, name] as const), // NS MD MF CNAME MB MG MR PTR
  [39, { kind: "name", compress: false }], // DNAME (RFC 6672 §2.5)
  [6, { kind: "soa", compress: true }],
  [15, { kind: "mx", compress: true }],
  [33, { kind: "srv", compress: false }],
  [13, text], // HINFO
  [16, text],
  [99, text], // SPF
  [14, { kind: "parts", compress: true, parts: ["name", "name"] }], // MINFO
  [17, { kind: "parts", compress: false, parts: ["name", "name"] }], // RP (RFC 1183)
  [18, numberAndName], // AFSDB
  [21, numberAndName], // RT
  [36, numberAndName], // KX (RFC 2230)
  [26, { kind: "parts", compress: false, parts: [{ bytes: 2 }, "name", "name"] }], // PX (RFC 2163)
  [35, { kind: "parts", compress: false, parts: [{ bytes: 4 }, { strings: 3 }, "name"] }], // NAPTR (RFC 3403)
]);

/** The layout of a type's data; opaque for types without one, and for classes other than Internet. */
export function layoutOf(type: number): Layout {
  return layouts.get(type) ?? opaque;
}

/** A record as a line of a zone file: `example.org. 30 IN A 192.0.2.1` (RFC 1035 §5.1, RFC 3597 §5 for unknown types). */
export function formatRecord(record: ResourceRecord): string {
  return `${record.name} ${record.ttl} ${className(record.class)} ${typeName(record.type)} ${formatData(record.data)}`;
}

/** The data part of {@link formatRecord}. */
export function formatData(data: RecordData): string {
  switch (data.kind) {
    case "address":
      return addressText(data.address);
    case "name":
      return data.target;
    case "soa":
      return `${data.mname} ${data.rname} ${data.serial} ${data.refresh} ${data.retry} ${data.expire} ${data.minimum}`;
    case "mx":
      return `${data.preference} ${data.exchange}`;
    case "srv":
      return `${data.priority} ${data.weight} ${data.port} ${data.target}`;
    case "text":
      return data.strings.map(quotedString).join(" ");
    case "parts":
      return data.parts.map((part) => (typeof part === "string" ? part : `\\# ${hex(part)}`)).join(" ");
    case "opaque":
      return `\\# ${data.bytes.length}${data.bytes.length > 0 ? ` ${hex(data.bytes)}` : ""}`;
  }
}

function quotedString(bytes: Uint8Array): string {
  let quoted = '"';
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) quoted += `\\${String.fromCharCode(byte)}`;
    else if (byte >= 0x20 && byte < 0x7f) quoted += String.fromCharCode(byte);
    else quoted += `\\${String(byte).padStart(3, "0")}`;
  }
  return `${quoted}"`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
