import { controlWord, entryField, hashByte, hashEnd, hashStart, type TableMemory } from "./layout.ts";

/** An entry as it is put into the table. */
export interface TableEntry {
  /** The name in lower case, as on the wire. */
  readonly key: Uint8Array;
  readonly type: number;
  readonly kind: number;
  readonly flags: number;
  readonly zone: number;
  readonly zoneLength: number;
  readonly answers: number;
  readonly authorities: number;
  readonly additionals: number;
  readonly recordSize: number;
  readonly lead: number;
  readonly body: Uint8Array;
}

/** Memory that is free once the readers that were reading have moved on from these epochs. */
interface Retired {
  readonly offset: number;
  readonly size: number;
  readonly epochs: readonly { readonly control: Int32Array; readonly epoch: number }[];
}

/** Slots of a new table, and bytes of its heap. */
const firstSlots = 1024;
const firstHeap = 1 << 16;
/** Entries begin at multiples of this. */
const grain = 16;
/** Share of slots in use from which on a table is made anew. */
const maxLoad = 0.6;
/** A new heap's size by what is in it. */
const heapGrowth = 3;
const deleted = -1;

/** The writer's side of the table; see layout.ts for how readers see it. */
export class AnswerTable {
  readonly #onMemory: (memory: TableMemory) => void;
  /** Control blocks of the readers. */
  readonly #readers = new Set<Int32Array>();
  #slots = new Int32Array(new SharedArrayBuffer(firstSlots * 4));
  #heap = new Uint8Array(new SharedArrayBuffer(firstHeap));
  #view = new DataView(this.#heap.buffer);
  #top = grain;
  #used = 0;
  #live = 0;
  /** Offsets of the entries of each owner, and owners by number. */
  readonly #owners = new Map<string, { readonly id: number; offsets: number[] }>();
  readonly #ownerById = new Map<number, { offsets: number[] }>();
  #nextOwner = 1;
  #free = new Map<number, number[]>();
  #retired: Retired[] = [];

  /** @param onMemory told of each memory that takes the former one's place */
  constructor(onMemory: (memory: TableMemory) => void = () => {}) {
    this.#onMemory = onMemory;
  }

  get memory(): TableMemory {
    return { slots: this.#slots.buffer as SharedArrayBuffer, heap: this.#heap.buffer as SharedArrayBuffer };
  }

  /** Entries in the table. */
  get size(): number {
    return this.#live;
  }

  /** Bytes of shared memory. */
  get bytes(): number {
    return this.#slots.byteLength + this.#heap.byteLength;
  }

  /** A reader whose epoch says when it looks at entries. Returns the end of it. */
  addReader(control: Int32Array): () => void {
    this.#readers.add(control);
    return () => void this.#readers.delete(control);
  }

  /** Makes these the entries of an owner, whatever they were before; none removes it. */
  put(owner: string, entries: readonly TableEntry[]): void {
    const known = this.#owners.get(owner);
    if (!known && entries.length === 0) return;
    // Room first: making it moves entries, and what is written below must stay where it is.
    this.#makeRoom(entries);
    const record = known ?? this.#newOwner(owner);
    const stale = new Set(record.offsets);
    const offsets = new Set<number>();
    for (const entry of entries) {
      const hash = hashOf(entry.key, entry.type);
      const slot = this.#find(entry, hash);
      const old = slot < 0 ? 0 : (this.#slots[slot] as number);
      if (old > 0 && this.#same(old, entry, record.id)) {
        stale.delete(old);
        offsets.add(old);
        continue;
      }
      const offset = this.#write(entry, hash, record.id);
      if (slot >= 0) {
        Atomics.store(this.#slots, slot, offset);
        for (const set of [stale, offsets]) set.delete(old);
        this.#disown(old);
        this.#retire(old);
      } else this.#insert(hash, offset);
      offsets.add(offset);
    }
    for (const offset of stale) this.#remove(offset);
    record.offsets = [...offsets];
    if (offsets.size > 0) return;
    this.#owners.delete(owner);
    this.#ownerById.delete(record.id);
  }

  /** The body of an owner's only entry, as it is now; undefined without one. */
  bodyOf(owner: string): DataView | undefined {
    const [offset] = this.#owners.get(owner)?.offsets ?? [];
    if (offset === undefined) return undefined;
    const at = offset + entryField.key + this.#u16(offset + entryField.keyLength);
    return new DataView(this.#heap.buffer, at, this.#u16(offset + entryField.bodyLength));
  }

  #newOwner(owner: string): { readonly id: number; offsets: number[] } {
    const record = { id: this.#nextOwner++, offsets: [] };
    this.#owners.set(owner, record);
    this.#ownerById.set(record.id, record);
    return record;
  }

  /** Takes an entry that another owner's has replaced from the owner that it had. */
  #disown(offset: number): void {
    const owner = this.#ownerById.get(this.#view.getUint32(offset + entryField.owner, true));
    if (owner) owner.offsets = owner.offsets.filter((own) => own !== offset);
  }

  /** The slot of the same name and type; -1 without one. */
  #find(entry: TableEntry, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = this.#slots[slot] as number;
      if (offset === 0) return -1;
      if (offset > 0 && this.#isKey(offset, entry, hash)) return slot;
    }
  }

  #isKey(offset: number, entry: TableEntry, hash: number): boolean {
    if (this.#view.getInt32(offset + entryField.hash, true) !== hash) return false;
    if (this.#u16(offset + entryField.type) !== entry.type) return false;
    if (this.#u16(offset + entryField.keyLength) !== entry.key.length) return false;
    return equal(this.#heap, offset + entryField.key, entry.key);
  }

  #same(offset: number, entry: TableEntry, owner: number): boolean {
    const view = this.#view;
    return (
      view.getUint32(offset + entryField.owner, true) === owner &&
      view.getUint8(offset + entryField.kind) === entry.kind &&
      view.getUint8(offset + entryField.flags) === entry.flags &&
      view.getUint8(offset + entryField.zone) === entry.zone &&
      view.getUint8(offset + entryField.zoneLength) === entry.zoneLength &&
      this.#u16(offset + entryField.answers) === entry.answers &&
      this.#u16(offset + entryField.authorities) === entry.authorities &&
      this.#u16(offset + entryField.additionals) === entry.additionals &&
      this.#u16(offset + entryField.recordSize) === entry.recordSize &&
      this.#u16(offset + entryField.lead) === entry.lead &&
      this.#u16(offset + entryField.bodyLength) === entry.body.length &&
      equal(this.#heap, offset + entryField.key + entry.key.length, entry.body)
    );
  }

  #insert(hash: number, offset: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while ((this.#slots[slot] as number) > 0) slot = (slot + 1) & mask;
    if (this.#slots[slot] === 0) this.#used++;
    this.#live++;
    Atomics.store(this.#slots, slot, offset);
  }

  #remove(offset: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#view.getInt32(offset + entryField.hash, true) & mask;
    while (this.#slots[slot] !== offset) slot = (slot + 1) & mask;
    Atomics.store(this.#slots, slot, deleted);
    this.#live--;
    this.#retire(offset);
  }

  /** Writes an entry where no slot points to yet. Room was made before. */
  #write(entry: TableEntry, hash: number, owner: number): number {
    const size = sizeOf(entry);
    const offset = this.#allocate(size);
    const view = this.#view;
    view.setInt32(offset + entryField.hash, hash, true);
    view.setUint16(offset + entryField.type, entry.type, true);
    view.setUint16(offset + entryField.keyLength, entry.key.length, true);
    view.setUint8(offset + entryField.kind, entry.kind);
    view.setUint8(offset + entryField.flags, entry.flags);
    view.setUint8(offset + entryField.zone, entry.zone);
    view.setUint8(offset + entryField.zoneLength, entry.zoneLength);
    view.setUint16(offset + entryField.bodyLength, entry.body.length, true);
    view.setUint16(offset + entryField.answers, entry.answers, true);
    view.setUint16(offset + entryField.authorities, entry.authorities, true);
    view.setUint16(offset + entryField.additionals, entry.additionals, true);
    view.setUint16(offset + entryField.recordSize, entry.recordSize, true);
    view.setUint16(offset + entryField.lead, entry.lead, true);
    view.setUint32(offset + entryField.owner, owner, true);
    view.setUint32(offset + entryField.size, size, true);
    this.#heap.set(entry.key, offset + entryField.key);
    this.#heap.set(entry.body, offset + entryField.key + entry.key.length);
    return offset;
  }

  #allocate(size: number): number {
    const free = this.#free.get(size)?.pop();
    if (free !== undefined) return free;
    const offset = this.#top;
    this.#top += size;
    return offset;
  }

  /** Keeps memory from being used again while a reader may still be in it. */
  #retire(offset: number): void {
    const size = this.#view.getUint32(offset + entryField.size, true);
    // Even: a reader between two batches, which finds the new entry when it goes on.
    const epochs = [...this.#readers]
      .map((control) => ({ control, epoch: Atomics.load(control, controlWord.epoch) }))
      .filter(({ epoch }) => epoch % 2 !== 0);
    this.#retired.push({ offset, size, epochs });
  }

  /** Gives back what every reader has left. */
  #reclaim(): void {
    if (this.#retired.length === 0) return;
    const left: Retired[] = [];
    for (const retired of this.#retired) {
      const inUse = retired.epochs.some(
        ({ control, epoch }) => this.#readers.has(control) && Atomics.load(control, controlWord.epoch) === epoch,
      );
      if (inUse) left.push(retired);
      else this.#release(retired);
    }
    this.#retired = left;
  }

  #release({ offset, size }: Retired): void {
    const list = this.#free.get(size);
    if (list) list.push(offset);
    else this.#free.set(size, [offset]);
  }

  #makeRoom(entries: readonly TableEntry[]): void {
    this.#reclaim();
    const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    const slots = this.#used + entries.length;
    if (this.#top + bytes <= this.#heap.length && slots <= this.#slots.length * maxLoad) return;
    this.#rebuild(entries.length, bytes);
  }

  /**
   * Copies the live entries into fresh memory with room for several times as many. Pages of the heap that were never
   * written take no memory, so it may be generous.
   */
  #rebuild(moreEntries: number, moreBytes: number): void {
    const old = { slots: this.#slots, heap: this.#heap, view: this.#view };
    let bytes = grain;
    for (const from of old.slots) if (from > 0) bytes += old.view.getUint32(from + entryField.size, true);
    let slots = firstSlots;
    while (slots * maxLoad < (this.#live + moreEntries) * 2) slots *= 2;
    this.#slots = new Int32Array(new SharedArrayBuffer(slots * 4));
    this.#heap = new Uint8Array(new SharedArrayBuffer(Math.max(firstHeap, (bytes + moreBytes) * heapGrowth)));
    this.#view = new DataView(this.#heap.buffer);
    this.#top = grain;
    this.#used = 0;
    this.#live = 0;
    this.#free = new Map();
    this.#retired = [];
    for (const record of this.#ownerById.values()) record.offsets = [];
    for (const from of old.slots) {
      if (from <= 0) continue;
      const size = old.view.getUint32(from + entryField.size, true);
      const to = this.#allocate(size);
      for (let i = 0; i < size; i++) this.#heap[to + i] = old.heap[from + i] as number;
      this.#insert(this.#view.getInt32(to + entryField.hash, true), to);
      this.#ownerById.get(this.#view.getUint32(to + entryField.owner, true))?.offsets.push(to);
    }
    this.#onMemory(this.memory);
  }

  #u16(offset: number): number {
    return this.#view.getUint16(offset, true);
  }
}

/** Hash of a whole name and a type. */
export function hashOf(key: Uint8Array, type: number): number {
  let hash = hashStart();
  for (let i = key.length - 1; i >= 0; i--) hash = hashByte(hash, key[i] as number);
  return hashEnd(hash, type);
}

function sizeOf({ key, body }: TableEntry): number {
  return Math.ceil((entryField.key + key.length + body.length) / grain) * grain;
}

function equal(heap: Uint8Array, at: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (heap[at + i] !== bytes[i]) return false;
  return true;
}
