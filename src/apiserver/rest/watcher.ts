import type { StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { type Change, Entry } from "../store/index.ts";
import type { Sink } from "./call.ts";
import { selected } from "./list.ts";
import type { Selection } from "./select.ts";
import { eventLine, type Format } from "./watch-format.ts";

/** A client that lets this much pile up is cut off; it will list again. */
const backlogLimit = 16 << 20;

/** So many bytes, or so many objects looked at, are sent before others get their turn. */
const sliceBytes = 128 << 10;
const sliceItems = 256;

/** One watch: turns changes into the events that its client asked for. */
export class Watcher {
  readonly #kind: Kind;
  readonly #selection: Selection;
  readonly #format: Format;
  readonly #sink: Sink;
  #first = true;
  #ended = false;
  /** Bytes sent. */
  #sent = 0;
  readonly #endings: (() => void)[] = [];
  /** All that was before has been sent: bookmarks may tell of newer revisions. */
  live = false;

  constructor(kind: Kind, selection: Selection, format: Format, sink: Sink) {
    this.#kind = kind;
    this.#selection = selection;
    this.#format = format;
    this.#sink = sink;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Calls back once when the watch ends, at once when it has. */
  atEnd(callback: () => void): void {
    if (this.#ended) callback();
    else this.#endings.push(callback);
  }

  /** Ends with the client. */
  leaveOn(client: AbortSignal): void {
    this.#on(client, () => this.#leave());
  }

  /** Ends the answer when a signal comes. */
  endOn(signal: AbortSignal): void {
    this.#on(signal, () => this.end());
  }

  /** Sends what there is already, as fast as the client reads, in slices between which others get their turn. */
  async paced<T>(items: readonly T[], send: (item: T) => void): Promise<void> {
    let [bytes, count] = [this.#sent, 0];
    for (const item of items) {
      if (this.#ended) return;
      send(item);
      if (++count < sliceItems && this.#sent - bytes < sliceBytes) continue;
      await this.#sink.ready();
      [bytes, count] = [this.#sent, 0];
    }
  }

  /** An object that was there when the watch began. */
  initial(entry: Entry): void {
    if (!this.#inNamespace(entry) || !selected(this.#selection, entry)) return;
    if (!this.#hand("ADDED", entry)) this.#send(eventLine("ADDED", this.#format.object(entry, this.#takeFirst())));
  }

  /** A change, seen through the selector: an object that comes to match is ADDED, one that ceases to is DELETED. */
  change(change: Change): void {
    if (this.#ended || !this.#inNamespace(change.entry)) return;
    const selection = this.#selection;
    const before = change.previous !== undefined && selected(selection, change.previous);
    const after = change.type !== "DELETED" && selected(selection, change.entry);
    if (before && after) this.#encode("MODIFIED", change);
    else if (after) this.#encode("ADDED", change);
    else if (before) this.#encode("DELETED", change);
  }

  /** Tells the client a revision up to which it knows everything. */
  bookmark(revision: number, initialEnd: boolean): void {
    if (this.#format.name === "object" && this.#sink.event) {
      this.#sink.event("BOOKMARK", JSON.parse(this.#format.bookmark(revision, initialEnd)));
      return;
    }
    this.#send(eventLine("BOOKMARK", this.#format.bookmark(revision, initialEnd)));
  }

  /** Ends the watch with an ERROR event. */
  fail(error: StatusError): void {
    const status = error.toStatus();
    if (this.#sink.event) this.#sink.event("ERROR", status);
    else this.#send(eventLine("ERROR", JSON.stringify(status)));
    this.end();
  }

  /** Ends the watch and the answer. */
  end(): void {
    if (this.#ended) return;
    this.#leave();
    this.#sink.end();
  }

  #leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const callback of this.#endings.splice(0)) callback();
  }

  #on(signal: AbortSignal, callback: () => void): void {
    if (signal.aborted) {
      callback();
      return;
    }
    signal.addEventListener("abort", callback, { once: true });
    this.atEnd(() => signal.removeEventListener("abort", callback));
  }

  #inNamespace(entry: Entry): boolean {
    return this.#selection.namespace === "" || entry.namespace === this.#selection.namespace;
  }

  #takeFirst(): boolean {
    const first = this.#first;
    this.#first = false;
    return first;
  }

  /** Gives the object itself to a client in this process. @returns false when the client wants bytes */
  #hand(type: string, entry: Entry): boolean {
    if (this.#format.name !== "object" || !this.#sink.event) return false;
    if (!this.#ended) this.#sink.event(type, this.#kind.fromStored(entry.object));
    return true;
  }

  /** The line of a change; all watchers of one form share the encoded bytes. */
  #encode(type: string, change: Change): void {
    const entry = type === "DELETED" && change.previous ? lastShown(change, change.previous) : change.entry;
    if (this.#hand(type, entry)) return;
    const first = this.#takeFirst() && this.#format.columnsOnce;
    const key = `${type} ${apiVersionOf(this.#kind)} ${this.#format.name}${first ? " first" : ""}`;
    let line = change.encodings.get(key);
    if (!line) {
      line = eventLine(type, this.#format.object(entry, first));
      change.encodings.set(key, line);
    }
    this.#send(line);
  }

  #send(line: Uint8Array): void {
    if (this.#ended) return;
    this.#sent += line.length;
    this.#sink.write(line);
    if (this.#sink.backlog > backlogLimit) this.end();
  }
}

/** What a client sees of an object that goes: as it was last selected, with the revision at which it went. */
function lastShown(change: Change, previous: Entry): Entry {
  if (change.type === "DELETED") return change.entry;
  const { object } = previous;
  const metadata = { ...object.metadata, resourceVersion: String(change.revision) };
  return Entry.ofObject(previous.key, change.revision, { ...object, metadata });
}
