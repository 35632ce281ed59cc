import type { LogFields, Logger } from "#base/log.ts";

/** So often at most the same words are written, in ms: a thousand failing connections a second are no thousand lines. */
const EVERY_MS = 1000;

/** Writes errors of connections, of equal ones not more than one in a second; it says how many were left out. */
export class Complaints {
  readonly #log: Logger | undefined;
  readonly #now: () => number;
  readonly #last = new Map<string, { atMs: number; leftOut: number }>();

  /** @param now ms of a clock that only goes forward. Default: the real one */
  constructor(log: Logger | undefined, now = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** @param message one of few: each is remembered */
  say(message: string, fields: LogFields): void {
    const now = this.#now();
    const last = this.#last.get(message);
    if (last && now - last.atMs < EVERY_MS) {
      last.leftOut++;
      return;
    }
    this.#log?.error(message, { ...fields, ...(last?.leftOut ? { leftOut: last.leftOut } : {}) });
    this.#last.set(message, { atMs: now, leftOut: 0 });
  }
}
