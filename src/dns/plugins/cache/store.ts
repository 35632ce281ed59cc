import { isSubdomain, lowerName, Rcode, RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import type { Reply } from "../../core/index.ts";

/** An answer kept for a while. */
export interface Item {
  readonly reply: Reply;
  readonly storedMs: number;
  /** Seconds that it is good for. */
  readonly ttl: number;
  /** Uses in the present prefetch window, and the window's end. */
  hits: number;
  windowEndMs: number;
  /** Whether it was published, so that it is given without this plugin being asked. */
  published: boolean;
}

/** Bounds of one half of the cache; times in seconds. */
export interface Bounds {
  readonly capacity: number;
  readonly maxTtl: number;
  readonly minTtl: number;
}

/** What becomes of an answer in the cache. */
export type Kind = "success" | "denial" | "servfail" | "other";

/** Records that an answer has on average at most: large ones count for several. */
const recordsPerItem = 8;

/**
 * Answers by key with a bound on their number, and on the records in all of them (eight for each answer): those stored
 * first make room.
 */
export class Store {
  readonly #items = new Map<string, Item>();
  readonly #capacity: number;
  readonly #onDelete: (key: string, item: Item) => void;
  #records = 0;

  /** @param onDelete told of each answer that is not kept any more */
  constructor(capacity: number, onDelete: (key: string, item: Item) => void) {
    this.#capacity = capacity;
    this.#onDelete = onDelete;
  }

  get size(): number {
    return this.#items.size;
  }

  get(key: string): Item | undefined {
    return this.#items.get(key);
  }

  /** Returns how many others had to make room. */
  set(key: string, item: Item): number {
    this.delete(key); // so that order is the order of storing
    this.#items.set(key, item);
    this.#records += weight(item);
    let evicted = 0;
    for (const oldest of this.#items.keys()) {
      if (this.#items.size <= this.#capacity && this.#records <= this.#capacity * recordsPerItem) break;
      this.delete(oldest);
      evicted++;
    }
    return evicted;
  }

  delete(key: string): void {
    const item = this.#items.get(key);
    if (!item) return;
    this.#items.delete(key);
    this.#records -= weight(item);
    this.#onDelete(key, item);
  }
}

function weight({ reply }: Item): number {
  return reply.answers.length + reply.authorities.length + reply.additionals.length;
}

/** Which half of the cache an answer belongs to (RFC 2308); "other" is not kept. */
export function kindOf(reply: Reply): Kind {
  if (reply.truncated || reply.drop) return "other";
  if (reply.rcode === Rcode.SERVFAIL) return "servfail";
  const hasSoa = reply.authorities.some((record) => record.type === RecordType.SOA);
  if (reply.rcode === Rcode.NXDOMAIN) return hasSoa ? "denial" : "other";
  if (reply.rcode !== Rcode.NOERROR) return "other";
  if (reply.answers.length > 0) return "success";
  return hasSoa ? "denial" : "other";
}

/** Seconds that the records allow: the smallest TTL, for a denial also the SOA's minimum (RFC 2308 §5). */
export function recordTtl(reply: Reply, kind: Kind): number {
  let ttl = Number.POSITIVE_INFINITY;
  for (const record of [...reply.answers, ...reply.authorities, ...reply.additionals]) {
    ttl = Math.min(ttl, record.ttl);
    if (kind === "denial" && record.data.kind === "soa") ttl = Math.min(ttl, record.data.minimum);
  }
  return Number.isFinite(ttl) ? ttl : 0;
}

/** The reply with this TTL on every record. */
export function withTtl(reply: Reply, ttl: number): Reply {
  const set = (records: readonly ResourceRecord[]) => records.map((record) => ({ ...record, ttl }));
  return {
    ...reply,
    answers: set(reply.answers),
    authorities: set(reply.authorities),
    additionals: set(reply.additionals),
  };
}

/** The reply with owners that equal the question's name written in the question's case. */
export function inCaseOf(reply: Reply, questionName: string): Reply {
  const lower = lowerName(questionName);
  const same = (record: ResourceRecord) => record.name === questionName || lowerName(record.name) !== lower;
  if (reply.answers.every(same)) return reply;
  return {
    ...reply,
    answers: reply.answers.map((record) => (same(record) ? record : { ...record, name: questionName })),
  };
}

/** Whether the name lies in one of the zones. */
export function inZones(name: string, zones: readonly string[]): boolean {
  return zones.some((zone) => isSubdomain(name, zone));
}
