/**
 * The table of ready answers in shared memory. One thread writes (the plugins' one), others read without a lock:
 *
 * ```
 *   slots: Int32Array  ──► offset of an entry in `heap`, 0 empty, -1 deleted; open addressing, linear probing
 *   heap:  an entry is never changed once a slot points to it; a change is a new entry and one atomic store
 * ```
 *
 * The memory of an entry that no slot points to any more is used again only after every reader has been between two
 * batches (its epoch was even, or has moved on): see AnswerTable. A table that has become too small is copied into a
 * new one, which readers take up at their next batch.
 */

/** Offsets of an entry's fields; multi-byte ones in the machine's order, as both sides are one machine. */
export const entryField = {
  /** u32: the hash with the type in it. */
  hash: 0,
  /** u16: 0 for a node (see entryKind). */
  type: 4,
  /** u16: bytes of the name. */
  keyLength: 6,
  /** u8 */
  kind: 8,
  /** u8 */
  flags: 9,
  /** u8: which zone's counters it counts in. */
  zone: 10,
  /** u8: bytes of the zone's name, whose apex entry has the SOA record. */
  zoneLength: 11,
  /** u16 */
  bodyLength: 12,
  /** u16 each: records by section. */
  answers: 14,
  authorities: 16,
  additionals: 18,
  /** u16: bytes of each record when all are alike, else 0. */
  recordSize: 20,
  /** u16: bytes of the body's records before those that are alike. */
  lead: 22,
  /** u32: who published it. */
  owner: 24,
  /** u32: bytes taken from the heap. */
  size: 28,
  /** The name in lower case as on the wire, then the body: all that follows the question. */
  key: 32,
} as const;

/** What an entry says. */
export const entryKind = {
  /** NOERROR with the body's records. */
  answer: 1,
  /** NOERROR without records; the authority is the zone's SOA record. */
  nodata: 2,
  /** A name that exists; what lies below it is unknown. */
  open: 3,
  /** A name that exists, all of whose children are in the table. */
  closed: 4,
  /** A zone's top: the body is its SOA record with places for pointers. */
  apex: 5,
} as const;

/** Bits of an entry's flags. */
export const entryFlag = {
  /** The body is the same in whatever case the name was asked. */
  anyCase: 1,
  /** Records are put in a random order each time. */
  shuffle: 2,
  /** Of an apex: all children are in the table. */
  closed: 4,
} as const;

/**
 * What the body of a cached answer begins with, not aligned: times in ms of the clock that all threads share, then what
 * its records need. Behind the places stand the records.
 */
export const cachedField = {
  /** f64: the end of its time, to which the TTL counts down. */
  expires: 0,
  /** f64: from then on the plugins have to see each query. */
  until: 8,
  /** f64: when it was given last, which readers write where `idle` is not 0. */
  used: 16,
  /** f64: not given for longer than this, the plugins have to see the next query; 0: it does not matter. */
  idle: 24,
  /** u8: the answer's fourth byte (RA, AD, RCODE), without the query's CD. */
  header: 32,
  /** u8: how many places there are. */
  count: 33,
  /** u16 each: where in the records a TTL stands. */
  places: 34,
} as const;

/** The type under which the answer to such a question is kept: DO and CD belong to the question. */
export function cachedType(type: number, dnssecOk: boolean, checkingDisabled: boolean): number {
  return type | 0x8000 | (dnssecOk ? 0x4000 : 0) | (checkingDisabled ? 0x2000 : 0);
}

/** A table as a reader sees it. */
export interface TableMemory {
  readonly slots: SharedArrayBuffer;
  readonly heap: SharedArrayBuffer;
}

/** Both tables: what plugins know for certain, and what a cache has for a while. */
export interface HotMemory {
  readonly fixed: TableMemory;
  readonly cached: TableMemory;
}

/** Words (Int32) of a reader's control block. */
export const controlWord = {
  /** Grows with each table that was sent to the reader. */
  tables: 0,
  /** Not 0: end. */
  stop: 1,
  /** Odd while entries may be read. */
  epoch: 2,
  /** Packets handed to the plugins that are not answered yet. */
  pending: 3,
  /** Packets lost because too many were pending. */
  dropped: 4,
  /** Not 0: begin. */
  go: 5,
} as const;

/** Bytes of a control block. */
export const controlBytes = 64;

const hashBasis = 0x811c9dc5 | 0;

/** Start of a hash, to which bytes are added from the end of the name to its front. */
export function hashStart(): number {
  return hashBasis;
}

/** Adds a byte (FNV-1a). */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** The hash of a name and a type, as a signed 32-bit number. */
export function hashEnd(hash: number, type: number): number {
  const mixed = Math.imul(hash ^ Math.imul(type + 1, 0x9e3779b1), 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}
