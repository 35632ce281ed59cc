import {
  DnsError,
  encodeMessage,
  labelsOf,
  maxLabelBytes,
  maxNameBytes,
  query,
  RecordClass,
  RecordType,
  type ResourceRecord,
  writeLabel,
} from "#wire/dns/index.ts";
import type { FixedAnswer, Reply } from "../core/index.ts";
import { entryFlag, entryKind } from "./layout.ts";
import type { TableEntry } from "./table.ts";

/** How a server block's answers are put into the table. */
export interface EntryOptions {
  /** Number of the zone that an answer counts in. */
  readonly zone: number;
  /** Addresses come in a random order. */
  readonly shuffles: boolean;
}

const none = new Uint8Array(0);
/** Bytes of a message's header. */
export const headerBytes = 12;
/** A record's fixed part behind its owner: type, class, TTL, length. */
export const recordHead = 10;
const ownerPointer = 2;
/** With the longest name of a question before it a body makes a whole message. */
const maxBodyBytes = 0xffff - maxNameBytes - headerBytes - 4;
/** As in the loadbalance plugin. */
const movable: ReadonlySet<number> = new Set([RecordType.A, RecordType.AAAA, RecordType.MX]);

/** Makes an entry of what a plugin publishes; undefined for what is left to the plugin. */
export function tableEntry(answer: FixedAnswer, options: EntryOptions): TableEntry | undefined {
  return fitting(() => madeOf(answer, options));
}

/**
 * The entry that is made, where it has room: in a message (also what encoding it says), and in the table's field for its
 * length. Undefined for what has none: a plugin cuts its answer, or says SERVFAIL.
 */
export function fitting(make: () => TableEntry | undefined): TableEntry | undefined {
  try {
    const entry = make();
    return entry && entry.body.length <= maxBodyBytes ? entry : undefined;
  } catch (error) {
    if (error instanceof DnsError) return undefined;
    throw error;
  }
}

function madeOf(answer: FixedAnswer, options: EntryOptions): TableEntry | undefined {
  const key = wireName(answer.name);
  switch (answer.kind) {
    case "addresses":
      return addresses(key, answer, options);
    case "reply":
      return reply(key, answer, options);
    case "nodata":
      return { ...node(key, entryKind.nodata, options), type: answer.type, zoneLength: wireName(answer.zone).length };
    case "node":
      return node(key, answer.closed ? entryKind.closed : entryKind.open, options);
    case "apex":
      return {
        ...node(key, entryKind.apex, options),
        flags: answer.closed ? entryFlag.closed : 0,
        body: soaBody(answer.name, answer.soa),
      };
  }
}

function node(key: Uint8Array, kind: number, { zone }: EntryOptions): TableEntry {
  const counts = { answers: 0, authorities: 0, additionals: 0, recordSize: 0, lead: 0 };
  return { key, type: 0, kind, flags: 0, zone, zoneLength: 0, ...counts, body: none };
}

function addresses(
  key: Uint8Array,
  { type, ttl, addresses: list }: FixedAnswer & { kind: "addresses" },
  options: EntryOptions,
): TableEntry {
  const size = ownerPointer + recordHead + (list[0]?.length ?? 0);
  const body = new Uint8Array(size * list.length);
  const view = new DataView(body.buffer);
  for (const [i, address] of list.entries()) {
    const at = i * size;
    view.setUint16(at, 0xc000 | headerBytes); // the question's name
    view.setUint16(at + 2, type);
    view.setUint16(at + 4, RecordClass.IN);
    view.setUint32(at + 6, ttl);
    view.setUint16(at + 10, address.length);
    body.set(address, at + 12);
  }
  return {
    ...node(key, entryKind.answer, options),
    type,
    flags: entryFlag.anyCase | (options.shuffles ? entryFlag.shuffle : 0),
    answers: list.length,
    recordSize: size,
    body,
  };
}

/** Any other reply; undefined where its order would have to change each time. */
function reply(
  key: Uint8Array,
  { name, type, reply: made }: FixedAnswer & { kind: "reply" },
  options: EntryOptions,
): TableEntry | undefined {
  if (options.shuffles && (hasOrder(made.answers) || hasOrder(made.additionals))) return undefined;
  const body = bodyOf(name, type, made);
  return {
    ...node(key, entryKind.answer, options),
    type,
    answers: made.answers.length,
    authorities: made.authorities.length,
    additionals: made.additionals.length,
    body,
  };
}

/** Whether loadbalance would move some of them. */
function hasOrder(records: readonly ResourceRecord[]): boolean {
  return records.filter(({ type }) => movable.has(type)).length > 1;
}

/** What stands behind the question in the answer to a question in lower case. */
function bodyOf(name: string, type: number, { answers, authorities, additionals }: Omit<Reply, "plugin">): Uint8Array {
  const message = { ...query(0, { name, type, class: RecordClass.IN }), answers, authorities, additionals };
  return encodeMessage(message).slice(headerBytes + wireName(name).length + 4);
}

/**
 * The SOA record as it stands in an answer: where its pointers are, then the record. All of them point to the zone's
 * name in the question; two questions of different lengths show where they stand.
 */
function soaBody(zone: string, soa: ResourceRecord): Uint8Array {
  const [short, long] = ["x", "xy"].map((label) => {
    const name = `${label}.${zone}`;
    const made = { rcode: 0, authoritative: true, recursionAvailable: false, authenticData: false, truncated: false };
    return bodyOf(name, 1, { ...made, answers: [], authorities: [soa], additionals: [] });
  }) as [Uint8Array, Uint8Array];
  // The low byte of a pointer differs, its high byte does not: names of questions end below 255.
  const places = [...short.keys()].filter((i) => short[i] !== long[i]).map((i) => i - 1);
  const body = new Uint8Array(1 + places.length + short.length);
  body[0] = places.length;
  body.set(places, 1);
  body.set(short, 1 + places.length);
  return body;
}

/** A name (absolute, lower case) as on the wire. @throws DnsError for one that is none */
export function wireName(name: string): Uint8Array {
  if (/^[-.0-9_a-z]{2,}$/.test(name)) return plainName(name);
  const bytes = new Uint8Array(maxNameBytes + maxLabelBytes + 2);
  let at = 0;
  for (const label of labelsOf(name)) at = writeLabel(label, bytes, at);
  bytes[at] = 0;
  return bytes.slice(0, at + 1);
}

/** A name without escapes, as those of all Services: each dot's place is taken by the length of what follows it. */
function plainName(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length + 1);
  let start = 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code !== 0x2e) {
      bytes[i + 1] = code;
      continue;
    }
    if (i === start || i - start > maxLabelBytes) throw new DnsError("bad-name", `${name} has a wrong label`);
    bytes[start] = i - start;
    start = i + 1;
  }
  if (start !== name.length || bytes.length > maxNameBytes) throw new DnsError("bad-name", `${name} is no name`);
  return bytes;
}
