import { encodeMessage, query, RecordClass, RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import type { CachedAnswer, Reply } from "../core/index.ts";
import { type EntryOptions, fitting, headerBytes, recordHead, wireName } from "./entries.ts";
import { cachedField, cachedType, entryFlag, entryKind } from "./layout.ts";
import { maxShuffled } from "./shuffle.ts";
import type { TableEntry } from "./table.ts";

/** Types that loadbalance moves. */
const movable: ReadonlySet<number> = new Set([RecordType.A, RecordType.AAAA, RecordType.MX]);
/** Types from here on are passed to the plugins anyway. */
const types = 128;
const maxPlaces = 255;
const ownerPointer = 2;
/** Larger bodies are rare, and the plugins' to cut. */
const maxBody = 4096;

/** Bytes of the records, and which of them change their places. */
interface Records {
  readonly bytes: Uint8Array;
  readonly reply: Pick<Reply, "answers" | "authorities" | "additionals">;
  /** Bytes of each of the last records, which are alike; 0: none moves. */
  readonly recordSize: number;
  readonly lead: number;
}

/**
 * The entry of an answer that a cache has; undefined where the table cannot give it as the plugins would.
 * @param now the present time of the clock that readers go by, ms
 */
export function cachedEntry(answer: CachedAnswer, options: EntryOptions, now: number): TableEntry | undefined {
  return fitting(() => madeOf(answer, options, now));
}

function madeOf(answer: CachedAnswer, options: EntryOptions, now: number): TableEntry | undefined {
  const { name, type, reply } = answer;
  if (type >= types || reply.rcode > 15 || reply.truncated || reply.drop) return undefined;
  if (reply.recursionDesired !== undefined || reply.options || reply.maxUdpBytes !== undefined) return undefined;
  const records = options.shuffles ? moving(name, type, reply) : still(name, type, reply);
  if (!records || records.bytes.length > maxBody) return undefined;
  const { answers, authorities, additionals } = records.reply;
  const count = answers.length + authorities.length + additionals.length;
  if (count > maxPlaces) return undefined;
  const places = answer.keepTtl ? [] : ttlPlaces(records.bytes, count);
  return {
    key: wireName(name),
    type: cachedType(type, answer.dnssecOk, answer.checkingDisabled),
    kind: entryKind.answer,
    flags: (ownAddresses(name, reply) ? entryFlag.anyCase : 0) | (records.recordSize > 0 ? entryFlag.shuffle : 0),
    zone: options.zone,
    zoneLength: 0,
    answers: answers.length,
    authorities: authorities.length,
    additionals: additionals.length,
    recordSize: records.recordSize,
    lead: records.lead,
    body: bodyOf(answer, places, records.bytes, now),
  };
}

function bodyOf(answer: CachedAnswer, places: readonly number[], records: Uint8Array, now: number): Uint8Array {
  const { reply, leftMs, freshMs, idleMs } = answer;
  const start = cachedField.places + 2 * places.length;
  const body = new Uint8Array(start + records.length);
  const view = new DataView(body.buffer);
  view.setFloat64(cachedField.expires, now + leftMs, true);
  view.setFloat64(cachedField.until, now + freshMs, true);
  view.setFloat64(cachedField.used, now, true);
  view.setFloat64(cachedField.idle, idleMs, true);
  body[cachedField.header] = (reply.recursionAvailable ? 0x80 : 0) | (reply.authenticData ? 0x20 : 0) | reply.rcode;
  body[cachedField.count] = places.length;
  for (const [i, place] of places.entries()) view.setUint16(cachedField.places + 2 * i, place, true);
  body.set(records, start);
  return body;
}

function still(name: string, type: number, reply: Reply): Records | undefined {
  return { bytes: recordsOf(name, type, reply), reply, recordSize: 0, lead: 0 };
}

/**
 * The records as loadbalance puts them: aliases, what does not move, then addresses and MX records. Where several move
 * they are to be alike and last; else the plugins have to do it.
 */
function moving(name: string, type: number, reply: Reply): Records | undefined {
  const [before, moved] = inOrder(reply.answers);
  const [rest, alsoMoved] = inOrder(reply.additionals);
  if (alsoMoved.length > 1) return undefined;
  const answers = [...before, ...moved];
  const all = { answers, authorities: reply.authorities, additionals: [...rest, ...alsoMoved] };
  const bytes = recordsOf(name, type, all);
  if (moved.length < 2) return { bytes, reply: all, recordSize: 0, lead: 0 };
  const lead = recordsOf(name, type, { answers: before, authorities: [], additionals: [] }).length;
  const size = sizeOfAlike(moved);
  const last = reply.authorities.length === 0 && reply.additionals.length === 0;
  const fits = size > 0 && bytes.length - lead === size * moved.length && moved.length <= maxShuffled;
  return last && fits ? { bytes, reply: all, recordSize: size, lead } : undefined;
}

function inOrder(records: readonly ResourceRecord[]): [ResourceRecord[], ResourceRecord[]] {
  const aliases = records.filter(({ type }) => type === RecordType.CNAME);
  const others = records.filter(({ type }) => type !== RecordType.CNAME && !movable.has(type));
  return [[...aliases, ...others], records.filter(({ type }) => movable.has(type))];
}

/** Bytes of each of several address records of one name that was written before; 0 for others. */
function sizeOfAlike(records: readonly ResourceRecord[]): number {
  const [first] = records;
  if (first?.data.kind !== "address") return 0;
  const alike = records.every(
    ({ name, type, class: of, data }) =>
      name === first.name && type === first.type && of === first.class && data.kind === "address",
  );
  return alike ? ownerPointer + recordHead + first.data.address.length : 0;
}

/** What stands behind the question in lower case. */
function recordsOf(
  name: string,
  type: number,
  { answers, authorities, additionals }: Pick<Reply, "answers" | "authorities" | "additionals">,
): Uint8Array {
  const message = { ...query(0, { name, type, class: RecordClass.IN }), answers, authorities, additionals };
  return encodeMessage(message).slice(headerBytes + wireName(name).length + 4);
}

/** Whether the answer is the same in whatever case the name is asked: addresses of the name itself. */
function ownAddresses(name: string, { answers, authorities, additionals }: Reply): boolean {
  if (authorities.length + additionals.length > 0) return false;
  return answers.every((record) => record.name === name && record.data.kind === "address");
}

/** Where the TTLs of so many records stand. */
function ttlPlaces(bytes: Uint8Array, count: number): number[] {
  const places: number[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    at = afterName(bytes, at);
    places.push(at + 4);
    at += recordHead + (((bytes[at + 8] as number) << 8) | (bytes[at + 9] as number));
  }
  return places;
}

function afterName(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const length = bytes[at] as number;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
}
