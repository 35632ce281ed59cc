import type { Writable } from "node:stream";
import type { Sink } from "../rest/call.ts";
import { readyForMore } from "./pace.ts";

/** What one write of several events is: the events, which are shared by all watches, and the same as one. */
interface Joined {
  readonly events: readonly Uint8Array[];
  readonly whole: Uint8Array;
}

/**
 * Writes the events of watches. What comes in one turn of the event loop goes out as one write per watch: the more
 * there is to do, the less each event costs. Watches that follow the same are given the same bytes, so these are put
 * together once for all of them.
 */
export class EventWriter {
  /** By the first of their events; another watch's selector may lead to others after the same first one. */
  readonly #joined = new WeakMap<Uint8Array, Joined>();
  #waiting: (() => void)[] = [];

  /** Where the events of one watch go. */
  sink(out: Writable): Sink {
    let events: Uint8Array[] = [];
    let bytes = 0;
    const flush = (): void => {
      if (events.length === 0) return;
      const chunk = events.length === 1 ? (events[0] as Uint8Array) : this.#join(events, bytes);
      events = [];
      bytes = 0;
      out.write(chunk);
    };
    return {
      get backlog() {
        return bytes + out.writableLength;
      },
      write: (event) => {
        if (events.length === 0) this.#flushLater(flush);
        events.push(event);
        bytes += event.length;
      },
      ready() {
        flush();
        return readyForMore(out);
      },
      end() {
        flush();
        out.end();
      },
    };
  }

  #flushLater(flush: () => void): void {
    this.#waiting.push(flush);
    if (this.#waiting.length > 1) return;
    process.nextTick(() => {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const flush of waiting) flush();
    });
  }

  #join(events: readonly Uint8Array[], bytes: number): Uint8Array {
    const first = events[0] as Uint8Array;
    const known = this.#joined.get(first);
    if (known && sameItems(known.events, events)) return known.whole;
    const whole = Buffer.concat(events, bytes);
    this.#joined.set(first, { events, whole });
    return whole;
  }
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
