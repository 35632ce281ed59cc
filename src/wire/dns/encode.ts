import { RecordType } from "./constants.ts";
import { DnsError } from "./errors.ts";
import { type Edns, type Header, headerBytes, type Message } from "./message.ts";
import { labelEnd, maxLabelBytes, maxNameBytes, writeLabel } from "./name.ts";
import { layoutOf, type RecordData, type ResourceRecord } from "./records.ts";

/** Largest message: TCP's length prefix has 16 bits (RFC 1035 §4.2.2). */
export const maxMessageBytes = 0xffff;

/** Compression pointers have 14 bits. */
const maxPointer = 0x3fff;

/** A message being written. Grows up to `limit`; going beyond throws `too-large`. */
interface Writer {
  bytes: Uint8Array;
  view: DataView;
  at: number;
  limit: number;
  /** Offset of each name suffix written so far, by exact text, so that the case of names is kept. */
  readonly names: Map<string, number>;
  /** Scratch for one label with its length byte. */
  readonly label: Uint8Array;
}

/**
 * Encodes a message with name compression.
 * @throws DnsError `too-large` beyond 65535 bytes, `bad-name` or `bad-value` for values without a wire form
 */
export function encodeMessage(message: Message): Uint8Array {
  return encodeWithin(message, maxMessageBytes, true);
}

/**
 * Encodes an answer so that it fits `limit` bytes: whole records are left out from the end, additional records first
 * (silently), then authority and answers, for which the truncated bit is set (RFC 2181 §9). EDNS always stays.
 * @throws DnsError when not even header, question and EDNS fit
 */
export function encodeTruncated(message: Message, limit: number): Uint8Array {
  return encodeWithin(message, Math.min(limit, maxMessageBytes), false);
}

function encodeWithin(message: Message, limit: number, strict: boolean): Uint8Array {
  const start = new Uint8Array(Math.min(limit, 512));
  const writer: Writer = {
    bytes: start,
    view: new DataView(start.buffer),
    at: 0,
    limit,
    names: new Map(),
    label: new Uint8Array(maxLabelBytes + 1),
  };
  reserve(writer, headerBytes);
  writer.at = headerBytes;
  for (const question of message.questions) {
    writeName(writer, question.name, true);
    u16(writer, question.type);
    u16(writer, question.class);
  }
  const optBytes = message.edns ? ednsBytes(message.edns) : 0;
  writer.limit = limit - optBytes;
  if (writer.limit < writer.at) throw new DnsError("too-large", `the question does not fit ${limit} bytes`);
  let truncated = message.truncated;
  const section = (records: readonly ResourceRecord[], optional: boolean) => {
    if (truncated && !message.truncated) return 0;
    const written = writeRecords(writer, records, strict);
    if (written < records.length && !optional) truncated = true;
    return written;
  };
  const counts = [
    section(message.answers, false),
    section(message.authorities, false),
    section(message.additionals, true),
  ];
  writer.limit = limit;
  if (message.edns) writeEdns(writer, message.edns, message.rcode);
  writeHeader(writer.view, { ...message, truncated });
  [message.questions.length, counts[0], counts[1], (counts[2] as number) + (message.edns ? 1 : 0)].forEach(
    (count, i) => {
      writer.view.setUint16(4 + 2 * i, count as number);
    },
  );
  return writer.bytes.subarray(0, writer.at);
}

/** Writes records until one does not fit; returns how many are in. */
function writeRecords(writer: Writer, records: readonly ResourceRecord[], strict: boolean): number {
  let written = 0;
  for (const record of records) {
    const mark = writer.at;
    try {
      writeRecord(writer, record);
    } catch (error) {
      if (strict || !(error instanceof DnsError) || error.code !== "too-large") throw error;
      forgetNames(writer, mark);
      return written;
    }
    written++;
  }
  return written;
}

/** Takes back what was written from `mark` on, with the names that may no longer be pointed at. */
function forgetNames(writer: Writer, mark: number): void {
  writer.at = mark;
  for (const [name, offset] of writer.names) if (offset >= mark) writer.names.delete(name);
}

function writeHeader(view: DataView, header: Header): void {
  view.setUint16(0, header.id);
  const flags =
    (header.response ? 0x8000 : 0) |
    ((header.opcode & 15) << 11) |
    (header.authoritative ? 0x0400 : 0) |
    (header.truncated ? 0x0200 : 0) |
    (header.recursionDesired ? 0x0100 : 0) |
    (header.recursionAvailable ? 0x0080 : 0) |
    (header.authenticData ? 0x0020 : 0) |
    (header.checkingDisabled ? 0x0010 : 0) |
    (header.rcode & 15);
  view.setUint16(2, flags);
}

function reserve(writer: Writer, count: number): number {
  const end = writer.at + count;
  if (end > writer.limit) throw new DnsError("too-large", `message exceeds ${writer.limit} bytes`, writer.at);
  if (end > writer.bytes.length) {
    const grown = new Uint8Array(Math.min(maxMessageBytes, Math.max(end, writer.bytes.length * 2)));
    grown.set(writer.bytes.subarray(0, writer.at));
    writer.bytes = grown;
    writer.view = new DataView(grown.buffer);
  }
  const at = writer.at;
  writer.at = end;
  return at;
}

function u16(writer: Writer, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff)
    throw new DnsError("bad-value", `${value} is no 16-bit number`);
  const at = reserve(writer, 2);
  writer.view.setUint16(at, value);
}

function u32(writer: Writer, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new DnsError("bad-value", `${value} is no 32-bit number`);
  }
  const at = reserve(writer, 4);
  writer.view.setUint32(at, value);
}

function raw(writer: Writer, bytes: Uint8Array): void {
  const at = reserve(writer, bytes.length);
  writer.bytes.set(bytes, at);
}

function writeName(writer: Writer, name: string, compress: boolean): void {
  const begin = writer.at;
  for (let start = 0; start < name.length && name !== "."; ) {
    const suffix = name.slice(start);
    const known = writer.names.get(suffix);
    if (known !== undefined && compress) {
      u16(writer, 0xc000 | known);
      return;
    }
    if (known === undefined && writer.at <= maxPointer) writer.names.set(suffix, writer.at);
    const end = labelEnd(name, start);
    const length = writeLabel(name.slice(start, end), writer.label, 0);
    raw(writer, writer.label.subarray(0, length));
    if (writer.at - begin + 1 > maxNameBytes)
      throw new DnsError("bad-name", `name is longer than ${maxNameBytes} bytes`);
    start = end + 1;
  }
  raw(writer, rootName);
}

const rootName = Uint8Array.of(0);

function writeRecord(writer: Writer, record: ResourceRecord): void {
  writeName(writer, record.name, true);
  u16(writer, record.type);
  u16(writer, record.class);
  u32(writer, record.ttl);
  const lengthAt = reserve(writer, 2);
  writeData(writer, record.type, record.data);
  const length = writer.at - lengthAt - 2;
  if (length > 0xffff) throw new DnsError("too-large", "record data beyond 65535 bytes");
  writer.view.setUint16(lengthAt, length);
}

function writeData(writer: Writer, type: number, data: RecordData): void {
  const layout = layoutOf(type);
  if (data.kind !== "opaque" && data.kind !== layout.kind) {
    throw new DnsError("bad-value", `type ${type} does not hold ${data.kind} data`);
  }
  const { compress } = layout;
  switch (data.kind) {
    case "address":
      if (data.address.length !== layout.size)
        throw new DnsError("bad-value", `address of ${data.address.length} bytes`);
      raw(writer, data.address);
      return;
    case "name":
      writeName(writer, data.target, compress);
      return;
    case "soa":
      writeName(writer, data.mname, compress);
      writeName(writer, data.rname, compress);
      for (const value of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) u32(writer, value);
      return;
    case "mx":
      u16(writer, data.preference);
      writeName(writer, data.exchange, compress);
      return;
    case "srv":
      for (const value of [data.priority, data.weight, data.port]) u16(writer, value);
      writeName(writer, data.target, compress);
      return;
    case "text":
      for (const bytes of data.strings) writeString(writer, bytes);
      return;
    case "parts":
      for (const part of data.parts) {
        if (typeof part === "string") writeName(writer, part, compress);
        else raw(writer, part);
      }
      return;
    case "opaque":
      raw(writer, data.bytes);
      return;
  }
}

function writeString(writer: Writer, bytes: Uint8Array): void {
  if (bytes.length > 255) throw new DnsError("bad-value", `character string of ${bytes.length} bytes, 255 at most`);
  raw(writer, Uint8Array.of(bytes.length));
  raw(writer, bytes);
}

function ednsBytes(edns: Edns): number {
  return 11 + edns.options.reduce((sum, option) => sum + 4 + option.data.length, 0);
}

function writeEdns(writer: Writer, edns: Edns, rcode: number): void {
  raw(writer, rootName);
  u16(writer, RecordType.OPT);
  u16(writer, edns.udpSize);
  u32(writer, (((rcode >> 4) << 24) | (edns.version << 16) | (edns.dnssecOk ? 0x8000 : 0)) >>> 0);
  u16(writer, ednsBytes(edns) - 11);
  for (const option of edns.options) {
    u16(writer, option.code);
    u16(writer, option.data.length);
    raw(writer, option.data);
  }
}
