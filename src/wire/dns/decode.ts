import { RecordType } from "./constants.ts";
import { DnsError } from "./errors.ts";
import { type Edns, type EdnsOption, type Header, headerBytes, type Message } from "./message.ts";
import { labelText, maxNameBytes } from "./name.ts";
import { layoutOf, type Part, type Question, type RecordData, type ResourceRecord } from "./records.ts";

/** A position in a message. Every read is checked against `end`, which never lies beyond the bytes. */
interface Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
  end: number;
}

/**
 * Decodes a message. Bytes behind the last record are ignored, as servers do.
 * @throws DnsError for anything that is no message; never another error, and in time linear in the bytes
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const header = decodeHeader(bytes);
  const cursor: Cursor = { bytes, view: viewOf(bytes), at: headerBytes, end: bytes.length };
  const [questionCount, answerCount, authorityCount, additionalCount] = [4, 6, 8, 10].map((offset) =>
    cursor.view.getUint16(offset),
  ) as [number, number, number, number];
  const questions: Question[] = [];
  for (let i = 0; i < questionCount; i++) questions.push(readQuestion(cursor));
  const answers = readRecords(cursor, answerCount);
  const authorities = readRecords(cursor, authorityCount);
  const all = readRecords(cursor, additionalCount);
  const opt = all.filter((record) => record.type === RecordType.OPT);
  if (opt.length > 1) throw new DnsError("bad-value", "more than one OPT record"); // RFC 6891 §6.1.1
  const base = { ...header, questions, answers, authorities };
  const edns = opt[0];
  if (!edns) return { ...base, additionals: all };
  if (edns.name !== ".") throw new DnsError("bad-value", "the OPT record's owner is not the root");
  return {
    ...base,
    rcode: header.rcode | ((edns.ttl >>> 24) << 4),
    additionals: all.filter((record) => record !== edns),
    edns: ednsOf(edns),
  };
}

/**
 * Decodes just the header, so that an answer can be given to a message whose rest is broken.
 * @throws DnsError `truncated` below 12 bytes
 */
export function decodeHeader(bytes: Uint8Array): Header {
  if (bytes.length < headerBytes) throw new DnsError("truncated", "shorter than a header", bytes.length);
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  return {
    id: view.getUint16(0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: flags & 15,
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function take(cursor: Cursor, count: number): number {
  const start = cursor.at;
  if (start + count > cursor.end) throw new DnsError("truncated", `${count} bytes expected`, start);
  cursor.at = start + count;
  return start;
}

function u8(cursor: Cursor): number {
  return cursor.bytes[take(cursor, 1)] as number;
}

function u16(cursor: Cursor): number {
  return cursor.view.getUint16(take(cursor, 2));
}

function u32(cursor: Cursor): number {
  return cursor.view.getUint32(take(cursor, 4));
}

/** A copy, so that records do not keep a receive buffer alive or see it overwritten. */
function copy(cursor: Cursor, count: number): Uint8Array {
  const start = take(cursor, count);
  return Uint8Array.from(cursor.bytes.subarray(start, start + count));
}

/**
 * Reads a name and follows compression pointers (RFC 1035 §4.1.4). A pointer must point before the place where the
 * part of the name with the pointer began: every jump goes further back, so no chain can loop.
 */
function readName(cursor: Cursor): string {
  const { bytes } = cursor;
  let at = cursor.at;
  let limit = cursor.end; // within a record's data until the first jump
  let partStart = at;
  let jumped = false;
  let text = "";
  let size = 1;
  for (;;) {
    if (at >= limit) throw new DnsError("truncated", "name without its end", at);
    const length = bytes[at] as number;
    if (length === 0) break;
    if (length >= 0xc0) {
      if (at + 2 > limit) throw new DnsError("truncated", "half a compression pointer", at);
      const target = ((length & 0x3f) << 8) | (bytes[at + 1] as number);
      if (target >= partStart || target < headerBytes) {
        throw new DnsError("bad-pointer", `compression pointer to ${target} does not go back`, at);
      }
      if (!jumped) cursor.at = at + 2;
      jumped = true;
      limit = bytes.length;
      at = target;
      partStart = target;
      continue;
    }
    if (length > 63) throw new DnsError("bad-name", `label type ${length >> 6} is not in use`, at);
    const end = at + 1 + length;
    if (end > limit) throw new DnsError("truncated", "label beyond the end", at);
    size += length + 1;
    if (size > maxNameBytes) throw new DnsError("bad-name", `name is longer than ${maxNameBytes} bytes`, at);
    text += `${labelText(bytes, at + 1, end)}.`;
    at = end;
  }
  if (!jumped) cursor.at = at + 1;
  return text === "" ? "." : text;
}

function readQuestion(cursor: Cursor): Question {
  const name = readName(cursor);
  return { name, type: u16(cursor), class: u16(cursor) };
}

function readRecords(cursor: Cursor, count: number): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count; i++) records.push(readRecord(cursor));
  return records;
}

function readRecord(cursor: Cursor): ResourceRecord {
  const name = readName(cursor);
  const type = u16(cursor);
  const recordClass = u16(cursor);
  const ttl = u32(cursor);
  const length = u16(cursor);
  const start = take(cursor, length);
  const whole = cursor.end;
  cursor.at = start;
  cursor.end = start + length;
  const data = readData(cursor, type, length);
  if (cursor.at !== cursor.end) throw new DnsError("bad-rdata", "record data has bytes left over", cursor.at);
  cursor.end = whole;
  return { name, type, class: recordClass, ttl, data };
}

function readData(cursor: Cursor, type: number, length: number): RecordData {
  const layout = layoutOf(type);
  // Empty data of any type stands in dynamic updates and is kept as it is.
  if (length === 0) return { kind: "opaque", bytes: new Uint8Array(0) };
  switch (layout.kind) {
    case "address":
      if (length !== layout.size) throw new DnsError("bad-rdata", `address of ${length} bytes`, cursor.at);
      return { kind: "address", address: copy(cursor, length) };
    case "name":
      return { kind: "name", target: readName(cursor) };
    case "soa":
      return {
        kind: "soa",
        mname: readName(cursor),
        rname: readName(cursor),
        serial: u32(cursor),
        refresh: u32(cursor),
        retry: u32(cursor),
        expire: u32(cursor),
        minimum: u32(cursor),
      };
    case "mx":
      return { kind: "mx", preference: u16(cursor), exchange: readName(cursor) };
    case "srv":
      return { kind: "srv", priority: u16(cursor), weight: u16(cursor), port: u16(cursor), target: readName(cursor) };
    case "text":
      return { kind: "text", strings: readStrings(cursor) };
    case "parts":
      return { kind: "parts", parts: (layout.parts ?? []).map((part) => readPart(cursor, part)) };
    case "opaque":
      return { kind: "opaque", bytes: copy(cursor, length) };
  }
}

function readStrings(cursor: Cursor): Uint8Array[] {
  const strings: Uint8Array[] = [];
  while (cursor.at < cursor.end) strings.push(copy(cursor, u8(cursor)));
  return strings;
}

function readPart(cursor: Cursor, part: Part): string | Uint8Array {
  if (part === "name") return readName(cursor);
  if ("bytes" in part) return copy(cursor, part.bytes);
  const start = cursor.at;
  for (let i = 0; i < part.strings; i++) take(cursor, u8(cursor));
  const length = cursor.at - start;
  cursor.at = start;
  return copy(cursor, length);
}

/** OPT: the class is the payload size, the TTL extended rcode, version and flags (RFC 6891 §6.1.2, §6.1.3). */
function ednsOf(record: ResourceRecord): Edns {
  const bytes = record.data.kind === "opaque" ? record.data.bytes : new Uint8Array(0);
  const cursor: Cursor = { bytes, view: viewOf(bytes), at: 0, end: bytes.length };
  const options: EdnsOption[] = [];
  while (cursor.at < cursor.end) {
    const code = u16(cursor);
    options.push({ code, data: copy(cursor, u16(cursor)) });
  }
  return {
    udpSize: record.class,
    version: (record.ttl >>> 16) & 0xff,
    dnssecOk: (record.ttl & 0x8000) !== 0,
    options,
  };
}
