import type { Change, Entry } from "./entry.ts";

/** Remembered changes of one resource are at most this much JSON, in characters. */
const historyBytesLimit = 8 << 20;

const sizeOf = (change: Change | undefined): number => change?.entry.json.length ?? 0;

/** Where an entry with this key stands, or belongs. */
function placeOf(sorted: readonly Entry[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as Entry).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All objects of one resource, their order, and the changes that are still remembered. */
export class Collection {
  readonly entries = new Map<string, Entry>();
  readonly watchers = new Set<(change: Change) => void>();
  /** Remembered changes, oldest first, from `#first` on. */
  #history: (Change | undefined)[] = [];
  #first = 0;
  #historyBytes = 0;
  /** Changes up to this revision are forgotten. */
  #compacted = 0;
  readonly #limit: number;
  /** All entries by key; undefined until somebody lists them. */
  #sorted: Entry[] | undefined;
  /** Somebody holds the array: it must not be changed any more. */
  #sortedIsOut = false;

  constructor(historyLimit: number, compacted: number) {
    this.#limit = historyLimit;
    this.#compacted = compacted;
  }

  /** Revision of the last change. */
  revision = 0;

  get compacted(): number {
    return this.#compacted;
  }

  /** Applies a change to the state and the history. */
  apply(change: Change): void {
    if (change.type === "DELETED") this.entries.delete(change.entry.key);
    else this.entries.set(change.entry.key, change.entry);
    if (this.#sorted) this.#keepSorted(this.#sorted, change);
    this.revision = change.revision;
    this.#history.push(change);
    this.#historyBytes += change.entry.json.length;
    let count = this.#first;
    if (this.#history.length - count > this.#limit) count++;
    for (let bytes = this.#historyBytes; bytes > historyBytesLimit; count++) bytes -= sizeOf(this.#history[count]);
    this.#forget(count);
  }

  /** Forgets the changes before a position. */
  #forget(position: number): void {
    for (; this.#first < position; this.#first++) {
      const change = this.#history[this.#first] as Change;
      this.#compacted = Math.max(this.#compacted, change.revision);
      this.#historyBytes -= sizeOf(change);
      this.#history[this.#first] = undefined;
    }
    // Shifting the array once per thousand changes keeps the cost per change constant.
    if (this.#first >= 1024) {
      this.#history = this.#history.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Remembered changes after a revision, oldest first. */
  since(revision: number): Change[] {
    let low = this.#first;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#history[middle] as Change).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#history.slice(low) as Change[];
  }

  /** All entries by key: namespace first, then name, by code unit as etcd orders them. */
  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#sortedIsOut = true;
    return this.#sorted;
  }

  /** Sorting ten thousand entries anew for each list takes 25 ms, moving them by one place some microseconds. */
  #keepSorted(sorted: Entry[], { type, entry, previous }: Change): void {
    const own = this.#sortedIsOut ? sorted.slice() : sorted;
    const place = placeOf(own, entry.key);
    if (type === "DELETED") own.splice(place, 1);
    else own.splice(place, previous ? 1 : 0, entry);
    this.#sorted = own;
    this.#sortedIsOut = false;
  }

  /** The entries as they were at a revision not yet forgotten, sorted. */
  sortedAt(revision: number): readonly Entry[] {
    const later = this.since(revision);
    if (later.length === 0) return this.sorted();
    const past = new Map(this.entries);
    for (const change of later.reverse()) {
      if (change.previous) past.set(change.entry.key, change.previous);
      else past.delete(change.entry.key);
    }
    return [...past.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}
