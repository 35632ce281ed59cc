import { tryParseIp } from "#base/ip.ts";
import {
  decodeMessage,
  headerBytes,
  labelsOf,
  maxLabelBytes,
  maxNameBytes,
  type RecordData,
  RecordType,
  tryParseName,
  typeName,
  writeLabel,
} from "#wire/dns/index.ts";
import { type Place, ZoneFileError } from "./errors.ts";
import { stringBytes, type Word } from "./lexer.ts";
import { locationBytes } from "./location.ts";
import { serviceParameters } from "./serviceParameters.ts";

/** How one part of a record's data is written. The `…Rest` kinds take all words that are left. */
type Field =
  | "ip4"
  | "ip6"
  | "name"
  | "u8"
  | "u16"
  | "u32"
  | "seconds"
  | "string"
  | "stringsRest"
  | "textRest"
  | "hexRest"
  | "base64Rest"
  | "locationRest"
  | "parametersRest";

const T = RecordType;
const numberName: readonly Field[] = ["u16", "name"];
const digest: readonly Field[] = ["u16", "u8", "u8", "hexRest"];
const key: readonly Field[] = ["u16", "u8", "u8", "base64Rest"];
const service: readonly Field[] = ["u16", "name", "parametersRest"];

/** Written forms of the types that have one (RFC 1035, 1183, 1876, 2782, 3403, 4034, 4255, 6698, 7553, 8659, 9460). */
const formats: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [T.A, ["ip4"]],
  [T.AAAA, ["ip6"]],
  ...[T.NS, T.MD, T.MF, T.CNAME, T.MB, T.MG, T.MR, T.PTR, T.DNAME].map((type): [number, readonly Field[]] => [
    type,
    ["name"],
  ]),
  [T.SOA, ["name", "name", "u32", "seconds", "seconds", "seconds", "seconds"]],
  [T.MX, numberName],
  [T.AFSDB, numberName],
  [T.RT, numberName],
  [T.KX, numberName],
  [T.SRV, ["u16", "u16", "u16", "name"]],
  [T.TXT, ["stringsRest"]],
  [T.SPF, ["stringsRest"]],
  [T.HINFO, ["string", "string"]],
  [T.MINFO, ["name", "name"]],
  [T.RP, ["name", "name"]],
  [T.PX, ["u16", "name", "name"]],
  [T.NAPTR, ["u16", "u16", "string", "string", "string", "name"]],
  [T.CAA, ["u8", "string", "textRest"]],
  [T.URI, ["u16", "u16", "textRest"]],
  [T.SSHFP, ["u8", "u8", "hexRest"]],
  [T.TLSA, ["u8", "u8", "u8", "hexRest"]],
  [T.DS, digest],
  [T.CDS, digest],
  [T.DNSKEY, key],
  [T.CDNSKEY, key],
  [T.CERT, key],
  [T.LOC, ["locationRest"]],
  [T.SVCB, service],
  [T.HTTPS, service],
]);

/**
 * Data of a record from its words: the type's own form, or `\# LENGTH HEX` for any type (RFC 3597 §5).
 * @param origin relative names are below it
 * @throws ZoneFileError
 */
export function recordData(type: number, words: readonly Word[], origin: string, at: Place): RecordData {
  const [first, ...rest] = words;
  if (first?.text === "\\#" && !first.quoted) return decoded(type, unknownForm(rest, first), at);
  const fields = formats.get(type);
  if (!fields) {
    throw new ZoneFileError(at, `${typeName(type)} records have no form of their own here; expected \\# LENGTH HEX`);
  }
  const queue = [...words];
  const bytes: number[] = [];
  for (const field of fields) {
    if (!field.endsWith("Rest") && queue.length === 0) {
      throw new ZoneFileError(at, `${typeName(type)} record without all of its parts`);
    }
    const taken = field.endsWith("Rest") ? queue.splice(0) : queue.splice(0, 1);
    for (const byte of writers[field](taken, { origin, at })) bytes.push(byte);
  }
  if (queue[0]) throw new ZoneFileError(queue[0], `garbage after rdata: ${JSON.stringify(queue[0].text)}`);
  return decoded(type, Uint8Array.from(bytes), at);
}

/** A name, below the origin when it does not end in a dot; `@` is the origin. */
export function absoluteName(word: Word, origin: string): string {
  if (word.text === "@" && !word.quoted) return origin;
  const name = tryParseName(word.text);
  // Whether the final dot was written can be seen by what the parser had to add; an escaped one is part of a label.
  const absolute = name !== undefined && /(^|[^\\])(\\\\)*\.$/.test(word.text);
  const whole = absolute || name === undefined ? name : tryParseName(origin === "." ? name : `${name}${origin}`);
  if (whole === undefined || word.text === "") {
    throw new ZoneFileError(word, `bad domain name ${JSON.stringify(word.text)}`);
  }
  return whole;
}

/** Seconds: a number, or BIND's `1h30m`; undefined for what is neither, or beyond 32 bits. */
export function secondsOf(text: string): number | undefined {
  if (!/^(\d+|(\d+[smhdwSMHDW])+)$/.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  const total = /^\d+$/.test(text)
    ? Number(text)
    : [...text.toLowerCase().matchAll(/(\d+)([smhdw])/g)].reduce(
        (sum, [, count, unit]) => sum + Number(count) * (units[unit as string] as number),
        0,
      );
  return total <= 0xffffffff ? total : undefined;
}

interface Context {
  readonly origin: string;
  readonly at: Place;
}

const writers: Readonly<
  Record<Field, (words: readonly Word[], context: Context) => ArrayLike<number> & Iterable<number>>
> = {
  ip4: ([word]) => address(word as Word, 4),
  ip6: ([word]) => address(word as Word, 6),
  name: ([word], { origin }) => nameBytes(absoluteName(word as Word, origin)),
  u8: ([word]) => number(word as Word, 1),
  u16: ([word]) => number(word as Word, 2),
  u32: ([word]) => number(word as Word, 4),
  seconds: ([word]) => {
    const seconds = secondsOf((word as Word).text);
    if (seconds === undefined)
      throw new ZoneFileError(word as Word, `not a TTL: ${JSON.stringify((word as Word).text)}`);
    return bigEndian(seconds, 4);
  },
  string: ([word]) => characterString(word as Word),
  stringsRest: (words, { at }) => {
    if (words.length === 0) throw new ZoneFileError(at, "text record without text");
    return words.flatMap((word) => [...characterString(word)]);
  },
  textRest: (words, { at }) => {
    const [word, more] = words;
    if (!word || more) throw new ZoneFileError(at, "expected one string at the end");
    return stringBytes(word);
  },
  hexRest: (words, { at }) => hexBytes(words, at),
  base64Rest: (words, { at }) => {
    const text = words.map((word) => word.text).join("");
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new ZoneFileError(at, "expected base64");
    return Buffer.from(text, "base64");
  },
  locationRest: (words, { at }) => locationBytes(words, at),
  parametersRest: (words, { at }) => serviceParameters(words, at),
};

function address(word: Word, family: 4 | 6): Uint8Array {
  const ip = tryParseIp(word.text);
  if (ip?.family !== family)
    throw new ZoneFileError(word, `bad ${family === 4 ? "A" : "AAAA"} ${JSON.stringify(word.text)}`);
  return ip.bytes;
}

function number(word: Word, size: 1 | 2 | 4): number[] {
  const value = /^\d{1,10}$/.test(word.text) ? Number(word.text) : Number.NaN;
  if (!(value < 2 ** (8 * size))) {
    throw new ZoneFileError(word, `${JSON.stringify(word.text)}; expected a number from 0 to ${2 ** (8 * size) - 1}`);
  }
  return bigEndian(value, size);
}

function bigEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * (size - 1 - i))) % 256);
}

function characterString(word: Word): number[] {
  const bytes = stringBytes(word);
  if (bytes.length > 255) throw new ZoneFileError(word, `string of ${bytes.length} bytes; at most 255`);
  return [bytes.length, ...bytes];
}

function hexBytes(words: readonly Word[], at: Place): Uint8Array {
  const text = words.map((word) => word.text).join("");
  if (text.length % 2 === 1 || !/^[0-9a-fA-F]*$/.test(text)) throw new ZoneFileError(at, "expected hexadecimal digits");
  return Buffer.from(text, "hex");
}

function unknownForm([length, ...words]: readonly Word[], at: Place): Uint8Array {
  const bytes = hexBytes(words, at);
  if (
    length === undefined ||
    !/^\d+$/.test(length.text) ||
    Number(length.text) !== bytes.length ||
    bytes.length > 0xffff
  ) {
    throw new ZoneFileError(at, `bad RFC 3597 data: ${bytes.length} bytes after \\# ${length?.text ?? ""}`);
  }
  return bytes;
}

/** A name's bytes on the wire, uncompressed. */
function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(maxNameBytes + maxLabelBytes + 1);
  let at = 0;
  for (const label of labelsOf(name)) at = writeLabel(label, bytes, at);
  return bytes.slice(0, at + 1);
}

/** The codec's own reading of data bytes, so that text and wire give the same record. */
function decoded(type: number, data: Uint8Array, at: Place): RecordData {
  if (data.length > 0xffff) throw new ZoneFileError(at, `${data.length} bytes of data; at most 65535`);
  const packet = new Uint8Array(headerBytes + 11 + data.length);
  const view = new DataView(packet.buffer);
  view.setUint16(6, 1); // one answer, owned by the root
  view.setUint16(headerBytes + 1, type);
  view.setUint16(headerBytes + 3, 1);
  view.setUint16(headerBytes + 9, data.length);
  packet.set(data, headerBytes + 11);
  try {
    const [record] = decodeMessage(packet).answers;
    if (record) return record.data;
  } catch (error) {
    throw new ZoneFileError(at, `bad data of a ${typeName(type)} record: ${(error as Error).message}`);
  }
  throw new ZoneFileError(at, `${typeName(type)} records do not stand in master files`);
}
